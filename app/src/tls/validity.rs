//! From when to when a certificate is valid (RFC 5280, section 4.1): the one thing of it that TLS libraries keep to
//! themselves.

use std::time::{Duration, SystemTime};

/// Both times, or `None` where the certificate has another form or times before 1970.
pub(super) fn of(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let mut outer = Der(certificate);
    let mut signed = Der(outer.element(SEQUENCE)?);
    let mut fields = Der(signed.element(SEQUENCE)?);
    if fields.next_is(EXPLICIT_VERSION) {
        fields.element(EXPLICIT_VERSION)?;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        fields.element(tag)?;
    }
    let mut times = Der(fields.element(SEQUENCE)?);
    Some((times.time()?, times.time()?))
}

/// What is left of some DER.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next_is(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// Takes the content of the next element, if it has this tag.
    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if length >= 0x80 {
            let bytes = rest.split_at_checked(length - 0x80)?;
            if bytes.0.len() > 4 {
                return None;
            }
            length = bytes.0.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = bytes.1;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*found == tag).then_some(content)
    }

    fn time(&mut self) -> Option<SystemTime> {
        if self.next_is(UTC_TIME) {
            let text = self.element(UTC_TIME)?;
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            // Two digits mean 1950 to 2049.
            return seconds(if year < 50 { 2000 + year } else { 1900 + year }, rest);
        }
        let text = self.element(GENERALIZED_TIME)?;
        let (year, rest) = text.split_at_checked(4)?;
        seconds(number(year)?, rest)
    }
}

/// A time from its year and the digits `MMDDhhmmssZ`.
fn seconds(year: u64, rest: &[u8]) -> Option<SystemTime> {
    let rest = rest.strip_suffix(b"Z").filter(|digits| digits.len() == 10)?;
    let mut parts = rest.chunks(2).map(number);
    let mut part = || parts.next().flatten();
    let (month, day, hour, minute, second) = (part()?, part()?, part()?, part()?, part()?);
    let possible = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if year < 1970 || !possible {
        return None;
    }
    // Days before the first of March of a year that begins with it, so that leap days come last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - DAYS_TO_1970;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(time: Option<SystemTime>) -> Option<u64> {
        Some(time?.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn known_times() {
        assert_eq!(unix(seconds(1970, b"0101000000Z")), Some(0));
        assert_eq!(unix(seconds(2000, b"0229120000Z")), Some(951_825_600));
        assert_eq!(unix(seconds(2026, b"1121090307Z")), Some(1_795_251_787));
        assert_eq!(unix(seconds(9999, b"1231235959Z")), Some(253_402_300_799));
    }

    #[test]
    fn what_is_no_time() {
        for text in ["1301000000Z", "0100000000Z", "010100000Z", "0101000000", "01010000xxZ", "0101240000Z", ""] {
            assert_eq!(seconds(2000, text.as_bytes()), None, "{text}");
        }
        assert_eq!(seconds(1969, b"0101000000Z"), None);
    }

    #[test]
    fn a_damaged_certificate_has_none() {
        let whole = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap().cert.der().to_vec();
        assert!(of(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(of(&whole[..length]), None, "cut to {length} bytes");
        }
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 0xff;
            let _ = of(&damaged);
        }
    }
}
