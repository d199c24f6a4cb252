use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Failure, Result};
use crate::client::Histogram;
use crate::process;

/// Measures a server from one moment to another.
pub struct Meter {
    pid: u32,
    begun: Instant,
    processor: Duration,
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Round trips, deliveries, handshakes or sessions; zero where bytes count.
    pub operations: u64,
    pub bytes: u64,
    pub wall: Duration,
    /// Of the server, user and system.
    pub processor: Duration,
    pub latencies: Histogram,
    pub lost: u64,
    /// Resident bytes for each session.
    pub memory: Option<u64>,
}

impl Meter {
    pub fn start(pid: u32) -> Result<Self> {
        Ok(Self { pid, begun: Instant::now(), processor: processor_time(pid)? })
    }

    pub fn stop(self) -> Result<Outcome> {
        Ok(Outcome {
            wall: self.begun.elapsed(),
            processor: processor_time(self.pid)?.saturating_sub(self.processor),
            ..Outcome::default()
        })
    }
}

impl Outcome {
    /// With figures derived: times in microseconds an operation, seconds a gigabyte (10⁹ bytes).
    pub fn json(&self) -> Value {
        let per = |unit: f64, amount: u64| (amount > 0).then(|| unit / amount as f64);
        let microseconds = |share| self.latencies.quantile(share).map(|time| time.as_secs_f64() * 1e6);
        let (cpu, wall) = (self.processor.as_secs_f64(), self.wall.as_secs_f64());
        json!({
            "operations": self.operations,
            "bytes": self.bytes,
            "wall_s": wall,
            "cpu_s": cpu,
            "cpu_us_per_operation": per(cpu * 1e6, self.operations),
            "cpu_s_per_gb": per(cpu * 1e9, self.bytes),
            "operations_per_s": (self.operations > 0).then(|| self.operations as f64 / wall),
            "gb_per_s": (self.bytes > 0).then(|| self.bytes as f64 / wall / 1e9),
            "p50_us": microseconds(0.5),
            "p99_us": microseconds(0.99),
            "lost": self.lost,
            "memory_per_session": self.memory,
        })
    }
}

fn processor_time(pid: u32) -> Result<Duration> {
    process::processor_time(pid).ok_or_else(|| Failure("the server is gone".into()))
}
