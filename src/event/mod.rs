//! One record's bytes, and what its schema says of them.
