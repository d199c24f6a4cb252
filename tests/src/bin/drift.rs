//! What stays in memory of very many streams and sessions that are over: `drift [--streams N] [--sessions N]`.
//!
//! A server core and a raw client on virtual time; only the server's memory counts. Exits with 1 if more than 64 KiB
//! stay. The figures of a full run (1,000,000 streams through one session, 100,000 sessions through one connection) are
//! in docs/limits.md.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use transom_tests::drift::{ALLOWED, Drift, Live, sessions, streams};

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let (mut number_of_streams, mut number_of_sessions) = (1_000_000u64, 100_000u64);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (argument.as_str(), value) {
            ("--streams", Some(value)) => number_of_streams = value,
            ("--sessions", Some(value)) => number_of_sessions = value,
            _ => {
                eprintln!("usage: drift [--streams N] [--sessions N]");
                return ExitCode::from(2);
            }
        }
    }
    let live = Live::new(|| ALLOCATOR.stats());
    let show = |what: &str, count, run: fn(u64, &Live, &mut dyn FnMut(u64)) -> Drift| {
        let bar = ProgressBar::new(count).with_style(style()).with_prefix(what.to_owned());
        let drift = run(count, &live, &mut |done| bar.set_position(done));
        bar.finish_and_clear();
        println!("{what}: {drift}");
        drift.bytes() <= ALLOWED
    };
    let passed = [show("streams", number_of_streams, streams), show("sessions", number_of_sessions, sessions)];
    let failed = passed.iter().filter(|passed| !**passed).count();
    println!("{} passed, {failed} failed", passed.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len}, {per_sec}, {eta} left")
        .unwrap_or(ProgressStyle::default_bar())
}
