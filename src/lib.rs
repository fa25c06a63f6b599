//! auditpost ships audit events to webhooks and never loses one in silence.
//!
//! **Sources write to logs; logs keep; forwarders follow.** The modules stand in the order in which an event
//! passes them:
//!
//! ```text
//!  source ─► log ◄─ follow → check → filter → encode → batch → compress → deliver → settle
//!  file      segments └────────────────────── one forwarder ──────────────────────────┘
//!            of lines ◄── release ◄── the lowest durable cursor of all forwarders
//! ```
//!
//! `source` and `forwarder` never import each other; they meet at `log`.

pub mod format;
pub mod scan;
pub mod schema;

pub mod config;
pub mod token;

pub mod source;

pub mod log;

pub mod forwarder;

pub mod alarm;
pub mod health;
pub mod notify;

pub mod admin;

pub mod app;
pub mod cli;

pub mod durable;
pub mod local_file;
pub mod lock;

/// The program's version, as in `User-Agent: auditpost/VERSION`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
