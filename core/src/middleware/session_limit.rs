//! How many sessions may be open at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;

use super::address::{AddressKey, IPV6_PREFIX};
use super::{Arrival, Decision, Middleware, Permit, Rejection};

/// Limits how many sessions are open at a time: in all, of one address, or on one route.
///
/// A session counts from the moment this middleware lets it pass until it is over, refused by others, or given up. What is
/// above the limit of an address is refused with 429, all else with 503. Clones share the count.
///
/// # Examples
///
/// ```
/// use transom_core::middleware::{SessionLimit, Stack};
///
/// let mut stack = Stack::default();
/// stack.push(SessionLimit::total(50_000));
/// stack.push(SessionLimit::per_address(100));
/// ```
#[derive(Debug, Clone)]
pub struct SessionLimit {
    limit: usize,
    by: By,
    ipv6_prefix: u8,
    open: Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    All,
    Address,
    Route,
}

/// Who shares a count. There are never more keys than open sessions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    All,
    Address(AddressKey),
    Route(String),
}

type Open = Arc<Mutex<BTreeMap<Key, usize>>>;

/// One session in the count.
struct Counted {
    open: Open,
    key: Key,
}

impl SessionLimit {
    /// So many sessions in all.
    pub fn total(limit: usize) -> Self {
        Self::new(limit, By::All)
    }

    /// So many sessions from one IPv4 address or one /64 of IPv6.
    pub fn per_address(limit: usize) -> Self {
        Self::new(limit, By::Address)
    }

    /// So many sessions on each route, that is, on all paths of one pattern.
    pub fn per_route(limit: usize) -> Self {
        Self::new(limit, By::Route)
    }

    fn new(limit: usize, by: By) -> Self {
        Self { limit, by, ipv6_prefix: IPV6_PREFIX, open: Open::default() }
    }

    /// Counts IPv6 addresses by so many of their first bits.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.ipv6_prefix = bits;
        self
    }

    /// Sessions counted now.
    pub fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<Key> {
        match self.by {
            By::All => Some(Key::All),
            By::Address => Some(Key::Address(AddressKey::new(arrival.request.remote_address().ip(), self.ipv6_prefix))),
            // What has no route becomes no session.
            By::Route => arrival.route.map(|route| Key::Route(route.to_owned())),
        }
    }
}

impl Middleware for SessionLimit {
    fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        let Some(key) = self.key(arrival) else { return Decision::Continue };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&key).copied().unwrap_or_default();
        if count >= self.limit {
            let status = match self.by {
                By::Address => StatusCode::TOO_MANY_REQUESTS,
                By::All | By::Route => StatusCode::SERVICE_UNAVAILABLE,
            };
            return Decision::Reject(Rejection::new(status));
        }
        open.insert(key.clone(), count + 1);
        Decision::Hold(Permit::new(Counted { open: Arc::clone(&self.open), key }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::Request;

    fn ask(limit: &SessionLimit, address: &str, route: Option<&str>) -> Result<Option<Permit>, u16> {
        let mut request = Request::new("h", "/");
        request.remote.set_ip(address.parse().expect("an address"));
        #[expect(clippy::disallowed_methods, reason = "nobody asked here looks at the time")]
        let now = Instant::now();
        match limit.decide(&Arrival::new(&request, route, now)) {
            Decision::Continue => Ok(None),
            Decision::Hold(permit) => Ok(Some(permit)),
            Decision::Reject(rejection) => Err(rejection.status.as_u16()),
        }
    }

    #[test]
    fn each_limit_has_its_key_and_its_status() {
        let all = SessionLimit::total(1);
        let first = ask(&all, "192.0.2.1", None).expect("room");
        assert_eq!(ask(&all, "192.0.2.2", Some("/x")), Err(503));
        drop(first);
        assert!(ask(&all, "192.0.2.2", None).is_ok());

        let address = SessionLimit::per_address(1);
        let first = ask(&address, "192.0.2.1", None).expect("room");
        assert_eq!(ask(&address, "::ffff:192.0.2.1", None), Err(429), "the same address");
        let second = ask(&address, "2001:db8::1", None).expect("another address");
        assert_eq!(ask(&address, "2001:db8::2", None), Err(429), "the same network");
        assert_eq!((address.open(), first.is_some() && second.is_some()), (2, true));
        let narrow = SessionLimit::per_address(1).ipv6_prefix(128);
        let _first = ask(&narrow, "2001:db8::1", None).expect("room");
        assert!(ask(&narrow, "2001:db8::2", None).is_ok());

        let route = SessionLimit::per_route(1);
        let _first = ask(&route, "192.0.2.1", Some("/a")).expect("room");
        assert_eq!(ask(&route, "192.0.2.2", Some("/a")), Err(503));
        assert!(ask(&route, "192.0.2.1", Some("/b")).is_ok());
        assert_eq!(ask(&route, "192.0.2.1", None), Ok(None), "it will be refused anyway");
        assert_eq!(ask(&SessionLimit::total(0), "192.0.2.1", None), Err(503));
    }

    proptest! {
        /// Sessions of three addresses come and go in any order.
        #[test]
        fn what_is_over_counts_no_more(limit in 0_usize..4, steps in prop::collection::vec((0_usize..3, any::<bool>()), 0..100)) {
            let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
            let sessions = SessionLimit::per_address(limit);
            let mut open: [Vec<Permit>; 3] = Default::default();
            for (who, comes) in steps {
                if comes {
                    let answer = ask(&sessions, addresses[who], None);
                    prop_assert_eq!(answer.is_ok(), open[who].len() < limit);
                    open[who].extend(answer.ok().flatten());
                } else {
                    open[who].pop();
                }
                prop_assert_eq!(sessions.open(), open.iter().map(Vec::len).sum::<usize>());
            }
            drop(open);
            prop_assert!(sessions.open.lock().expect("no panics").is_empty());
        }
    }
}
