//! What a receiver does with one request.

use std::time::Duration;

/// One answer, or one way to fail.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) act: Act,
    pub(super) delay: Duration,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) close: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    Answer(u16),
    Raw(Vec<u8>),
    Hang,
    CloseWithoutAnswer,
    ResetAfterBody,
    ResetMidBody(usize),
    StallMidBody(usize),
    Early(u16, usize),
    Drip(u16, Duration),
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self::act(Act::Answer(status))
    }

    /// These bytes as the whole answer, whatever they are.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::act(Act::Raw(bytes.into()))
    }

    /// Reads the request and never answers.
    pub fn hang() -> Self {
        Self::act(Act::Hang)
    }

    /// Reads the request, then closes the connection properly (FIN).
    pub fn close_without_answer() -> Self {
        Self::act(Act::CloseWithoutAnswer)
    }

    /// Reads the request, then resets the connection (RST).
    pub fn reset_after_body() -> Self {
        Self::act(Act::ResetAfterBody)
    }

    /// Resets the connection after `bytes` of the body; 0 is after the head.
    pub fn reset_mid_body(bytes: usize) -> Self {
        Self::act(Act::ResetMidBody(bytes))
    }

    /// Stops reading after `bytes` of the body and never answers: the sender's buffers fill up.
    pub fn stall_mid_body(bytes: usize) -> Self {
        Self::act(Act::StallMidBody(bytes))
    }

    /// Answers after `bytes` of the body, then reads the rest; with [`Self::close`] it closes on the rest instead.
    pub fn early(status: u16, bytes: usize) -> Self {
        Self::act(Act::Early(status, bytes))
    }

    /// Answers byte by byte, one every `every`.
    pub fn drip(status: u16, every: Duration) -> Self {
        Self::act(Act::Drip(status, every))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits before the answer.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection after the answer, unannounced.
    pub fn close(self) -> Self {
        self.close_after(Duration::ZERO)
    }

    /// Keeps the connection idle for a while after the answer, then closes it, unannounced, and reads nothing more.
    pub fn close_after(mut self, idle: Duration) -> Self {
        self.close = Some(idle);
        self
    }

    fn act(act: Act) -> Self {
        Self { act, delay: Duration::ZERO, headers: Vec::new(), body: Vec::new(), close: None }
    }

    /// The status that the sender will see, if it will see one.
    pub(super) fn answer(&self) -> Option<u16> {
        match &self.act {
            Act::Answer(status) | Act::Early(status, _) | Act::Drip(status, _) => Some(*status),
            Act::Raw(bytes) => bytes
                .strip_prefix(b"HTTP/1.")
                .and_then(|rest| std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok()),
            Act::Hang
            | Act::CloseWithoutAnswer
            | Act::ResetAfterBody
            | Act::ResetMidBody(_)
            | Act::StallMidBody(_) => None,
        }
    }

    /// How many bytes of the body to read before acting; `None` for all.
    pub(super) fn acts_after(&self) -> Option<usize> {
        match self.act {
            Act::ResetMidBody(bytes) | Act::StallMidBody(bytes) | Act::Early(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The answer as it goes over the wire.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let status = match &self.act {
            Act::Raw(bytes) => return bytes.clone(),
            _ => self.answer().unwrap_or(200),
        };
        let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
        if status != 204 && status != 304 {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        [head.as_bytes(), &self.body].concat()
    }
}
