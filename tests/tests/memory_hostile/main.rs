//! What a hostile connection can make the server keep: never more than its bound, and nothing once it is gone.
//!
//! One test, since allocations are counted for the whole process. `--nocapture` prints the figures;
//! `TRANSOM_MEMORY_ROW` chooses rows by a part of their name.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod rows;

use std::time::Duration;

use std::alloc::System;

use rows::{Row, rows};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use transom_core::Config;
use transom_tests::drift::{self, Live};
use transom_tests::siege::Siege;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The server may keep this much more than before the connection: tables grow to their size and stay there.
const NOISE: isize = 64 * 1024;

/// Live bytes of the server in one row.
struct Figures {
    connected: isize,
    peak: isize,
    left: isize,
    end: String,
}

fn attack(row: &Row) -> Figures {
    let live = Live::new(|| ALLOCATOR.stats());
    // The endpoint is there before the first connection; it is no memory of theirs.
    let mut siege = Siege::new(Config::default(), &row.options, row.app, live.clone());
    let endpoint = live.at_first_packet();
    let connected = live.now() - endpoint;
    live.reset_peak();
    (row.attack)(&mut siege);
    let peak = live.peak() - endpoint;
    let end = siege.intruder.seen().close.as_ref().map_or("open".to_owned(), ToString::to_string);
    siege.deaf = false;
    siege.lossy = false;
    let now = siege.now;
    siege.intruder.close(now);
    siege.run_for(Duration::from_secs(60));
    assert!(siege.server.is_drained(), "{}: the connection is gone", row.name);
    Figures { connected, peak, left: live.now() - endpoint, end }
}

#[test]
fn a_hostile_connection_never_costs_more_than_its_bound_and_nothing_drifts() {
    let mut broken = over_their_bounds();
    let live = Live::new(|| ALLOCATOR.stats());
    for drift in [drift::streams(30_000, &live, &mut |_| ()), drift::sessions(1_500, &live, &mut |_| ())] {
        println!("{drift}");
        if drift.bytes() > drift::ALLOWED {
            broken.push(drift.to_string());
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Runs all rows; says which of them cost too much.
fn over_their_bounds() -> Vec<String> {
    let chosen = std::env::var("TRANSOM_MEMORY_ROW").unwrap_or_default();
    let mut broken = Vec::new();
    println!("{:<66} {:>9} {:>9} {:>9} {:>6}  KiB; end", "", "connected", "peak", "bound", "left");
    for row in rows().iter().filter(|row| row.name.contains(&chosen)) {
        let Figures { connected, peak, left, end } = attack(row);
        let [connected_kib, peak_kib, bound_kib, left_kib] =
            [connected, peak, row.bound, left].map(|bytes| bytes / 1024);
        println!("{:<66} {connected_kib:>9} {peak_kib:>9} {bound_kib:>9} {left_kib:>6}  {end}", row.name);
        if peak > row.bound {
            broken.push(format!("{}: {peak_kib} KiB at most, the bound is {bound_kib}", row.name));
        }
        if left > NOISE {
            broken.push(format!("{}: {left_kib} KiB are left", row.name));
        }
    }
    broken
}
