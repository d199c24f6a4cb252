//! How often one address may ask for a session.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode, header};

use super::address::{AddressKey, IPV6_PREFIX};
use super::recent::Recent;
use super::{Arrival, Decision, Middleware, Rejection};

/// Limits requests for sessions by the address they come from, and refuses others with 429 and a `retry-after`.
///
/// The address is that of the QUIC connection; header fields that name another are not believed. IPv4 addresses count
/// one by one, also where a socket shows them as IPv6; IPv6 addresses by their /64, since a subscriber has at least that.
/// Requests that are refused are not counted.
///
/// At most 65,536 addresses are remembered, in less than 8 MiB, whoever asks. When there are more, the one that was silent
/// for longest is forgotten, and nobody else: one that is refused and goes on asking is not silent. Clones share the
/// table.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use transom_core::middleware::RateLimit;
///
/// // At most 20 in any minute.
/// let strict = RateLimit::sliding_window(20, Duration::from_secs(60));
/// // 20 at once, and then one every three seconds.
/// let smooth = RateLimit::token_bucket(20, Duration::from_secs(3));
/// ```
#[derive(Debug, Clone)]
pub struct RateLimit {
    rule: Rule,
    ipv6_prefix: u8,
    table: Arc<Mutex<Table>>,
}

/// Times are nanoseconds.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Fixed { limit: u16, window: u64 },
    Sliding { limit: u16, slice: u64 },
    Bucket { capacity: u64, refill: u64 },
}

#[derive(Debug)]
struct Table {
    /// The first time seen, from which all others are counted.
    epoch: Option<Instant>,
    recent: Recent<Spent>,
}

/// What an address has used.
#[derive(Debug, Clone, Copy)]
struct Spent {
    /// Fixed: when the window began. Sliding: the number of the newest slice. Bucket: when it will be full.
    at: u64,
    /// Requests let pass, the newest slice first; a fixed window has one count, a bucket none.
    counts: [u16; SLICES + 1],
}

impl RateLimit {
    /// At most `limit` requests from one address in any `window`, the same as [`sliding_window`](Self::sliding_window).
    ///
    /// # Panics
    ///
    /// When the window is zero.
    #[track_caller]
    pub fn per_ip(limit: u16, window: Duration) -> Self {
        Self::sliding_window(limit, window)
    }

    /// At most `limit` requests from one address in a window, which begins with its first request.
    ///
    /// Cheap and easily explained; at the border between two windows twice as many may come at once.
    ///
    /// # Panics
    ///
    /// When the window is zero.
    #[track_caller]
    pub fn fixed_window(limit: u16, window: Duration) -> Self {
        Self::new(Rule::Fixed { limit, window: nanoseconds(window) })
    }

    /// At most `limit` requests from one address in any interval of the length of `window`.
    ///
    /// Time is cut into eighths of the window; a request is forgotten between 1 and 1⅛ windows after it.
    ///
    /// # Panics
    ///
    /// When the window is zero.
    #[track_caller]
    pub fn sliding_window(limit: u16, window: Duration) -> Self {
        Self::new(Rule::Sliding { limit, slice: nanoseconds(window).div_ceil(SLICES as u64) })
    }

    /// `burst` requests from one address at once, and one more after each `refill`.
    ///
    /// # Panics
    ///
    /// When `refill` is zero.
    #[track_caller]
    pub fn token_bucket(burst: u16, refill: Duration) -> Self {
        // A bucket takes at most 146 years to fill, so that no sum overflows.
        let refill = nanoseconds(refill).min(u64::MAX / 2 / (u64::from(burst) + 1));
        Self::new(Rule::Bucket { capacity: refill * u64::from(burst), refill })
    }

    fn new(rule: Rule) -> Self {
        Self { rule, ipv6_prefix: IPV6_PREFIX, table: Table::new(MAX_ADDRESSES) }
    }

    /// Remembers so many addresses, at least one; each costs about 110 bytes.
    pub fn max_addresses(mut self, addresses: u32) -> Self {
        self.table = Table::new(addresses);
        self
    }

    /// Counts IPv6 addresses by so many of their first bits: 56 or 48 where subscribers have larger networks.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.ipv6_prefix = bits;
        self
    }

    /// How many addresses are remembered now.
    pub fn addresses(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).recent.len()
    }

    /// Counts a request, or says how long to wait.
    fn take(&self, arrival: &Arrival<'_>) -> Result<(), Duration> {
        let key = AddressKey::new(arrival.request.remote_address().ip(), self.ipv6_prefix);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = *table.epoch.get_or_insert(arrival.now);
        let now = duration_nanoseconds(arrival.now.saturating_duration_since(epoch));
        let spent = table.recent.touch(key, || self.rule.fresh(now));
        spent.map_or(Ok(()), |spent| self.rule.take(spent, now)).map_err(Duration::from_nanos)
    }
}

impl Middleware for RateLimit {
    fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        let Err(wait) = self.take(arrival) else { return Decision::Continue };
        // Whole seconds (RFC 9110, section 10.2.3), and never so few that it is too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let rejection = Rejection::new(StatusCode::TOO_MANY_REQUESTS);
        Decision::Reject(rejection.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1))))
    }
}

impl Rule {
    fn fresh(self, now: u64) -> Spent {
        let at = if let Self::Sliding { slice, .. } = self { now / slice } else { now };
        Spent { at, counts: [0; SLICES + 1] }
    }

    /// Takes one, or says how many nanoseconds to wait for it.
    fn take(self, spent: &mut Spent, now: u64) -> Result<(), u64> {
        match self {
            Self::Fixed { limit, window } => {
                if now.saturating_sub(spent.at) >= window {
                    *spent = self.fresh(now);
                }
                let wait = spent.at.saturating_add(window).saturating_sub(now);
                spent.count_below(limit, wait)
            }
            Self::Sliding { limit, slice } => {
                let newest = now / slice;
                spent.shift(newest.saturating_sub(spent.at));
                let last = spent.last_slice_needed(limit);
                let end = spent.at.saturating_add(last).saturating_mul(slice);
                spent.count_below(limit, end.saturating_sub(now))
            }
            Self::Bucket { capacity, refill } => {
                let full = spent.at.max(now).saturating_add(refill);
                let wait = full.saturating_sub(now.saturating_add(capacity));
                if wait > 0 {
                    return Err(wait);
                }
                spent.at = full;
                Ok(())
            }
        }
    }
}

impl Spent {
    fn count_below(&mut self, limit: u16, wait: u64) -> Result<(), u64> {
        let sum: u32 = self.counts.iter().copied().map(u32::from).sum();
        if sum >= u32::from(limit) {
            return Err(wait);
        }
        let [newest, ..] = &mut self.counts;
        *newest += 1;
        Ok(())
    }

    /// So many slices have begun since.
    fn shift(&mut self, slices: u64) {
        self.at += slices;
        let slices = usize::try_from(slices).unwrap_or(usize::MAX).min(self.counts.len());
        self.counts.rotate_right(slices);
        for count in self.counts.iter_mut().take(slices) {
            *count = 0;
        }
    }

    /// How many slices on from the newest enough will be forgotten for one more.
    fn last_slice_needed(&self, limit: u16) -> u64 {
        let mut sum: u32 = self.counts.iter().copied().map(u32::from).sum();
        for (ahead, count) in (1..).zip(self.counts.iter().rev()) {
            sum -= u32::from(*count);
            if sum < u32::from(limit) {
                return ahead;
            }
        }
        SLICES as u64 + 1
    }
}

impl Table {
    fn new(addresses: u32) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { epoch: None, recent: Recent::new(addresses) }))
    }
}

/// More than five centuries count as that.
fn duration_nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[track_caller]
fn nanoseconds(duration: Duration) -> u64 {
    assert!(!duration.is_zero(), "a rate limit needs a time that is not zero");
    duration_nanoseconds(duration)
}

/// Parts of a sliding window.
const SLICES: usize = 8;

/// Addresses remembered unless told otherwise.
const MAX_ADDRESSES: u32 = 65_536;

#[cfg(test)]
mod tests;
