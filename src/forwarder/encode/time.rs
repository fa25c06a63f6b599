//! When an event happened, as it says itself.

use crate::schema::{Event, Field, FieldSet, Needs};

/// What an event must have been checked for.
pub(super) const NEEDED: Needs = Needs::Fields(FieldSet::EMPTY.with(Field::Time));

/// In nanoseconds since 1970. None where its system's field is absent or no time.
pub(super) fn of(event: &Event<'_>) -> Option<i128> {
    // A time that must be unescaped is no time.
    event.facts?.get(Field::Time, &mut String::new()).and_then(parse)
}

/// RFC 3339 with its offset, or seconds (10 digits, with or without a fraction), milliseconds (13), microseconds (16)
/// or nanoseconds (19) since 1970.
fn parse(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond);
    }
    let unit: i128 = match whole.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    let decimals = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let fraction = decimals.fold(0, |so_far, digit| so_far * 10 + i128::from(digit - b'0'));
    Some(whole.parse::<i128>().ok()? * unit + fraction * unit / 1_000_000_000)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::{config::Schema, schema::Checker};

    #[test]
    fn times_are_read_in_every_common_unit() {
        for (text, nanos) in [
            ("2026-08-19T09:14:01.216Z", 1_787_130_841_216_000_000),
            ("2026-08-19T11:14:01.216987654+02:00", 1_787_130_841_216_987_654),
            ("1787130841", 1_787_130_841_000_000_000),
            ("1787130841.216987654321", 1_787_130_841_216_987_654),
            ("1787130841.5", 1_787_130_841_500_000_000),
            ("1787130841216", 1_787_130_841_216_000_000),
            ("1787130841216987", 1_787_130_841_216_987_000),
            ("1787130841216987654", 1_787_130_841_216_987_654),
            ("1787130841216.5", 1_787_130_841_216_500_000),
        ] {
            assert_eq!(parse(text), Some(nanos), "{text}");
        }
        for text in ["", ".", "7", "2026-08-19", "2026-08-19T09:14:01", "-1787130841", "1e9", "17871308412167"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_time_is_the_one_that_the_schema_says() {
        let mut checker = Checker::new(Schema::Auto, NEEDED);
        let mut time = |line: &str| of(&checker.check(line.as_bytes()).unwrap());
        assert_eq!(time(r#"{"ts":1787130842,"timestamp":1787130841}"#), Some(1_787_130_841_000_000_000));
        let konnect = include_str!("../../../tests/samples/konnect.ndjson").lines().next().unwrap();
        assert_eq!(time(konnect), Some(1_787_130_841_216_000_000));
        assert_eq!(time(r#"{"time":"soon"}"#), None);
        assert_eq!(time("[1787130841]"), None);
        let mut checker = Checker::new(Schema::Raw, NEEDED);
        assert_eq!(of(&checker.check(br#"{"ts":1787130842}"#).unwrap()), None);
    }
}
