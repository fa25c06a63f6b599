//! Where a record of Konnect holds its signature, and which bytes that is over.
//!
//! Source: Kong's "Verify audit log signatures", and for CPS, of which that says nothing, both of the two readings.
//!
//! | record | signature | signed bytes |
//! |---|---|---|
//! | CEF | the last ` sig=` and 86 characters of base64url, at the end of the line | the line before the blank, its prefix included |
//! | JSON | the last member, `,"sig":"…"` | the line without that |
//! | CPS, `{"event":{…}}` | the same of the inner object | the inner object without that, or the line without that |
//!
//! Nothing is parsed to be written anew: a record of which one byte was changed, even a blank between two members, is not
//! what was signed. Any field's text may hold ` sig=`; only the last one that ends the line counts.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};

/// Ed25519's 64 bytes, without padding.
const DIGITS: usize = 86;
pub(super) const SIGNATURE: usize = 64;

const CEF: &[u8] = b" sig=";
const JSON: &[u8] = br#","sig":""#;
const CPS: &[u8] = br#"{"event":"#;

/// What a line is, before any key is tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KonnectRecord<'a> {
    Signed {
        signature: [u8; SIGNATURE],
        /// The bytes that it may be over; one of them must do.
        payloads: Vec<Cow<'a, [u8]>>,
    },
    /// With what there is to say of that, if anything.
    Unsigned(&'static str),
    /// No signature of it can be valid, for this reason.
    Broken(&'static str),
}

/// Only to tell whether a record that is not signed as Konnect does it has a signature at all.
#[derive(Deserialize)]
struct SignatureMembers {
    sig: Option<IgnoredAny>,
    signature: Option<IgnoredAny>,
    event: Option<InnerEvent>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum InnerEvent {
    Object { sig: Option<IgnoredAny> },
    Other(IgnoredAny),
}

/// Takes a line, without its `\n`, apart. What blanks and carriage returns stand behind it were put there on the way.
pub(super) fn read(line: &[u8]) -> KonnectRecord<'_> {
    let line = line.trim_ascii_end();
    if line.starts_with(b"{") {
        return json(line);
    }
    match memmem::find(line, b"CEF:") {
        Some(_) => cef(line),
        None => KonnectRecord::Broken("it is neither CEF nor a JSON object"),
    }
}

fn cef(line: &[u8]) -> KonnectRecord<'_> {
    let Some(at) = memmem::rfind(line, CEF) else { return KonnectRecord::Unsigned("") };
    let value = &line[at + CEF.len()..];
    match signature(value) {
        Some(signature) => KonnectRecord::Signed { signature, payloads: vec![Cow::Borrowed(&line[..at])] },
        // A user agent may say anything; a signature has no blank in it.
        None if value.contains(&b' ') => KonnectRecord::Unsigned(""),
        None => KonnectRecord::Broken("what stands behind its sig= is no signature: it was cut off or changed"),
    }
}

fn json(line: &[u8]) -> KonnectRecord<'_> {
    let Some((at, end, signature)) = last_member(line) else { return without_last_member(line) };
    let without = |from: usize, to: usize| Cow::Owned([&line[from..at], &line[end..to]].concat());
    let mut payloads = vec![without(0, line.len())];
    if line.starts_with(CPS) && line[end..] == *b"}}" {
        payloads.push(without(CPS.len(), line.len() - 1));
    }
    KonnectRecord::Signed { signature, payloads }
}

/// Where `,"sig":"…"` begins and ends, if nothing but the end of one or two objects stands behind it. A text cannot hold it: its
/// quotes would be escaped.
fn last_member(line: &[u8]) -> Option<(usize, usize, [u8; SIGNATURE])> {
    let at = memmem::rfind(line, JSON)?;
    let value = at + JSON.len();
    let (digits, behind) = line[value..].split_at_checked(DIGITS)?;
    let ends = matches!(behind, b"\"}" | b"\"}}");
    Some((at, value + DIGITS + 1, signature(digits)?)).filter(|_| ends)
}

fn without_last_member(line: &[u8]) -> KonnectRecord<'_> {
    let Ok(members) = serde_json::from_slice::<SignatureMembers>(line) else {
        return KonnectRecord::Broken("it is no JSON object");
    };
    let inner = matches!(members.event, Some(InnerEvent::Object { sig: Some(_) }));
    if members.sig.is_some() || inner {
        return KonnectRecord::Broken(
            "its sig is not the last member as Konnect writes it: it was cut off, changed or written anew",
        );
    }
    match members.signature {
        Some(_) => KonnectRecord::Unsigned(
            "its signature is that of the pull API, of which it is not documented what it is over",
        ),
        None => KonnectRecord::Unsigned(""),
    }
}

/// Strict, so that one signature has one spelling.
fn signature(text: &[u8]) -> Option<[u8; SIGNATURE]> {
    let decoded = Some(text).filter(|text| text.len() == DIGITS).map(|text| URL_SAFE_NO_PAD.decode(text))?;
    decoded.ok()?.try_into().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(last: char) -> String {
        format!("{}{last}", "A".repeat(85))
    }

    fn payloads(line: &str) -> Vec<String> {
        match read(line.as_bytes()) {
            KonnectRecord::Signed { payloads, .. } => {
                payloads.iter().map(|payload| String::from_utf8(payload.to_vec()).unwrap()).collect()
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_last_sig_at_the_end_of_the_line_counts_in_cef() {
        let sig = digits('A');
        let start = "2026-08-19T09:14:01Z konghq.com CEF:0|K|K|1.0|a|b|0|rt=1 user_agent=";
        for agent in ["", "curl", "curl sig=", &format!("curl sig={sig}"), "curl sig=short ", "sig=x"] {
            let line = format!("{start}{agent} sig={sig}");
            assert_eq!(payloads(&line), [format!("{start}{agent}")]);
            for behind in ["\r", " ", " \r\r", "\t"] {
                assert_eq!(payloads(&format!("{line}{behind}")), [format!("{start}{agent}")], "{behind:?}");
            }
        }
        assert_eq!(read(format!("{start}curl").as_bytes()), KonnectRecord::Unsigned(""));
        assert_eq!(read(format!("{start}curl sig={sig} more").as_bytes()), KonnectRecord::Unsigned(""));
        for bad in [&sig[1..], &format!("{sig}A"), &digits('B'), &digits('='), &sig.replacen('A', "+", 1), ""] {
            let record = read(format!("{start}curl sig={bad}").leak().as_bytes());
            assert!(matches!(record, KonnectRecord::Broken(_)), "{bad}: {record:?}");
        }
    }

    #[test]
    fn the_last_member_counts_in_json_byte_for_byte() {
        let sig = digits('Q');
        assert_eq!(payloads(&format!(r#"{{"a": 1,"sig":"{sig}"}}"#)), [r#"{"a": 1}"#]);
        let escaped = format!(r#"{{"user_agent":"x\",\"sig\":\"{sig}\"}}","sig":"{sig}"}}"#);
        assert_eq!(payloads(&escaped), [format!(r#"{{"user_agent":"x\",\"sig\":\"{sig}\"}}"}}"#)]);
        let twice = format!(r#"{{"a":1,"sig":"{sig}","sig":"{sig}"}}"#);
        assert_eq!(payloads(&twice), [format!(r#"{{"a":1,"sig":"{sig}"}}"#)]);
        let cps = format!(r#"{{"event":{{"a":1,"sig":"{sig}"}}}}"#);
        assert_eq!(payloads(&cps), [r#"{"event":{"a":1}}"#, r#"{"a":1}"#]);
    }

    #[test]
    fn a_signature_elsewhere_is_broken_and_none_is_unsigned() {
        let sig = digits('Q');
        for line in [
            format!(r#"{{"sig":"{sig}","a":1}}"#),
            format!(r#"{{"a":1,"sig": "{sig}"}}"#),
            format!(r#"{{"a":1, "sig":"{sig}"}}"#),
            format!(r#"{{"a":1,"sig":"{sig}" }}"#),
            format!(r#"{{"a":1,"sig":"{}"}}"#, &sig[1..]),
            r#"{"a":1,"sig":7}"#.to_owned(),
            format!(r#"{{"event":{{"sig":"{sig}","a":1}}}}"#),
            r#"{"a":"#.to_owned(),
            "text".to_owned(),
        ] {
            assert!(matches!(read(line.as_bytes()), KonnectRecord::Broken(_)), "{line}: {:?}", read(line.as_bytes()));
        }
        for line in [r#"{"a":1}"#, r#"{"event":{"a":1}}"#, r#"{"event":"sig"}"#, r#"{"text":"\"sig\":"}"#] {
            assert_eq!(read(line.as_bytes()), KonnectRecord::Unsigned(""), "{line}");
        }
        let KonnectRecord::Unsigned(why) = read(br#"{"type":"authentication","signature":"x"}"#) else {
            panic!("unsigned")
        };
        assert!(why.contains("pull API"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(line: Vec<u8>, json: bool) {
            let start: &[u8] = if json { br#"{"a":1,"sig":""# } else { b"CEF:0|a sig=" };
            read(&line);
            read(&[start, &line].concat());
            read(&[start, &b"A".repeat(86), &line].concat());
        }
    }
}
