//! Until when a certificate is valid. Pure.
//!
//! Only so much of X.509 (RFC 5280 §4.1) as leads to `notAfter`; whether a
//! certificate is a good one is for rustls to say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

/// `notAfter` of a certificate in DER; `None` where it can't be found.
pub(crate) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let mut outer = Reader(certificate);
    let mut certificate = Reader(outer.take(SEQUENCE)?);
    let mut body = Reader(certificate.take(SEQUENCE)?);
    // Version 1 leaves the version away.
    let _ = body.take(EXPLICIT_VERSION);
    body.take(INTEGER)?;
    body.take(SEQUENCE)?; // signature
    body.take(SEQUENCE)?; // issuer
    let mut validity = Reader(body.take(SEQUENCE)?);
    validity.time()?;
    validity.time()
}

/// What is left of a DER value.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The contents of the next element, where it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        if found != tag {
            return None;
        }
        self.0 = rest;
        Some(contents)
    }

    fn time(&mut self) -> Option<SystemTime> {
        let (year_digits, text) = match self.take(UTC_TIME) {
            Some(text) => (2, text),
            None => (4, self.take(GENERALIZED_TIME)?),
        };
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        if text.len() != year_digits + 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = text.split_at(year_digits);
        let year: i64 = year.parse().ok()?;
        let year = match year_digits {
            4 => year,
            _ if year < 50 => 2000 + year,
            _ => 1900 + year,
        };
        let field = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
        let days = days_since_1970(year, field(0)?, field(2)?);
        let seconds = ((days * 24 + field(4)?) * 60 + field(6)?) * 60 + field(8)?;
        Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }
}

/// Days of the Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn valid_until(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(["chat.example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_found_in_both_forms_of_time() {
        for ((year, month, day), seconds) in [
            ((2024, 2, 29), 1_709_164_800),
            ((2031, 12, 31), 1_956_441_600),
            // From 2050 on the year has four digits.
            ((2055, 1, 1), 2_682_374_400),
        ] {
            let end = not_after(&valid_until(year, month, day)).unwrap();
            assert_eq!(end, UNIX_EPOCH + Duration::from_secs(seconds), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn what_is_cut_off_has_no_end() {
        let certificate = valid_until(2031, 12, 31);
        for cut in 0..certificate.len() {
            assert_eq!(not_after(&certificate[..cut]), None, "cut at {cut}");
        }
    }
}
