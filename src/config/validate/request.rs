//! The rules of what a request is made of: uri, headers.

use std::net::IpAddr;

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderName},
};

use super::super::{
    Auth, Secret, Uri,
    path::Path,
    report::Report,
    written::{self, SecretText},
};

/// The webhook's address. No message shows it: its userinfo or its query may be secret.
pub(super) fn uri(written: &written::WrittenForwarder, path: &Path, report: &mut Report) -> Option<Uri> {
    address(written.uri.as_deref()?, written.allow_http, &path.key("uri"), report)
}

/// An address that secrets are sent to.
pub(super) fn address(text: &str, allow_http: Option<bool>, at: &Path, report: &mut Report) -> Option<Uri> {
    let known_scheme = ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if !known_scheme {
        report.problem(at, "must begin with https:// (or http://, see allowHttp)");
        return None;
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        report.problem(at, "has a space or a control character in it; write %20 for a space");
        return None;
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            report.problem(at, format!("is no valid uri: {error}"));
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        let what = "has a user or password in it, which would show in diagnostics: use token, tokenFile, or an \
                    Authorization header";
        report.problem(at, what);
    }
    if url.fragment().is_some() {
        report.problem(at, "has a fragment (`#…`), which is never sent: leave it out, or write %23");
    }
    if url.scheme() == "http" && !is_loopback(&url) && allow_http != Some(true) {
        let what = "plain http to another host shows events and token to the network: use https, or set \
                    allowHttp: true";
        report.problem(at, what);
    }
    Some(Uri::new(url, report.has_variable(at)))
}

/// Whether the host is this machine, by its name or address; names are not looked up.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

pub(super) fn headers(
    written: &written::WrittenForwarder,
    auth: &Auth,
    path: &Path,
    report: &mut Report,
) -> Vec<(HeaderName, Secret)> {
    let path = path.key("headers");
    let mut headers: Vec<(HeaderName, Secret)> = Vec::new();
    for (key, SecretText(value)) in written.headers.iter().flatten() {
        let path = path.key(key);
        let Ok(name) = HeaderName::from_bytes(key.as_bytes()) else {
            report.problem_with_key(&path, "is no valid header name: letters, digits and - are");
            continue;
        };
        if let Some(what) = is_ours(name.as_str()).or_else(|| is_auths(&name, auth)) {
            report.problem_with_key(&path, what);
        } else if headers.iter().any(|(other, _)| *other == name) {
            report.problem_with_key(&path, "is there already: case makes no difference in a header's name");
        } else if !is_header_text(value.expose()) {
            report.problem(&path, NO_HEADER_VALUE);
        }
        headers.push((name, value.clone()));
    }
    headers
}

const NO_HEADER_VALUE: &str =
    "has a line break, a control character or a letter beyond ASCII in it, which no header may";

/// Whether a header's value can be sent: visible ASCII, spaces and tabs (RFC 9110, section 5.5).
fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
}

/// The text of a header that has a key of its own.
pub(super) fn header_text(written: Option<&String>, default: &str, path: &Path, report: &mut Report) -> String {
    let Some(text) = written else {
        return default.to_owned();
    };
    if text.trim().is_empty() {
        report.problem(path, "is empty: leave the key out to take the default");
    } else if !is_header_text(text) {
        report.problem(path, NO_HEADER_VALUE);
    }
    text.clone()
}

/// Why a header cannot be set, where who we are sets it.
fn is_auths(name: &HeaderName, auth: &Auth) -> Option<&'static str> {
    match auth {
        Auth::Token { header, .. } if name == header => Some("stands beside token or tokenFile, which sets it"),
        Auth::Basic { .. } | Auth::OAuth2(_) if *name == AUTHORIZATION => Some("stands beside auth, which sets it"),
        _ => None,
    }
}

/// Why a header cannot be set, where auditpost sets it.
pub(super) fn is_ours(name: &str) -> Option<&'static str> {
    match name {
        "content-type" => Some("is set by auditpost: use contentType"),
        "content-encoding" => Some("is set by auditpost: use compression and contentEncoding"),
        "user-agent" => Some("is set by auditpost: use userAgent"),
        "host" => Some("is set by auditpost, to the host of the uri"),
        "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "te" | "trailer" | "upgrade"
        | "expect" => Some("is set by auditpost: it belongs to the connection"),
        "webhook-id" | "webhook-timestamp" | "webhook-signature" | "idempotency-key" => {
            Some("is set by auditpost, for each batch")
        }
        name if name.starts_with("auditpost-") => Some("is set by auditpost: the prefix Auditpost- is its own"),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_name_and_address() {
        for (uri, loopback) in [
            ("http://localhost/x", true),
            ("http://LOCALHOST:8080/", true),
            ("http://a.localhost/", true),
            ("http://127.0.0.1/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:9/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://localhost.example.com/", false),
            ("http://notlocalhost/", false),
            ("http://10.0.0.1/", false),
            ("http://0.0.0.0/", false),
            ("http://[::ffff:10.0.0.1]/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(uri).unwrap()), loopback, "{uri}");
        }
    }
}
