//! A peer that speaks whatever a test has it speak: for what happens before there is HTTP.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Gives each connection to a function, on a thread of its own that ends with the connection.
pub struct Peer {
    listener: TcpListener,
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: Option<JoinHandle<()>>,
}

impl Peer {
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let accepting = {
            let (listener, connections, serve) =
                (listener.try_clone().unwrap(), connections.clone(), Arc::new(serve));
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let serve = serve.clone();
                    thread::spawn(move || serve(stream));
                }
            })
        };
        Self { listener, addr, connections, accepting: Some(accepting) }
    }

    /// Takes every connection and reads nothing.
    pub fn deaf() -> Self {
        let open = Mutex::new(Vec::new());
        Self::start(move |stream| open.lock().unwrap().push(stream))
    }

    /// Reads some of what comes, then sends these bytes and closes.
    pub fn saying(bytes: &'static [u8]) -> Self {
        Self::start(move |mut stream| {
            let _ = stream.read(&mut [0; 16 * 1024]);
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        })
    }

    /// Resets every connection once something came.
    pub fn resetting() -> Self {
        Self::start(|mut stream| {
            let _ = stream.read(&mut [0; 1]);
            let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        })
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/ingest", self.addr)
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
