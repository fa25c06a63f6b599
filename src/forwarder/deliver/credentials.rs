//! The client and the token as the files on disk are now.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    local_file::{LocalError, Watched},
    tls::{self, TlsFiles},
    token::{Bearer, TokenSource},
};
use crate::config;

/// The files are looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An idle connection is closed before the usual NAT forgets it.
const IDLE: Duration = Duration::from_secs(50);

/// What a request is sent with.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) client: reqwest::Client,
    pub(super) bearer: Option<Bearer>,
}

/// Hands out what is [`Ready`]; files are read on the blocking pool, so that a file system that hangs holds up this
/// forwarder alone.
pub(super) struct Credentials {
    files: Arc<Mutex<Files>>,
    /// The receiver refused the token: read it again whatever its stamp says.
    refused: AtomicBool,
}

struct Files {
    token: Option<TokenSource>,
    /// None for plain http.
    tls: Option<TlsFiles>,
    timeout: Duration,
    client: Option<reqwest::Client>,
    bearer: Option<Bearer>,
    looked: Option<Instant>,
}

impl Credentials {
    pub(super) fn new(config: &config::Forwarder) -> Self {
        let files = Files {
            token: config.token.as_ref().map(TokenSource::new),
            tls: (config.uri.expose().scheme() == "https").then(|| TlsFiles::new(&config.tls)),
            timeout: config.timeout,
            client: None,
            bearer: None,
            looked: None,
        };
        Self { files: Arc::new(Mutex::new(files)), refused: AtomicBool::new(false) }
    }

    /// What to send with now. A changed file is noticed at most a second later, a refused token at once.
    pub(super) async fn ready(&self) -> Result<Ready, LocalError> {
        let files = Arc::clone(&self.files).lock_owned().await;
        let refused = self.refused.load(Ordering::Relaxed);
        if let Some(ready) = files.ready().filter(|_| !refused && !files.is_due()) {
            return Ok(ready);
        }
        let read = on_the_blocking_pool(files, move |files| {
            files.refresh(refused)?;
            files.ready().ok_or(LocalError::Slow)
        });
        let ready = read.await?;
        self.refused.fetch_and(!refused, Ordering::Relaxed);
        Ok(ready)
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
    mut files: OwnedMutexGuard<Files>,
    work: impl FnOnce(&mut Files) -> Result<T, LocalError> + Send + 'static,
) -> Result<T, LocalError> {
    let done = tokio::task::spawn_blocking(move || work(&mut files)).await;
    done.unwrap_or_else(|error| Err(LocalError::Client(error.to_string())))
}

impl Files {
    fn ready(&self) -> Option<Ready> {
        if self.token.is_some() && self.bearer.is_none() {
            return None;
        }
        Some(Ready { client: self.client.clone()?, bearer: self.bearer.clone() })
    }

    fn is_due(&self) -> bool {
        self.all().next().is_some() && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY)
    }

    fn all(&self) -> impl Iterator<Item = &Watched> {
        let token = self.token.iter().filter_map(TokenSource::file);
        token.chain(self.tls.iter().flat_map(TlsFiles::files))
    }

    /// Reads what changed. What cannot be used is forgotten, so that nothing is sent with what was taken away from us.
    fn refresh(&mut self, token_was_refused: bool) -> Result<(), LocalError> {
        if let Some(token) = &mut self.token {
            let changed = token.file().is_some_and(|file| token_was_refused || file.has_changed());
            if changed || self.bearer.is_none() {
                self.bearer = None;
                self.bearer = Some(token.read()?);
            }
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
