//! The three headers of Standard Webhooks: an id, a time, and signatures of `id.time.body`.

use hyper::HeaderMap;
use ring::hmac::{Context, Key};

use crate::config::base64;

/// Signatures of one request that are looked at.
const MOST: usize = 16;

/// What the headers say.
#[derive(Debug)]
pub(super) struct Signed {
    id: Vec<u8>,
    /// Unix seconds.
    pub timestamp: u64,
    stamp: Vec<u8>,
    /// Of version 1, decoded; others are passed over, as the reference libraries do.
    signatures: Vec<Vec<u8>>,
}

impl Signed {
    /// `None` where one of the headers is missing or is not what it must be.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let get = |name: &str| headers.get(name).map(|value| value.as_bytes().trim_ascii());
        let id = get("webhook-id").filter(|id| !id.is_empty())?.to_vec();
        let stamp = get("webhook-timestamp")?.to_vec();
        let digits = stamp.iter().all(u8::is_ascii_digit);
        let timestamp = std::str::from_utf8(&stamp).ok().filter(|_| digits)?.parse().ok()?;
        let words = get("webhook-signature")?.split(|byte| *byte == b' ');
        let signatures: Vec<_> = words.filter_map(|word| base64(word.strip_prefix(b"v1,")?)).take(MOST).collect();
        (!signatures.is_empty()).then_some(Self { id, timestamp, stamp, signatures })
    }

    /// Signs what stands before the body.
    pub(super) fn begin(&self, key: &Key) -> Context {
        let mut context = Context::with_key(key);
        for part in [&self.id[..], b".", &self.stamp, b"."] {
            context.update(part);
        }
        context
    }

    /// Whether one of the signatures is right.
    pub(super) fn holds(&self, is_right: impl Fn(&[u8]) -> bool) -> bool {
        self.signatures.iter().any(|signature| is_right(signature))
    }
}
