//! A receiver that discards: it counts requests' events and answers 200.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// Prints its address and serves until it is killed.
pub fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    for stream in listener.incoming() {
        thread::spawn(move || while_it_lasts(stream.unwrap(), |_, _| {}));
    }
}

/// Answers every request of a connection; `take` gets the head's lines and the body.
pub fn while_it_lasts(stream: TcpStream, mut take: impl FnMut(&[String], &[u8])) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone().unwrap());
    let mut writer = stream;
    let mut body = Vec::new();
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        body.resize(length, 0);
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        take(&head, &body);
        if writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
