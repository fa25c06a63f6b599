//! Durations (`500ms`, `5s`, `2m`, `1h`, `1d`) and sizes (`64KiB`, `1MB`, or a number of bytes).
//!
//! A decimal is taken where it has a unit: `1.5s`, `0.5MiB`. Nothing is guessed: a duration needs its unit, and units
//! are written as here, letter for letter.

use std::time::Duration;

/// No duration of the configuration may be longer: deadlines are added to clocks, which must not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// More decimals than these say nothing that could be kept.
const DECIMALS: usize = 9;
const SCALE: u128 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("is no duration: write a number and its unit, such as 500ms, 5s, 1.5s, 2m, 1h or 1d")]
    NoDuration,
    #[error("has no unit: write 500ms, 5s, 2m, 1h or 1d")]
    NoUnit,
    #[error("is longer than 365d")]
    TooLong,
    #[error("is no size: write 64KiB, 1MB, 1.5MiB (B, kB, MB, GB, KiB, MiB, GiB) or a number of bytes")]
    NoSize,
    #[error("is larger than can be counted")]
    TooLarge,
}

/// A length of time, at most 365 days.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::NoDuration)?;
    let nanoseconds: u128 = match unit {
        "ms" => 1_000_000,
        "s" => SCALE,
        "m" => 60 * SCALE,
        "h" => 3_600 * SCALE,
        "d" => 86_400 * SCALE,
        "" => return Err(UnitError::NoUnit),
        _ => return Err(UnitError::NoDuration),
    };
    let total = times(number, nanoseconds).ok_or(UnitError::NoDuration)?;
    if total > LONGEST.as_nanos() {
        return Err(UnitError::TooLong);
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| UnitError::TooLong)
}

/// A number of bytes; `1MB` is a million, `1MiB` is 2^20. What is less than a byte is cut off.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::NoSize)?;
    let bytes: u128 = match unit {
        "" | "B" if number.contains('.') => return Err(UnitError::NoSize),
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(UnitError::NoSize),
    };
    let total = times(number, bytes).ok_or(UnitError::NoSize)?;
    u64::try_from(total).map_err(|_| UnitError::TooLarge)
}

/// A number of bytes as it would be written: in the largest unit that keeps it whole.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1 << 30, "GiB"),
        (1_000_000_000, "GB"),
        (1 << 20, "MiB"),
        (1_000_000, "MB"),
        (1 << 10, "KiB"),
        (1_000, "kB"),
    ];
    let whole = UNITS.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// `1.5MiB` → `1.5` and `MiB`; `None` where it does not begin with a digit.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    number.starts_with(|c: char| c.is_ascii_digit()).then_some((number, unit))
}

/// A decimal number times a unit. What is too large to be counted becomes the largest number there is.
fn times(number: &str, unit: u128) -> Option<u128> {
    let (whole, decimals) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, decimals)) => (whole, decimals),
        None => (number, ""),
    };
    if decimals.len() > DECIMALS || decimals.contains('.') {
        return None;
    }
    let whole = whole.parse::<u128>().unwrap_or(u128::MAX);
    let fraction = format!("{decimals:0<DECIMALS$}").parse::<u128>().ok()?;
    Some(whole.saturating_mul(unit).saturating_add(fraction * unit / SCALE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("5s", 5_000), ("1.5s", 1_500), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("0.25m"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("365d"), Ok(LONGEST));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "s", "-1s", "+1s", "1 s", "1S", "1m30s", "1.s", ".5s", "1.2.3s", "1e3s", "five", "1.0000000001s"]
        {
            assert_eq!(duration(text), Err(UnitError::NoDuration), "{text}");
        }
        assert_eq!(duration("5"), Err(UnitError::NoUnit));
        for text in ["366d", "999999999999999999999999999999999999999999d"] {
            assert_eq!(duration(text), Err(UnitError::TooLong), "{text}");
        }
    }

    #[test]
    fn sizes_are_decimal_or_binary_and_a_bare_number_is_bytes() {
        for (text, bytes) in [
            ("64KiB", 65_536),
            ("1MB", 1_000_000),
            ("1MiB", 1_048_576),
            ("1.5MiB", 1_572_864),
            ("1GB", 1_000_000_000),
            ("2GiB", 2 << 30),
            ("3kB", 3_000),
            ("3KB", 3_000),
            ("7B", 7),
            ("1024", 1_024),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_would_be_written() {
        for text in ["64KiB", "1MB", "1MiB", "5GB", "2GiB", "3kB", "1001B", "0B"] {
            assert_eq!(size_text(size(text).unwrap_or(u64::MAX)), text);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MB", "1mb", "1Mb", "1M", "-1", "1.5", "1.5B", "1 MB", "0x10"] {
            assert_eq!(size(text), Err(UnitError::NoSize), "{text}");
        }
        assert_eq!(size("99999999999999999999GiB"), Err(UnitError::TooLarge));
    }
}
