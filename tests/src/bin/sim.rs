//! Runs simulated worlds, seed after seed: `cargo run --release -p transom-tests --bin sim -- --seeds 1000 --from 0`.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use transom_tests::simulation::World;

fn main() -> ExitCode {
    let (mut seeds, mut from) = (1_000u64, 0u64);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (argument.as_str(), value) {
            ("--seeds", Some(value)) => seeds = value,
            ("--from", Some(value)) => from = value,
            _ => {
                eprintln!("usage: sim [--seeds N] [--from S]");
                return ExitCode::from(2);
            }
        }
    }
    let started = Instant::now();
    let bar = ProgressBar::new(seeds).with_style(style());
    let (mut failed, mut streams, mut bytes) = (0u64, 0, 0);
    for seed in from..from.saturating_add(seeds) {
        match judge(seed) {
            Ok(report) => {
                streams += report.streams;
                bytes += report.bytes;
            }
            Err(reason) => {
                failed += 1;
                bar.suspend(|| println!("seed {seed}: {reason}\n  replay: cargo run --release -p transom-tests --bin sim -- --seeds 1 --from {seed}"));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs();
    println!("seeds {from} to {}: {streams} streams, {bytes} bytes, in {seconds} s", from.saturating_add(seeds));
    println!("{} passed, {failed} failed", seeds - failed);
    ExitCode::from(u8::from(failed > 0))
}

/// Runs a world, one in a hundred twice: the same seed must give the same trace.
fn judge(seed: u64) -> Result<transom_tests::simulation::Report, String> {
    let run = || catch_unwind(|| World::run(seed)).unwrap_or_else(|_| Err("panicked".into()));
    let report = run()?;
    if seed.is_multiple_of(100) && run()? != report {
        return Err("a second run of the same seed went another way".into());
    }
    Ok(report)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} worlds, {per_sec}, {eta} left")
        .unwrap_or(ProgressStyle::default_bar())
}
