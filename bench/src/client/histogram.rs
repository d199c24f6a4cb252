//! Latencies in buckets that are at most 3 % wide.

use std::time::Duration;

/// Counts of durations up to a minute or so.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, duration: Duration) {
        let bucket = bucket(duration.as_nanos() as u64);
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// The duration that a share (0 to 1) of all did not exceed.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_nanos(value(bucket)));
            }
        }
        None
    }
}

fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS {
        return nanoseconds as usize;
    }
    let power = nanoseconds.ilog2() - STEPS.ilog2();
    ((u64::from(power) + 1) * STEPS + (nanoseconds >> power) - STEPS) as usize
}

/// The middle of a bucket.
fn value(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let power = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS) << power) + (1 << power) / 2
}

const STEPS: u64 = 32;
const BUCKETS: usize = 32 * 33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_within_three_percent() {
        for nanoseconds in [1, 31, 32, 33, 999, 12_345, 1_000_000, 7_654_321_000] {
            let back = value(bucket(nanoseconds)) as f64;
            assert!((back / nanoseconds as f64 - 1.0).abs() < 0.03, "{nanoseconds} became {back}");
        }
    }

    #[test]
    fn quantiles_are_in_order() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for microseconds in 1..=1000 {
            histogram.add(Duration::from_micros(microseconds));
        }
        let (half, most) = (histogram.quantile(0.5).unwrap(), histogram.quantile(0.99).unwrap());
        assert!(
            (485..=515).contains(&half.as_micros()) && (960..=1020).contains(&most.as_micros()),
            "{half:?} {most:?}"
        );
    }
}
