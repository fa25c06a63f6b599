//! The client of one webhook: sends one request and comes back with an [`Answer`], whatever happens.

mod reach;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::{
    body::{Frames, Progress},
    credentials::{Credentials, Ready},
    failure::{classify, failed, timed_out},
    local_file::LocalError,
    response::{self, ResponseReading},
};
use crate::forwarder::judge::{Answer, FailureKind};
use crate::{
    config::{self, AnswerVerdict, Answers, Auth, Secret},
    log::ContainerOrigin,
};

pub use reach::Session;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const FORWARDER: HeaderName = HeaderName::from_static("auditpost-forwarder");
const BATCH: HeaderName = HeaderName::from_static("auditpost-batch");
const EVENTS: HeaderName = HeaderName::from_static("auditpost-events");
const ATTEMPT: HeaderName = HeaderName::from_static("auditpost-attempt");
const NAMESPACE: HeaderName = HeaderName::from_static("auditpost-kubernetes-namespace");
const POD: HeaderName = HeaderName::from_static("auditpost-kubernetes-pod");
const POD_UID: HeaderName = HeaderName::from_static("auditpost-kubernetes-pod-uid");
const CONTAINER: HeaderName = HeaderName::from_static("auditpost-kubernetes-container");

/// One batch on its way, for the `attempt`th time.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The batch's id: the same over every retry and restart. It goes into headers; ASCII.
    pub batch_id: &'a str,
    /// 1, 2, 3, … per forwarder.
    pub number: u64,
    pub events: usize,
    /// 1, 2, ….
    pub attempt: u32,
    /// The body as it is sent, compressed or not.
    pub body: Bytes,
    /// `body` is compressed, so that `Content-Encoding` must say so.
    pub compressed: bool,
    /// The container that the events are of.
    pub origin: Option<&'a ContainerOrigin>,
}

/// Why there can be no client for a forwarder's configuration.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("a uri must be http or https and must not carry a user name or password: use token or headers")]
    Uri,
    #[error("{0} cannot be sent: a header's value must be one line of text")]
    Header(String),
}

/// A webhook as it is configured.
pub struct WebhookClient {
    uri: Url,
    /// Scheme, host and port: what may be named in diagnostics.
    peer: String,
    method: Method,
    /// What is the same in every request.
    headers: HeaderMap,
    content_encoding: HeaderValue,
    /// What a receiver may echo and we must not repeat, but for the token.
    secrets: Vec<Secret>,
    timeout: std::time::Duration,
    answers: Answers,
    overrides: Vec<(u16, AnswerVerdict)>,
    credentials: Credentials,
    /// The uri without what may be secret in it.
    shown_uri: String,
    /// The header that says who we are, without what is secret in it.
    hidden_identity: Option<(HeaderName, String)>,
}

impl WebhookClient {
    /// Opens and reads nothing yet; see [`WebhookClient::check`].
    pub fn new(config: &config::Forwarder) -> Result<Self, WebhookError> {
        let uri = config.uri.expose().clone();
        let has_user = !uri.username().is_empty() || uri.password().is_some();
        let peer = peer(&uri).filter(|_| !has_user).ok_or(WebhookError::Uri)?;
        if config.tls.insecure_skip_verify && uri.scheme() == "https" {
            warn!(
                forwarder = config.name,
                peer,
                "TLS certificates are NOT verified: anyone on the way can read and change the events; \
                 remove tls.insecureSkipVerify"
            );
        }
        let secrets = config.headers.iter().map(|(_, value)| value.clone()).chain(config.uri.secrets()).collect();
        Ok(Self {
            peer,
            method: config.method.clone(),
            headers: standing_headers(config)?,
            content_encoding: value(&CONTENT_ENCODING, &config.content_encoding)?,
            secrets,
            timeout: config.timeout,
            answers: config.answers,
            overrides: config.responses.clone(),
            credentials: Credentials::new(config),
            shown_uri: config.uri.to_string(),
            hidden_identity: hidden_identity(&config.auth),
            uri,
        })
    }

    /// Reads the token and certificate files now, to tell an operator early what is wrong with them.
    pub async fn check(&self) -> Result<(), LocalError> {
        self.credentials.check().await
    }

    /// A token or certificate file is not what it was when it was last read: reason enough to try a receiver again
    /// that refused us.
    pub async fn files_have_changed(&self) -> bool {
        let look = tokio::time::timeout(self.timeout, self.credentials.have_changed());
        look.await.is_ok_and(|changed| changed.unwrap_or(false))
    }

    /// Scheme, host and port, for diagnostics.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Sends `request` once. Takes at most the configured timeout; safe to drop.
    pub async fn send(&self, request: Request<'_>) -> Answer {
        let deadline = Instant::now() + self.timeout;
        let ready = match self.credentials.ready(&self.peer, deadline).await {
            Ok(ready) => ready,
            Err(answer) => return answer,
        };
        let (body, progress) = Frames::new(request.body.clone());
        let sent = match self.request(&request, body, &ready) {
            Ok(built) => timeout_at(deadline, ready.client.execute(built)).await,
            Err(error) => return failed(FailureKind::Local, &self.peer, &error.to_string()),
        };
        match sent {
            Ok(Ok(response)) => self.answer(response, &progress, deadline, &ready, request.events).await,
            Ok(Err(error)) => classify(&error, &self.peer, &progress, self.timeout),
            Err(_) => timed_out(&self.peer, &progress, self.timeout),
        }
    }

    async fn answer(
        &self,
        response: reqwest::Response,
        progress: &Arc<Progress>,
        deadline: Instant,
        ready: &Ready,
        events: usize,
    ) -> Answer {
        // Looked at first: the connection goes on sending while the answer is read.
        let premature = !progress.is_whole();
        if matches!(response.status().as_u16(), 401 | 403 | 407) {
            self.credentials.token_was_refused();
        }
        let shown = ready.shown.iter().flat_map(|shown| &shown.secrets).map(|secret| secret.expose());
        let secrets = shown.chain(self.secrets.iter().map(Secret::expose));
        let reading = ResponseReading {
            premature,
            deadline,
            answers: self.answers,
            events,
            overrides: &self.overrides,
            peer: &self.peer,
        };
        response::read(response, &reading, secrets).await
    }

    fn request(&self, request: &Request<'_>, body: Frames, ready: &Ready) -> Result<reqwest::Request, WebhookError> {
        let mut built = reqwest::Request::new(self.method.clone(), self.uri.clone());
        *built.body_mut() = Some(reqwest::Body::wrap(body));
        let identity = ready.shown.as_ref().map(|shown| (shown.name.clone(), shown.value.clone()));
        *built.headers_mut() = self.headers(request, identity)?;
        Ok(built)
    }

    /// The head of `request` as text: what it would be sent with now, secrets hidden.
    pub fn preview(&self, request: &Request<'_>) -> Result<String, WebhookError> {
        let host = self.uri.host_str().unwrap_or_default();
        let port = self.uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        // What the client adds by itself is first and last.
        let mut head = format!("{} {}\nhost: {host}{port}\naccept: */*\n", self.method, self.shown_uri);
        let identity = match &self.hidden_identity {
            Some((name, text)) => Some((name.clone(), value(name, text)?)),
            None => None,
        };
        for (name, value) in &self.headers(request, identity)? {
            let shown = if value.is_sensitive() { "***" } else { value.to_str().unwrap_or("(not text)") };
            head.push_str(&format!("{name}: {shown}\n"));
        }
        head.push_str(&format!("content-length: {}\n", request.body.len()));
        Ok(head)
    }

    fn headers(
        &self,
        request: &Request<'_>,
        identity: Option<(HeaderName, HeaderValue)>,
    ) -> Result<HeaderMap, WebhookError> {
        let mut headers = self.headers.clone();
        if let Some((name, value)) = identity {
            headers.insert(name, value);
        }
        if request.compressed {
            headers.insert(CONTENT_ENCODING, self.content_encoding.clone());
        }
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        headers.insert(WEBHOOK_ID, value(&WEBHOOK_ID, request.batch_id)?);
        headers.insert(IDEMPOTENCY_KEY, value(&IDEMPOTENCY_KEY, &format!("\"{}\"", request.batch_id))?);
        headers.insert(WEBHOOK_TIMESTAMP, seconds.into());
        headers.insert(BATCH, request.number.into());
        headers.insert(EVENTS, request.events.into());
        headers.insert(ATTEMPT, request.attempt.into());
        if let Some(ContainerOrigin { namespace, pod, pod_uid, container }) = request.origin {
            let uid = pod_uid.as_ref().map(|uid| (POD_UID, uid));
            for (name, text) in [(NAMESPACE, namespace), (POD, pod), (CONTAINER, container)].into_iter().chain(uid) {
                let value = value(&name, text)?;
                headers.insert(name, value);
            }
        }
        Ok(headers)
    }
}

fn hidden_identity(auth: &Auth) -> Option<(HeaderName, String)> {
    match auth {
        Auth::None => None,
        Auth::Token { header, scheme: Some(scheme), .. } => Some((header.clone(), format!("{scheme} ***"))),
        Auth::Token { header, scheme: None, .. } => Some((header.clone(), "***".to_owned())),
        Auth::Basic { .. } => Some((AUTHORIZATION, "Basic ***".to_owned())),
        Auth::OAuth2(_) => Some((AUTHORIZATION, "Bearer ***".to_owned())),
    }
}

/// The configured headers over our own defaults.
fn standing_headers(config: &config::Forwarder) -> Result<HeaderMap, WebhookError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, value(&CONTENT_TYPE, &config.content_type)?);
    headers.insert(USER_AGENT, value(&USER_AGENT, &config.user_agent)?);
    for (name, _) in &config.headers {
        headers.remove(name);
    }
    for (name, secret) in &config.headers {
        let mut secret = value(name, secret.expose())?;
        secret.set_sensitive(true);
        headers.append(name, secret);
    }
    headers.insert(FORWARDER, value(&FORWARDER, &config.name)?);
    Ok(headers)
}

fn value(name: &HeaderName, text: &str) -> Result<HeaderValue, WebhookError> {
    HeaderValue::from_str(text).map_err(|_| WebhookError::Header(name.to_string()))
}

fn peer(uri: &Url) -> Option<String> {
    let scheme = Some(uri.scheme()).filter(|scheme| matches!(*scheme, "http" | "https"))?;
    Some(format!("{scheme}://{}:{}", uri.host_str()?, uri.port_or_known_default()?))
}
