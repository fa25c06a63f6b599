//! What a TLS listener shows, and what it wants to see of clients. Files that change are read again.

use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{info, warn};

use crate::config::SourceTls;

pub struct Acceptor {
    tls: SourceTls,
    stamp: Vec<Stamp>,
    current: TlsAcceptor,
}

/// What changes when a file is written or replaced: inode, time of change.
type Stamp = Option<(u64, i64, i64)>;

impl Acceptor {
    /// Reads the files. The error names the one that cannot be used, and why.
    pub fn new(tls: &SourceTls) -> Result<Self, String> {
        let stamp = stamp(tls);
        let current = TlsAcceptor::from(Arc::new(read(tls)?));
        Ok(Self { tls: tls.clone(), stamp, current })
    }

    /// For the next connection. Where changed files cannot be used it goes on with those before.
    pub fn current(&mut self, source: &str) -> TlsAcceptor {
        let now = stamp(&self.tls);
        if now != self.stamp {
            self.stamp = now;
            match read(&self.tls) {
                Ok(config) => {
                    info!(source, "the TLS files changed and are used from now on");
                    self.current = TlsAcceptor::from(Arc::new(config));
                }
                Err(why) => warn!(source, "the TLS files changed and cannot be used, those before are: {why}"),
            }
        }
        self.current.clone()
    }
}

/// Begins TLS on a connection that was accepted; the error says why there is none.
pub async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    within: Duration,
) -> Result<TlsStream<TcpStream>, String> {
    match timeout(within, acceptor.accept(stream)).await {
        Ok(shaken) => shaken.map_err(|error| error.to_string()),
        Err(_) => Err("it took too long".to_owned()),
    }
}

fn stamp(tls: &SourceTls) -> Vec<Stamp> {
    let files = [Some(&tls.server.cert_file), Some(&tls.server.key_file), tls.client_ca_file.as_ref()];
    let stamp = |path| std::fs::metadata(path).ok().map(|file| (file.ino(), file.ctime(), file.ctime_nsec()));
    files.into_iter().flatten().map(stamp).collect()
}

fn read(tls: &SourceTls) -> Result<ServerConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?;
    let builder = match &tls.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let unusable = |error: &dyn std::fmt::Display| format!("tls.clientCaFile {}: {error}", path.display());
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, "tls.clientCaFile")? {
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
        }
    };
    let chain = certificates(&tls.server.cert_file, "tls.certFile")?;
    let key_file = &tls.server.key_file;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| format!("tls.keyFile {}: {error}", key_file.display()))?;
    builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("tls.keyFile {} does not go with tls.certFile: {error}", key_file.display()))
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("{key} {}: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(&error))?;
    if found.is_empty() { Err(unusable(&"there is no certificate in it")) } else { Ok(found) }
}
