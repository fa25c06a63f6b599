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

mod format;
mod glob;
mod scan;
mod schema;

mod config;
mod token;

mod source;

mod log;

mod forwarder;

mod accept_loop;
mod alarm;
mod body_decoder;
mod health;
mod notify;

mod admin;

mod app;
pub mod cli;

mod durable;
mod local_file;
mod lock;

/// The program's version, as in `User-Agent: auditpost/VERSION`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the benches, the fuzz targets and the tests of this package look into. Nobody else may rely on it.
#[doc(hidden)]
pub mod internals {
    pub use crate::{
        alarm::AlarmKind,
        config::{
            CefConfig, Compression, CompressionLevel, CriStream, Dialect, EventTypes, FilterRules, Format, Framing,
            Ipv6, LineFormat, Mapped, MappedFrom, MappedKey, PrefixPart, Problems, Schema, load_text,
        },
        format::CefKey,
        forwarder::{
            batch::{BatchBody, BodyLimits, Pushed},
            compress::{Compressor, Digest, LEVELS},
            encode::EventEncoder,
            filter::{EventFilter, FilterVerdict},
            journal::Journal,
        },
        health::STUCK_AFTER,
        log::{
            ItemKind, LogItem, SegmentId, SegmentRange,
            cri::Records,
            lines::{LineSplitter, SegmentBytes},
            tail::PackedReader,
        },
        scan::{Invalid, Nothing, scan},
        schema::{Checker, Field, FieldSet, Needs, connect},
        source::{
            framing::{FramedItem, Framer},
            stats::IntakeRefusal,
        },
    };
}
