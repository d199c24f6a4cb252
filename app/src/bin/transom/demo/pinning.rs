//! Whether browsers accept a certificate by its hash.
//!
//! They ask for an elliptic curve key and a validity of at most 14 days (W3C WebTransport, "custom certificate
//! requirements"). Only as much of the certificate is read as that takes.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Date, Month, OffsetDateTime};

/// Whether browsers accept the first certificate of a chain by its hash; false also for one that cannot be read.
pub(super) fn accepted_by_hash(pem: &str) -> bool {
    CertificateDer::from_pem_slice(pem.as_bytes()).is_ok_and(|der| is_accepted(&der).unwrap_or(false))
}

/// Reads RFC 5280, section 4.1.
fn is_accepted(der: &[u8]) -> Option<bool> {
    let (_, certificate, _) = element(der)?;
    let (_, body, _) = element(certificate)?;
    let (tag, _, after_version) = element(body)?;
    let rest = if tag == EXPLICIT_VERSION { after_version } else { body };
    let (_, _serial, rest) = element(rest)?;
    let (_, _signature, rest) = element(rest)?;
    let (_, _issuer, rest) = element(rest)?;
    let (_, validity, rest) = element(rest)?;
    let (_, _subject, rest) = element(rest)?;
    let (_, public_key, _) = element(rest)?;

    let (tag, not_before, rest) = element(validity)?;
    let not_before = instant(tag, not_before)?;
    let (tag, not_after, _) = element(rest)?;
    let not_after = instant(tag, not_after)?;
    let (_, algorithm, _) = element(public_key)?;
    let (_, algorithm, _) = element(algorithm)?;
    Some(algorithm == EC_PUBLIC_KEY && not_after - not_before <= LONGEST)
}

/// Tag, content and what follows of the first element in `der`.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], mut rest) = der.split_first_chunk::<2>()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (digits, after) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(digits, _)| digits.len() <= 4)?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A UTCTime (two digits of the year) or GeneralizedTime (four).
fn instant(tag: u8, text: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = text.split_at_checked(if tag == UTC_TIME { 2 } else { 4 })?;
    let year = match (tag, year.parse().ok()?) {
        (UTC_TIME, year @ 0..50) => year + 2000,
        (UTC_TIME, year) => year + 1900,
        (_, year) => year,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(number(0)?).ok()?, number(2)?).ok()?;
    Some(date.with_hms(number(4)?, number(6)?, number(8)?).ok()?.assume_utc())
}

const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
/// The object identifier 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const LONGEST: Duration = Duration::from_secs(14 * 24 * 3600);

#[cfg(test)]
mod tests {
    use transom::Tls;

    use super::*;

    #[test]
    fn short_lived_ones_are_accepted() {
        let accepted = |days| accepted_by_hash(&Tls::self_signed_for(["localhost"], days).unwrap().certificate_pem());
        assert!(accepted(13) && accepted(14));
        assert!(!accepted(15) && !accepted(90));
    }

    #[test]
    fn damaged_ones_are_not() {
        assert!(
            !accepted_by_hash("") && !accepted_by_hash("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----")
        );
        assert_eq!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(element(&[0x30, 0x03, 1]), None);
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let expected = Date::from_calendar_date(2026, Month::November, 21).unwrap().with_hms(3, 4, 5).unwrap();
        assert_eq!(instant(UTC_TIME, b"261121030405Z"), Some(expected.assume_utc()));
        assert_eq!(instant(0x18, b"20261121030405Z"), Some(expected.assume_utc()));
        assert_eq!(instant(UTC_TIME, b"2611"), None);
    }
}
