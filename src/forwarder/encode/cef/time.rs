//! An event's time as CEF has it.

/// An instant, and whether its text said no more than milliseconds do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// Since 1970.
    pub millis: i64,
    pub exact: bool,
}

impl Time {
    /// RFC 3339 with its offset, or 10 digits of seconds or 13 of milliseconds since 1970.
    pub(super) fn parse(text: &str) -> Option<Time> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let scale = match text.len() {
                10 => 1000,
                13 => 1,
                _ => return None,
            };
            return Some(Time { millis: text.parse::<i64>().ok()? * scale, exact: true });
        }
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Time { millis: time.as_millisecond(), exact: time.subsec_nanosecond() % 1_000_000 == 0 })
    }

    /// The second it is in, as `2026-08-19T08:15:02Z`.
    pub(super) fn seconds(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_second(self.millis.div_euclid(1000)).ok()
    }
}
