//! The limit of STREAM frames that wait to be read: what counts, and what does not count any more.

use bytes::Bytes;
use transom_core::{Config, Connection, Direction, Event, ReadError};
use transom_tests::raw::{Options, code, wire};
use transom_tests::siege::{ROUND_TRIP, Siege, Unmeasured};

use crate::{EXCESSIVE, Limit, accept, greet, in_session, seen};

const VALUE: u64 = 50;

fn few(config: &mut Config) {
    config.max_unread_frames = VALUE as usize;
}

#[test]
fn frames_that_nobody_reads_are_fine_at_their_limit_and_not_above() {
    crate::check(&[Limit::new("max_unread_frames", VALUE, few, unread, EXCESSIVE)], 1);
}

/// So many frames of one byte on four streams for a session that never comes, beside the first ones of the streams.
fn unread(siege: &mut Siege, count: u64) -> crate::Seen {
    greet(siege);
    let streams: Vec<u64> = (0..4).map(|_| siege.uni(&wire::uni_header(400))).collect();
    for number in 0..count {
        siege.write(streams[number as usize % 4], b"x");
    }
    seen(siege, streams[0])
}

/// A server that may keep few frames, whose application does this with its events.
fn siege(app: fn(&mut Connection, &Event)) -> Siege {
    let mut config = Config::default();
    few(&mut config);
    Siege::connecting(config, &Options::default(), app, Unmeasured)
}

/// Accepts everything and reads what there is.
fn read_all(connection: &mut Connection, event: &Event) {
    accept(connection, event);
    let stream = match event {
        Event::StreamOpened { session, direction } => {
            connection.session(*session).and_then(|mut session| session.accept(*direction))
        }
        Event::StreamReadable { stream } => Some(*stream),
        _ => None,
    };
    let Some(stream) = stream else { return };
    // One by one, and several together.
    let mut places = [const { Bytes::new() }; 3];
    let mut stream = connection.recv_stream(stream);
    while stream.read(3).is_ok_and(|bytes| bytes.is_some()) && stream.read_chunks(7, &mut places).is_ok() {}
}

#[test]
fn frames_that_are_read_do_not_count() {
    let mut siege = siege(read_all);
    let session = in_session(&mut siege);
    let streams = [siege.uni(&wire::uni_header(session)), siege.bidi(&wire::bidi_header(session))];
    for round in 0..100 {
        for number in 0..40 {
            siege.write(streams[number % 2], &[7; 5][..=round % 5]);
        }
        siege.run_for(ROUND_TRIP);
    }
    assert_eq!(siege.closed(), None);
}

#[test]
fn frames_behind_a_gap_count_until_it_is_closed() {
    let mut siege = siege(read_all);
    let session = in_session(&mut siege);
    let stream = siege.uni(&wire::uni_header(session));
    siege.run_for(ROUND_TRIP);
    for _ in 0..20 {
        siege.lossy = true;
        siege.write(stream, b"lost");
        siege.lossy = false;
        (0..40).for_each(|_| _ = siege.write(stream, b"x"));
        // Long enough for the client to send again what was lost.
        siege.run_for(ROUND_TRIP * 20);
        assert_eq!(siege.closed(), None);
    }
    siege.lossy = true;
    siege.write(stream, b"lost");
    siege.lossy = false;
    (0..=VALUE).for_each(|_| _ = siege.write(stream, b"x"));
    siege.run_for(ROUND_TRIP);
    assert_eq!(siege.closed(), Some(code::H3_EXCESSIVE_LOAD));
}

#[test]
fn frames_of_streams_that_are_reset_or_stopped_do_not_count() {
    let mut siege = siege(accept);
    let session = in_session(&mut siege);
    for number in 0..30 {
        let stream = siege.bidi(&wire::bidi_header(session));
        (0..40).for_each(|_| _ = siege.write(stream, b"x"));
        siege.run_for(ROUND_TRIP);
        if number % 2 == 0 {
            siege.intruder.reset(stream, code::from_application(1));
            siege.run_for(ROUND_TRIP);
        }
        siege.server.act(|connection, session| {
            let stream = connection.session(session).unwrap().accept(Direction::Bidirectional).unwrap();
            let mut stream = connection.recv_stream(stream);
            if number % 2 == 0 {
                assert_eq!(stream.read(1), Err(ReadError::Reset(Some(1))));
            } else {
                stream.stop(1).unwrap();
            }
        });
        siege.run_for(ROUND_TRIP);
        assert_eq!(siege.closed(), None, "after {number} streams");
    }
}
