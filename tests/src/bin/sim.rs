//! Runs simulated worlds, seed after seed: `cargo run --release -p transom-tests --bin sim -- --seeds 1000 --from 0`.

use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use transom_tests::simulation::{Counts, judge_all};

fn main() -> ExitCode {
    let (mut seeds, mut from) = (1_000u64, 0u64);
    let mut jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (argument.as_str(), value) {
            ("--seeds", Some(value)) => seeds = value,
            ("--from", Some(value)) => from = value,
            ("--jobs", Some(value)) => jobs = value as usize,
            _ => {
                eprintln!("usage: sim [--seeds N] [--from S] [--jobs J]");
                return ExitCode::from(2);
            }
        }
    }
    let started = Instant::now();
    let bar = ProgressBar::new(seeds).with_style(style());
    let (mut failed, mut counts) = (Vec::new(), Counts::default());
    judge_all(from, seeds, jobs, |seed, result| {
        match result {
            Ok(report) => counts += report.counts,
            Err(reason) => {
                failed.push(seed);
                bar.suspend(|| println!("seed {seed}: {reason}\n  replay: {}", replay(seed)));
            }
        }
        bar.inc(1);
    });
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs();
    print!("{counts}");
    println!("{seeds} seeds from {from} in {seconds} s, {} a second", seeds / seconds.max(1));
    failed.sort_unstable();
    for seed in &failed {
        println!("failed: {}", replay(*seed));
    }
    println!("{} passed, {} failed", seeds - failed.len() as u64, failed.len());
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// The command that runs one world again.
fn replay(seed: u64) -> String {
    format!("cargo run --release -p transom-tests --bin sim -- --seeds 1 --from {seed}")
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} worlds, {per_sec}, {eta} left")
        .unwrap_or(ProgressStyle::default_bar())
}
