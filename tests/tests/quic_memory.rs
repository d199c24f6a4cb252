//! What a peer can make QUIC keep with hand-written packets. One test, since the count is of the whole process.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use transom_core::Config;
use transom_tests::forge::transport::INTERNAL_ERROR;
use transom_tests::forge::{Forger, Space, frames};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What the packets themselves and the two ends' notes about them may take.
const SLACK: usize = 256 * 1024;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Sends frames, as many to a packet as fit, until the server has had enough, and gives the most that was kept meanwhile.
fn flood(forger: &mut Forger, frames: impl Iterator<Item = Vec<u8>>) -> usize {
    let (before, mut most) = (live(), 0);
    let mut payload = Vec::new();
    for frame in frames {
        if payload.len() + frame.len() > 1_100 {
            forger.send(Space::Data, &payload);
            most = most.max(live().saturating_sub(before));
            payload.clear();
        }
        payload.extend(frame);
        if forger.closed().is_some() {
            break;
        }
    }
    most
}

/// One byte, then one left out, as far as the window goes: the receiver cannot join them, and cannot give any away.
fn fragments(stream: u64, window: u32) -> impl Iterator<Item = Vec<u8>> {
    (1..u64::from(window)).step_by(2).map(move |offset| frames::stream(stream, offset, b"x"))
}

#[test]
fn fragments_and_challenges_are_kept_within_bounds() {
    let mut forger = Forger::connected();
    // Once before anything is counted: tables and buffers grow to their size.
    flood(&mut forger, std::iter::repeat_with(frames::path_challenge).take(1_000));
    let most = flood(&mut forger, std::iter::repeat_with(frames::path_challenge).take(50_000));
    assert!(most < SLACK, "{most} bytes for challenges");
    assert!(forger.is_alive(), "{:?}", forger.closed());

    // Gaps are allowed, but not that many.
    let window = Config::default().connection_window_before_session;
    let most = flood(&mut forger, fragments(6, window));
    assert!(most < window as usize + SLACK, "{most} bytes for fragments");
    let closed = forger.closed().expect("the server puts up with everything");
    assert_eq!((closed.application, closed.code), (false, INTERNAL_ERROR), "{closed:?}");
}
