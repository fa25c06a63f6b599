//! The way to a webhook, step by step and without a request, so that an operator sees which step fails.

use std::{net::SocketAddr, sync::Arc};

use reqwest::header::{HeaderName, HeaderValue};
use rustls::{ProtocolVersion, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    super::{
        certificate::Certificate,
        failure::{failed, of_tls},
    },
    WebhookClient,
};
use crate::forwarder::judge::{Answer, FailureKind};

/// Tells a receiver that the event means nothing.
const TEST: HeaderName = HeaderName::from_static("auditpost-test");

/// What a handshake came to.
#[derive(Clone, Debug)]
pub struct Session {
    /// Such as 1.3.
    pub version: &'static str,
    /// The receiver's own certificate first. What could not be read is left out.
    pub chain: Vec<Certificate>,
}

impl WebhookClient {
    /// The same with `Auditpost-Test: true` in every request.
    pub fn for_test(mut self) -> Self {
        self.headers.insert(TEST, HeaderValue::from_static("true"));
        self
    }

    /// The addresses of its host, as the system's resolver has them.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, Answer> {
        let uri = self.uri.clone();
        let looked_up = spawn_blocking(move || uri.socket_addrs(|| None));
        let told = |text: String| failed(FailureKind::Dns, &self.peer, &text);
        match timeout_at(Instant::now() + self.timeout, looked_up).await {
            Ok(Ok(Ok(addresses))) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(Err(error))) => Err(told(format!("the name cannot be resolved: {error}"))),
            Ok(_) => Err(told("the name has no address".to_owned())),
            Err(_) => Err(told(format!("the name was not resolved within {:?}", self.timeout))),
        }
    }

    /// Connects, and with https shakes hands as a request would; `None` for plain http.
    pub async fn connect(&self, addresses: &[SocketAddr]) -> Result<Option<Session>, Answer> {
        let steps = async {
            let stream = self.first_that_answers(addresses).await?;
            if self.uri.scheme() == "https" { self.shake_hands(stream).await.map(Some) } else { Ok(None) }
        };
        timeout_at(Instant::now() + self.timeout, steps).await.unwrap_or_else(|_| {
            let text = format!("no connection, or no end of the TLS handshake, within {:?}", self.timeout);
            Err(failed(FailureKind::Timeout, &self.peer, &text))
        })
    }

    async fn first_that_answers(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Answer> {
        let mut problem = "the name has no address".to_owned();
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => problem = format!("no connection: {error}"),
            }
        }
        Err(failed(FailureKind::Connect, &self.peer, &problem))
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<Session, Answer> {
        let local = |text: String| failed(FailureKind::Local, &self.peer, &text);
        let config = self.credentials.tls().await.map_err(|error| local(error.to_string()))?;
        let host = self.uri.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| local(error.to_string()))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let (kind, text) = tls
                .map_or_else(|| (FailureKind::TlsHandshake, format!("the TLS handshake broke off: {error}")), of_tls);
            failed(kind, &self.peer, &text)
        })?;
        let (_, session) = stream.get_ref();
        Ok(Session {
            version: if session.protocol_version() == Some(ProtocolVersion::TLSv1_2) { "1.2" } else { "1.3" },
            chain: session
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .filter_map(|der| Certificate::read(der))
                .collect(),
        })
    }
}
