//! WebTransport application error codes within the HTTP/3 error space (draft-ietf-webtrans-http3-16, section 4.4).

/// HTTP/3 error code of application error 0 (draft-ietf-webtrans-http3-16, section 4.4).
pub const FIRST: u64 = 0x52e4_a40f_a8db;

/// HTTP/3 error code of application error 2^32-1 (draft-ietf-webtrans-http3-16, section 4.4).
pub const LAST: u64 = 0x52e5_ac98_3162;

/// Number of application codes between two reserved points of the HTTP/3 error space.
const RUN: u64 = 0x1e;

/// Maps an application error code to its HTTP/3 error code (draft-ietf-webtrans-http3-16, section 4.4).
pub const fn to_http3(code: u32) -> u64 {
    let code = code as u64;
    FIRST + code + code / RUN
}

/// Maps an HTTP/3 error code back to the application error code (draft-ietf-webtrans-http3-16, section 4.4).
///
/// `None` outside [`FIRST`] to [`LAST`], and on the reserved points `0x1f * N + 0x21` between them
/// (RFC 9114, section 8.1).
pub const fn from_http3(code: u64) -> Option<u32> {
    if code < FIRST || code > LAST || (code - 0x21).is_multiple_of(RUN + 1) {
        return None;
    }
    let offset = code - FIRST;
    Some((offset - offset / (RUN + 1)) as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_are_exact() {
        assert_eq!(to_http3(0), FIRST);
        assert_eq!(to_http3(u32::MAX), LAST);
        assert_eq!(from_http3(FIRST), Some(0));
        assert_eq!(from_http3(LAST), Some(u32::MAX));
        for code in [0, FIRST - 1, LAST + 1, u64::MAX] {
            assert_eq!(from_http3(code), None);
        }
    }

    #[test]
    fn codes_all_over_the_range_go_both_ways() {
        // A prime step of 431 makes about ten million codes and meets every remainder of the run length.
        for code in (0..=u32::MAX).step_by(431) {
            let http3 = to_http3(code);
            assert!((FIRST..=LAST).contains(&http3));
            assert_ne!((http3 - 0x21) % 0x1f, 0);
            assert_eq!(from_http3(http3), Some(code));
        }
    }

    #[test]
    fn reserved_points_have_no_code() {
        let first = FIRST.next_multiple_of(0x1f) - 0x1f + 0x21 % 0x1f;
        let mut points = 0;
        let mut offset = 0;
        while first + offset <= LAST {
            let point = first + offset;
            if point >= FIRST {
                assert_eq!((point - 0x21) % 0x1f, 0);
                assert_eq!(from_http3(point), None);
                points += 1;
            }
            offset += 0x1f * 1009;
        }
        assert!(points > 100_000);
    }

    #[test]
    fn neighbours_are_in_order() {
        let mut next = 0;
        for http3 in FIRST..FIRST + 100_000 {
            match from_http3(http3) {
                Some(code) => {
                    assert_eq!(code, next);
                    next += 1;
                }
                None => assert_eq!((http3 - 0x21) % 0x1f, 0),
            }
        }
    }

    /// Walks the whole range once: the codes come one after the other, and the only gaps are the reserved points.
    #[test]
    #[cfg_attr(debug_assertions, ignore = "minutes without optimisation; tests/run runs it with it")]
    fn all_codes_both_ways() {
        let mut to_reserved = (0x1f - (FIRST - 0x21) % 0x1f) % 0x1f;
        let mut next = 0_u64;
        for http3 in FIRST..=LAST {
            if to_reserved == 0 {
                assert_eq!(from_http3(http3), None);
                to_reserved = 0x1e;
                continue;
            }
            to_reserved -= 1;
            assert_eq!((from_http3(http3), to_http3(next as u32)), (Some(next as u32), http3));
            next += 1;
        }
        assert_eq!(next, 1 << 32);
    }

    proptest! {
        #[test]
        fn round_trip(code: u32, http3 in FIRST - 50..=LAST + 50) {
            prop_assert_eq!(from_http3(to_http3(code)), Some(code));
            if let Some(code) = from_http3(http3) {
                prop_assert_eq!(to_http3(code), http3);
            }
        }
    }
}
