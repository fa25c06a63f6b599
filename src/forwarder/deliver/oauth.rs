//! The token endpoint: a bearer token for the client's secret, kept until shortly before it expires.
//!
//! Source: RFC 6749, sections 4.4 (client credentials) and 5 (answers); the secret goes in the request's body, which
//! Entra ID, Okta and Auth0 take. What always holds: neither the secret nor a token is in an [`Answer`]'s text, and
//! one forwarder asks once, however many of its requests wait.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use tokio::{
    sync::Mutex,
    time::{Instant as Deadline, timeout_at},
};
use zeroize::Zeroizing;

use super::{
    body::Frames,
    excerpt::excerpt,
    failure::{classify, failed, timed_out},
    identity::Shown,
};
use crate::config::{OAuth2, Secret, Uri};
use crate::forwarder::judge::{Answer, FailureKind};

/// No more of an answer is read.
const READ: usize = 64 * 1024;

/// A token is replaced so long before it expires, or a tenth of its life if that is shorter.
const AHEAD: Duration = Duration::from_secs(60);

/// How long a token is used whose life is not told. One that is refused before is replaced at once.
const UNTOLD: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Fetches tokens for one forwarder.
pub(super) struct TokenEndpoint {
    url: Uri,
    /// For diagnostics: scheme, host and port.
    peer: String,
    client_id: String,
    scope: Option<String>,
    audience: Option<String>,
    timeout: Duration,
    kept: Mutex<Option<CachedToken>>,
}

struct CachedToken {
    shown: Shown,
    /// From here on another one is asked for.
    stale: Instant,
    expires: Instant,
}

/// What the endpoint answers; other members do not matter.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// A number, or with some a number in a string.
    expires_in: Option<serde_json::Value>,
}

impl TokenEndpoint {
    pub(super) fn new(config: &OAuth2, timeout: Duration) -> Self {
        Self {
            url: config.token_url.clone(),
            peer: format!("token endpoint {}", config.token_url.peer()),
            client_id: config.client_id.clone(),
            scope: config.scope.clone(),
            audience: config.audience.clone(),
            timeout,
            kept: Mutex::default(),
        }
    }

    pub(super) fn needs_tls(&self) -> bool {
        self.url.expose().scheme() == "https"
    }

    /// A token that is good now. `refused`: the receiver did not take the one that is kept. An error is what the
    /// request for the events must be answered with.
    pub(super) async fn token(
        &self,
        client: &reqwest::Client,
        secret: &Secret,
        refused: bool,
        deadline: Deadline,
    ) -> Result<Shown, Answer> {
        let Ok(mut kept) = timeout_at(deadline, self.kept.lock()).await else {
            return Err(self.failed("another request waits for it too long"));
        };
        if refused {
            *kept = None;
        }
        if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.stale) {
            return Ok(kept.shown.clone());
        }
        match self.fetch(client, secret, deadline).await {
            Ok(fresh) => Ok(kept.insert(fresh).shown.clone()),
            // The old one may do a little longer.
            Err(answer) => match kept.as_ref().filter(|kept| Instant::now() < kept.expires) {
                Some(kept) => Ok(kept.shown.clone()),
                None => Err(answer),
            },
        }
    }

    async fn fetch(
        &self,
        client: &reqwest::Client,
        secret: &Secret,
        deadline: Deadline,
    ) -> Result<CachedToken, Answer> {
        let asked = Instant::now();
        let (body, progress) = Frames::new(self.form(secret));
        let sent = match timeout_at(deadline, client.execute(self.request(body))).await {
            Ok(sent) => sent.map_err(|error| classify(&error, &self.peer, &progress, self.timeout)),
            Err(_) => Err(timed_out(&self.peer, &progress, self.timeout)),
        };
        let mut response = sent.map_err(as_token_failure)?;
        let status = response.status();
        let mut body = Zeroizing::new(Vec::new());
        let read = timeout_at(deadline, read(&mut response, &mut body)).await.unwrap_or(false);
        if !status.is_success() {
            return Err(self.refusal(status.as_u16(), &body, secret));
        }
        if !read {
            return Err(self.failed("its answer broke off or is longer than 64 KiB"));
        }
        // A body that was understood in part may hold a token: none of it is quoted.
        let Ok(granted) = serde_json::from_slice::<Granted>(&body) else {
            return Err(self.failed("its answer is not JSON with an access_token"));
        };
        let life = granted.life();
        let token = Arc::new(Secret::new(granted.access_token));
        if token.expose().is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.failed("its access_token is no token that a header can carry"));
        }
        let shown = Shown::token(AUTHORIZATION, Some("Bearer"), token).map_err(|problem| self.failed(problem))?;
        Ok(CachedToken { shown, stale: asked + life - AHEAD.min(life / 10), expires: asked + life })
    }

    fn form(&self, secret: &Secret) -> Bytes {
        let pairs = [
            ("grant_type", Some("client_credentials")),
            ("client_id", Some(self.client_id.as_str())),
            ("client_secret", Some(secret.expose())),
            ("scope", self.scope.as_deref()),
            ("audience", self.audience.as_deref()),
        ];
        let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Bytes::from(encode(pairs))
    }

    fn request(&self, body: Frames) -> reqwest::Request {
        let mut request = reqwest::Request::new(Method::POST, self.url.expose().clone());
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request
    }

    /// Waiting does not mend a client that is not known; it mends an endpoint that is busy or broken.
    fn refusal(&self, status: u16, body: &[u8], secret: &Secret) -> Answer {
        let refused = matches!(status, 300..=499) && !matches!(status, 408 | 425 | 429);
        let encoded = encode([("", secret.expose())]);
        let secrets: Vec<Secret> = self.url.secrets().collect();
        let own = [secret.expose(), encoded.trim_start_matches('=')];
        let said = excerpt(body, own.into_iter().chain(secrets.iter().map(Secret::expose)));
        let hint = if refused { "; check clientId, clientSecret and scope" } else { "" };
        failed(FailureKind::Token { refused }, &self.peer, &format!("answered {status}: {said}{hint}"))
    }

    fn failed(&self, text: &str) -> Answer {
        failed(FailureKind::Token { refused: false }, &self.peer, text)
    }
}

impl Granted {
    fn life(&self) -> Duration {
        let seconds = match &self.expires_in {
            Some(serde_json::Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_f64(),
            None => None,
        };
        let life = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        life.map_or(UNTOLD, |life| life.min(LONGEST))
    }
}

/// A connection that fails on the way to a token says nothing of the batch. A certificate is one of the forwarder's.
fn as_token_failure(answer: Answer) -> Answer {
    match answer {
        Answer::Failed { kind, text } if kind != FailureKind::TlsCertificate => {
            Answer::Failed { kind: FailureKind::Token { refused: false }, text }
        }
        other => other,
    }
}

/// `application/x-www-form-urlencoded`.
fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = Url::parse("http://form.invalid/").expect("it is a url");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// Whether the whole body came.
async fn read(response: &mut reqwest::Response, body: &mut Vec<u8>) -> bool {
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= READ => body.extend_from_slice(&chunk),
            Ok(None) => return true,
            Ok(Some(_)) | Err(_) => return false,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_token_is_read_in_either_form_and_bounded() {
        let life = |text: &str| serde_json::from_str::<Granted>(text).unwrap().life();
        assert_eq!(
            life(r#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#),
            Duration::from_secs(3599)
        );
        assert_eq!(life(r#"{"access_token":"t","expires_in":"3599"}"#), Duration::from_secs(3599));
        assert_eq!(life(r#"{"access_token":"t"}"#), UNTOLD);
        assert_eq!(life(r#"{"access_token":"t","expires_in":-1}"#), UNTOLD);
        assert_eq!(life(r#"{"access_token":"t","expires_in":1e300}"#), UNTOLD);
        assert_eq!(life(r#"{"access_token":"t","expires_in":1e9}"#), LONGEST);
    }

    /// An endpoint where nobody listens, and a token from before.
    fn endpoint(stale_in: i64, expires_in: i64) -> TokenEndpoint {
        let config = OAuth2 {
            token_url: "http://127.0.0.1:9/token".parse().unwrap(),
            client_id: "me".to_owned(),
            client_secret: crate::config::Token::Inline(Secret::new("s")),
            scope: None,
            audience: None,
        };
        let at = |seconds: i64| {
            let offset = Duration::from_secs(seconds.unsigned_abs());
            if seconds < 0 { Instant::now() - offset } else { Instant::now() + offset }
        };
        let shown = Shown::token(AUTHORIZATION, Some("Bearer"), Arc::new(Secret::new("kept"))).unwrap();
        let kept = CachedToken { shown, stale: at(stale_in), expires: at(expires_in) };
        TokenEndpoint { kept: Mutex::new(Some(kept)), ..TokenEndpoint::new(&config, Duration::from_secs(5)) }
    }

    #[tokio::test]
    async fn a_token_that_is_still_good_does_where_the_endpoint_is_down() {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(super::super::tls::unused().unwrap())
            .no_proxy()
            .build()
            .unwrap();
        let ask = async |endpoint: TokenEndpoint, refused| {
            let deadline = Deadline::now() + Duration::from_secs(5);
            endpoint.token(&client, &Secret::new("s"), refused, deadline).await.map(|shown| shown.value)
        };
        assert_eq!(ask(endpoint(60, 120), false).await.unwrap(), "Bearer kept");
        assert_eq!(ask(endpoint(-1, 60), false).await.unwrap(), "Bearer kept", "stale, and nothing better to be had");
        for (endpoint, refused) in [(endpoint(-2, -1), false), (endpoint(60, 120), true)] {
            let answer = ask(endpoint, refused).await.unwrap_err();
            assert_eq!(answer.failure(), Some(FailureKind::Token { refused: false }), "{answer}");
        }
    }

    #[test]
    fn a_form_carries_any_secret() {
        assert_eq!(encode([("a", "b c&d=e+ü"), ("x", "")]), "a=b+c%26d%3De%2B%C3%BC&x=");
    }
}
