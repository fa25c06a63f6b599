//! `Retry-After`: a number of seconds or an HTTP date (RFC 9110, sections 5.6.7 and 10.2.3).

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, civil, tz::TimeZone};

/// A receiver cannot make us wait longer than this for one answer.
const LONGEST: Duration = Duration::from_secs(3600);

/// The wait that a response asks for: the longest of its sane `Retry-After` values.
///
/// A date counts from the response's own `Date` where it has one, so that two clocks that disagree do no harm. A date
/// that has passed is no wait; what is neither seconds nor a date is ignored.
pub(super) fn parse<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    date: Option<&[u8]>,
    now: SystemTime,
) -> Option<Duration> {
    let now = Timestamp::try_from(now).ok()?;
    let base = date.and_then(text).and_then(|date| http_date(date, now)).unwrap_or(now);
    values.filter_map(text).filter_map(|value| one(value, base)).max()
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

fn one(value: &str, base: Timestamp) -> Option<Duration> {
    if value.starts_with(|first: char| first.is_ascii_digit()) {
        // Two lines may have been folded into one by a proxy: `5, 10`.
        return value.split(',').filter_map(|part| seconds(part.trim())).max();
    }
    let wait = http_date(value, base)?.as_second().saturating_sub(base.as_second());
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)).min(LONGEST))
}

fn seconds(digits: &str) -> Option<Duration> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number holds is still only a long wait.
    Some(digits.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST))
}

/// One of the three forms: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`,
/// `Sun Nov  6 08:49:37 1994`. The name of the day is not checked.
fn http_date(text: &str, now: Timestamp) -> Option<Timestamp> {
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words[..] {
        [_, day, month, year, time, "GMT" | "UTC"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = 1 + MONTHS.iter().position(|name| *name == month)?;
    let date = civil::Date::new(full_year(year, now)?, i8::try_from(month).ok()?, day.parse().ok()?).ok()?;
    let mut parts = time.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    // A leap second is the second before it.
    let time = civil::Time::new(hour, minute, second.min(if second == 60 { 59 } else { second }), 0).ok()?;
    if parts.next().is_some() {
        return None;
    }
    // Only the last days of the year 9999 are beyond all timestamps.
    Some(date.to_datetime(time).to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
}

/// RFC 9110, section 5.6.7: a year of two digits that seems more than 50 years ahead is in the past.
fn full_year(digits: &str, now: Timestamp) -> Option<i16> {
    let year: i16 = digits.parse().ok()?;
    if digits.len() != 2 {
        return Some(year);
    }
    let this = now.to_zoned(TimeZone::UTC).year();
    let year = this - this % 100 + year;
    Some(if year > this + 50 { year - 100 } else { year })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-21T12:00:00Z
    const NOW: u64 = 1_795_262_400;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn wait(values: &[&str], date: Option<&str>) -> Option<u64> {
        parse(values.iter().map(|value| value.as_bytes()), date.map(str::as_bytes), now()).map(|wait| wait.as_secs())
    }

    #[test]
    fn each_kind_of_value_gives_a_sane_wait() {
        for (values, expected) in [
            (&["7"][..], Some(7)),
            (&[" 7 "], Some(7)),
            (&["0"], Some(0)),
            (&["3600"], Some(3600)),
            (&["3601"], Some(3600)),
            (&["1000000000"], Some(3600)),
            (&["99999999999999999999999999"], Some(3600)),
            (&["-5"], None),
            (&["+5"], None),
            (&["1.5"], None),
            (&["1e9"], None),
            (&["soon"], None),
            (&[""], None),
            (&[], None),
            (&["5", "9"], Some(9)),
            (&["9", "5"], Some(9)),
            (&["garbage", "5"], Some(5)),
            (&["5, 10"], Some(10)),
            (&["Sat, 21 Nov 2026 12:00:07 GMT"], Some(7)),
            (&["Saturday, 21-Nov-26 12:00:07 GMT"], Some(7)),
            (&["Sat Nov 21 12:00:07 2026"], Some(7)),
            (&["Tue Dec  1 12:00:07 2026"], Some(3600)),
            (&["Fri, 31 Dec 9999 23:59:59 GMT"], Some(3600)),
            (&["Sat, 21 Nov 2026 11:59:53 GMT"], Some(0)),
            (&["Sunday, 06-Nov-94 08:49:37 GMT"], Some(0)),
            (&["Sat, 21 Nov 2026 12:00:60 GMT"], Some(59)),
            (&["Sat, 31 Feb 2026 12:00:00 GMT"], None),
            (&["Sat, 21 Foo 2026 12:00:00 GMT"], None),
            (&["Sat, 21 Nov 2026 25:00:00 GMT"], None),
            (&["Sat, 21 Nov 2026 12:00 GMT"], None),
            (&["Sat, 21 Nov 2026 12:00:07 PST"], None),
        ] {
            assert_eq!(wait(values, None), expected, "{values:?}");
        }
    }

    #[test]
    fn a_date_counts_from_the_receivers_own_clock() {
        let date = Some("Sat, 21 Nov 2026 11:00:00 GMT");
        assert_eq!(wait(&["Sat, 21 Nov 2026 11:00:07 GMT"], date), Some(7));
        assert_eq!(wait(&["7"], date), Some(7));
        assert_eq!(wait(&["Sat, 21 Nov 2026 12:00:07 GMT"], Some("garbage")), Some(7));
    }

    proptest! {
        #[test]
        fn no_text_panics_or_makes_us_wait_beyond_an_hour(value: Vec<u8>, date: Vec<u8>) {
            let wait = parse([value.as_slice()].into_iter(), Some(&date), now());
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST));
        }

        #[test]
        fn no_date_like_text_panics(value in "[A-Z][a-z]{2},? [0-9A-Za-z -]{2,12} [0-9:]{1,9}( GMT| [0-9]{1,5})") {
            let wait = parse([value.as_bytes()].into_iter(), None, now());
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST));
        }
    }
}
