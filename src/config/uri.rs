//! A webhook's address, which may hold a key: in its query, or wherever a variable brought a part of it in.

use std::{fmt, str::FromStr};

use reqwest::Url;

use super::Secret;

const MASK: &str = "***";

/// An address whose `Display` and `Debug` hide what may be secret: the values of its query, and its path and whole
/// query where a variable stood in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    url: Url,
    from_variable: bool,
}

impl Uri {
    pub(super) fn new(url: Url, from_variable: bool) -> Self {
        Self { url, from_variable }
    }

    /// The whole of it, for the one place that sends to it. Never pass it to a diagnostic.
    pub fn expose(&self) -> &Url {
        &self.url
    }

    /// Scheme, host and port: what diagnostics name a receiver by.
    pub fn peer(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }

    /// The parts that may be secret, to be taken out of what a receiver echoes.
    pub fn secrets(&self) -> impl Iterator<Item = Secret> + '_ {
        let path = Some(self.url.path()).filter(|path| self.from_variable && path.len() > 1);
        let query = self.url.query().filter(|query| !query.is_empty());
        path.into_iter().chain(query).map(Secret::new)
    }
}

/// One that was written as it is. It may be of any scheme.
impl FromStr for Uri {
    type Err = <Url as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|url| Self::new(url, false))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.peer())?;
        match self.url.path() {
            path if self.from_variable && path.len() > 1 => write!(f, "/{MASK}")?,
            path => f.write_str(path)?,
        }
        let Some(query) = self.url.query() else { return Ok(()) };
        if self.from_variable {
            return write!(f, "?{MASK}");
        }
        for (place, pair) in query.split('&').enumerate() {
            f.write_str(if place == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((key, _)) => write!(f, "{key}={MASK}")?,
                None => f.write_str(MASK)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (text, shown) in [
            ("https://siem.test", "https://siem.test/"),
            ("https://siem.test:8443/in?key=s3cret&s3cret", "https://siem.test:8443/in?key=***&***"),
            ("http://[::1]:80/?", "http://[::1]/?***"),
            ("https://user:s3cret@siem.test/x", "https://siem.test/x"),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(uri.to_string(), shown);
            assert_eq!(format!("{uri:?}"), format!("{shown:?}"));
        }
    }

    #[test]
    fn a_variable_may_have_brought_in_a_secret_path() {
        let made = |text: &str| Uri::new(text.parse().unwrap(), true);
        assert_eq!(made("https://hooks.test/s3/cret?a=b").to_string(), "https://hooks.test/***?***");
        assert_eq!(made("https://hooks.test").to_string(), "https://hooks.test/");
        let secrets = |uri: Uri| uri.secrets().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(secrets(made("https://hooks.test/s3/cret?a=b")), ["/s3/cret", "a=b"]);
        assert_eq!(secrets("https://hooks.test/in?a=b".parse().unwrap()), ["a=b"]);
        assert_eq!(secrets(made("https://hooks.test/")), [""; 0]);
    }
}
