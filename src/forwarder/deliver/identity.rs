//! Who we are to the receiver: the one header that says so, or the secret that fetches it.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::{
    local_file::{LocalError, Watched},
    token::{Purpose, SecretSource},
};
use crate::config::{Auth, Secret};

/// The header of a request that says who we are, and what of it must not be repeated where it is echoed.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
    pub(super) secrets: Vec<Arc<Secret>>,
}

/// What the files and the configuration give.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Nobody,
    Header(Shown),
    /// The client's secret, for which the token endpoint gives a token.
    Client(Arc<Secret>),
}

/// Where it comes from.
#[derive(Debug)]
pub(super) enum Identity {
    Nobody,
    Token { source: SecretSource, header: HeaderName, scheme: Option<String> },
    Basic { username: String, source: SecretSource },
    Client(SecretSource),
}

impl Shown {
    /// `header: scheme secret`, or the secret alone.
    pub(super) fn token(name: HeaderName, scheme: Option<&str>, secret: Arc<Secret>) -> Result<Self, &'static str> {
        let token = secret.expose();
        let text = Zeroizing::new(scheme.map_or_else(|| token.to_owned(), |scheme| format!("{scheme} {token}")));
        Ok(Self { name, value: sensitive(&text)?, secrets: vec![secret] })
    }

    /// RFC 7617, in UTF-8.
    fn basic(username: &str, password: Arc<Secret>) -> Result<Self, &'static str> {
        let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
        let encoded = Secret::new(STANDARD.encode(pair.as_bytes()));
        let text = Zeroizing::new(format!("Basic {}", encoded.expose()));
        Ok(Self { name: AUTHORIZATION, value: sensitive(&text)?, secrets: vec![password, Arc::new(encoded)] })
    }
}

impl Identity {
    pub(super) fn new(auth: &Auth) -> Self {
        match auth {
            Auth::None => Self::Nobody,
            Auth::Token { token, header, scheme } => Self::Token {
                source: SecretSource::new(Purpose::Token, token),
                header: header.clone(),
                scheme: scheme.clone(),
            },
            Auth::Basic { username, password } => {
                Self::Basic { username: username.clone(), source: SecretSource::new(Purpose::Password, password) }
            }
            Auth::OAuth2(client) => Self::Client(SecretSource::new(Purpose::ClientSecret, &client.client_secret)),
        }
    }

    pub(super) fn file(&self) -> Option<&Watched> {
        match self {
            Self::Nobody => None,
            Self::Token { source, .. } | Self::Basic { source, .. } | Self::Client(source) => source.file(),
        }
    }

    /// As it is now. Reads the file; blocks for as long as that takes.
    pub(super) fn read(&mut self) -> Result<Known, LocalError> {
        let shown = match self {
            Self::Nobody => return Ok(Known::Nobody),
            Self::Client(source) => return source.read().map(|secret| Known::Client(Arc::new(secret))),
            Self::Token { source, header, scheme } => {
                Shown::token(header.clone(), scheme.as_deref(), Arc::new(source.read()?))
            }
            Self::Basic { username, source } => Shown::basic(username, Arc::new(source.read()?)),
        };
        shown.map(Known::Header).map_err(|problem| LocalError::Client(problem.to_owned()))
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "a header cannot carry it")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::config::Token;

    fn shown(auth: &Auth) -> Shown {
        match Identity::new(auth).read().unwrap() {
            Known::Header(shown) => shown,
            other => panic!("{other:?}"),
        }
    }

    fn inline(text: &str) -> Token {
        Token::Inline(Secret::new(text))
    }

    #[test]
    fn each_way_makes_its_header() {
        let token = |header: &'static str, scheme: Option<&str>| Auth::Token {
            token: inline("canary"),
            header: HeaderName::from_static(header),
            scheme: scheme.map(str::to_owned),
        };
        // The example of RFC 7617, section 2.
        let basic = Auth::Basic { username: "Aladdin".to_owned(), password: inline("open sesame") };
        for (auth, name, value) in [
            (token("authorization", Some("Bearer")), "authorization", "Bearer canary"),
            (token("authorization", Some("Splunk")), "authorization", "Splunk canary"),
            (token("dd-api-key", None), "dd-api-key", "canary"),
            (basic, "authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ] {
            let shown = shown(&auth);
            assert_eq!((shown.name.as_str(), shown.value.to_str().unwrap()), (name, value));
            let debug = format!("{shown:?} {:?} {auth:?}", Identity::new(&auth));
            assert!(!debug.contains("canary") && !debug.contains("sesame") && !debug.contains("QWxh"), "{debug}");
        }
    }

    #[test]
    fn a_password_is_secret_in_either_form() {
        let shown = shown(&Auth::Basic { username: "u".to_owned(), password: inline("p") });
        let secrets: Vec<&str> = shown.secrets.iter().map(|secret| secret.expose()).collect();
        assert_eq!(secrets, ["p", "dTpw"]);
    }
}
