//! What an operator wants to know of a certificate: until when it is good, and who says so.
//!
//! A walk over the DER of RFC 5280, section 4.1, as far as these two. It decides nothing: whether a certificate is to be
//! trusted is rustls's to say. Bytes that are no certificate give `None`.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

const INTEGER: u8 = 0x02;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, the version, which is left out of the first one.
const VERSION: u8 = 0xa0;

/// id-at-commonName and id-at-organizationName.
const NAMES: [&[u8]; 2] = [&[0x55, 4, 3], &[0x55, 4, 10]];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub until: Timestamp,
    /// The common name of who issued it, or else its organization.
    pub issuer: Option<String>,
}

impl Certificate {
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(der).inside(SEQUENCE)?;
        let mut signed = certificate.inside(SEQUENCE)?;
        if signed.0.first() == Some(&VERSION) {
            signed.take()?;
        }
        signed.inside(INTEGER)?;
        signed.inside(SEQUENCE)?;
        let issuer = signed.inside(SEQUENCE)?;
        let mut validity = signed.inside(SEQUENCE)?;
        validity.take()?;
        let (kind, until) = validity.take()?;
        let issuer = NAMES.iter().find_map(|name| named(issuer, name));
        Some(Self { until: time(kind, str::from_utf8(until).ok()?)?, issuer })
    }
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and its content.
    fn take(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, which must have this tag.
    fn inside(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take().filter(|(found, _)| *found == tag).map(|(_, content)| Der(content))
    }
}

/// The first attribute of this type in a name, where it is UTF-8.
fn named(mut name: Der<'_>, wanted: &[u8]) -> Option<String> {
    while let Some(mut set) = name.inside(SET) {
        while let Some(mut attribute) = set.inside(SEQUENCE) {
            let kind = attribute.inside(OBJECT_ID)?;
            let (_, value) = attribute.take()?;
            if kind.0 == wanted {
                return String::from_utf8(value.to_vec()).ok();
            }
        }
    }
    None
}

/// `YYMMDDHHMMSSZ`, of the years 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(kind: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let digits = match (kind, digits.len()) {
        (UTC_TIME, 12) if digits < "50" => format!("20{digits}"),
        (UTC_TIME, 12) => format!("19{digits}"),
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let part = |start: usize| number(start..start + 2).and_then(|part| i8::try_from(part).ok());
    let time = DateTime::new(number(0..4)?, part(4)?, part(6)?, part(8)?, part(10)?, part(12)?, 0).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn made(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 3, 9);
        params.distinguished_name.push(DnType::OrganizationName, "The House");
        params.distinguished_name.push(DnType::CommonName, "who signs");
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn its_end_and_its_issuer_are_read_on_both_sides_of_2050() {
        for year in [2031, 2049, 2050, 2096] {
            let read = Certificate::read(&made(year)).unwrap();
            assert_eq!(read.until.to_string(), format!("{year}-03-09T00:00:00Z"));
            assert_eq!(read.issuer.as_deref(), Some("who signs"));
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_or_changed_is_no_panic() {
        let der = made(2031);
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), None, "{end}");
        }
        for place in 0..der.len() {
            let mut changed = der.clone();
            changed[place] ^= 0xff;
            let _ = Certificate::read(&changed);
        }
    }

    #[test]
    fn times_are_of_their_century() {
        assert_eq!(time(UTC_TIME, "500101000000Z").unwrap().to_string(), "1950-01-01T00:00:00Z");
        assert_eq!(time(UTC_TIME, "491231235959Z").unwrap().to_string(), "2049-12-31T23:59:59Z");
        for (kind, text) in
            [(UTC_TIME, "311301000000Z"), (UTC_TIME, "20310101000000Z"), (GENERALIZED_TIME, "é0101000000Z")]
        {
            assert_eq!(time(kind, text), None, "{text}");
        }
    }
}
