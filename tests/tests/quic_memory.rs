//! What a peer can make QUIC keep with hand-written packets. One test, since the count is of the whole process.

use std::alloc::System;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use transom_core::Config;
use transom_tests::forge::transport::INTERNAL_ERROR;
use transom_tests::forge::{Forger, Space, frames};
use transom_tests::raw::{DRAFT_02, Request, code, wire};

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

    datagrams_in_large_packets_are_counted_as_what_they_keep();
    pieces_of_many_streams_are_bounded();
    pieces_behind_bytes_that_are_read_are_bounded_for_each_stream();
}

/// UDP takes up to 65,507 bytes, of which QUIC tells us to expect 1,472: whoever sends more is heard, and pays for it.
fn datagrams_in_large_packets_are_counted_as_what_they_keep() {
    let bound = Config::default().connection_datagram_bytes + SLACK;
    let mut forger = Forger::connected();
    forger.send(Space::Data, &frames::stream(2, 0, &[vec![0], wire::settings(DRAFT_02)].concat()));
    let before = live();
    for _ in 0..100 {
        forger.send(Space::Data, &frames::datagram(&wire::datagram(0, &vec![7; 60_000])));
    }
    let held = live() - before;
    assert!(held > 60_000 && held < bound, "{held} bytes for a session that never comes");

    forger.send(Space::Data, &frames::stream(4, 0, &Request::webtransport("localhost", "/").frame()));
    forger.accept_sessions();
    forger.wait(Duration::from_millis(1));
    let before = live();
    for _ in 0..100 {
        forger.send(Space::Data, &[frames::datagram(&wire::datagram(4, &[7; 1_000])), vec![0; 60_000]].concat());
    }
    let queued = live() - before;
    assert!(queued > 40_000 && queued < bound, "{queued} bytes for datagrams that nobody reads");
    assert!(forger.is_alive(), "{:?}", forger.closed());
}

/// Each stream has fewer than quinn-proto minds; together they are too many.
fn pieces_of_many_streams_are_bounded() {
    let mut forger = Forger::connected();
    let limit = Config::default().max_unread_frames;
    let pieces = (0..500_u64).flat_map(|piece| (0..90).map(move |number| (number * 4, 2 * piece + 1)));
    let mut sent = 0;
    let most = flood(&mut forger, pieces.inspect(|_| sent += 1).map(|(id, at)| frames::stream(id, at, b"x")));
    assert!(most < limit * 128 + SLACK, "{most} bytes for {sent} pieces");
    let closed = forger.closed().expect("the server puts up with everything");
    assert_eq!((closed.application, closed.code), (true, code::H3_EXCESSIVE_LOAD), "{closed:?}");
    assert!((limit..limit + 500).contains(&sent), "{sent} pieces");
}

/// Bytes that are read could have been as many frames, so that as many pieces behind a gap are forgiven.
fn pieces_behind_bytes_that_are_read_are_bounded_for_each_stream() {
    let mut forger = Forger::connected();
    let before = live();
    forger.send(Space::Data, &frames::stream(2, 0, &[vec![0], wire::settings(DRAFT_02)].concat()));
    let head = wire::claim(wire::HEADERS + 0x20, 60_000, &[]);
    for number in 0..40 {
        let id = number * 4;
        forger.send(Space::Data, &frames::stream(id, 0, &head));
        flood(&mut forger, (0..1_020).map(|piece| frames::stream(id, 1_101 + 2 * piece, b"x")));
        forger.send(Space::Data, &frames::stream(id, head.len() as u64, &[0; 1_090]));
    }
    assert!(forger.is_alive(), "{:?}", forger.closed());
    let most = live() - before;
    assert!(most < 40 * 115 * 1024, "{most} bytes for 40 streams");
}
