//! Ports, and TLS.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{address, with_source};
use crate::{
    certificate::{Authority, Identity},
    events::lines,
    receiver::Receiver,
};

// J19
#[test]
fn a_port_in_use_is_exit_73_and_named() {
    let receiver = Receiver::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let mut sidecar = with_source(&format!("kind: tcp\nlisten: {at}"), &receiver).start();
    assert_eq!(sidecar.wait(), 73);
    assert!(sidecar.stderr().contains(&at.to_string()), "{}", sidecar.stderr());
}

fn client(server: &Authority, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(server.der()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

#[test]
fn only_clients_with_a_certificate_are_heard_and_acknowledged() {
    let receiver = Receiver::start();
    let (server, clients) = (Authority::new(), Authority::new());
    let keys = "kind: tcp\nlisten: 127.0.0.1:0\nacks: true\n\
                tls: {certFile: \"{dir}/c.pem\", keyFile: \"{dir}/k.pem\", clientCaFile: \"{dir}/ca.pem\"}";
    let mut sidecar = with_source(keys, &receiver);
    let identity = server.issue(&["localhost"]);
    sidecar.append("c.pem", &identity.certificate_pem);
    sidecar.append("k.pem", &identity.key_pem);
    sidecar.append("ca.pem", clients.pem());
    sidecar.start_again();
    let connect = |config: Arc<ClientConfig>| {
        let tls = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(tls, TcpStream::connect(address(&sidecar, "tcp")).unwrap())
    };
    let mut stranger = connect(client(&server, None));
    let _ = stranger.write_all(lines(0..1).as_bytes());
    assert!(stranger.read(&mut [0; 10]).is_err());
    sidecar.wait_for_log("no TLS connection with");
    let mut known = connect(client(&server, Some(&clients.issue(&["client"]))));
    known.write_all(lines(1..2).as_bytes()).unwrap();
    let mut ack = [0; 5];
    known.read_exact(&mut ack).unwrap();
    assert_eq!(&ack, b"ok 1\n");
    assert_eq!(receiver.wait_for_lines(1), [lines(1..2).trim_end()]);
}
