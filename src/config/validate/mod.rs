//! The rules that a shape cannot say, and the defaults: from the mirror to a [`Config`].
//!
//! Each rule reports at the path of the value that breaks it and goes on, so that one run finds all. Messages name
//! values as they are written; what a variable brought in is never shown.

mod auth;
mod cef;
mod delivery;
mod feedback;
mod filter;
mod forwarder;
mod http;
mod intakes;
mod keys;
mod name;
mod profile;
mod pushed;
mod request;
mod source;
mod wrap;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    Admin, Config, Diagnostics, DiagnosticsFormat,
    path::Path,
    report::Report,
    written::{self, ConfigFile, LogFormat, LogLevel},
};

const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The checked configuration. `None`, or a configuration beside which the report holds problems, is not to be used.
pub(super) fn validate(file: &ConfigFile, report: &mut Report) -> Option<Config> {
    let root = Path::default();
    let state_dir = state_dir(file, &root, report);
    let sources = source::sources(file.sources.as_deref(), &root.key("sources"), report);
    let forwarders = forwarder::forwarders(file, &root, report);
    let admin = file.admin.as_ref().map(|admin| self::admin(admin, &root.key("admin"), report));
    feedback::check(&state_dir, file, &root, report);
    Some(Config {
        state_dir,
        drain_timeout: file.drain_timeout.map_or(DRAIN_TIMEOUT, |written| written.0),
        sources: sources?,
        forwarders: forwarders?,
        admin: match admin {
            Some(admin) => Some(admin?),
            None => None,
        },
        diagnostics: diagnostics(file.log.as_ref()),
    })
}

fn state_dir(file: &ConfigFile, root: &Path, report: &mut Report) -> PathBuf {
    if file.state_dir.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        report.problem(&root.key("stateDir"), "is empty: it must name a directory");
    }
    file.state_dir.clone().unwrap_or_else(|| PathBuf::from("./auditpost-state"))
}

fn admin(admin: &written::WrittenAdmin, path: &Path, report: &mut Report) -> Option<Admin> {
    let listen = address(admin.listen.as_ref()?, "9600", &path.key("listen"), report);
    listen.map(|listen| Admin { listen })
}

/// An address to listen on; `port`: one to show how it is written.
fn address(listen: &str, port: &str, path: &Path, report: &mut Report) -> Option<SocketAddr> {
    let parsed = listen.parse::<SocketAddr>();
    if parsed.is_err() {
        let what =
            format!("is no address and port; write such as 127.0.0.1:{port}, or 0.0.0.0:{port} for every interface");
        report.problem(path, format!("{} {what}", report.written(path)));
    }
    parsed.ok()
}

fn diagnostics(log: Option<&written::WrittenLog>) -> Diagnostics {
    let level = match log.and_then(|log| log.level).unwrap_or(LogLevel::Info) {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let format = match log.and_then(|log| log.format).unwrap_or(LogFormat::Text) {
        LogFormat::Text => DiagnosticsFormat::Text,
        LogFormat::Json => DiagnosticsFormat::Json,
    };
    Diagnostics { level, format }
}

/// Reports a list that is there and empty. What its emptiness means, the caller says.
fn refuse_empty<T>(list: Option<&[T]>, path: &Path, what: &str, report: &mut Report) {
    if list.is_some_and(<[T]>::is_empty) {
        report.problem(path, what);
    }
}

/// Reports a text that is there and blank.
fn refuse_empty_text(text: &str, path: &Path, report: &mut Report) {
    if text.trim().is_empty() {
        report.problem(path, "is empty: leave the key out to take the default");
    }
}

/// A duration that must not be zero.
fn positive(written: Option<written::Duration>, default: Duration, path: &Path, report: &mut Report) -> Duration {
    let value = written.map_or(default, |written| written.0);
    if value.is_zero() {
        report.problem(path, "must be more than zero");
    }
    value
}

/// A size within bounds, which are named as they are to be written.
fn bounded(written: Option<written::Size>, default: usize, path: &Path, report: &mut Report) -> usize {
    const LEAST: usize = 1 << 10;
    const MOST: usize = 64 << 20;
    let Some(written) = written else {
        return default;
    };
    let value = usize::try_from(written.0).unwrap_or(usize::MAX);
    if !(LEAST..=MOST).contains(&value) {
        report.problem(path, format!("{} is out of range: 1KiB to 64MiB", report.written(path)));
    }
    value
}
