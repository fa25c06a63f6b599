//! From a request's body to events: gzip undone, whichever way it is announced, then taken apart.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::body_decoder::{BodyDecoder, DecodeError, DecodeLimits, announces_gzip};

/// The largest body that is taken, before and after decoding. What decodes to many times its size is shown as well.
pub(super) const LIMITS: DecodeLimits = DecodeLimits { wire: 64 << 20, decoded: 64 << 20, ratio: usize::MAX };

/// Undoes the content encoding. Bytes that begin as gzip are gzip, whatever the header says of them.
pub(super) fn decode(headers: &HeaderMap, wire: &[u8]) -> Result<Bytes, DecodeError> {
    // It is decoded at once, so that there are no more budgets than threads.
    let budget = Arc::new(Semaphore::new(LIMITS.budget()));
    let mut decoder = BodyDecoder::new(announces_gzip(headers)?, LIMITS, budget);
    decoder.push(wire)?;
    Ok(decoder.finish()?.bytes.into())
}

/// The events of a decoded body, each a part of it: the values of one JSON array, one JSON value, or else lines
/// (NDJSON, CEF, any text). Empty lines are no events.
pub(super) fn events(body: &Bytes) -> Vec<Bytes> {
    if body.trim_ascii_start().starts_with(b"[")
        && let Ok(values) = serde_json::from_slice::<Vec<&RawValue>>(body)
    {
        return values.iter().map(|value| body.slice_ref(value.get().as_bytes())).collect();
    }
    if let Ok(value) = serde_json::from_slice::<&RawValue>(body) {
        return vec![body.slice_ref(value.get().as_bytes())];
    }
    body.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .map(|line| body.slice_ref(line))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::io::Write;

    use super::*;

    #[test]
    fn a_body_may_decode_to_any_number_of_times_its_size() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 3 << 20]).unwrap();
        let body = encoder.finish().unwrap();
        assert!(body.len() * 500 < 3 << 20);
        assert_eq!(decode(&HeaderMap::new(), &body).map(|body| body.len()), Ok(3 << 20));
        assert_eq!(decode(&HeaderMap::new(), &body[..100]), Err(DecodeError::Damaged));
    }

    #[test]
    fn every_framing_gives_its_events() {
        let parts = |body: &'static str| {
            let events = events(&Bytes::from_static(body.as_bytes()));
            let text = |event: &Bytes| String::from_utf8(event.to_vec()).unwrap();
            events.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(parts("{\"a\":1}\n\n{\"a\":2}\r\n"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(parts("{\"a\":1}\n"), ["{\"a\":1}"]);
        assert_eq!(parts(" [{\"a\":1}, [2]]\n"), ["{\"a\":1}", "[2]"]);
        assert_eq!(parts("{\n \"a\": 1\n}"), ["{\n \"a\": 1\n}"]);
        assert_eq!(parts("CEF:0|a\nCEF:0|b"), ["CEF:0|a", "CEF:0|b"]);
        assert_eq!(parts("[1] x\n[2] y"), ["[1] x", "[2] y"]);
        assert!(parts("").is_empty());
    }
}
