//! The bearer token: from the configuration or from a file.

use std::{os::unix::fs::MetadataExt, sync::Arc};

use reqwest::header::HeaderValue;
use tracing::warn;

use super::local_file::{LocalError, Watched};
use crate::config::{self, Secret};

const LIMIT: u64 = 64 * 1024;

/// Where the token comes from.
#[derive(Debug)]
pub(super) enum TokenSource {
    Inline(Secret),
    File { file: Watched, warned: bool },
}

/// A token fit to be sent: the header's value, and the secret itself so that an echo of it can be taken out.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) header: HeaderValue,
    pub(super) secret: Arc<Secret>,
}

impl TokenSource {
    pub(super) fn new(token: &config::Token) -> Self {
        match token {
            config::Token::Inline(secret) => Self::Inline(secret.clone()),
            config::Token::File(path) => Self::File { file: Watched::new("token file", path, LIMIT), warned: false },
        }
    }

    pub(super) fn file(&self) -> Option<&Watched> {
        match self {
            Self::Inline(_) => None,
            Self::File { file, .. } => Some(file),
        }
    }

    /// The token as it is now. Reads the file; blocks for as long as that takes.
    pub(super) fn read(&mut self) -> Result<Bearer, LocalError> {
        match self {
            Self::Inline(secret) => bearer(secret.clone()).map_err(|problem| LocalError::Client(problem.to_owned())),
            Self::File { file, warned } => {
                let (content, metadata) = file.read()?;
                if metadata.mode() & 0o004 != 0 && !std::mem::replace(warned, true) {
                    warn!(path = %file.path().display(), "token file can be read by every user of this machine");
                }
                secret(content).and_then(bearer).map_err(|problem| file.unusable(problem))
            }
        }
    }
}

/// A file's content less one line end, which editors and `echo` leave.
fn secret(mut content: Vec<u8>) -> Result<Secret, &'static str> {
    if content.last() == Some(&b'\n') {
        content.pop();
        if content.last() == Some(&b'\r') {
            content.pop();
        }
    }
    String::from_utf8(content).map(Secret::new).map_err(|error| {
        zeroize::Zeroize::zeroize(&mut error.into_bytes());
        "it is not text"
    })
}

fn bearer(secret: Secret) -> Result<Bearer, &'static str> {
    let token = secret.expose();
    if token.is_empty() {
        return Err("it is empty");
    }
    if !token.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("a token must be one line of visible ASCII characters");
    }
    if token.starts_with(' ') || token.ends_with(' ') {
        return Err("a token must not begin or end with a space");
    }
    let text = zeroize::Zeroizing::new(format!("Bearer {token}"));
    let mut header = HeaderValue::from_str(&text).map_err(|_| "a header cannot carry it")?;
    header.set_sensitive(true);
    Ok(Bearer { header, secret: Arc::new(secret) })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn of_file(content: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, content).unwrap();
        let read = TokenSource::new(&config::Token::File(path)).read();
        read.map(|bearer| bearer.header.to_str().unwrap().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_line_end_is_trimmed_and_no_more() {
        for content in ["abc", "abc\n", "abc\r\n"] {
            assert_eq!(of_file(content.as_bytes()).unwrap(), "Bearer abc");
        }
        assert!(of_file(b"abc\n\n").unwrap_err().contains("one line"));
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_quoted() {
        for content in [
            &b""[..],
            b"\n",
            b"canary\0",
            b"canary\x1b[0m",
            b"cana\nry",
            b"canary\xff",
            b" canary",
            "canaré".as_bytes(),
        ] {
            let error = of_file(content).unwrap_err();
            assert!(error.contains("token file /") && !error.contains("cana"), "{error}");
        }
        assert!(of_file(&[b'x'; 65 * 1024]).unwrap_err().contains("64 KiB"));
        assert!(of_file(&[b'x'; 64 * 1024]).is_ok());
    }

    #[test]
    fn a_token_is_in_no_debug_output() {
        let bearer = TokenSource::new(&config::Token::Inline(Secret::new("canary"))).read().unwrap();
        assert_eq!(bearer.header, "Bearer canary");
        assert!(!format!("{bearer:?}").contains("canary"));
    }
}
