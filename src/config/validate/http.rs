//! The rules of `http` sources.

use reqwest::header::HeaderName;

use super::{
    super::{
        Hmac, HmacAlgorithm, HmacEncoding, HttpIntake, HttpSource, Senders, SourceKind, Token, path::Path,
        report::Report, webhook_key, written,
    },
    auth, bounded, pushed,
};

const MAX_BODY_BYTES: usize = 16 << 20;
const MAX_CONNECTIONS: u32 = 1000;

pub(super) fn http(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<SourceKind> {
    let spool = pushed::spool(written, path, report);
    let intake = HttpIntake {
        path: url_path(written, &path.key("path"), report),
        max_body_bytes: bounded(written.max_body_bytes, MAX_BODY_BYTES, &path.key("maxBodyBytes"), report),
        max_connections: written.max_connections.unwrap_or(MAX_CONNECTIONS) as usize,
        senders: senders(written, path, report),
    };
    let (tls, listen) = (pushed::tls(written), pushed::listen(written, path, report));
    Some(SourceKind::Http(HttpSource { spool, listen: listen?, tls: tls?, intake }))
}

fn url_path(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<String> {
    let text = written.path.as_ref()?.to_string_lossy().into_owned();
    if !text.starts_with('/') || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) {
        let what = "is no path of a URL: it must begin with / and hold no space, ? or #";
        report.problem(path, format!("{} {what}", report.written(path)));
    }
    Some(text)
}

fn senders(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Senders {
    let token = auth::secret(("token", &written.token), ("tokenFile", &written.token_file), path, report);
    if let Some(Token::Inline(secret)) = &token {
        let text = secret.expose();
        if text.is_empty() {
            report.problem(&path.key("token"), "is empty");
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = "has a space, a line break or another character in it that no bearer token has";
            report.problem(&path.key("token"), what);
        }
    }
    let hmac = written.hmac.as_ref().and_then(|written| hmac(written, &path.key("hmac"), report));
    let signature = written.signature.as_ref().and_then(|written| signature(written, &path.key("signature"), report));
    Senders { token, hmac, signature }
}

fn hmac(written: &written::WrittenHmac, path: &Path, report: &mut Report) -> Option<Hmac> {
    let secret = auth::password(("secret", &written.secret), ("secretFile", &written.secret_file), path, report);
    let at = path.key("header");
    let header = match written.header.as_deref().map(str::parse::<HeaderName>) {
        Some(Ok(header)) => Some(header),
        Some(Err(_)) => {
            report.problem(&at, format!("{} is no name of a header", report.written(&at)));
            None
        }
        None => {
            report.problem(&at, "is missing: the header that the HMAC is in");
            None
        }
    };
    Some(Hmac {
        secret: secret?,
        header: header?,
        algorithm: match written.algorithm.unwrap_or(written::WrittenHmacAlgorithm::Sha256) {
            written::WrittenHmacAlgorithm::Sha256 => HmacAlgorithm::Sha256,
            written::WrittenHmacAlgorithm::Sha1 => HmacAlgorithm::Sha1,
        },
        encoding: match written.encoding.unwrap_or(written::WrittenHmacEncoding::Hex) {
            written::WrittenHmacEncoding::Hex => HmacEncoding::Hex,
            written::WrittenHmacEncoding::Base64 => HmacEncoding::Base64,
        },
        prefix: written.prefix.clone().unwrap_or_default(),
    })
}

fn signature(written: &written::Signature, path: &Path, report: &mut Report) -> Option<Token> {
    let secret = auth::password(("secret", &written.secret), ("secretFile", &written.secret_file), path, report)?;
    if let Token::Inline(secret) = &secret
        && !secret.expose().is_empty()
        && webhook_key(secret.expose()).is_none()
    {
        report.problem(&path.key("secret"), "is no secret of Standard Webhooks: they are whsec_ and base64");
    }
    Some(secret)
}
