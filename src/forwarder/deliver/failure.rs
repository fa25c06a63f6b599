//! Why a request has no status, from the chain of causes that the client gives.

use std::{error::Error, io, time::Duration};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, InvalidMessage as Garbled, pki_types::UnixTime};

use super::{body::Progress, excerpt::escape};
use crate::forwarder::judge::{Answer, FailureKind};

/// A cause is quoted in at most so many bytes.
const QUOTED: usize = 400;

/// The answer for a request that ended in `error`. `peer` is scheme, host and port: paths and queries may be secret.
pub(super) fn classify(error: &reqwest::Error, peer: &str, progress: &Progress, timeout: Duration) -> Answer {
    let (kind, text) = if let Some(tls) = innermost::<rustls::Error>(error) {
        of_tls(tls)
    } else if error.is_timeout() {
        return timed_out(peer, progress, timeout);
    } else if error.is_dns() {
        (FailureKind::Dns, format!("the name cannot be resolved: {}", root(error)))
    } else if let Some(cause) = innermost::<io::Error>(error) {
        of_io(cause, error.is_connect(), progress)
    } else if let Some(cause) = innermost::<hyper::Error>(error) {
        of_http(cause)
    } else {
        (FailureKind::Closed, root(error))
    };
    failed(kind, peer, &text)
}

/// The answer where there was none in time.
pub(super) fn timed_out(peer: &str, progress: &Progress, timeout: Duration) -> Answer {
    let (taken, total) = (progress.taken(), progress.total());
    let text = if taken == 0 && total > 0 {
        format!("no connection within {timeout:?}")
    } else if taken < total {
        format!("stopped taking the request after at most {taken} of {total} bytes; no answer within {timeout:?}")
    } else {
        format!("took the request and did not answer within {timeout:?}")
    };
    failed(FailureKind::Timeout, peer, &text)
}

pub(super) fn failed(kind: FailureKind, peer: &str, text: &str) -> Answer {
    Answer::Failed { kind, text: format!("{peer}: {}", escape(text, QUOTED)) }
}

fn of_io(cause: &io::Error, connecting: bool, progress: &Progress) -> (FailureKind, String) {
    use io::ErrorKind::*;
    match cause.kind() {
        ConnectionReset | BrokenPipe | ConnectionAborted if connecting => {
            (FailureKind::Reset { sending: false }, "the connection was reset while it was set up".to_owned())
        }
        ConnectionReset | BrokenPipe | ConnectionAborted => {
            let sending = progress.may_be_unread();
            let (taken, total) = (progress.taken(), progress.total());
            let text = if sending {
                format!("the connection was reset after at most {taken} of {total} bytes of the request")
            } else {
                "the connection was reset after the request, before an answer".to_owned()
            };
            (FailureKind::Reset { sending }, text)
        }
        UnexpectedEof => (FailureKind::Closed, "the connection was closed before an answer".to_owned()),
        _ if connecting => (FailureKind::Connect, format!("no connection: {cause}")),
        _ => (FailureKind::Closed, format!("the connection failed: {cause}")),
    }
}

fn of_http(cause: &hyper::Error) -> (FailureKind, String) {
    if cause.is_parse() {
        (FailureKind::Protocol, format!("what it answers is not HTTP/1.1: {cause}"))
    } else {
        (FailureKind::Closed, "the connection was closed before an answer".to_owned())
    }
}

pub(super) fn of_tls(cause: &rustls::Error) -> (FailureKind, String) {
    use rustls::Error::*;
    match cause {
        InvalidCertificate(problem) => (FailureKind::TlsCertificate, of_certificate(problem)),
        AlertReceived(alert) => of_alert(*alert),
        NoCertificatesPresented => (FailureKind::TlsCertificate, "its TLS shows no certificate".to_owned()),
        InvalidMessage(Garbled::InvalidContentType | Garbled::UnknownProtocolVersion) => (
            FailureKind::TlsHandshake,
            "what it speaks on this port is not TLS; is the port right, or is it plain http?".to_owned(),
        ),
        PeerIncompatible(_) => {
            (FailureKind::TlsHandshake, format!("it has no TLS 1.2 or 1.3 as we need it: {cause}"))
        }
        _ => (FailureKind::TlsHandshake, format!("TLS failed: {cause}")),
    }
}

fn of_certificate(problem: &CertificateError) -> String {
    use CertificateError::*;
    match problem {
        Expired => "its certificate has expired".to_owned(),
        ExpiredContext { time, not_after } => {
            format!("its certificate expired at {}; our clock says {}", utc(*not_after), utc(*time))
        }
        NotValidYet => "its certificate is not valid yet".to_owned(),
        NotValidYetContext { time, not_before } => {
            format!("its certificate is valid only from {}; our clock says {}", utc(*not_before), utc(*time))
        }
        BadSignature => {
            "its certificate is not signed by the CA that it names; is our CA file an older one of the same \
                         name?"
                .to_owned()
        }
        UnknownIssuer => "its certificate comes from a CA that we do not trust; if it is your own CA, name it in \
                          tls.caFile"
            .to_owned(),
        NotValidForName => "its certificate is for another name".to_owned(),
        NotValidForNameContext { expected, presented } => {
            format!("its certificate is not for {} but for {}", expected.to_str(), presented.join(", "))
        }
        Revoked => "its certificate has been revoked".to_owned(),
        other => format!("its certificate is not acceptable: {other}"),
    }
}

fn of_alert(alert: AlertDescription) -> (FailureKind, String) {
    use AlertDescription::*;
    match alert {
        CertificateRequired => (
            FailureKind::TlsCertificate,
            "it wants a client certificate: set tls.certFile and tls.keyFile".to_owned(),
        ),
        NoCertificate
        | BadCertificate
        | UnsupportedCertificate
        | CertificateRevoked
        | CertificateExpired
        | CertificateUnknown
        | UnknownCA
        | AccessDenied
        // As where our CA has the name of one that it knows, and another key.
        | DecryptError => {
            (FailureKind::TlsCertificate, format!("it does not accept our client certificate (TLS alert {alert:?})"))
        }
        ProtocolVersion | InsufficientSecurity => {
            (FailureKind::TlsHandshake, format!("it has no TLS 1.2 or 1.3 as we need it (TLS alert {alert:?})"))
        }
        _ => (FailureKind::TlsHandshake, format!("it ended the TLS handshake (TLS alert {alert:?})")),
    }
}

fn utc(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| format!("{seconds} s after 1970"), |time| time.to_string())
}

/// The innermost cause of type `T`, looking also into what an I/O error wraps (its `source` skips that one).
fn innermost<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).filter_map(|cause| cause.downcast_ref()).last()
}

/// The last cause's text.
fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    // The outermost one is left out: it prints the whole address.
    std::iter::successors(error.source(), |error| cause_of(*error))
}

fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
