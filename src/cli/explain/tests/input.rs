//! What an application or a container runtime may write: lines, and what is none.

use proptest::{collection::vec, prelude::*};

use super::MAX_LINE;
use crate::config::LineFormat;

/// What an application may write as a line, without its end.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let json = (0u8..4, prop_oneof![Just("login"), Just("ping"), Just("é")])
        .prop_map(|(n, kind)| format!("{{\"type\":\"{kind}\",\"n\":\"{n}\"}}").into_bytes());
    let edge = (MAX_LINE - 2..MAX_LINE + 3).prop_map(|length| {
        let fill = "x".repeat(length - 13);
        format!("{{\"type\":\"{fill}\"}}").into_bytes()
    });
    prop_oneof![
        6 => json,
        1 => Just(b"{\"n\":1}".to_vec()),
        1 => Just(b"[1,\"two\"]".to_vec()),
        1 => Just(b"CEF:0|v|p|1|login|n|5|act=x n=1".to_vec()),
        1 => Just(b"{\"type\":\"login\"".to_vec()),
        1 => Just(b"{\"type\":\"\xff\"}".to_vec()),
        1 => Just(b"listening".to_vec()),
        1 => Just(b"{\"type\":\"lo\0gin\"}".to_vec()),
        1 => Just(vec![]),
        1 => Just(b"\xEF\xBB\xBF{\"type\":\"login\"}".to_vec()),
        1 => Just(b"{} \r".to_vec()),
        2 => edge.clone(),
        1 => edge.prop_map(|line| [b"\xEF\xBB\xBF", &line[..]].concat()),
        2 => (MAX_LINE..20 * MAX_LINE).prop_map(|length| vec![b'y'; length]),
    ]
}

#[derive(Clone, Debug)]
pub(super) struct Written {
    said: Vec<u8>,
    end: &'static [u8],
    /// How many NUL stand before it.
    hole: usize,
    /// Of the container's other stream; in how many parts; in no format at all.
    is_err: bool,
    parts: usize,
    is_foreign: bool,
    is_unfinished: bool,
}

pub(super) fn written() -> impl Strategy<Value = Vec<Written>> {
    let end = prop_oneof![5 => Just(&b"\n"[..]), 1 => Just(&b"\r\n"[..])];
    let hole = prop_oneof![9 => Just(0usize), 1 => 1usize..300];
    let rarely = || prop::bool::weighted(0.1);
    let parts = prop_oneof![3 => Just(1usize), 2 => 2usize..5, 1 => 20usize..60];
    let line = (said(), end, hole, prop::bool::weighted(0.25), parts, rarely(), rarely()).prop_map(
        |(said, end, hole, is_err, parts, is_foreign, is_unfinished)| Written {
            said,
            end,
            hole,
            is_err,
            parts,
            is_foreign,
            is_unfinished,
        },
    );
    vec(line, 0..25)
}

/// The bytes of a file; what stands in `mixed` says which stream writes next.
pub(super) fn bytes(format: LineFormat, written: &[Written], mixed: &[bool], ends: bool) -> Vec<u8> {
    let mut streams: [Vec<Vec<u8>>; 2] = Default::default();
    for line in written {
        let before = vec![0; line.hole];
        let (LineFormat::Cri(_), false) = (format, line.is_foreign) else {
            streams[0].push([&before[..], &line.said, line.end].concat());
            continue;
        };
        let stream = if line.is_err { "stderr" } else { "stdout" };
        let size = line.said.len().div_ceil(line.parts).max(1);
        let mut parts: Vec<&[u8]> = line.said.chunks(size).collect();
        parts.resize(line.parts.max(parts.len()), &[]);
        let last = parts.len() - 1;
        for (index, part) in parts.into_iter().enumerate() {
            let tag = if index == last && !line.is_unfinished { "F" } else { "P" };
            let head = format!("2026-11-22T04:00:00.123456789Z {stream} {tag} ");
            let before = if index == 0 { &before[..] } else { &[] };
            streams[usize::from(line.is_err)].push([before, head.as_bytes(), part, line.end].concat());
        }
    }
    let [mut out, mut err] = streams.map(Vec::into_iter);
    let mut all: Vec<u8> = Vec::new();
    for from_err in mixed {
        all.extend(if *from_err { err.next() } else { out.next() }.unwrap_or_default());
    }
    all.extend(out.chain(err).flatten());
    if !ends {
        all.pop();
    }
    all
}
