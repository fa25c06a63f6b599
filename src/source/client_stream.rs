//! One client's connection: TCP, TLS over it, or a Unix stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

pub enum ClientStream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl ClientStream {
    /// Completes when there may be something to read. It needs no buffer, so a quiet client costs none.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Tls(stream) => stream.get_ref().0.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// What can be read now: so many bytes, zero at the end, or nothing yet.
    pub async fn read_now(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        poll_fn(|context| {
            Poll::Ready(match self.poll_read(context, &mut buffer) {
                Poll::Pending => None,
                Poll::Ready(read) => Some(read.map(|()| buffer.filled().len())),
            })
        })
        .await
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream: &mut (dyn AsyncWrite + Unpin + Send) = self.writer();
        stream.write_all(bytes).await?;
        stream.flush().await
    }

    /// Tells the client that nothing more comes.
    pub async fn shut(&mut self) -> io::Result<()> {
        self.writer().shutdown().await
    }

    fn writer(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}
