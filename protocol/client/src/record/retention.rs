//! After how long messages disappear, as people write it.

use crate::problem::Problem;

/// Longest time after which messages disappear, in seconds: a leap year.
pub const RETENTION_S_MAX: u64 = 366 * 24 * 60 * 60;

const UNITS: [(&str, &str, u64); 5] = [
    ("w", "week", 7 * 24 * 60 * 60),
    ("d", "day", 24 * 60 * 60),
    ("h", "hour", 60 * 60),
    ("m", "minute", 60),
    ("s", "second", 1),
];

/// Reads `30s`, `15m`, `8h`, `7d`, `2w`, or `off`, which is 0: seconds.
///
/// # Errors
/// [`Problem::Usage`] for anything else, 0, and more than [`RETENTION_S_MAX`].
pub fn retention(text: &str) -> Result<u64, Problem> {
    if text == "off" {
        return Ok(0);
    }
    let seconds = UNITS.iter().find_map(|(unit, _, seconds)| {
        let number = text.strip_suffix(unit)?.parse::<u64>().ok()?;
        number.checked_mul(*seconds)
    });
    seconds.filter(|seconds| (1..=RETENTION_S_MAX).contains(seconds)).ok_or_else(|| {
        Problem::Usage(format!(
            "\"{}\" is no time: write a number with s, m, h, d or w behind it, as in 30m or 7d, at most 366d; or off",
            text.escape_debug()
        ))
    })
}

/// `7 days`, `90 minutes`: in the largest unit that leaves nothing over.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let whole = |(_, _, unit): &&(&str, &str, u64)| seconds.is_multiple_of(*unit) && seconds > 0;
    // Two weeks are two weeks, seven days are seven days.
    let (_, name, unit) = UNITS
        .iter()
        .find(|unit| whole(unit) && seconds / unit.2 > 1)
        .or_else(|| UNITS.iter().find(whole))
        .unwrap_or(&UNITS[UNITS.len() - 1]);
    let number = seconds / unit;
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {name}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        for (text, seconds) in [
            ("off", 0),
            ("30s", 30),
            ("15m", 900),
            ("8h", 28_800),
            ("7d", 604_800),
            ("2w", 1_209_600),
        ] {
            assert_eq!(retention(text).unwrap(), seconds, "{text}");
        }
        for text in ["", "7", "d", "0d", "-1d", "1.5h", "7 d", "7y", "18446744073709551615w"] {
            assert_eq!(retention(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn a_year_is_the_longest() {
        assert_eq!(retention("366d").unwrap(), RETENTION_S_MAX);
        assert!(retention(&format!("{}s", RETENTION_S_MAX + 1)).is_err());
    }

    #[test]
    fn times_are_shown_in_whole_units() {
        for (seconds, text) in [
            (604_800, "7 days"),
            (1, "1 second"),
            (5_400, "90 minutes"),
            (1_209_600, "2 weeks"),
            (3_601, "3601 seconds"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
