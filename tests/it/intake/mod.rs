//! Sources that are sent their events.

mod http;
