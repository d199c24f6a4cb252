//! Allowances that are used up and come back with time: of protocol oddities, of requests for a session. Each use is legal
//! or harmless alone, too many are an attack (RFC 9114, section 10.5).

use std::time::Instant;

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    burst: u64,
    refill_per_second: u64,
    /// In thousandths, so that slow refills do not round to nothing.
    left: u64,
    refilled: Option<Instant>,
}

impl Bucket {
    pub(crate) fn new(burst: u32, refill_per_second: u32) -> Self {
        let burst = u64::from(burst) * 1_000;
        Self { burst, refill_per_second: u64::from(refill_per_second), left: burst, refilled: None }
    }

    /// Takes this much; false, and empty, when there is not as much.
    pub(crate) fn spend(&mut self, now: Instant, cost: u32) -> bool {
        let since = self.refilled.map_or(0, |last| now.saturating_duration_since(last).as_millis());
        let refill = u64::try_from(since).unwrap_or(u64::MAX).saturating_mul(self.refill_per_second);
        self.left = self.left.saturating_add(refill).min(self.burst);
        self.refilled = Some(self.refilled.map_or(now, |last| last.max(now)));
        let cost = u64::from(cost) * 1_000;
        let enough = cost <= self.left;
        self.left = self.left.saturating_sub(cost);
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_burst_is_allowed_one_more_is_not_and_time_forgives() {
        #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 2);
        assert!((0..10).all(|_| bucket.spend(start, 1)));
        assert!(!bucket.spend(start, 1));
        assert!(!bucket.spend(start + Duration::from_millis(400), 1), "0.8 of a token");
        let later = start + Duration::from_millis(1_500);
        assert!(bucket.spend(later, 2) && !bucket.spend(later, 1), "two more after another 1.1 s");
        assert!(bucket.spend(start + Duration::from_secs(3_600), 10), "never more than the burst");
    }
}
