//! What is counted while a scenario runs, and what comes of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counts that all tasks of a scenario share.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    operations: u64,
    bytes: u64,
    lost: u64,
    latencies: Histogram,
}

/// What a scenario came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    pub(super) seconds: f64,
    pub(super) operations: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    /// Latencies that half of all, and 99 of 100, did not exceed.
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
}

impl Tally {
    /// One operation is over, and took so long.
    pub(super) fn done(&self, latency: Duration) {
        let mut counts = self.counts();
        counts.operations += 1;
        counts.latencies.add(latency);
    }

    /// Bytes went one way.
    pub(super) fn moved(&self, bytes: usize) {
        self.counts().bytes += bytes as u64;
    }

    /// So many did not come back.
    pub(super) fn lost(&self, count: u64) {
        self.counts().lost += count;
    }

    /// Begins anew.
    pub(super) fn reset(&self) {
        *self.counts() = Counts::default();
    }

    /// What it came to in a time.
    pub(super) fn figures(&self, time: Duration) -> Figures {
        let counts = self.counts();
        Figures {
            seconds: time.as_secs_f64(),
            operations: counts.operations,
            bytes: counts.bytes,
            lost: counts.lost,
            p50: counts.latencies.quantile(500),
            p99: counts.latencies.quantile(990),
        }
    }

    /// Operations and bytes so far.
    pub(super) fn so_far(&self) -> (u64, u64) {
        let counts = self.counts();
        (counts.operations, counts.bytes)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counts are whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    /// Whether the server did nothing at all.
    pub(super) fn is_nothing(&self) -> bool {
        self.operations == 0 && self.bytes == 0
    }

    pub(super) fn per_second(&self) -> f64 {
        float(self.operations) / self.seconds
    }

    pub(super) fn megabytes_per_second(&self) -> f64 {
        float(self.bytes) / 1e6 / self.seconds
    }
}

/// Durations in buckets that are at most 3 % wide, up to some minutes.
#[derive(Debug)]
struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    fn add(&mut self, duration: Duration) {
        let bucket = bucket(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// The duration that so many of a thousand did not exceed.
    fn quantile(&self, of_thousand: u64) -> Option<Duration> {
        let rank = (self.total * of_thousand).div_ceil(1_000).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        bucket.map(|bucket| Duration::from_nanos(middle(bucket)))
    }
}

/// Below `STEPS` each number has a bucket, above it each power of two has `STEPS`.
fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS {
        return nanoseconds as usize;
    }
    let power = nanoseconds.ilog2() - STEPS.ilog2();
    (u64::from(power) * STEPS + (nanoseconds >> power)) as usize
}

fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let power = bucket / STEPS - 1;
    ((bucket - power * STEPS) << power) + (1 << power) / 2
}

#[expect(clippy::cast_precision_loss, reason = "figures for people have three digits or so")]
fn float(count: u64) -> f64 {
    count as f64
}

const STEPS: u64 = 32;
/// Up to 2^38 ns.
const BUCKETS: usize = 32 * 34;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_come_back_within_three_percent() {
        for nanoseconds in [1, 31, 32, 33, 63, 64, 65, 999, 12_345, 1_000_000, 7_654_321_000, 200_000_000_000] {
            let (at, back) = (bucket(nanoseconds), middle(bucket(nanoseconds)));
            assert!(back.abs_diff(nanoseconds) * 100 <= nanoseconds * 3, "{nanoseconds} became {back}");
            assert!(at < BUCKETS && bucket(back) == at, "{nanoseconds}");
        }
    }

    #[test]
    fn figures_are_of_what_came_after_the_reset() {
        let tally = Tally::default();
        tally.done(Duration::from_secs(9));
        tally.moved(5);
        tally.lost(1);
        tally.reset();
        assert!(tally.figures(Duration::from_secs(1)).is_nothing());
        for milliseconds in 1..=100 {
            tally.done(Duration::from_millis(milliseconds));
        }
        tally.moved(3_000_000);
        tally.lost(2);
        let figures = tally.figures(Duration::from_secs(2));
        assert_eq!((figures.operations, figures.bytes, figures.lost), (100, 3_000_000, 2));
        assert!((figures.per_second() - 50.0).abs() < 1e-9 && (figures.megabytes_per_second() - 1.5).abs() < 1e-9);
        let near = |found: Option<Duration>, expected: u64| {
            found.is_some_and(|found| found.abs_diff(Duration::from_millis(expected)) < Duration::from_millis(3))
        };
        assert!(near(figures.p50, 50) && near(figures.p99, 99), "{figures:?}");
    }

    #[test]
    fn nothing_has_no_latency() {
        assert_eq!(Tally::default().figures(Duration::from_secs(1)).p50, None);
    }
}
