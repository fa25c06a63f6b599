//! The rules of how a forwarder delivers: batches, retries, compression, TLS, verdicts.

use std::time::Duration;

use super::{
    super::{
        AnswerVerdict, BatchLimits, ClientCertificate, Compression, CompressionLevel, Framing, Retry, Tls,
        path::Path,
        report::Report,
        written::{self, Algorithm, CompressionForm, LevelName},
    },
    bounded, positive,
    profile::Defaults,
};

pub(super) const MAX_EVENTS: usize = 1_000;
pub(super) const MAX_BYTES: usize = 1_000_000;
const MAX_AGE: Duration = Duration::from_secs(1);
const RETRY_INITIAL: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
const PROBE: Duration = Duration::from_secs(300);

pub(super) fn batch(
    written: &written::WrittenForwarder,
    defaults: &Defaults,
    framing: Framing,
    path: &Path,
    report: &mut Report,
) -> BatchLimits {
    let path = path.key("batch");
    let none = written::WrittenBatch::default();
    let batch = written.batch.as_ref().unwrap_or(&none);
    let single = framing == Framing::Single;
    if single && batch.max_events.is_some_and(|events| events > 1) {
        report.problem(&path.key("maxEvents"), "has no effect: with framing single a request is one event");
    }
    BatchLimits {
        max_events: if single { 1 } else { batch.max_events.unwrap_or(defaults.max_events) },
        max_bytes: bounded(batch.max_bytes, defaults.max_bytes, &path.key("maxBytes"), report),
        max_age: batch.max_age.map_or(MAX_AGE, |written| written.0),
    }
}

pub(super) fn probe(written: Option<&written::WrittenRetry>, path: &Path, report: &mut Report) -> Duration {
    positive(written.and_then(|retry| retry.probe), PROBE, &path.key("retry").key("probe"), report)
}

pub(super) fn retry(written: Option<&written::WrittenRetry>, path: &Path, report: &mut Report) -> Retry {
    let path = path.key("retry");
    let (initial, max) = (path.key("initial"), path.key("max"));
    let retry = Retry {
        initial: positive(written.and_then(|retry| retry.initial), RETRY_INITIAL, &initial, report),
        max: positive(written.and_then(|retry| retry.max), RETRY_MAX, &max, report),
    };
    if retry.initial > retry.max && !report.is_blamed(&initial) && !report.is_blamed(&max) {
        if report.is_written(&initial) {
            let default = if report.is_written(&max) { "" } else { " (60s by default)" };
            report.problem(&initial, format!("is longer than retry.max{default}"));
        } else {
            report.problem(&max, "is shorter than retry.initial (1s by default)");
        }
    }
    retry
}

pub(super) fn compression(written: written::WrittenCompression, path: &Path, report: &mut Report) -> Compression {
    let form = match written {
        written::WrittenCompression::Short(algorithm) => CompressionForm { algorithm: Some(algorithm), level: None },
        written::WrittenCompression::Long(form) => form,
    };
    let at = path.key("compression").key("level");
    match (form.algorithm.unwrap_or(Algorithm::Gzip), form.level) {
        (Algorithm::None, None) => Compression::None,
        (Algorithm::None, Some(_)) => {
            report.problem(&at, "has no effect: the algorithm is none");
            Compression::None
        }
        (Algorithm::Gzip, level) => Compression::Gzip(match level {
            None | Some(written::WrittenLevel::Named(LevelName::Default)) => CompressionLevel::Default,
            Some(written::WrittenLevel::Named(LevelName::Fast)) => CompressionLevel::Fast,
            Some(written::WrittenLevel::Named(LevelName::Best)) => CompressionLevel::Best,
            Some(written::WrittenLevel::Number(number)) => {
                let most = if cfg!(feature = "libdeflate") { 12 } else { 9 };
                if number > most {
                    report.problem(&at, format!("is out of range: 0 to {most}"));
                }
                CompressionLevel::Number(number)
            }
        }),
    }
}

pub(super) fn tls(written: Option<&written::WrittenTls>, path: &Path, report: &mut Report) -> Tls {
    let path = path.key("tls");
    let Some(written) = written else {
        return Tls::default();
    };
    for (key, file) in
        [("caFile", &written.ca_file), ("certFile", &written.cert_file), ("keyFile", &written.key_file)]
    {
        if file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            report.problem(&path.key(key), "is empty: it must name a file");
        }
    }
    let client = match (&written.cert_file, &written.key_file) {
        (Some(cert_file), Some(key_file)) => {
            Some(ClientCertificate { cert_file: cert_file.clone(), key_file: key_file.clone() })
        }
        (Some(_), None) => {
            missing_half(&path, "certFile", "keyFile", report);
            None
        }
        (None, Some(_)) => {
            missing_half(&path, "keyFile", "certFile", report);
            None
        }
        (None, None) => None,
    };
    let insecure_skip_verify = written.insecure_skip_verify.unwrap_or(false);
    Tls { ca_file: written.ca_file.clone(), client, insecure_skip_verify }
}

fn missing_half(tls: &Path, there: &str, missing: &str, report: &mut Report) {
    // One that is there but wrong has been complained of.
    if !report.is_blamed(&tls.key(missing)) {
        report.problem(&tls.key(there), format!("needs {missing}: a client certificate is both"));
    }
}

pub(super) fn responses(
    written: &written::WrittenForwarder,
    path: &Path,
    report: &mut Report,
) -> Vec<(u16, AnswerVerdict)> {
    let path = path.key("responses");
    let mut verdicts = Vec::new();
    for (status, verdict) in written.responses.iter().flatten() {
        match status.parse::<u16>() {
            Ok(code @ 100..=599) if status.len() == 3 => verdicts.push((code, self::verdict(*verdict))),
            _ => report.problem_with_key(&path.key(status), "is no status: 100 to 599 are"),
        }
    }
    verdicts
}

fn verdict(written: written::WrittenVerdict) -> AnswerVerdict {
    match written {
        written::WrittenVerdict::Delivered => AnswerVerdict::Delivered,
        written::WrittenVerdict::Retry => AnswerVerdict::Retry,
        written::WrittenVerdict::Unauthorized => AnswerVerdict::Unauthorized,
        written::WrittenVerdict::Hold => AnswerVerdict::Hold,
        written::WrittenVerdict::Halve => AnswerVerdict::Halve,
        written::WrittenVerdict::Narrow => AnswerVerdict::Narrow,
    }
}
