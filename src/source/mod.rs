//! Sources: where events come from. A source writes to a log, or tells a log which files are its segments. Whatever its
//! kind, [`start`](fn@start) is the way in.

pub mod client_stream;
pub mod clients;
pub mod connection;
pub mod copier;
pub mod copy_journal;
pub mod datagram;
pub mod file;
pub mod framing;
pub mod http;
pub mod listener;
pub mod look;
pub mod paths;
pub mod spool;
pub mod spool_writer;
pub mod start;
pub mod stats;
pub mod stdin;
pub mod stream;
pub mod syslog;
pub mod tls;
pub mod unix;
pub mod walk;
pub mod watch;

pub use self::start::{RunningSource, SourceSetup, SourceStartError, SourceTasks, catalogs, start};
