//! When an event happened, as it says itself.

use crate::{
    event::{Event, Form, Kind},
    schema::generic::{Field, candidates},
};

/// In nanoseconds since 1970; the first of the common names whose value is a time. None where there is none, or where
/// the event's members were not looked for.
pub(super) fn of(event: &Event<'_>) -> Option<i128> {
    let Form::Json(json) = event.form else { return None };
    let mut scratch = String::new();
    let mut times = candidates(Field::Time, json.fields?, json.text);
    times.find_map(|(_, value)| match value.kind {
        Kind::String { .. } | Kind::Number => parse(value.text(&mut scratch)),
        _ => None,
    })
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
    use crate::{
        config::Schema,
        schema::{Checker, Needs},
    };

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
    fn the_first_of_the_common_names_that_is_a_time_counts() {
        let mut checker = Checker::new(Schema::Generic, Needs::Members);
        let mut time = |line: &str| of(&checker.check(line.as_bytes()).unwrap());
        assert_eq!(
            time(r#"{"ts":1787130842,"time":"soon","timestamp":1787130841}"#),
            Some(1_787_130_841_000_000_000)
        );
        assert_eq!(time(r#"{"time":true}"#), None);
        assert_eq!(time("[1787130841]"), None);
        let mut checker = Checker::new(Schema::Raw, Needs::Members);
        assert_eq!(of(&checker.check(br#"{"ts":1787130842}"#).unwrap()), None);
    }
}
