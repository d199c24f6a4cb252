//! Servers that break the rules of HTTP/3 and of sessions, against our client.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use transom_core::{Direction, ErrorCode, Event, OpenError, Request, SessionEnd};
use transom_tests::raw::{DRAFT_02, DRAFT_15, Options, qpack, wire};
use transom_tests::simulation::Facing;

const A_WHILE: Duration = Duration::from_millis(50);

/// What the core does to a server that behaves until it writes these bytes on a stream of its choice.
fn violation(write: impl FnOnce(&mut Facing)) -> Option<ErrorCode> {
    let mut facing = Facing::greeted_server(DRAFT_15);
    facing.session();
    write(&mut facing);
    facing.run_for(A_WHILE);
    facing.violation()
}

fn on_bidi(bytes: &[u8]) -> Option<ErrorCode> {
    violation(|facing| {
        let stream = facing.raw.open_bidi();
        facing.raw.write(stream, bytes);
    })
}

fn on_uni(bytes: &[u8]) -> Option<ErrorCode> {
    violation(|facing| {
        let stream = facing.raw.open_uni();
        facing.raw.write(stream, bytes);
    })
}

/// Bytes on the control stream of a server, which is its first stream.
fn on_control(bytes: &[u8]) -> Option<ErrorCode> {
    violation(|facing| facing.raw.write(3, bytes))
}

/// Bytes on an accepted CONNECT.
fn on_connect(bytes: &[u8]) -> Option<ErrorCode> {
    violation(|facing| facing.raw.write(0, bytes))
}

#[test]
fn a_bidirectional_stream_of_the_server_that_is_no_webtransport_stream() {
    let headers = wire::frame(wire::HEADERS, &qpack::block(&[(":status", "200")]));
    for bytes in [&headers[..], &[0x21, 0], &[0, 0], &[0x40, 0x54, 0]] {
        assert_eq!(on_bidi(bytes), Some(ErrorCode::H3_STREAM_CREATION_ERROR), "{bytes:x?}");
    }
}

#[test]
fn streams_and_datagrams_with_ids_that_no_session_can_have() {
    for id in [1, 2, 3, 5, wire::VARINT_MAX] {
        assert_eq!(on_uni(&wire::uni_header(id)), Some(ErrorCode::H3_ID_ERROR), "uni {id}");
        assert_eq!(on_bidi(&wire::bidi_header(id)), Some(ErrorCode::H3_ID_ERROR), "bidi {id}");
    }
    for datagram in [wire::varint(1 << 60), wire::varint(wire::VARINT_MAX), vec![], vec![0x40], vec![0xc0, 0]] {
        let code = violation(|facing| facing.raw.datagram(&datagram));
        assert_eq!(code, Some(ErrorCode::H3_DATAGRAM_ERROR), "{datagram:x?}");
    }
}

#[test]
fn pushes_that_nobody_allowed() {
    assert_eq!(on_uni(&[0x01, 0]), Some(ErrorCode::H3_ID_ERROR));
    let promise = wire::frame(wire::PUSH_PROMISE, &[0, 0, 0]);
    assert_eq!(on_control(&promise), Some(ErrorCode::H3_FRAME_UNEXPECTED));
    assert_eq!(on_connect(&promise), Some(ErrorCode::H3_ID_ERROR));
    assert_eq!(on_control(&wire::frame(wire::CANCEL_PUSH, &[0])), Some(ErrorCode::H3_ID_ERROR));
    assert_eq!(on_control(&wire::frame(wire::MAX_PUSH_ID, &[0])), Some(ErrorCode::H3_FRAME_UNEXPECTED));
}

#[test]
fn goaways_that_grow_or_name_no_request() {
    let goaway = |id: u64| wire::frame(wire::GOAWAY, &wire::varint(id));
    for id in [1, 2, 3, 5] {
        assert_eq!(on_control(&goaway(id)), Some(ErrorCode::H3_ID_ERROR), "{id}");
    }
    assert_eq!(on_control(&[goaway(4), goaway(8)].concat()), Some(ErrorCode::H3_ID_ERROR));
    assert_eq!(on_control(&[goaway(8), goaway(4), goaway(4)].concat()), None);
    assert_eq!(on_connect(&goaway(4)), Some(ErrorCode::H3_FRAME_UNEXPECTED));
}

#[test]
fn after_a_goaway_sessions_stay_and_new_ones_need_a_new_connection() {
    let mut facing = Facing::greeted_server(DRAFT_02);
    let session = facing.session();
    facing.raw.write(3, &wire::frame(wire::GOAWAY, &wire::varint(4)));
    facing.run_for(A_WHILE);
    assert_eq!(facing.core.connection().request_session(Request::new("localhost", "/")), Err(OpenError::Closed));
    let stream = facing.core.connection().session(session).unwrap().open(Direction::Unidirectional).unwrap();
    facing.run_for(A_WHILE);
    assert_eq!(facing.seen().stream(stream.get()).data, wire::uni_header(session.get()), "the session is usable");
    assert_eq!(facing.violation(), None);
    assert!(!facing.seen().streams.contains_key(&4), "no second request");
}

#[test]
fn frames_in_the_wrong_place() {
    let settings = wire::settings(DRAFT_15);
    let data = wire::data(b"x");
    let headers = wire::frame(wire::HEADERS, &qpack::block(&[(":status", "200")]));
    let signal = wire::frame(wire::WT_BIDI, &[]);
    for (found, code) in [
        (on_control(&settings), ErrorCode::H3_FRAME_UNEXPECTED),
        (on_control(&data), ErrorCode::H3_FRAME_UNEXPECTED),
        (on_control(&headers), ErrorCode::H3_FRAME_UNEXPECTED),
        (on_control(&signal), ErrorCode::H3_FRAME_ERROR),
        (on_connect(&settings), ErrorCode::H3_FRAME_UNEXPECTED),
        (on_connect(&headers), ErrorCode::H3_FRAME_UNEXPECTED),
        (on_connect(&signal), ErrorCode::H3_FRAME_ERROR),
        (on_uni(&[0]), ErrorCode::H3_STREAM_CREATION_ERROR),
    ] {
        assert_eq!(found, Some(code));
    }
}

#[test]
fn data_before_the_answer() {
    let mut facing = Facing::greeted_server(DRAFT_15);
    let session = facing.ask(Request::new("localhost", "/"));
    facing.raw.write(session.get(), &wire::data(b"x"));
    facing.run_for(A_WHILE);
    assert_eq!(facing.violation(), Some(ErrorCode::H3_FRAME_UNEXPECTED));
}

#[test]
fn a_control_stream_that_does_not_begin_with_settings_or_ends() {
    let mut facing = Facing::server(&Options::default());
    facing.run_for(A_WHILE);
    let control = facing.raw.open_uni();
    facing.raw.write(control, &[&[0][..], &wire::frame(wire::GOAWAY, &[0])].concat());
    facing.run_for(A_WHILE);
    assert_eq!(facing.violation(), Some(ErrorCode::H3_MISSING_SETTINGS));
    assert_eq!(violation(|facing| facing.raw.finish(3)), Some(ErrorCode::H3_CLOSED_CRITICAL_STREAM));
    assert_eq!(violation(|facing| facing.raw.reset(3, 0x100)), Some(ErrorCode::H3_CLOSED_CRITICAL_STREAM));
    // Stream 2 is the control stream of the client.
    assert_eq!(violation(|facing| facing.raw.stop(2, 0x100)), Some(ErrorCode::H3_CLOSED_CRITICAL_STREAM));
}

#[test]
fn capsules_that_break_a_session() {
    let close = |reason: &[u8]| wire::data(&wire::close(1, reason));
    let after = [close(b"bye"), wire::data(&[0])].concat();
    for bytes in [close(&[b'r'; 1025]), close(&[0xff]), after, wire::data(&wire::frame(wire::CAPSULE_CLOSE, &[0; 3]))] {
        let mut facing = Facing::greeted_server(DRAFT_15);
        let session = facing.session();
        facing.raw.write(session.get(), &bytes);
        facing.run_for(A_WHILE);
        assert_eq!(facing.seen().stream(session.get()).stop, Some(ErrorCode::H3_MESSAGE_ERROR.0));
        assert_eq!(facing.violation(), None);
        facing.run_for(Duration::from_secs(5));
        facing.session();
    }
}

#[test]
fn a_session_that_the_server_closes_is_answered_with_fin() {
    let mut facing = Facing::greeted_server(DRAFT_15);
    let session = facing.session();
    facing.raw.write(session.get(), &wire::data(&wire::close(7, b"bye")));
    facing.raw.finish(session.get());
    facing.run_for(A_WHILE);
    let end = SessionEnd::ClosedByPeer { code: 7, reason: "bye".into() };
    assert!(facing.core.saw(&Event::SessionEnded { session, end }));
    assert!(facing.seen().stream(session.get()).fin);
}

#[test]
fn unknown_stream_types_frames_and_capsules_are_ignored() {
    let mut facing = Facing::greeted_server(&[DRAFT_15, &[(0x21, 7), (0x4242, 9)]].concat());
    let session = facing.session();
    for kind in [0x21, 0x40, 0x21 + 0x1f * 9, wire::VARINT_MAX] {
        let stream = facing.raw.open_uni();
        facing.raw.write(stream, &[wire::varint(kind), b"whatever".to_vec()].concat());
        facing.raw.write(3, &wire::frame(0x21 + 0x1f * kind.min(99), b"abc"));
        facing.raw.write(session.get(), &wire::frame(0x4242, b"abc"));
        facing.raw.write(session.get(), &wire::data(&wire::frame(0x4242, b"abc")));
    }
    facing.run_for(A_WHILE);
    let stream = facing.core.connection().session(session).unwrap().open(Direction::Unidirectional).unwrap();
    facing.run_for(A_WHILE);
    assert!(!facing.seen().stream(stream.get()).data.is_empty());
    assert_eq!(facing.violation(), None);
}
