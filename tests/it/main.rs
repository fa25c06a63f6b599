//! Tests of the whole binary, through two builders: a [`sidecar::Sidecar`] and the [`receiver::Receiver`] it sends to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "seeds, and what was skipped")]
#![allow(
    dead_code,
    reason = "the builders offer every fault a webhook can have, whether or not a test uses it today"
)]

mod cases;
mod cef;
mod certificate;
mod chaos;
mod config;
mod delivery;
mod demo;
mod deploy;
mod disk;
mod docs;
mod durability;
mod events;
mod explain;
mod filters;
mod http;
mod intake;
mod metrics;
mod ping;
mod receive;
mod receiver;
mod replay;
mod restart;
mod rotators;
mod security;
mod sidecar;
mod structure;
mod tail;
mod tools;
mod verify_konnect;
