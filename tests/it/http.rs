//! The little HTTP/1.1 that the tests speak themselves, on raw streams, so that nothing is hidden from them.

use std::{
    io::{self, BufRead, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A request's or an answer's head: the first line and the headers, names in lower case.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub first_line: String,
    pub headers: Vec<(String, String)>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Exact(usize),
    Chunked,
    /// Neither was announced: no body in a request, all up to the end in an answer.
    Unannounced,
}

impl Head {
    /// Reads up to the empty line; `None` where the stream ends before the first byte.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Self::default();
        if read_line(stream, &mut head.first_line)? == 0 {
            return Ok(None);
        }
        loop {
            let mut line = String::new();
            if read_line(stream, &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.is_empty() {
                return Ok(Some(head));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other("no header"))?;
            head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    pub fn length(&self) -> Length {
        if self.get("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            return Length::Chunked;
        }
        match self.get("content-length").and_then(|value| value.parse().ok()) {
            Some(bytes) => Length::Exact(bytes),
            None => Length::Unannounced,
        }
    }
}

/// Reads the size line of a chunk; 0 is the last.
pub fn read_chunk_size(stream: &mut impl BufRead) -> io::Result<usize> {
    let mut line = String::new();
    read_line(stream, &mut line)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    usize::from_str_radix(digits, 16).map_err(io::Error::other)
}

/// Reads one line without its end; gives the bytes read, 0 at the end of the stream.
pub fn read_line(stream: &mut impl BufRead, line: &mut String) -> io::Result<usize> {
    let bytes = stream.read_line(line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(bytes)
}

/// `GET path`: the status, the head and the body.
pub fn get(addr: SocketAddr, path: &str) -> io::Result<(u16, Head, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    read_answer(&mut io::BufReader::new(stream))
}

/// `POST path` with a body: the status.
pub fn post(addr: SocketAddr, path: &str, body: &[u8]) -> io::Result<u16> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let (status, _, _) = read_answer(&mut io::BufReader::new(stream))?;
    Ok(status)
}

/// Reads one answer and its whole body.
pub fn read_answer(stream: &mut impl BufRead) -> io::Result<(u16, Head, String)> {
    let head = Head::read(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.first_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not an answer: {:?}", head.first_line)))?;
    let mut body = Vec::new();
    match head.length() {
        Length::Exact(bytes) => {
            body.resize(bytes, 0);
            stream.read_exact(&mut body)?;
        }
        Length::Chunked => loop {
            let size = read_chunk_size(stream)?;
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..])?;
            read_line(stream, &mut String::new())?;
            if size == 0 {
                break;
            }
        },
        Length::Unannounced => {
            stream.read_to_end(&mut body)?;
        }
    }
    Ok((status, head, String::from_utf8_lossy(&body).into_owned()))
}
