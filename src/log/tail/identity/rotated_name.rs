//! The names that rotators give to the generations of a file.
//!
//! A rotator puts a number, a date or a time behind the name, before its extension or in front of it, and perhaps the
//! suffix of a compression behind all of that:
//!
//! | file | generations | as written by |
//! |---|---|---|
//! | `audit.log` | `audit.log.1`, `audit.log-20261129`, `audit.log.2026-11-29_21-04-58`, `audit.log.old` | logrotate, savelog, Python, log4rs, file-rotate, the kubelet |
//! | | `audit-20261129.log`, `audit-2026-11-29T21-06-09.206.log`, `audit.1.log`, `audit14.log` | logrotate with `extension`, lumberjack, loguru, pino-roll, winston |
//! | | `audit-2026-11-29T21-06-09.206-size.log` | timberjack |
//! | | `20261129-2109-01-audit.log` | rotating-file-stream |
//! | `audit_rCURRENT.log` | `audit_r00012.log` | flexi_logger |
//! | `current` | `@4000000065678a0f1d2c3b4a.s` | svlogd, multilog, s6-log |
//!
//! No other name that begins as the file's own does is one of its generations: `audit.log.json` is somebody else's log,
//! and `audit.log.secret` nobody's.

/// Where a rotated name's number or time puts it among the generations of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationMark {
    /// The digits of a date or time, or of a TAI64N label: the greater is the younger.
    Time(Vec<u8>),
    /// A number: of some rotators the greatest is the youngest, of others `1`, or `0`, is.
    Number(u64),
    /// It says nothing but that it is older.
    Old,
}

/// A file of which a name could be a rotated generation's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotatedOf {
    pub original: Vec<u8>,
    pub mark: RotationMark,
    /// Nobody else's file has such a name. Of `app.log`, `app-1.log` may be a generation, or another instance's log.
    pub is_certain: bool,
}

impl RotatedOf {
    fn new(original: &[&[u8]], mark: RotationMark) -> Self {
        let is_certain = !matches!(mark, RotationMark::Number(_));
        Self { original: original.concat(), mark, is_certain }
    }

    fn certain(original: &[&[u8]], mark: RotationMark) -> Self {
        Self { is_certain: true, ..Self::new(original, mark) }
    }
}

const COMPRESSIONS: [&[u8]; 12] =
    [b".gz", b".zst", b".zstd", b".xz", b".bz2", b".lz4", b".Z", b".lzma", b".lzo", b".br", b".zip", b".7z"];

/// Why a rotator that says so rotated the file.
const REASONS: [&[u8]; 3] = [b"-size", b"-time", b"-manual"];

/// From so many digits on they are a date at least.
const TIME_DIGITS: usize = 8;

/// The name without the suffix of a compression.
pub fn without_compression(name: &[u8]) -> &[u8] {
    COMPRESSIONS.iter().find_map(|suffix| name.strip_suffix(*suffix)).unwrap_or(name)
}

/// Each name of a file of which this one could be a rotated generation, with what it says of its age.
pub fn originals_of(name: &[u8]) -> Vec<RotatedOf> {
    let name = without_compression(name);
    let mut originals = Vec::new();
    if let Some(original) = name.strip_suffix(b".old") {
        originals.push(RotatedOf::certain(&[original], RotationMark::Old));
    }
    // What logrotate finds where it is about to make the new file.
    if let Some(name) = name.strip_suffix(b".backup") {
        let dated = before_marks(name).filter(|(_, mark)| matches!(mark, RotationMark::Time(_)));
        originals.extend(dated.map(|(original, _)| RotatedOf::certain(&[original], RotationMark::Old)));
    }
    if let Some(label) = name.strip_prefix(b"@") {
        originals.extend(tai64n(label).map(|mark| RotatedOf::certain(&[b"current"], mark)));
    }
    originals.extend(before_marks(name).map(|(original, mark)| RotatedOf::certain(&[original], mark)));
    if let Some(dot) = memchr::memrchr(b'.', name).filter(|dot| name[*dot..].iter().any(u8::is_ascii_alphabetic)) {
        let (stem, extension) = name.split_at(dot);
        let stem = REASONS.iter().find_map(|reason| stem.strip_suffix(*reason)).unwrap_or(stem);
        originals.extend(before_marks(stem).map(|(stem, mark)| RotatedOf::new(&[stem, extension], mark)));
        originals.extend(directly_numbered(stem, extension));
    }
    for end in separators(name) {
        if let Some(time @ RotationMark::Time(_)) = mark(&name[..end]) {
            originals.push(RotatedOf::new(&[&name[end + 1..]], time));
        }
    }
    originals.retain(|of| !of.original.is_empty() && !of.original.starts_with(b"."));
    originals
}

/// `audit-20261129`: what stands before each separator that a mark follows.
fn before_marks(stem: &[u8]) -> impl Iterator<Item = (&[u8], RotationMark)> {
    separators(stem).filter(|at| *at > 0).filter_map(|at| Some((&stem[..at], mark(&stem[at + 1..])?)))
}

/// `audit14`, and `audit_r00012` of `audit_rCURRENT`.
fn directly_numbered(stem: &[u8], extension: &[u8]) -> Option<RotatedOf> {
    let letters = stem.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let (text, digits) = stem.split_at(letters);
    let number = mark(digits).filter(|mark| matches!(mark, RotationMark::Number(_)))?;
    if text.ends_with(b"_r") {
        return Some(RotatedOf::certain(&[text, b"CURRENT", extension], number));
    }
    text.last()?.is_ascii_alphabetic().then(|| RotatedOf::new(&[text, extension], number))
}

fn separators(name: &[u8]) -> impl Iterator<Item = usize> {
    name.iter().enumerate().filter(|(_, byte)| b"-_.".contains(byte)).map(|(at, _)| at)
}

/// What a number, a date or a time says; `None` where it is none of these.
fn mark(text: &[u8]) -> Option<RotationMark> {
    const MOST_DIGITS: usize = 32;
    let is_of_mark = |byte: &u8| byte.is_ascii_digit() || b"-_.:T+Z".contains(byte);
    let begins_and_ends = text.first()?.is_ascii_digit() && (text.last()?.is_ascii_digit() || text.ends_with(b"Z"));
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
    if !begins_and_ends || !text.iter().all(is_of_mark) || digits.len() > MOST_DIGITS {
        return None;
    }
    if digits.len() >= TIME_DIGITS {
        return Some(RotationMark::Time(digits));
    }
    std::str::from_utf8(&digits).ok()?.parse().ok().map(RotationMark::Number)
}

/// The label of a file of svlogd and its like: 24 hexadecimal digits and `.s`, or `.u` where it was not finished.
fn tai64n(label: &[u8]) -> Option<RotationMark> {
    let digits = label.strip_suffix(b".s").or_else(|| label.strip_suffix(b".u"))?;
    let is_hex = digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (digits.len() == 24 && is_hex).then(|| RotationMark::Time(digits.to_vec()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn mark_of(original: &str, name: &str) -> Option<RotationMark> {
        let originals = originals_of(name.as_bytes());
        originals.into_iter().find(|of| of.original == original.as_bytes()).map(|of| of.mark)
    }

    #[test]
    fn what_rotators_write_is_a_generation() {
        for (original, name) in [
            ("audit.log", "audit.log.1"),
            ("audit.log", "audit.log.2.gz"),
            ("audit.log", "audit.log.1.zst"),
            ("audit.log", "audit.log-20261129"),
            ("audit.log", "audit.log-20261129-1795986000"),
            ("audit.log", "audit-20261129.log"),
            ("audit.log", "audit-20261129.log.gz"),
            ("audit.log", "audit.log.0"),
            ("audit.log", "audit.log.20261129213743.gz"),
            ("audit.log", "audit.log.2026-11-29_21-04-58"),
            ("audit.log", "audit.2026-11-29_21-05-27_807300.log.gz"),
            ("audit.log", "audit-2026-11-29T21-06-09.206.log"),
            ("audit.log", "audit-2026-11-29T21-06-09.206-size.log.gz"),
            ("audit.log", "audit14.log"),
            ("audit.log", "audit.15.log"),
            ("audit.log", "audit_1.log"),
            ("audit.log", "20261129-2109-01-audit.log"),
            ("audit.log", "audit.log.20261129T211209.1.gz"),
            ("audit.log", "audit.log.old"),
            ("audit.log", "audit.log-2026112921.backup"),
            ("audit_rCURRENT.log", "audit_r00012.log"),
            ("current", "@4000000065678a0f1d2c3b4a.s"),
            ("0.log", "0.log.20261122-040000"),
            ("0.log", "0.log.20261122-040000.gz"),
            ("app-1.log", "app-1.log.2"),
            ("app-1", "app-1.2"),
            ("audit", "audit.1"),
            ("audit", "audit-20261129"),
        ] {
            assert!(mark_of(original, name).is_some(), "{name} of {original}: {:?}", originals_of(name.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_rotators_name_is_nobodys_generation() {
        for name in [
            "audit.log",
            "audit.log.gz",
            "audit.log.json",
            "audit.log.secret",
            "audit.log-of-somebody-else",
            "audit.log.bak",
            "audit.log.backup",
            "audit.log.1.backup",
            "audit.log~",
            "audit.log.swp",
            "audit.logs.1",
            "audit-errors.log",
            "audit-v2.log",
            "my-audit.log",
            "1-audit.log",
            "other.log.1",
            "audit.log.txt",
        ] {
            assert_eq!(mark_of("audit.log", name), None, "{name}");
        }
        assert_eq!(mark_of("0.log", "1.log"), None, "another container");
        assert_eq!(mark_of("current", "@short.s"), None);
    }

    #[test]
    fn a_time_orders_and_a_number_is_told() {
        let time = |name| match mark_of("audit.log", name) {
            Some(RotationMark::Time(digits)) => digits,
            other => panic!("{name}: {other:?}"),
        };
        assert!(time("audit-2026-11-29T21-06-09.206.log") < time("audit-2026-11-29T21-06-10.001.log.gz"));
        assert!(time("audit.log-20261129") < time("audit.log-20261130"));
        assert_eq!(mark_of("audit.log", "audit.log.12"), Some(RotationMark::Number(12)));
        assert_eq!(mark_of("audit_rCURRENT.log", "audit_r00012.log"), Some(RotationMark::Number(12)));
    }

    #[test]
    fn odd_names_cost_little() {
        for name in [&b""[..], b".", b"-", b"\xFF\xFE.1", &[b'-'; 255], &[b'1'; 255], b"@", b".old", b".gz"] {
            let originals = originals_of(name);
            assert!(originals.iter().all(|of| !of.original.is_empty()), "{name:?}: {originals:?}");
        }
    }

    #[test]
    fn a_number_before_the_extension_may_be_another_instance() {
        let is_certain = |name: &str| {
            let of = originals_of(name.as_bytes()).into_iter().find(|of| of.original == b"app.log").unwrap();
            of.is_certain
        };
        assert!(is_certain("app.log.1") && is_certain("app-20261129.log") && is_certain("app.log.old"));
        assert!(!is_certain("app-1.log") && !is_certain("app.1.log") && !is_certain("app14.log"));
    }
}
