//! Streams, codes, back-pressure and bad networks between two real cores in virtual time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use transom_core::{Config, Direction, Event, OpenError, ReadError, SessionId, StreamId, WriteError};
use transom_tests::simulation::{LinkConfig, Pair};

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;

fn open_bidi(pair: &mut Pair, session: SessionId) -> StreamId {
    let stream = pair.client.connection().session(session).unwrap().open(BIDI).unwrap();
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server.accept(session, BIDI), Some(stream));
    stream
}

#[test]
fn every_code_arrives_as_it_was_given() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    for code in [0, 1, 29, 30, 31, 255, 256, 0x1234_5678, u32::MAX] {
        let stream = open_bidi(&mut pair, session);
        pair.client.connection().send_stream(stream).reset(code).unwrap();
        pair.client.connection().recv_stream(stream).stop(code).unwrap();
        pair.run_for(Duration::from_millis(50));
        assert_eq!(pair.server.read(stream), Err(ReadError::Reset(Some(code))));
        let mut send = pair.server.connection().send_stream(stream);
        assert_eq!(send.stopped(), Some(Some(code)));
        assert_eq!(send.write(b"x"), Err(WriteError::Stopped(Some(code))));
        assert_eq!(send.write(b"x"), Err(WriteError::Closed), "nothing is left of it");
    }
}

#[test]
fn a_stop_is_answered_with_a_reset_of_the_same_code() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let stream = open_bidi(&mut pair, session);
    pair.server.connection().recv_stream(stream).stop(77).unwrap();
    pair.run_for(Duration::from_millis(100));
    assert!(pair.client.saw(&Event::StreamWritable { stream }));
    assert_eq!(pair.client.connection().send_stream(stream).stopped(), Some(Some(77)));
}

#[test]
fn a_peer_that_does_not_read_stops_the_writer_and_nobody_else() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let slow = open_bidi(&mut pair, session);
    let mut total = 0;
    loop {
        let written = pair.client.write(slow, &vec![1; 65_536]).unwrap();
        total += written;
        pair.run_for(Duration::from_millis(200));
        if written == 0 {
            break;
        }
    }
    let window = Config::default().stream_window as usize;
    assert!((window - 16..=window).contains(&total), "{total} bytes and a header fit a window of {window}");
    let other = pair.client.send(session, UNI, &[2; 10_000]);
    pair.run_for(Duration::from_millis(200));
    assert_eq!(pair.server.accept(session, UNI), Some(other));
    assert_eq!(pair.server.read(other), Ok((vec![2; 10_000], true)));
    pair.client.take_events();
    assert_eq!(pair.server.read(slow).unwrap().0.len(), total);
    pair.run_until(|pair| pair.client.saw(&Event::StreamWritable { stream: slow }));
}

#[test]
fn stream_limits_are_kept_and_lifted() {
    let mut server = Config::default();
    server.max_uni_streams = 8;
    let mut pair = Pair::with(Config::default(), server, LinkConfig::good(), 3);
    pair.connect();
    let session = pair.session("/");
    let mut opened = Vec::new();
    while let Ok(stream) = pair.client.connection().session(session).unwrap().open(UNI) {
        pair.client.connection().send_stream(stream).finish().unwrap();
        opened.push(stream);
    }
    assert_eq!(opened.len(), 7, "the control stream counts too");
    assert_eq!(pair.client.connection().session(session).unwrap().open(UNI), Err(OpenError::Blocked));
    pair.client.take_events();
    pair.run_for(Duration::from_millis(100));
    while let Some(stream) = pair.server.accept(session, UNI) {
        assert_eq!(pair.server.read(stream), Ok((Vec::new(), true)));
    }
    pair.run_until(|pair| pair.client.saw(&Event::StreamsAvailable { direction: UNI }));
    assert!(pair.client.connection().session(session).unwrap().open(UNI).is_ok());
}

#[test]
fn finished_streams_are_counted_until_they_are_acknowledged() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let stream = pair.server.send(session, UNI, b"last words");
    assert_eq!(pair.server.connection().session(session).unwrap().unacknowledged_streams(), 1);
    pair.run_until(|pair| pair.server.saw(&Event::StreamFinished { stream }));
    assert_eq!(pair.server.connection().session(session).unwrap().unacknowledged_streams(), 0);
}

#[test]
fn a_stop_after_the_end_is_no_acknowledgement() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let stream = pair.client.connection().session(session).unwrap().open(UNI).unwrap();
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server.accept(session, UNI), Some(stream));
    // Both at once: the stop arrives before anything of this can be acknowledged.
    pair.client.write(stream, b"too late").unwrap();
    pair.client.connection().send_stream(stream).finish().unwrap();
    pair.server.connection().recv_stream(stream).stop(9).unwrap();
    pair.run_until(|pair| pair.client.saw(&Event::StreamStopped { stream, code: Some(9) }));
    assert!(!pair.client.saw(&Event::StreamFinished { stream }));
    assert_eq!(pair.client.connection().session(session).unwrap().unacknowledged_streams(), 0);
}

#[test]
fn wrong_identifiers_are_answered_not_asserted() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let ours = pair.client.connection().session(session).unwrap().open(UNI).unwrap();
    pair.run_for(Duration::from_millis(50));
    // A half that the stream does not have, and a stream nobody accepted from the wrong side.
    assert_eq!(pair.client.connection().recv_stream(ours).read(1), Err(ReadError::Closed));
    assert_eq!(pair.server.connection().send_stream(ours).write(b"x"), Err(WriteError::Closed));
    assert_eq!(pair.server.connection().send_stream(ours).finish(), Err(WriteError::Closed));
    assert_eq!(pair.client.connection().recv_stream(ours).stop(0), Err(ReadError::Closed));
}

#[test]
fn a_megabyte_arrives_whole_over_bad_networks() {
    let base = std::env::var("TRANSOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121u64);
    for seed in base..base + 5 {
        println!("seed {seed} (set TRANSOM_SEED to replay)");
        transfer(seed);
    }
}

fn transfer(seed: u64) {
    let mut pair = Pair::with(Config::default(), Config::default(), LinkConfig::bad(), seed);
    pair.connect();
    let session = pair.session("/");
    let data: Vec<u8> = (0..1_000_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let stream = pair.client.connection().session(session).unwrap().open(BIDI).unwrap();
    let (mut sent, mut received, mut over, mut accepted) = (0, Vec::new(), false, false);
    for _ in 0..4_000 {
        if sent < data.len() {
            sent += pair.client.write(stream, &data[sent..]).unwrap();
            if sent == data.len() {
                pair.client.connection().send_stream(stream).finish().unwrap();
            }
        }
        pair.run_for(Duration::from_millis(20));
        accepted = accepted || pair.server.accept(session, BIDI) == Some(stream);
        if accepted {
            let (bytes, end) = pair.server.read(stream).unwrap();
            received.extend_from_slice(&bytes);
            over = end;
        }
        if over {
            break;
        }
    }
    assert!(over, "seed {seed}: {} of {} bytes arrived", received.len(), data.len());
    assert!(received == data, "seed {seed}: the bytes changed");
}
