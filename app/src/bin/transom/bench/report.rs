//! What `transom bench` prints.

use std::time::Duration;

use serde_json::{Value, json};

use super::figures::Figures;
use super::scenario::Scenario;
use crate::failure::Failure;
use crate::output::{line, note};

/// A table for people or, with `--json`, lines for programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    json: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// The head of the table.
    pub(super) fn begin(self) -> Result<(), Failure> {
        if self.json { Ok(()) } else { line(&row(["scenario", "in flight", "rate", "p50 µs", "p99 µs", "lost"])) }
    }

    pub(super) fn measured(self, scenario: Scenario, in_flight: u16, figures: &Figures) -> Result<(), Failure> {
        line(&if self.json {
            object(scenario, in_flight, figures).to_string()
        } else {
            text(scenario, in_flight, figures)
        })
    }

    /// There are no figures, and why.
    pub(super) fn failed(self, scenario: Scenario, failure: &Failure) -> Result<(), Failure> {
        if self.json {
            return line(&json!({ "scenario": scenario.name(), "error": failure.to_string() }).to_string());
        }
        note(&format!("transom: {}: {failure}", scenario.name()));
        Ok(())
    }
}

fn object(scenario: Scenario, in_flight: u16, figures: &Figures) -> Value {
    let mut object = json!({ "scenario": scenario.name(), "in_flight": in_flight, "seconds": figures.seconds });
    let more = if scenario.is_bulk() {
        json!({ "bytes": figures.bytes, "megabytes_per_second": figures.megabytes_per_second() })
    } else {
        json!({
            "operations": figures.operations,
            "per_second": figures.per_second(),
            "p50_us": figures.p50.map(microseconds),
            "p99_us": figures.p99.map(microseconds),
        })
    };
    if let (Value::Object(object), Value::Object(mut more)) = (&mut object, more) {
        object.append(&mut more);
        if scenario.is_lossy() {
            object.insert("lost".into(), figures.lost.into());
        }
    }
    object
}

fn text(scenario: Scenario, in_flight: u16, figures: &Figures) -> String {
    let rate = if scenario.is_bulk() {
        format!("{:.1} MB/s", figures.megabytes_per_second())
    } else {
        format!("{:.0} /s", figures.per_second())
    };
    let latency = |latency: Option<Duration>| {
        latency
            .filter(|_| !scenario.is_bulk())
            .map_or("-".to_owned(), |latency| format!("{:.0}", microseconds(latency)))
    };
    let lost = if scenario.is_lossy() { figures.lost.to_string() } else { "-".to_owned() };
    let (p50, p99) = (latency(figures.p50), latency(figures.p99));
    row([scenario.name(), &in_flight.to_string(), &rate, &p50, &p99, &lost])
}

fn row([scenario, in_flight, rate, p50, p99, lost]: [&str; 6]) -> String {
    format!("{scenario:<14} {in_flight:>9} {rate:>14} {p50:>10} {p99:>10} {lost:>8}")
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let p50 = Some(Duration::from_micros(250));
        let p99 = Some(Duration::from_millis(4));
        Figures { seconds: 2.0, operations: 1_000, bytes: 5_000_000, lost: 3, p50, p99 }
    }

    #[test]
    fn programs_get_what_the_scenario_measures() {
        let datagrams = object(Scenario::Datagrams32, 64, &figures());
        let expected = json!({
            "scenario": "datagrams-32", "in_flight": 64, "seconds": 2.0, "operations": 1_000, "per_second": 500.0,
            "p50_us": 250.0, "p99_us": 4_000.0, "lost": 3,
        });
        assert_eq!(datagrams, expected);
        let upload = object(Scenario::Upload, 1, &figures());
        let expected = json!({
            "scenario": "upload", "in_flight": 1, "seconds": 2.0, "bytes": 5_000_000, "megabytes_per_second": 2.5,
        });
        assert_eq!(upload, expected);
        assert!(object(Scenario::Streams, 1, &figures()).get("lost").is_none());
    }

    #[test]
    fn people_get_columns() {
        let row = text(Scenario::Streams, 64, &figures());
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["streams", "64", "500", "/s", "250", "4000", "-"]);
        let row = text(Scenario::Download, 1, &figures());
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["download", "1", "2.5", "MB/s", "-", "-", "-"]);
    }
}
