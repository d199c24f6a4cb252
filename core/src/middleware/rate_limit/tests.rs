use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::Request;
use crate::fuzzing::start;

/// Asks at so many milliseconds; the seconds to wait when refused.
fn ask(limit: &RateLimit, address: impl Into<IpAddr>, milliseconds: u64) -> Result<(), u64> {
    let mut request = Request::new("h", "/");
    request.remote.set_ip(address.into());
    let now = start() + Duration::from_millis(milliseconds);
    match limit.decide(&Arrival::new(&request, None, now)) {
        Decision::Continue => Ok(()),
        Decision::Reject(rejection) => {
            assert_eq!(rejection.status, StatusCode::TOO_MANY_REQUESTS);
            let wait = rejection.headers.get(header::RETRY_AFTER).expect("how long to wait");
            Err(wait.to_str().expect("text").parse().expect("seconds"))
        }
        Decision::Hold(_) => unreachable!("there is nothing to give back"),
    }
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_fixed_window_begins_with_the_first_request() {
    let limit = RateLimit::fixed_window(2, 10 * SECOND);
    assert_eq!(ask(&limit, CLIENT, 7_000), Ok(()));
    assert_eq!(ask(&limit, CLIENT, 16_900), Ok(()));
    assert_eq!(ask(&limit, CLIENT, 16_999), Err(1));
    assert_eq!(ask(&limit, CLIENT, 17_000), Ok(()));
    assert_eq!(ask(&limit, CLIENT, 17_000), Ok(()));
    assert_eq!(ask(&limit, CLIENT, 17_000), Err(10));
}

#[test]
fn a_sliding_window_forgets_bit_by_bit() {
    let limit = RateLimit::per_ip(3, 8 * SECOND);
    for at in [0, 3_500, 7_900] {
        assert_eq!(ask(&limit, CLIENT, at), Ok(()), "{at}");
    }
    assert_eq!(ask(&limit, CLIENT, 7_900), Err(2), "the first is forgotten after 9 seconds");
    assert_eq!(ask(&limit, CLIENT, 9_000), Ok(()));
    assert_eq!(ask(&limit, CLIENT, 9_000), Err(3), "the second after 12");
    assert_eq!(ask(&limit, CLIENT, 12_000), Ok(()));
    for at in [50_000, 50_000, 50_000] {
        assert_eq!(ask(&limit, CLIENT, at), Ok(()));
    }
    assert_eq!(ask(&limit, CLIENT, 50_000), Err(9));
}

#[test]
fn a_bucket_fills_again() {
    let limit = RateLimit::token_bucket(2, 3 * SECOND);
    assert_eq!([0, 0, 0].map(|at| ask(&limit, CLIENT, at)), [Ok(()), Ok(()), Err(3)]);
    assert_eq!([2_999, 3_000, 3_000].map(|at| ask(&limit, CLIENT, at)), [Err(1), Ok(()), Err(3)]);
    assert_eq!([60_000, 60_000, 60_001].map(|at| ask(&limit, CLIENT, at)), [Ok(()), Ok(()), Err(3)]);
}

#[test]
fn nothing_is_also_a_limit() {
    let limits =
        [RateLimit::fixed_window(0, SECOND), RateLimit::per_ip(0, 8 * SECOND), RateLimit::token_bucket(0, SECOND)];
    for limit in limits {
        assert!((1..=9).contains(&ask(&limit, CLIENT, 5).expect_err("nobody may")), "{limit:?}");
    }
    for huge in [Duration::MAX, Duration::from_nanos(1)] {
        for limit in [RateLimit::fixed_window(1, huge), RateLimit::per_ip(1, huge), RateLimit::token_bucket(1, huge)] {
            assert_eq!(ask(&limit, CLIENT, u64::from(u32::MAX)), Ok(()));
            assert!(ask(&limit, CLIENT, 0).is_err(), "time does not go back: {limit:?}");
            let _ = ask(&limit, CLIENT, u64::from(u32::MAX) * 1000);
        }
    }
}

#[test]
#[should_panic(expected = "a time that is not zero")]
fn no_time_is_no_window() {
    let _ = RateLimit::per_ip(1, Duration::ZERO);
}

#[test]
fn addresses_are_those_of_subscribers() {
    let limit = RateLimit::per_ip(1, SECOND);
    assert_eq!(ask(&limit, CLIENT, 0), Ok(()));
    assert!(ask(&limit, CLIENT.to_ipv6_mapped(), 0).is_err());
    let network = |subnet, host| Ipv6Addr::new(0x2001, 0xdb8, 0, subnet, 0, 0, 0, host);
    assert_eq!(ask(&limit, network(1, 1), 0), Ok(()));
    assert!(ask(&limit, network(1, 2), 0).is_err());
    assert_eq!(ask(&limit, network(2, 1), 0), Ok(()));
    assert_eq!(limit.addresses(), 3);
    let wide = RateLimit::per_ip(1, SECOND).ipv6_prefix(48);
    assert_eq!(ask(&wide, network(1, 1), 0), Ok(()));
    assert!(ask(&wide.clone(), network(2, 1), 0).is_err(), "clones share the table");
}

#[test]
fn a_million_addresses_free_nobody_who_goes_on_asking() {
    let limit = RateLimit::fixed_window(1, 3600 * SECOND);
    assert_eq!(ask(&limit, CLIENT, 0), Ok(()));
    for number in 0..1_000_000_u32 {
        assert_eq!(ask(&limit, Ipv4Addr::from(0x0a00_0000 + number), 1), Ok(()));
        if number % 50_000 == 0 {
            assert!(ask(&limit, CLIENT, 1).is_err(), "after {number}");
        }
    }
    assert_eq!(limit.addresses(), MAX_ADDRESSES as usize);
    for number in 1_000_000 - MAX_ADDRESSES + 20..1_000_000 {
        assert!(ask(&limit, Ipv4Addr::from(0x0a00_0000 + number), 2).is_err(), "{number}");
    }
}

#[test]
fn few_addresses() {
    let limit = RateLimit::per_ip(1, SECOND).max_addresses(2);
    let [one, two, three] = [1, 2, 3].map(|last| Ipv4Addr::new(192, 0, 2, last));
    assert_eq!([one, two, three].map(|address| ask(&limit, address, 0)), [Ok(()); 3]);
    assert_eq!([two, three, one].map(|address| ask(&limit, address, 0).is_ok()), [false, false, true]);
    assert_eq!(limit.addresses(), 2);
}

/// Requests of three clients: who, and how many milliseconds after the one before.
fn requests() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0_usize..3, prop_oneof![0_u64..200, 0_u64..3_000]), 0..150)
}

/// The times of those let pass by client, and for each request its client, time and answer.
type History = Vec<(usize, u64, Result<(), u64>)>;

fn history(limit: &RateLimit, requests: &[(usize, u64)]) -> History {
    let mut now = 0;
    let one = |&(who, after): &(usize, u64)| {
        now += after;
        (who, now, ask(limit, Ipv4Addr::from(who as u32), now))
    };
    requests.iter().map(one).collect()
}

fn passed_since(history: &[(usize, u64, Result<(), u64>)], who: usize, since: u64) -> usize {
    history.iter().filter(|(client, at, answer)| *client == who && answer.is_ok() && *at >= since).count()
}

const WINDOW: u64 = 8_000;

proptest! {
    #[test]
    fn never_more_in_any_window(count in 1_u16..6, requests in requests()) {
        let history = history(&RateLimit::per_ip(count, Duration::from_millis(WINDOW)), &requests);
        for (index, (who, at, answer)) in history.iter().enumerate() {
            let before = &history[..index];
            if answer.is_ok() {
                let in_window = passed_since(before, *who, (at + 1).saturating_sub(WINDOW));
                prop_assert!(in_window < usize::from(count), "{:?}", history);
            } else {
                let remembered = passed_since(before, *who, at.saturating_sub(WINDOW * 9 / 8));
                prop_assert!(remembered >= usize::from(count), "{:?}", history);
            }
        }
    }

    #[test]
    fn fixed_windows_by_hand(count in 0_u16..6, requests in requests()) {
        let history = history(&RateLimit::fixed_window(count, Duration::from_millis(WINDOW)), &requests);
        let mut windows: [Option<(u64, u16)>; 3] = [None; 3];
        for (who, at, answer) in history {
            let window = windows[who].filter(|(begin, _)| at - begin < WINDOW);
            let (begin, used) = *windows[who].insert(window.unwrap_or((at, 0)));
            if used < count {
                windows[who] = Some((begin, used + 1));
                prop_assert_eq!(answer, Ok(()));
            } else {
                prop_assert_eq!(answer, Err((begin + WINDOW - at).div_ceil(1000)));
            }
        }
    }

    #[test]
    fn buckets_by_hand(burst in 1_u16..6, refill in 1_u64..3_000, requests in requests()) {
        let history = history(&RateLimit::token_bucket(burst, Duration::from_millis(refill)), &requests);
        let full = u64::from(burst) * refill;
        let mut buckets = [(full, 0); 3];
        for (who, at, answer) in history {
            let (level, seen) = buckets[who];
            let level = full.min(level + at - seen);
            buckets[who] = (if answer.is_ok() { level - refill.min(level) } else { level }, at);
            prop_assert_eq!(answer.is_ok(), level >= refill);
            if let Err(wait) = answer {
                prop_assert_eq!(wait, (refill - level).div_ceil(1000));
            }
        }
    }

    #[test]
    fn who_waits_as_told_gets_in(kind in 0_usize..3, count in 1_u16..6, requests in requests()) {
        let window = Duration::from_millis(WINDOW);
        let limit = match kind {
            0 => RateLimit::fixed_window(count, window),
            1 => RateLimit::sliding_window(count, window),
            _ => RateLimit::token_bucket(count, Duration::from_millis(1_300)),
        };
        let history = history(&limit, &requests);
        if let Some((who, at, Err(wait))) = history.last() {
            prop_assert_eq!(ask(&limit, Ipv4Addr::from(*who as u32), at + wait * 1000), Ok(()));
        }
    }
}
