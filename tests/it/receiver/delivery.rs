//! One request, as a receiver saw it.

use std::{io::Read, sync::Arc, time::Instant};

use crate::http::Head;

/// What was recorded of a request. Cheap to clone: the bodies are shared.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When the head had been read.
    pub at: Instant,
    /// The number of its connection, from 1.
    pub connection: usize,
    pub method: String,
    pub path: String,
    head: Arc<Head>,
    /// The body as it came.
    pub wire: Arc<Vec<u8>>,
    /// The body with gzip undone; the same bytes where there was none.
    pub body: Arc<Vec<u8>>,
    /// Whether the whole body came, and decodes.
    pub complete: bool,
    /// Whether the receiver is done reading this request.
    pub finished: bool,
    /// The status, set just before it is sent; `None` where there was no answer (yet).
    pub answer: Option<u16>,
}

impl Delivery {
    pub(super) fn new(connection: usize, head: Head) -> Self {
        let mut words = head.first_line.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        Self {
            at: Instant::now(),
            connection,
            method: word(),
            path: word(),
            head: Arc::new(head),
            wire: Arc::default(),
            body: Arc::default(),
            complete: false,
            finished: false,
            answer: None,
        }
    }

    /// Takes the body, as far as it came.
    pub(super) fn finish(&mut self, wire: Vec<u8>, whole: bool) {
        let decoded = if wire.starts_with(&[0x1f, 0x8b]) {
            let mut decoded = Vec::new();
            let read = flate2::read::GzDecoder::new(wire.as_slice()).read_to_end(&mut decoded);
            read.is_ok().then_some(decoded)
        } else {
            Some(wire.clone())
        };
        self.complete = whole && decoded.is_some();
        self.body = Arc::new(decoded.unwrap_or_default());
        self.wire = Arc::new(wire);
        self.finished = true;
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// All headers in their order, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.head.headers
    }

    /// The batch's id, `webhook-id`; empty where there is none.
    pub fn id(&self) -> &str {
        self.header("webhook-id").unwrap_or_default()
    }

    /// `Auditpost-Attempt`; 0 where there is none.
    pub fn attempt(&self) -> u64 {
        self.header("auditpost-attempt").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The decoded body's lines, without their ends.
    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    pub fn line_count(&self) -> usize {
        self.body.iter().filter(|byte| **byte == b'\n').count()
            + usize::from(!self.body.is_empty() && !self.body.ends_with(b"\n"))
    }

    /// Whether it came whole and was answered 2xx.
    pub fn accepted(&self) -> bool {
        self.complete && matches!(self.answer, Some(200..=299))
    }

    /// One line for a failed test.
    pub(super) fn summary(&self) -> String {
        let answer = self.answer.map_or("none".to_owned(), |s| s.to_string());
        format!(
            "  connection {} {} {} id={} attempt={} lines={} wire={} complete={} answer={answer}",
            self.connection,
            self.method,
            self.path,
            self.id(),
            self.attempt(),
            self.line_count(),
            self.wire.len(),
            self.complete,
        )
    }
}
