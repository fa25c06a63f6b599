//! The client and who we are, as the files on disk are now, and the token that stands for us meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant as Deadline, timeout_at},
};

use super::{
    failure::failed,
    identity::{Identity, Known, Shown},
    local_file::{LocalError, Watched},
    oauth::TokenEndpoint,
    tls::{self, TlsFiles},
};
use crate::config::{self, Auth};
use crate::forwarder::judge::{Answer, FailureKind};

/// The files are looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An idle connection is closed before the usual NAT forgets it.
const IDLE: Duration = Duration::from_secs(50);

/// What a request is sent with.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) client: reqwest::Client,
    pub(super) shown: Option<Shown>,
}

/// What the files give.
#[derive(Clone)]
struct FromFiles {
    client: reqwest::Client,
    known: Known,
}

/// Hands out what is [`Ready`]; files are read on the blocking pool, so that a file system that hangs holds up this
/// forwarder alone.
pub(super) struct Credentials {
    files: Arc<Mutex<CredentialFiles>>,
    /// Of OAuth 2.
    endpoint: Option<TokenEndpoint>,
    /// The receiver refused the token: read it again whatever its stamp says.
    refused: AtomicBool,
}

struct CredentialFiles {
    identity: Identity,
    /// None for plain http.
    tls: Option<TlsFiles>,
    timeout: Duration,
    client: Option<reqwest::Client>,
    known: Option<Known>,
    looked: Option<Instant>,
}

impl Credentials {
    pub(super) fn new(config: &config::Forwarder) -> Self {
        let endpoint = match &config.auth {
            Auth::OAuth2(client) => Some(TokenEndpoint::new(client, config.timeout)),
            Auth::None | Auth::Token { .. } | Auth::Basic { .. } => None,
        };
        let needs_tls =
            config.uri.expose().scheme() == "https" || endpoint.as_ref().is_some_and(TokenEndpoint::needs_tls);
        let files = CredentialFiles {
            identity: Identity::new(&config.auth),
            tls: needs_tls.then(|| TlsFiles::new(&config.tls)),
            timeout: config.timeout,
            client: None,
            known: None,
            looked: None,
        };
        Self { files: Arc::new(Mutex::new(files)), endpoint, refused: AtomicBool::new(false) }
    }

    /// What to send with now. A changed file is noticed at most a second later, a refused token at once. An error is
    /// the answer to the request that cannot be sent; `peer` is who it was for.
    pub(super) async fn ready(&self, peer: &str, deadline: Deadline) -> Result<Ready, Answer> {
        let refused = self.refused.load(Ordering::Relaxed);
        let read = timeout_at(deadline, self.files_as_they_are(refused)).await.unwrap_or(Err(LocalError::Slow));
        let FromFiles { client, known } =
            read.map_err(|error| failed(FailureKind::Local, peer, &error.to_string()))?;
        let shown = match (known, &self.endpoint) {
            (Known::Header(shown), _) => Some(shown),
            (Known::Client(secret), Some(endpoint)) => {
                Some(endpoint.token(&client, &secret, refused, deadline).await?)
            }
            (Known::Nobody | Known::Client(_), _) => None,
        };
        self.refused.fetch_and(!refused, Ordering::Relaxed);
        Ok(Ready { client, shown })
    }

    /// Whether the files can be used, as far as that can be told from them alone.
    pub(super) async fn check(&self) -> Result<(), LocalError> {
        self.files_as_they_are(false).await.map(drop)
    }

    /// What TLS trusts and shows as the files are now.
    pub(super) async fn tls(&self) -> Result<rustls::ClientConfig, LocalError> {
        let files = Arc::clone(&self.files).lock_owned().await;
        on_the_blocking_pool(files, |files| files.tls.as_mut().map_or_else(tls::unused, TlsFiles::read)).await
    }

    async fn files_as_they_are(&self, refused: bool) -> Result<FromFiles, LocalError> {
        let files = Arc::clone(&self.files).lock_owned().await;
        if let Some(ready) = files.ready().filter(|_| !refused && !files.is_due()) {
            return Ok(ready);
        }
        let read = on_the_blocking_pool(files, move |files| {
            files.refresh(refused)?;
            files.ready().ok_or(LocalError::Slow)
        });
        read.await
    }

    pub(super) fn token_was_refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// A file is not what it was when it was last read. The next request reads it again.
    pub(super) async fn have_changed(&self) -> Result<bool, LocalError> {
        let files = Arc::clone(&self.files).lock_owned().await;
        on_the_blocking_pool(files, |files| {
            let changed = files.all().any(Watched::has_changed);
            if changed {
                files.looked = None;
            }
            Ok(changed)
        })
        .await
    }
}

async fn on_the_blocking_pool<T: Send + 'static>(
    mut files: OwnedMutexGuard<CredentialFiles>,
    work: impl FnOnce(&mut CredentialFiles) -> Result<T, LocalError> + Send + 'static,
) -> Result<T, LocalError> {
    let done = tokio::task::spawn_blocking(move || work(&mut files)).await;
    done.unwrap_or_else(|error| Err(LocalError::Client(error.to_string())))
}

impl CredentialFiles {
    fn ready(&self) -> Option<FromFiles> {
        Some(FromFiles { client: self.client.clone()?, known: self.known.clone()? })
    }

    fn is_due(&self) -> bool {
        self.all().next().is_some() && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY)
    }

    fn all(&self) -> impl Iterator<Item = &Watched> {
        self.identity.file().into_iter().chain(self.tls.iter().flat_map(TlsFiles::files))
    }

    /// Reads what changed. What cannot be used is forgotten, so that nothing is sent with what was taken away from us.
    fn refresh(&mut self, token_was_refused: bool) -> Result<(), LocalError> {
        let changed = self.identity.file().is_some_and(|file| token_was_refused || file.has_changed());
        if changed || self.known.is_none() {
            self.known = None;
            self.known = Some(self.identity.read()?);
        }
        let changed = self.tls.iter().flat_map(TlsFiles::files).any(Watched::has_changed);
        if changed || self.client.is_none() {
            self.client = None;
            self.client = Some(self.build()?);
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    fn build(&mut self) -> Result<reqwest::Client, LocalError> {
        let tls = match &mut self.tls {
            Some(files) => files.read()?,
            None => tls::unused()?,
        };
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .connect_timeout(self.timeout)
            // An answer that comes early leaves a connection that still sends; one whose peer reads no more would
            // otherwise be kept for ever, and its body with it.
            .tcp_user_timeout(self.timeout)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| LocalError::Client(error.without_url().to_string()))
    }
}
