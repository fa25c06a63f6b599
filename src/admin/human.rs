//! Sizes and times as a human reads them, at most a few characters wide.

/// `999 B`, `1.5 KB`, `12 MB`: powers of 1000, as the configuration's `MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // What would be rounded to 1000 belongs to the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(value < 9.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// `45s`, `3m 20s`, `5h 10m`, `12d 3h`.
pub fn seconds(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        (_, _, _) => format!("{days}d {}h", hours % 24),
    }
}

/// `1 234 567`: thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_into_the_unit_that_fits() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KB"),
            (9949, "9.9 KB"),
            (9960, "10 KB"),
            (999_499, "999 KB"),
            (999_500, "1.0 MB"),
            (12_345_678, "12 MB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn times_have_their_two_largest_units() {
        for (time, text) in [(59, "59s"), (200, "3m 20s"), (3600, "1h 0m"), (86_400 * 12 + 3 * 3600, "12d 3h")] {
            assert_eq!(seconds(time), text);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!((count(0).as_str(), count(999).as_str()), ("0", "999"));
        assert_eq!((count(1000).as_str(), count(1_234_567).as_str()), ("1 000", "1 234 567"));
    }
}
