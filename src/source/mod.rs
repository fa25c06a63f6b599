//! Sources: where events come from. A source writes to a log, or tells a log which files are its segments.

pub mod connection;
pub mod copied;
pub mod copier;
pub mod datagram;
pub mod file;
pub mod framing;
pub mod http;
pub mod link;
pub mod listener;
pub mod outlet;
pub mod paths;
pub mod spool;
pub mod stats;
pub mod stdin;
pub mod stream;
pub mod syslog;
pub mod tls;
pub mod unix;
pub mod watch;
