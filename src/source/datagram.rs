//! Datagram sources: `udp`, and `unix` with `socketType: datagram`. One event a datagram, as far as they arrive.
//!
//! What the kernel drops because nobody reads in time is counted by its own counter, for `udp`; senders to a Unix
//! socket wait instead.

use std::{io, net::SocketAddr, os::fd::AsFd};

use jiff::Timestamp;
use tokio::{
    net::UdpSocket,
    time::{Duration, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    framing::FramedItem,
    spool_writer::{SpoolLines, SpoolWriter},
    stats::IntakeRefusal,
    unix::UnixDatagrams,
};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config::SourceFraming,
};

/// A UDP datagram has at most 64 KiB; a Unix one as much as its sender's buffer.
const LONGEST: usize = 256 * 1024;

/// Bytes that are put together.
const TURN: usize = 256 * 1024;

/// What the kernel is asked to keep for us; it may grant less.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// How often the counter of drops and the socket's file are looked at.
const LOOK: Duration = Duration::from_secs(1);

pub enum DatagramSocket {
    Udp { socket: UdpSocket, drops: Drops },
    Unix(UnixDatagrams),
}

impl DatagramSocket {
    pub fn udp(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        // What it grants is not ours to choose.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        let drops = Drops { inode: rustix::fs::fstat(socket.as_fd())?.st_ino, seen: 0 };
        Ok(Self::Udp { socket: UdpSocket::from_std(socket)?, drops })
    }

    /// Where it listens; port 0 is any that is free.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp { socket, .. } => socket.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp { socket, .. } => socket.readable().await,
            Self::Unix(unix) => unix.socket.readable().await,
        }
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Udp { socket, .. } => socket.try_recv(buffer),
            Self::Unix(unix) => unix.socket.try_recv(buffer),
        }
    }
}

/// The kernel's count of datagrams that found no room.
pub struct Drops {
    inode: u64,
    seen: u64,
}

impl Drops {
    /// How many since the last call.
    fn new_ones(&mut self) -> u64 {
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
        let texts = tables.iter().filter_map(|table| std::fs::read_to_string(table).ok());
        let Some(now) = texts.filter_map(|text| drops_in(&text, self.inode)).next() else { return 0 };
        now.saturating_sub(std::mem::replace(&mut self.seen, now))
    }
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer drops`
fn drops_in(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(9);
        let is_ours = fields.next()?.parse() == Ok(inode);
        is_ours.then(|| fields.nth(2)?.parse().ok())?
    })
}

pub struct Datagrams {
    pub socket: DatagramSocket,
    pub framing: SourceFraming,
}

impl Datagrams {
    /// Takes datagrams until it is told to stop; those that have arrived by then too.
    pub async fn run(mut self, spool_writer: SpoolWriter, stop: CancellationToken) {
        let mut looks = interval(LOOK);
        let mut buffer = vec![0; LONGEST];
        loop {
            let stopping = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                _ = looks.tick() => {
                    self.look(&spool_writer);
                    continue;
                }
                _ = self.socket.readable() => false,
            };
            let lines = self.receive(&mut buffer, &spool_writer);
            let records = lines.records;
            if records > 0 && spool_writer.put(lines.bytes.into(), &stop).await.is_err() {
                spool_writer
                    .refuse(IntakeRefusal::Stopped, &format!("{records} datagrams found no room before the stop"));
            }
            if stopping {
                return self.look(&spool_writer);
            }
        }
    }

    fn receive(&self, buffer: &mut [u8], spool_writer: &SpoolWriter) -> SpoolLines {
        let mut lines = SpoolLines::new(self.framing);
        while lines.bytes.len() < TURN {
            match self.socket.try_recv(buffer) {
                Ok(bytes) => add(&mut buffer[..bytes], &mut lines),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    warn!(source = &*spool_writer.name, %error, "a datagram cannot be received");
                    break;
                }
            }
        }
        lines
    }

    fn look(&mut self, spool_writer: &SpoolWriter) {
        match &mut self.socket {
            DatagramSocket::Unix(unix) => unix.look(spool_writer),
            DatagramSocket::Udp { drops, .. } => {
                let new = drops.new_ones();
                if new > 0 {
                    spool_writer.stats.refuse(IntakeRefusal::Dropped, new);
                    let all = spool_writer.stats.refused(IntakeRefusal::Dropped);
                    let text = format!("the kernel dropped {all} datagrams that came faster than they were taken");
                    let subject = AlarmSubject::source(&spool_writer.name);
                    let dropped = IntakeRefusal::Dropped.name();
                    if spool_writer.alarms.raise_about(&subject, AlarmKind::Gap, dropped, &*text, Timestamp::now()) {
                        error!(source = &*spool_writer.name, "{text}");
                    }
                }
            }
        }
    }
}

/// One event; a line feed at its end is none of it, one within becomes a space.
fn add(datagram: &mut [u8], lines: &mut SpoolLines) {
    let end = datagram.iter().rposition(|byte| !b"\r\n\0".contains(byte)).map_or(0, |last| last + 1);
    let event = &mut datagram[..end];
    event.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    if !event.is_empty() {
        lines.add(&FramedItem::Record(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_one_line_whatever_is_in_it() {
        let mut lines = SpoolLines::new(SourceFraming::Lines);
        for datagram in ["one\ntwo\r\n", "", "\n", "three"] {
            add(&mut datagram.as_bytes().to_vec(), &mut lines);
        }
        assert_eq!((lines.records, lines.bytes.as_slice()), (2, b"one two\nthree\n".as_slice()));
    }

    #[test]
    fn the_kernels_counter_is_the_last_column_of_our_line() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                       71: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 12\n\
                       72: 0100007F:1F91 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 7\n";
        assert_eq!((drops_in(table, 4712), drops_in(table, 1)), (Some(7), None));
    }
}
