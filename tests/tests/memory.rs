//! What stays in memory after many streams and sessions: nothing. One test, since the count is of the whole process.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::alloc::System;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use transom_core::{Direction, SessionId};
use transom_tests::simulation::Pair;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;

/// Both cores may keep this much more after the work than before: tables grow to their size and stay there.
const DRIFT: usize = 64 * 1024;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Streams of both kinds and all ends: finished and read, reset, stopped.
fn streams(pair: &mut Pair, session: SessionId, rounds: usize) {
    for round in 0..rounds {
        for direction in [BIDI, UNI] {
            for _ in 0..10 {
                let stream = pair.client.connection().session(session).unwrap().open(direction).unwrap();
                pair.client.write(stream, b"hello").unwrap();
                if round % 3 == 1 {
                    pair.client.connection().send_stream(stream).reset(1).unwrap();
                } else {
                    pair.client.connection().send_stream(stream).finish().unwrap();
                }
            }
        }
        pair.run_for(Duration::from_millis(40));
        for direction in [BIDI, UNI] {
            while let Some(stream) = pair.server.accept(session, direction) {
                if round % 3 == 2 {
                    let _ = pair.server.connection().recv_stream(stream).stop(2);
                } else {
                    let _ = pair.server.read(stream);
                }
                if direction == BIDI {
                    pair.server.connection().send_stream(stream).finish().unwrap();
                }
            }
        }
        pair.run_for(Duration::from_millis(40));
        // The client lets go of what comes back on its bidirectional streams.
        for event in pair.client.take_events() {
            if let transom_core::Event::StreamReadable { stream } = event {
                let _ = pair.client.read(stream);
            }
        }
        pair.server.take_events();
        pair.run_for(Duration::from_millis(40));
    }
}

#[test]
fn nothing_stays_of_streams_and_sessions_that_are_over() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    streams(&mut pair, session, 60);
    let before = live();
    streams(&mut pair, session, 300);
    let after = live();
    assert!(after <= before + DRIFT, "6,000 streams left {} bytes", after - before);
    pair.client.connection().session(session).unwrap().close(0, "");
    pair.run_for(Duration::from_secs(1));

    let sessions = |pair: &mut Pair, count| {
        for _ in 0..count {
            let session = pair.session("/again");
            pair.client.send(session, UNI, b"x");
            pair.client.connection().session(session).unwrap().close(1, "done");
            pair.run_for(Duration::from_millis(100));
            pair.client.take_events();
            pair.server.take_events();
        }
    };
    sessions(&mut pair, 400);
    let before = live();
    sessions(&mut pair, 1_500);
    let after = live();
    assert!(after <= before + DRIFT, "1,500 sessions left {} bytes", after - before);

    let before = live();
    for _ in 0..20 {
        let mut pair = Pair::connected();
        let session = pair.session("/");
        pair.server.send(session, UNI, &[1; 10_000]);
        pair.run_for(Duration::from_millis(50));
        pair.client.connection().close(transom_core::ErrorCode::H3_NO_ERROR, "");
        pair.run_for(Duration::from_secs(10));
        assert!(pair.server.endpoint.is_drained() && pair.client.endpoint.is_drained());
    }
    let after = live();
    assert!(after <= before + DRIFT, "20 connections left {} bytes", after.saturating_sub(before));
}
