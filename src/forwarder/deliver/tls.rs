//! What TLS trusts and shows: the platform's roots or one CA file, and a client certificate.
//!
//! The cryptography is named here (ring) and never taken from a default of the whole process. TLS 1.2 is the least.

use std::{os::unix::fs::MetadataExt, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject},
};
use tracing::warn;

use super::local_file::{LocalError, Watched};
use crate::config;

/// A platform's whole bundle is a quarter of this.
const CERTIFICATES: u64 = 1024 * 1024;
const KEY: u64 = 64 * 1024;

/// The files that TLS is made of.
#[derive(Debug)]
pub(super) struct TlsFiles {
    ca: Option<Watched>,
    client: Option<ClientFiles>,
    verify: bool,
}

#[derive(Debug)]
struct ClientFiles {
    certificate: Watched,
    key: Watched,
    warned: bool,
}

impl TlsFiles {
    pub(super) fn new(tls: &config::Tls) -> Self {
        Self {
            ca: tls.ca_file.as_ref().map(|path| Watched::new("CA file", path, CERTIFICATES)),
            client: tls.client.as_ref().map(|client| ClientFiles {
                certificate: Watched::new("client certificate file", &client.cert_file, CERTIFICATES),
                key: Watched::new("client key file", &client.key_file, KEY),
                warned: false,
            }),
            verify: !tls.insecure_skip_verify,
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Watched> {
        let client = self.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        self.ca.iter().chain(client)
    }

    /// The configuration as the files are now. Reads them; blocks for as long as that takes.
    pub(super) fn read(&mut self) -> Result<ClientConfig, LocalError> {
        let provider = Arc::new(ring::default_provider());
        let builder = with_versions(Arc::clone(&provider))?;
        let builder = if self.verify {
            let roots = match &mut self.ca {
                Some(file) => file_roots(file)?,
                None => platform_roots()?,
            };
            builder.with_root_certificates(roots)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        };
        match &mut self.client {
            None => Ok(builder.with_no_client_auth()),
            Some(files) => {
                let (chain, key) = files.read()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    files.key.unusable(format!("it does not go with {}: {error}", files.certificate.path().display()))
                })
            }
        }
    }
}

/// For plain http: the client insists on a configuration, and nothing of the platform's is to be loaded for it.
pub(super) fn unused() -> Result<ClientConfig, LocalError> {
    let builder = with_versions(Arc::new(ring::default_provider()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn with_versions(provider: Arc<CryptoProvider>) -> Result<Builder, LocalError> {
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| LocalError::Client(error.to_string()))
}

fn platform_roots() -> Result<RootCertStore, LocalError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(LocalError::NoRoots) } else { Ok(roots) }
}

fn file_roots(file: &mut Watched) -> Result<RootCertStore, LocalError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| file.unusable(format!("a certificate in it is no CA: {error}")))?;
    }
    Ok(roots)
}

fn certificates(file: &mut Watched) -> Result<Vec<CertificateDer<'static>>, LocalError> {
    let (content, _) = file.read()?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let found = found.map_err(|error| file.unusable(format!("it is not PEM: {error}")))?;
    if found.is_empty() {
        return Err(file.unusable("there is no certificate in PEM form in it"));
    }
    Ok(found)
}

impl ClientFiles {
    fn read(&mut self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), LocalError> {
        let chain = certificates(&mut self.certificate)?;
        let (content, metadata) = self.key.read()?;
        let content = zeroize::Zeroizing::new(content);
        if metadata.mode() & 0o004 != 0 && !std::mem::replace(&mut self.warned, true) {
            warn!(path = %self.key.path().display(), "client key file can be read by every user of this machine");
        }
        // The parser's own errors may quote lines of the file.
        let key = PrivateKeyDer::from_pem_slice(&content).map_err(|error| {
            self.key.unusable(match error {
                pem::Error::NoItemsFound => "there is no unencrypted private key in PEM form in it",
                _ => "it is not PEM",
            })
        })?;
        Ok((chain, key))
    }
}

/// `insecureSkipVerify`: any certificate will do, as long as the peer has its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::config::{ClientCertificate, Tls};

    fn problem(tls: &Tls) -> String {
        TlsFiles::new(tls).read().unwrap_err().to_string()
    }

    fn with_ca(path: &Path) -> Tls {
        Tls { ca_file: Some(path.to_owned()), ..Tls::default() }
    }

    #[test]
    fn a_ca_file_that_is_none_is_named_and_described() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert!(problem(&with_ca(&path)).contains("ca.pem cannot be read: No such file"));
        for (content, expected) in [
            ("", "there is no certificate"),
            ("not pem", "there is no certificate"),
            ("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "it is not PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is no CA"),
        ] {
            fs::write(&path, content).unwrap();
            let problem = problem(&with_ca(&path));
            assert!(problem.contains(expected), "{content:?}: {problem}");
        }
    }

    #[test]
    fn a_client_key_must_go_with_its_certificate_and_is_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let one = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("ca"), one.cert.pem()).unwrap();
        fs::write(at("cert"), one.cert.pem()).unwrap();
        let tls = Tls {
            client: Some(ClientCertificate { cert_file: at("cert"), key_file: at("key") }),
            ..with_ca(&at("ca"))
        };
        for (key, expected) in [
            (other.signing_key.serialize_pem(), "does not go with"),
            (one.cert.pem(), "no unencrypted private key"),
            ("-----BEGIN PRIVATE KEY-----\ncanary!\n-----END PRIVATE KEY-----\n".to_owned(), "it is not PEM"),
        ] {
            fs::write(at("key"), key).unwrap();
            let problem = problem(&tls);
            assert!(problem.contains(expected) && !problem.contains("canary"), "{problem}");
        }
        fs::write(at("key"), one.signing_key.serialize_pem()).unwrap();
        assert!(TlsFiles::new(&tls).read().unwrap().client_auth_cert_resolver.has_certs());
    }
}
