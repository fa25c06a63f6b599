//! TLS: what is trusted, what is refused, and how it is said.

use std::{path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{peer::*, *};
use crate::config::ClientCertificate;

/// A CA with a directory for its files.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) dir: TempDir,
}

/// A certificate's chain and key in PEM.
pub(super) struct Issued {
    chain: String,
    key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("auditpost test CA")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(super) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client certificate in files.
    fn client(&self) -> ClientCertificate {
        let purpose = |params: &mut CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        };
        let issued = self.issue_with(&["client"], purpose);
        let at = |name: &str| self.dir.path().join(name);
        std::fs::write(at("client.pem"), issued.chain).unwrap();
        std::fs::write(at("client.key"), issued.key).unwrap();
        ClientCertificate { cert_file: at("client.pem"), key_file: at("client.key") }
    }
}

impl Issued {
    pub(super) fn server(&self, clients: Option<&Authority>) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match clients {
            None => builder.unwrap().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.unwrap().with_client_cert_verifier(verifier)
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect();
        builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()).unwrap()
    }
}

/// A server that answers 200 over TLS.
pub(super) async fn serving(config: ServerConfig) -> Peer {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Peer::start(move |stream| {
        let acceptor = acceptor.clone();
        async move { serve(acceptor, stream).await }
    })
    .await
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    match acceptor.accept(stream).into_fallible().await {
        Ok(mut stream) => {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
        // The alert must not be lost to a reset.
        Err((_, mut stream)) => {
            let _ = stream.shutdown().await;
            drain(&mut stream).await;
        }
    }
}

fn trusting(peer: &Peer, host: &str, authority: &Authority) -> Forwarder {
    let mut config = forwarder(&format!("https://{host}:{}/secret?key=canary", peer.address.port()));
    config.tls.ca_file = Some(authority.file());
    config
}

async fn answer(config: &Forwarder) -> Answer {
    send(&WebhookClient::new(config).unwrap()).await
}

#[tokio::test]
async fn a_certificate_of_the_given_ca_is_trusted_by_name_and_by_address() {
    let authority = Authority::new();
    let peer = serving(authority.issue(&["localhost", "127.0.0.1"]).server(None)).await;
    let webhook = WebhookClient::new(&trusting(&peer, "127.0.0.1", &authority)).unwrap();
    for _ in 0..3 {
        assert_eq!(send(&webhook).await.code(), Some(200));
    }
    assert_eq!(peer.connections(), 1, "one handshake");
    assert_eq!(answer(&trusting(&peer, "localhost", &authority)).await.code(), Some(200));
}

#[tokio::test]
async fn each_bad_certificate_holds_and_says_what_is_wrong() {
    let authority = Authority::new();
    let (other, namesake) = (Authority::named("another"), Authority::new());
    let expired = authority.issue_with(&["127.0.0.1"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 2, 3);
    });
    let future = authority.issue_with(&["127.0.0.1"], |params| params.not_before = date_time_ymd(2900, 1, 1));
    for (issued, expected) in [
        (expired, "expired at 2021-02-03T00:00:00Z; our clock says 20"),
        (future, "valid only from 2900-01-01T00:00:00Z; our clock says 20"),
        (other.issue(&["127.0.0.1"]), "a CA that we do not trust; if it is your own CA, name it in tls.caFile"),
        (namesake.issue(&["127.0.0.1"]), "not signed by the CA that it names"),
        (authority.issue(&["siem.example.com"]), "not for 127.0.0.1 but for"),
    ] {
        let peer = serving(issued.server(None)).await;
        let answer = answer(&trusting(&peer, "127.0.0.1", &authority)).await;
        assert_eq!(
            (kind(&answer), verdict(&answer)),
            (FailureKind::TlsCertificate, AnswerVerdict::Hold),
            "{answer:?}"
        );
        let said = text(&answer);
        assert!(said.contains(expected) && !said.contains("canary") && !said.contains("secret"), "{said}");
        assert!(said.starts_with(&format!("https://{}: ", peer.address)), "{said}");
    }
}

#[tokio::test]
async fn the_given_ca_replaces_the_platforms_and_skipping_must_be_asked_for() {
    let authority = Authority::new();
    let peer = serving(Authority::new().issue(&["siem.example.com"]).server(None)).await;
    let mut config = trusting(&peer, "127.0.0.1", &authority);
    assert_eq!(kind(&answer(&config).await), FailureKind::TlsCertificate);
    config.tls.insecure_skip_verify = true;
    assert_eq!(answer(&config).await.code(), Some(200));
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_wanted() {
    let authority = Authority::new();
    let peer = serving(authority.issue(&["127.0.0.1"]).server(Some(&authority))).await;
    let mut config = trusting(&peer, "127.0.0.1", &authority);
    let without = answer(&config).await;
    assert_eq!(
        (kind(&without), verdict(&without)),
        (FailureKind::TlsCertificate, AnswerVerdict::Hold),
        "{without:?}"
    );
    assert!(text(&without).contains("wants a client certificate: set tls.certFile and tls.keyFile"), "{without:?}");

    let new_file = Authority::named("new_file");
    config.tls.client = Some(new_file.client());
    let refused = answer(&config).await;
    assert_eq!(kind(&refused), FailureKind::TlsCertificate, "{refused:?}");
    assert!(text(&refused).contains("does not accept our client certificate"), "{refused:?}");

    config.tls.client = Some(authority.client());
    assert_eq!(answer(&config).await.code(), Some(200));
}

#[tokio::test]
async fn plain_http_on_a_tls_port_and_tls_on_a_plain_port_are_named() {
    let authority = Authority::new();
    let plain = Peer::start(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drain(&mut stream).await;
    })
    .await;
    let answered = answer(&trusting(&plain, "127.0.0.1", &authority)).await;
    assert_eq!(
        (kind(&answered), verdict(&answered)),
        (FailureKind::TlsHandshake, AnswerVerdict::Retry),
        "{answered:?}"
    );
    assert!(text(&answered).contains("not TLS"), "{answered:?}");

    let secure = serving(authority.issue(&["127.0.0.1"]).server(None)).await;
    let answered = send(&webhook(&secure.uri())).await;
    assert_eq!(kind(&answered), FailureKind::Protocol, "{answered:?}");
}

#[tokio::test]
async fn a_handshake_that_hangs_breaks_off_or_is_reset_is_tried_again() {
    let authority = Authority::new();
    let hanging = Peer::start(|mut stream| async move { drain(&mut stream).await }).await;
    let mut config = trusting(&hanging, "127.0.0.1", &authority);
    config.timeout = Duration::from_millis(400);
    let answered = answer(&config).await;
    assert_eq!(kind(&answered), FailureKind::Timeout, "{answered:?}");
    assert!(text(&answered).contains("no connection within 400ms"), "{answered:?}");

    let breaking = Peer::start(|mut stream| async move {
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
    })
    .await;
    assert_eq!(kind(&answer(&trusting(&breaking, "127.0.0.1", &authority)).await), FailureKind::Closed);

    let resetting = Peer::start(|mut stream| async move {
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 16]).await;
        reset(stream);
    })
    .await;
    let answered = answer(&trusting(&resetting, "127.0.0.1", &authority)).await;
    assert_eq!((kind(&answered), verdict(&answered)), (FailureKind::Reset { sending: false }, AnswerVerdict::Retry));
}

#[tokio::test]
async fn an_answer_counts_though_the_connection_is_cut_without_a_goodbye() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(Arc::new(authority.issue(&["127.0.0.1"]).server(None)));
    let peer = Peer::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
            stream.flush().await.unwrap();
            drop(stream.into_inner().0);
        }
    })
    .await;
    assert_eq!(answer(&trusting(&peer, "127.0.0.1", &authority)).await.code(), Some(200));
}
