//! What the fields of a system's events are called.
