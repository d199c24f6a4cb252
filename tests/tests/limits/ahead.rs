//! What is read of a stream with its header, before the application asks: little, and none of it is lost.

use std::time::Duration;

use bytes::Bytes;
use transom_core::{Config, Connection, Direction, ReadError, SessionId, StreamId};
use transom_tests::raw::{Options, code, wire};
use transom_tests::siege::{ROUND_TRIP, Siege, Unmeasured};

use crate::{accept, in_session};

/// A server in a session, whose application does nothing by itself.
fn in_a_session(set: fn(&mut Config)) -> (Siege, u64) {
    let mut config = Config::default();
    set(&mut config);
    let mut siege = Siege::connecting(config, &Options::default(), accept, Unmeasured);
    let session = in_session(&mut siege);
    (siege, session)
}

/// Sends a stream that is over with this.
fn whole_stream(siege: &mut Siege, session: u64, body: &[u8]) {
    let stream = siege.bidi(&[&wire::bidi_header(session), body].concat());
    siege.intruder.finish(stream);
    siege.run_for(ROUND_TRIP);
}

fn next_stream(connection: &mut Connection, session: SessionId) -> Option<StreamId> {
    connection.session(session)?.accept(Direction::Bidirectional)
}

#[test]
fn whoever_ends_and_stops_streams_that_nobody_accepts_gets_few_more() {
    const ALLOWED: usize = 10;
    const READ_AHEAD: usize = 86;
    for body in [&b"x"[..], b""] {
        let (mut siege, session) = in_a_session(|config| config.max_bidi_streams = ALLOWED as u32 + 1);
        let mut opened = 0;
        for _ in 0..40 {
            while let Some(stream) = siege.intruder.open_bidi() {
                siege.write(stream, &[&wire::bidi_header(session), body].concat());
                siege.intruder.finish(stream);
                siege.intruder.stop(stream, code::from_application(7));
                opened += 1;
            }
            // Longer than a stop waits for the application to answer it.
            siege.run_for(Duration::from_millis(100));
        }
        assert!((ALLOWED..=ALLOWED + READ_AHEAD).contains(&opened), "{opened} streams of {} bytes", body.len());
        let mut read = 0;
        siege.server.act(|connection, session| {
            while let Some(stream) = next_stream(connection, session) {
                let mut stream = connection.recv_stream(stream);
                if !body.is_empty() {
                    assert_eq!(stream.read(10).unwrap().as_deref(), Some(body));
                }
                assert_eq!(stream.read(10), Ok(None));
                read += 1;
            }
        });
        assert_eq!(read, opened, "all of them are there, with all their bytes");
        siege.run_for(ROUND_TRIP * 2);
        let more = std::iter::from_fn(|| siege.intruder.open_bidi()).count();
        assert_eq!(more, ALLOWED, "and others may come");
    }
}

#[test]
fn it_is_read_in_whatever_pieces_are_asked_for() {
    let (mut siege, session) = in_a_session(|_| {});
    whole_stream(&mut siege, session, b"abcdef");
    siege.server.act(|connection, session| {
        let stream = next_stream(connection, session).unwrap();
        let mut stream = connection.recv_stream(stream);
        assert_eq!(stream.read(2).unwrap().as_deref(), Some(&b"ab"[..]));
        assert_eq!(stream.read_with_end(2), Ok((b"cd"[..].to_vec().into(), false)));
        assert_eq!(stream.read_with_end(100), Ok((b"ef"[..].to_vec().into(), true)));
        assert_eq!(stream.read(1), Err(ReadError::Closed));
    });
}

#[test]
fn it_is_the_first_of_the_pieces_that_are_read_together() {
    let (mut siege, session) = in_a_session(|_| {});
    let stream = siege.bidi(&[&wire::bidi_header(session), &b"first"[..]].concat());
    siege.run_for(ROUND_TRIP);
    for piece in ["second", "third", "fourth"] {
        siege.write(stream, piece.as_bytes());
    }
    siege.run_for(ROUND_TRIP);
    let mut accepted = None;
    siege.server.act(|connection, session| {
        accepted = next_stream(connection, session);
        let mut stream = connection.recv_stream(accepted.unwrap());
        let mut places = vec![Bytes::from_static(b"left alone"); 3];
        assert_eq!(stream.read_chunks(9, &mut []), Ok((0, false)), "no room");
        assert_eq!(stream.read_chunks(0, &mut places), Ok((0, false)), "nothing wanted");
        assert_eq!(stream.read_chunks(9, &mut places), Ok((2, false)));
        assert_eq!(places, ["first", "seco", "left alone"]);
        assert_eq!(stream.read_chunks(100, &mut places), Ok((3, false)), "the end has not come");
        assert_eq!(places, ["nd", "third", "fourth"]);
        assert_eq!(stream.read_chunks(100, &mut places), Err(ReadError::Blocked));
    });
    siege.write(stream, b"last");
    siege.intruder.finish(stream);
    siege.run_for(ROUND_TRIP);
    siege.server.act(|connection, _| {
        let mut stream = connection.recv_stream(accepted.unwrap());
        let mut places = [const { Bytes::new() }; 3];
        assert_eq!((stream.read_chunks(100, &mut places), &places[0][..]), (Ok((1, true)), &b"last"[..]));
        assert_eq!(stream.read_chunks(100, &mut places), Err(ReadError::Closed));
    });
}

#[test]
fn a_reset_takes_back_all_the_pieces_that_were_not_read() {
    let (mut siege, session) = in_a_session(|_| {});
    let stream = siege.bidi(&[&wire::bidi_header(session), &b"first"[..]].concat());
    siege.run_for(ROUND_TRIP);
    siege.write(stream, b"second");
    siege.run_for(ROUND_TRIP);
    siege.intruder.reset(stream, code::from_application(9));
    siege.run_for(ROUND_TRIP);
    siege.server.act(|connection, session| {
        let stream = next_stream(connection, session).unwrap();
        let mut places = [const { Bytes::new() }; 3];
        let mut stream = connection.recv_stream(stream);
        assert_eq!(stream.read_chunks(100, &mut places), Err(ReadError::Reset(Some(9))));
        assert_eq!(stream.read_chunks(100, &mut places), Err(ReadError::Closed));
    });
}

#[test]
fn what_follows_it_follows_it() {
    let (mut siege, session) = in_a_session(|_| {});
    let stream = siege.bidi(&[&wire::bidi_header(session), &b"first"[..]].concat());
    siege.run_for(ROUND_TRIP);
    siege.write(stream, b"second");
    siege.intruder.finish(stream);
    siege.run_for(ROUND_TRIP);
    siege.server.act(|connection, session| {
        let stream = next_stream(connection, session).unwrap();
        let mut stream = connection.recv_stream(stream);
        let mut all = Vec::new();
        while let Some(bytes) = stream.read(100).unwrap() {
            all.extend_from_slice(&bytes);
        }
        assert_eq!(all, b"firstsecond");
    });
}

#[test]
fn streams_that_are_stopped_unread_are_over() {
    let (mut siege, session) = in_a_session(|_| {});
    // Many times what may be read ahead at a time.
    for number in 0..600 {
        whole_stream(&mut siege, session, b"unwanted");
        siege.server.act(|connection, session| {
            let stream = next_stream(connection, session).unwrap();
            connection.recv_stream(stream).stop(1).unwrap();
            assert_eq!(connection.recv_stream(stream).read(1), Err(ReadError::Closed));
            connection.send_stream(stream).reset(1).unwrap();
        });
        siege.run_for(ROUND_TRIP);
        assert_eq!(siege.closed(), None, "after {number} streams");
    }
}
