//! One connection of a receiver: reads requests, records them, does what the script says.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, server::WebPkiClientVerifier};

use super::{Delivery, Reply, Shared, reply::Act};
use crate::{
    certificate::{Authority, Identity},
    http::{Head, Length, read_chunk_size, read_line},
};

pub(super) struct Connection<'a> {
    number: usize,
    stream: Option<BufReader<Stream>>,
    shared: &'a Shared,
}

/// What happens to the connection after a request.
enum Next {
    Request,
    Close,
    /// Ends with RST: what was sent and not read, either way, is lost.
    Reset,
}

/// Where the stream stands within a body.
enum Body {
    Left(usize),
    InChunk(usize),
    Done,
}

impl<'a> Connection<'a> {
    pub(super) fn new(number: usize, stream: TcpStream, shared: &'a Shared) -> Self {
        let _ = stream.set_nodelay(true);
        let stream = match &shared.tls {
            None => Some(Stream::Plain(stream)),
            Some(config) => ServerConnection::new(config.lock().unwrap().clone())
                .ok()
                .map(|tls| Stream::Tls(Box::new(StreamOwned::new(tls, stream)))),
        };
        Self { number, stream: stream.map(BufReader::new), shared }
    }

    /// Serves requests until either side ends the connection.
    pub(super) fn serve(mut self) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        let next = loop {
            match self.request(&mut stream) {
                Ok(Next::Request) => {}
                Ok(next) => break next,
                Err(_) => break Next::Close,
            }
        };
        // The other handle goes first: a reset takes place when the last one is closed.
        self.shared.state.lock().unwrap().open.remove(&self.number);
        if matches!(next, Next::Reset) {
            let _ = rustix::net::sockopt::set_socket_linger(stream.get_ref().tcp(), Some(Duration::ZERO));
        } else {
            stream.get_mut().say_goodbye();
        }
    }

    fn request(&self, stream: &mut BufReader<Stream>) -> io::Result<Next> {
        let Some(head) = Head::read(stream)? else {
            return Ok(Next::Close);
        };
        let mut body = match head.length() {
            Length::Exact(bytes) => Body::Left(bytes),
            Length::Chunked => Body::InChunk(0),
            Length::Unannounced => Body::Done,
        };
        let (index, scripted) = self.begin(head);

        let mut wire = Vec::new();
        let first = scripted.as_ref().and_then(Reply::acts_after);
        let read = read_body(stream, &mut body, &mut wire, first.unwrap_or(usize::MAX));
        let early = first.is_some() && !matches!(body, Body::Done);
        if let (true, Some(reply)) = (early, &scripted) {
            read?;
            return self.act_early(stream, index, reply, body, wire);
        }
        let whole = read.is_ok() && matches!(body, Body::Done);
        let delivery = self.record(index, |delivery| delivery.finish(wire, whole));
        read?;
        let reply = match scripted {
            Some(reply) => reply,
            None => self.by_rule(&delivery),
        };
        self.act(stream, index, &reply)
    }

    /// What a reply does while the body is still on its way.
    fn act_early(
        &self,
        stream: &mut BufReader<Stream>,
        index: usize,
        reply: &Reply,
        mut body: Body,
        mut wire: Vec<u8>,
    ) -> io::Result<Next> {
        if !matches!(reply.act, Act::Early(..)) || reply.close.is_some() {
            self.record(index, |delivery| delivery.finish(wire, false));
            return self.act(stream, index, reply);
        }
        let next = self.act(stream, index, reply)?;
        let read = read_body(stream, &mut body, &mut wire, usize::MAX);
        let whole = read.is_ok() && matches!(body, Body::Done);
        self.record(index, |delivery| delivery.finish(wire, whole));
        read.map(|()| next)
    }

    fn act(&self, stream: &mut BufReader<Stream>, index: usize, reply: &Reply) -> io::Result<Next> {
        if !self.rest(reply.delay) {
            return Ok(Next::Close);
        }
        self.record(index, |delivery| delivery.answer = reply.answer());
        match &reply.act {
            Act::Hang | Act::StallMidBody(_) => {
                self.rest(Duration::MAX);
                return Ok(Next::Close);
            }
            Act::CloseWithoutAnswer => return Ok(Next::Close),
            Act::ResetAfterBody | Act::ResetMidBody(_) => return Ok(Next::Reset),
            Act::Drip(_, every) => {
                for byte in reply.bytes() {
                    stream.get_mut().write_all(&[byte])?;
                    stream.get_mut().flush()?;
                    if !self.rest(*every) {
                        return Ok(Next::Close);
                    }
                }
            }
            Act::Answer(_) | Act::Early(..) | Act::Raw(_) => {
                stream.get_mut().write_all(&reply.bytes())?;
                stream.get_mut().flush()?;
            }
        }
        match reply.close {
            Some(idle) => {
                self.rest(idle);
                Ok(Next::Close)
            }
            None => Ok(Next::Request),
        }
    }

    /// Records the request's head and takes the next reply of the script.
    fn begin(&self, head: Head) -> (usize, Option<Reply>) {
        let delivery = Delivery::new(self.number, head);
        let mut state = self.shared.state.lock().unwrap();
        state.deliveries.push(delivery);
        let number = state.cleared + state.deliveries.len() - 1;
        (number, state.script.pop_front())
    }

    fn by_rule(&self, delivery: &Delivery) -> Reply {
        let rule = self.shared.state.lock().unwrap().rule.clone();
        rule(delivery)
    }

    fn record(&self, index: usize, change: impl FnOnce(&mut Delivery)) -> Delivery {
        let mut state = self.shared.state.lock().unwrap();
        let place = index.checked_sub(state.cleared);
        let mut forgotten = Delivery::new(self.number, Head::default());
        let delivery = place.and_then(|place| state.deliveries.get_mut(place)).unwrap_or(&mut forgotten);
        change(delivery);
        let delivery = delivery.clone();
        drop(state);
        self.shared.changed.notify_all();
        delivery
    }

    /// Lets `time` pass; false where the receiver was stopped meanwhile.
    fn rest(&self, time: Duration) -> bool {
        let begin = Instant::now();
        let mut state = self.shared.state.lock().unwrap();
        while !state.stopping {
            let left = time.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return true;
            }
            let left = left.min(Duration::from_secs(3600));
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
        false
    }
}

/// Reads on until the body ends or `wire` has `limit` bytes.
fn read_body(stream: &mut BufReader<Stream>, body: &mut Body, wire: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    while wire.len() < limit {
        match body {
            Body::Done | Body::Left(0) => break,
            Body::Left(left) => *left -= read_some(stream, wire, limit, *left)?,
            Body::InChunk(0) => {
                let size = read_chunk_size(stream)?;
                *body = Body::InChunk(size);
                if size == 0 {
                    read_line(stream, &mut String::new())?;
                    *body = Body::Done;
                }
            }
            Body::InChunk(left) => {
                *left -= read_some(stream, wire, limit, *left)?;
                if *left == 0 {
                    read_line(stream, &mut String::new())?;
                }
            }
        }
    }
    if matches!(body, Body::Left(0)) {
        *body = Body::Done;
    }
    Ok(())
}

fn read_some(stream: &mut BufReader<Stream>, wire: &mut Vec<u8>, limit: usize, left: usize) -> io::Result<usize> {
    let available = stream.fill_buf()?;
    let bytes = available.len().min(left).min(limit - wire.len());
    if bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    wire.extend_from_slice(&available[..bytes]);
    stream.consume(bytes);
    Ok(bytes)
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    fn say_goodbye(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

pub(super) fn tls_config(identity: &Identity, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    Arc::new(builder.with_single_cert(identity.chain(), identity.key()).unwrap())
}
