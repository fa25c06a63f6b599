//! From a request's body to events: gzip undone, whichever way it is announced, then taken apart.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

/// The largest body that is taken, before and after decoding.
pub(super) const MAX_BYTES: usize = 64 << 20;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ReceivedBodyError {
    #[error("the body has more than 64 MiB")]
    TooLarge,
    #[error("announced as gzip, and it is not")]
    NotGzip,
    #[error("the gzip is damaged or cut short")]
    Damaged,
    #[error("the content encoding is not one of gzip, application/gzip, x-gzip")]
    Unknown,
}

/// Undoes the content encoding. Bytes that begin as gzip are gzip, whatever the header says of them.
pub(super) fn decode(encoding: Option<&str>, wire: Bytes) -> Result<Bytes, ReceivedBodyError> {
    if wire.len() > MAX_BYTES {
        return Err(ReceivedBodyError::TooLarge);
    }
    let announced = encoding.map(str::trim).map(str::to_ascii_lowercase).unwrap_or_default();
    let gzip = wire.starts_with(&GZIP_MAGIC);
    match announced.as_str() {
        "" | "identity" if !gzip => Ok(wire),
        "gzip" | "application/gzip" | "x-gzip" if !gzip => Err(ReceivedBodyError::NotGzip),
        "" | "identity" | "gzip" | "application/gzip" | "x-gzip" => gunzip(&wire, MAX_BYTES),
        _ => Err(ReceivedBodyError::Unknown),
    }
}

fn gunzip(wire: &[u8], max_bytes: usize) -> Result<Bytes, ReceivedBodyError> {
    let mut decoded = Vec::new();
    // One byte more than allowed tells a body at the limit from one above it.
    MultiGzDecoder::new(wire)
        .take(max_bytes as u64 + 1)
        .read_to_end(&mut decoded)
        .map_err(|_| ReceivedBodyError::Damaged)?;
    if decoded.len() > max_bytes {
        return Err(ReceivedBodyError::TooLarge);
    }
    Ok(decoded.into())
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

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn gzip_is_undone_whichever_way_it_is_announced() {
        for announced in [None, Some("identity"), Some("gzip"), Some("application/gzip"), Some(" X-GZIP")] {
            let decoded = decode(announced, gzip(b"one\n"));
            assert_eq!(decoded, Ok(Bytes::from_static(b"one\n")), "{announced:?}");
        }
        let plain = Bytes::from_static(b"one\n");
        assert_eq!(decode(None, plain.clone()), Ok(plain.clone()));
        assert_eq!(decode(Some("gzip"), plain.clone()), Err(ReceivedBodyError::NotGzip));
        assert_eq!(decode(Some("br"), plain), Err(ReceivedBodyError::Unknown));
        let whole = gzip(b"one two three\n");
        let cut = whole.slice(..whole.len() - 3);
        assert_eq!(decode(None, cut), Err(ReceivedBodyError::Damaged));
    }

    #[test]
    fn a_small_body_that_decodes_to_a_huge_one_is_refused() {
        let bomb = gzip(&[0; 100_001]);
        assert!(bomb.len() < 1000);
        assert_eq!(gunzip(&bomb, 100_000), Err(ReceivedBodyError::TooLarge));
        assert_eq!(gunzip(&bomb, 100_001).map(|body| body.len()), Ok(100_001));
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
