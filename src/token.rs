//! A token, a password or a client's secret: from the configuration or from a file.

use std::{os::unix::fs::MetadataExt, path::Path};

use tracing::warn;

use crate::config::{self, Secret};
use crate::local_file::{LocalError, Watched};

const LIMIT: u64 = 64 * 1024;

/// What a secret is for, which decides what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is sent in a header as it is.
    Token,
    Password,
    ClientSecret,
    /// Others sign with it what they send us.
    Signature,
}

/// Where the secret comes from.
#[derive(Debug)]
pub(crate) struct SecretSource {
    purpose: Purpose,
    place: TokenLocation,
}

#[derive(Debug)]
enum TokenLocation {
    Inline(Secret),
    File { file: Watched, warned: bool },
}

impl SecretSource {
    pub(crate) fn new(purpose: Purpose, token: &config::Token) -> Self {
        let file = |path: &Path| Watched::new(purpose.file(), path, LIMIT);
        let place = match token {
            config::Token::Inline(secret) => TokenLocation::Inline(secret.clone()),
            config::Token::File(path) => TokenLocation::File { file: file(path), warned: false },
        };
        Self { purpose, place }
    }

    /// It is in a file that has changed since it was read, or never was read.
    pub(crate) fn has_changed(&self) -> bool {
        self.file().is_some_and(Watched::has_changed)
    }

    pub(crate) fn file(&self) -> Option<&Watched> {
        match &self.place {
            TokenLocation::Inline(_) => None,
            TokenLocation::File { file, .. } => Some(file),
        }
    }

    /// The secret as it is now. Reads the file; blocks for as long as that takes.
    pub(crate) fn read(&mut self) -> Result<Secret, LocalError> {
        match &mut self.place {
            TokenLocation::Inline(secret) => {
                let problem = self.purpose.problem(secret.expose());
                problem.map_or(Ok(secret.clone()), |problem| Err(LocalError::Client(problem.to_owned())))
            }
            TokenLocation::File { file, warned } => {
                let (content, metadata) = file.read()?;
                if metadata.mode() & 0o004 != 0 && !std::mem::replace(warned, true) {
                    let what = self.purpose.file();
                    warn!(path = %file.path().display(), "{what} can be read by every user of this machine");
                }
                let secret = text(content).map_err(|problem| file.unusable(problem))?;
                match self.purpose.problem(secret.expose()) {
                    Some(problem) => Err(file.unusable(problem)),
                    None => Ok(secret),
                }
            }
        }
    }
}

impl Purpose {
    fn file(self) -> &'static str {
        match self {
            Self::Token => "token file",
            Self::Password => "password file",
            Self::ClientSecret => "client secret file",
            Self::Signature => "secret file",
        }
    }

    /// Why a text cannot serve, if so.
    fn problem(self, text: &str) -> Option<&'static str> {
        match self {
            _ if text.is_empty() => Some("it is empty"),
            Self::Password | Self::ClientSecret | Self::Signature => {
                text.chars().any(char::is_control).then_some("it must be one line without control characters")
            }
            Self::Token if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
                Some("a token must be one line of visible ASCII characters")
            }
            Self::Token if text.starts_with(' ') || text.ends_with(' ') => {
                Some("a token must not begin or end with a space")
            }
            Self::Token => None,
        }
    }
}

/// A file's content less one line end, which editors and `echo` leave.
fn text(mut content: Vec<u8>) -> Result<Secret, &'static str> {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn of_file(content: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, content).unwrap();
        let read = SecretSource::new(Purpose::Token, &config::Token::File(path)).read();
        read.map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_line_end_is_trimmed_and_no_more() {
        for content in ["abc", "abc\n", "abc\r\n"] {
            assert_eq!(of_file(content.as_bytes()).unwrap(), "abc");
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
        let inline = config::Token::Inline(Secret::new("canary"));
        let secret = SecretSource::new(Purpose::Token, &inline).read().unwrap();
        assert_eq!(secret.expose(), "canary");
        assert!(!format!("{secret:?}").contains("canary"));
    }

    #[test]
    fn a_password_may_be_any_line_of_text() {
        let read =
            |text: &str| SecretSource::new(Purpose::Password, &config::Token::Inline(Secret::new(text))).read();
        assert_eq!(read(" pässword ").unwrap().expose(), " pässword ");
        assert!(read("").is_err() && read("a\nb").is_err());
    }
}
