//! Until when a certificate is valid. Pure.
//!
//! Whether it is a good one is for rustls to say.

use std::time::SystemTime;
use x509_cert::{Certificate, der::Decode};

/// `notAfter` of a certificate in DER; `None` where it can't be read.
pub(crate) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_system_time())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use std::time::{Duration, UNIX_EPOCH};

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
