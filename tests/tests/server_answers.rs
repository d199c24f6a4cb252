//! What our server does for, and to, a client that was there too early, says too much, or is answered oddly by its own
//! application; the client is a raw peer.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use transom_core::{Direction, ErrorCode, Event, Response, SessionEnd, SessionId};
use transom_tests::raw::{DRAFT_02, Options, Request, code, wire};
use transom_tests::simulation::Facing;

const A_WHILE: Duration = Duration::from_millis(50);
const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;

fn connect() -> Request {
    Request::webtransport("localhost", "/")
}

/// A server core with an unanswered request of a raw client.
fn asked(request: &Request) -> (Facing, SessionId) {
    let mut facing = Facing::greeted_client(DRAFT_02);
    facing.raw.send_request(request);
    facing.run_for(A_WHILE);
    let session = requested(&facing);
    (facing, session)
}

fn requested(facing: &Facing) -> SessionId {
    let session = |event: &Event| match event {
        Event::SessionRequested { session } => Some(*session),
        _ => None,
    };
    facing.core.events.iter().find_map(session).expect("a request")
}

fn answer(facing: &Facing, session: SessionId) -> transom_tests::raw::Response {
    let data = &facing.seen().stream(session.get()).data;
    transom_tests::raw::Response::parse(data).unwrap().expect("an answer")
}

#[test]
fn settings_leave_before_the_client_has_said_anything() {
    let mut facing = Facing::client(&Options::default());
    // The handshake takes one round trip of 10 ms.
    facing.run_for(Duration::from_millis(11));
    let control = facing.seen().stream(3);
    let (kind, payload) = (control.data[0], &control.data[1..]);
    assert_eq!((u64::from(kind), u64::from(payload[0])), (wire::CONTROL_STREAM, wire::SETTINGS));
    let mut rest = &payload[2..];
    assert_eq!(rest.len(), usize::from(payload[1]), "one SETTINGS frame and nothing else");
    let mut ids = Vec::new();
    while let Some((id, width)) = wire::read_varint(rest) {
        let (_, more) = wire::read_varint(&rest[width..]).unwrap();
        rest = &rest[width + more..];
        ids.push(id);
    }
    for wanted in [0x06, 0x08, 0x33, 0x2b60_3742, 0xc671_706a, 0x2c7c_f000] {
        assert!(ids.contains(&wanted), "{wanted:#x} in {ids:x?}");
    }
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "none twice: {ids:x?}");
    assert!(ids.iter().all(|id| !matches!(id, 0..=5 | 7)), "none of HTTP/2, no dynamic table: {ids:x?}");
}

#[test]
fn an_accepted_session_has_an_answer_that_allows_capsules() {
    for status in [204, 205, 206, 304, 404, 500] {
        let (mut facing, session) = asked(&connect());
        let response = Response::new(StatusCode::from_u16(status).unwrap())
            .header("content-length".parse().unwrap(), "0".parse().unwrap())
            .header("content-type".parse().unwrap(), "text/plain".parse().unwrap())
            .header("transfer-encoding".parse().unwrap(), "chunked".parse().unwrap())
            .header("connection".parse().unwrap(), "close".parse().unwrap())
            .header("capsule-protocol".parse().unwrap(), "?1".parse().unwrap())
            .header("X-Kept".parse().unwrap(), "yes".parse().unwrap());
        facing.core.connection().accept(session, response).unwrap();
        facing.run_for(A_WHILE);
        let answer = answer(&facing, session);
        assert_eq!(answer.status, 200, "{status}");
        let fields: Vec<&str> = answer.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(fields, ["capsule-protocol", "x-kept"]);
    }
}

#[test]
fn a_refusal_is_no_acceptance_and_does_not_speak_of_capsules() {
    for (status, expected) in [(200, 500), (204, 500), (403, 403), (302, 302)] {
        let (mut facing, session) = asked(&connect());
        let response = Response::new(StatusCode::from_u16(status).unwrap())
            .header("capsule-protocol".parse().unwrap(), "?1".parse().unwrap())
            .header("location".parse().unwrap(), "/elsewhere".parse().unwrap());
        facing.core.connection().refuse(session, response).unwrap();
        facing.run_for(A_WHILE);
        let answer = answer(&facing, session);
        assert_eq!((answer.status, answer.field("capsule-protocol")), (expected, None));
        assert_eq!(answer.field("location"), Some("/elsewhere"));
        let stream = facing.seen().stream(session.get());
        assert!(stream.fin, "a final answer ends our side");
        assert_eq!(stream.stop, Some(code::H3_NO_ERROR), "the rest of the request is not needed");
    }
}

#[test]
fn as_many_datagrams_are_held_as_configured_and_the_rest_is_dropped() {
    let mut facing = Facing::greeted_client(DRAFT_02);
    let stream = facing.raw.open_bidi();
    for number in 0..100 {
        facing.raw.datagram(&[0, number]);
    }
    facing.run_for(A_WHILE);
    facing.raw.write(stream, &connect().frame());
    facing.run_for(A_WHILE);
    let session = requested(&facing);
    facing.core.connection().accept(session, Response::accept()).unwrap();
    facing.run_for(A_WHILE);
    let mut proxy = facing.core.connection().session(session).unwrap();
    for number in 0..64 {
        assert_eq!(proxy.recv_datagram().as_deref(), Some(&[number][..]));
    }
    assert_eq!(proxy.recv_datagram(), None);
    assert_eq!(facing.core.endpoint.stats().datagrams_dropped, 36);
    assert_eq!(facing.violation(), None);
}

#[test]
fn a_stream_that_is_not_held_is_rejected_on_both_halves() {
    let mut facing = Facing::greeted_client(DRAFT_02);
    let session = facing.raw.open_bidi();
    for _ in 0..64 {
        let stream = facing.raw.open_uni();
        facing.raw.write(stream, &wire::uni_header(session));
    }
    facing.run_for(A_WHILE);
    let bidi = facing.raw.open_bidi();
    facing.raw.write(bidi, &wire::bidi_header(session));
    let uni = facing.raw.open_uni();
    facing.raw.write(uni, &wire::uni_header(session));
    facing.run_for(A_WHILE);
    let rejected = Some(code::WT_BUFFERED_STREAM_REJECTED);
    let seen = facing.seen().stream(bidi);
    assert_eq!((seen.reset, seen.stop), (rejected, rejected));
    assert_eq!(facing.seen().stream(uni).stop, rejected);
    let others = facing.seen().streams.iter().filter(|(id, _)| ![bidi, uni].contains(id));
    assert!(others.into_iter().all(|(_, stream)| !stream.aborted()), "those that are held stay");
}

#[test]
fn nothing_may_follow_a_close() {
    let close = wire::data(&wire::close(1, b"bye"));
    let drain = wire::data(&wire::frame(wire::CAPSULE_DRAIN, b""));
    let follow: [(&str, &[u8]); 6] = [
        ("a byte", &wire::data(&[0])),
        ("a capsule", &drain),
        ("a second close", &close),
        ("an empty DATA frame", &wire::data(b"")),
        ("an unknown frame", &wire::frame(0x21, b"abc")),
        ("an empty unknown frame", &wire::frame(0x4242, b"")),
    ];
    for (name, bytes) in follow {
        for at_once in [true, false] {
            let mut facing = Facing::greeted_client(DRAFT_02);
            let session = facing.accepted(&connect());
            facing.raw.write(session.get(), &close);
            if !at_once {
                facing.run_for(A_WHILE);
            }
            facing.raw.write(session.get(), bytes);
            facing.run_for(A_WHILE);
            let stop = facing.seen().stream(session.get()).stop;
            assert_eq!(stop, Some(code::H3_MESSAGE_ERROR), "{name}, at once: {at_once}");
            let end = SessionEnd::ClosedByPeer { code: 1, reason: "bye".into() };
            assert!(facing.core.saw(&Event::SessionEnded { session, end }));
            assert_eq!(facing.violation(), None);
        }
    }
}

#[test]
fn a_reason_that_is_not_utf8_breaks_the_session() {
    let forms: [&[u8]; 20] = [
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"ok\xc3",
        b"ok\xe2\x82",
        b"ok\xf0\x9f\xa6",
        b"\xc3(",
        b"\xe2(\xa1",
    ];
    let mut facing = Facing::greeted_client(DRAFT_02);
    for form in forms {
        facing.core.events.clear();
        let session = facing.accepted(&connect());
        facing.raw.write(session.get(), &wire::data(&wire::close(1, form)));
        facing.run_for(A_WHILE);
        let end = SessionEnd::PeerMisbehaved { code: ErrorCode::H3_MESSAGE_ERROR };
        assert!(facing.core.saw(&Event::SessionEnded { session, end }), "{form:x?}");
        let stream = facing.seen().stream(session.get());
        assert_eq!((stream.reset, stream.stop), (Some(code::H3_MESSAGE_ERROR), Some(code::H3_MESSAGE_ERROR)));
    }
    assert_eq!(facing.violation(), None);
}

#[test]
fn unknown_frames_between_capsules_harm_nobody() {
    let mut facing = Facing::greeted_client(DRAFT_02);
    let session = facing.accepted(&connect());
    for bytes in [wire::frame(0x21, b"abc"), wire::data(b""), wire::frame(0x4242, b"")] {
        facing.raw.write(session.get(), &bytes);
        facing.run_for(A_WHILE);
    }
    assert!(facing.core.connection().session(session).is_some());
    assert!(!facing.seen().stream(session.get()).aborted());
}

#[test]
fn after_our_goaway_requests_are_rejected_and_its_id_does_not_grow() {
    let mut facing = Facing::greeted_client(DRAFT_02);
    let answered = facing.raw.send_request(&Request::plain("GET", "localhost", "/"));
    facing.run_for(A_WHILE);
    let control = facing.seen().stream(3).data.len();
    for _ in 0..3 {
        facing.core.endpoint.drain(facing.now);
        facing.run_for(Duration::from_millis(20));
    }
    let late = facing.raw.send_request(&connect());
    facing.run_for(Duration::from_millis(20));
    let goaway = wire::frame(wire::GOAWAY, &wire::varint(answered + 4));
    assert_eq!(facing.seen().stream(3).data[control..], goaway, "once, and it names the next request");
    assert_eq!(facing.seen().stream(late).reset, Some(code::H3_REQUEST_REJECTED));
    assert!(!facing.core.events.iter().any(|event| matches!(event, Event::SessionRequested { .. })));
}

#[test]
fn streams_for_a_session_that_ends_unanswered_are_rejected() {
    let (mut facing, session) = asked(&connect());
    let stream = facing.raw.open_bidi();
    facing.raw.write(stream, &wire::bidi_header(session.get()));
    facing.run_for(A_WHILE);
    assert_eq!(facing.core.accept(session, BIDI), None, "nobody sees it before the answer");
    facing.raw.reset(session.get(), code::H3_REQUEST_CANCELLED);
    facing.run_for(A_WHILE);
    let aborted = SessionEnd::Aborted { code: ErrorCode::H3_REQUEST_CANCELLED };
    assert!(facing.core.saw(&Event::SessionEnded { session, end: aborted }));
    assert!(facing.core.connection().accept(session, Response::accept()).is_err());
    assert_eq!(facing.seen().stream(stream).stop, Some(code::WT_BUFFERED_STREAM_REJECTED));
    assert_eq!(facing.core.connection().session(session).and_then(|mut session| session.accept(UNI)), None);
}

/// A string as a structured field has it (RFC 9651, section 3.3.3).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the application chooses, the answer names exactly one of the offered protocols, or none.
    #[test]
    fn the_answer_names_one_of_the_offered_protocols_or_none(
        offer in prop::collection::vec("[ -~]{0,6}", 0..5),
        other in "[ -~é]{0,6}",
        pick in prop::option::of(0usize..8),
    ) {
        let mut request = connect();
        if !offer.is_empty() {
            let list: Vec<String> = offer.iter().map(|text| quoted(text)).collect();
            request = request.and("wt-available-protocols", list.join(", "));
        }
        let (mut facing, session) = asked(&request);
        let offered = facing.core.connection().request(session).unwrap().protocols().to_vec();
        prop_assert_eq!(&offered, &offer);
        let choice = pick.map(|index| offer.get(index).unwrap_or(&other).clone());
        let mut response = Response::accept();
        if let Some(choice) = &choice {
            response = response.with_protocol(choice.clone());
        }
        facing.core.connection().accept(session, response).unwrap();
        facing.run_for(A_WHILE);
        let answer = answer(&facing, session);
        let expected = choice.filter(|choice| offer.contains(choice)).map(|choice| quoted(&choice));
        prop_assert_eq!(answer.field("wt-protocol"), expected.as_deref());
        prop_assert_eq!(answer.fields.len(), usize::from(expected.is_some()));
    }

    /// Whatever stands in the field: it is a list of strings, or nothing is offered; never an error.
    #[test]
    fn any_text_in_the_offer_is_strings_or_nothing(text in "[ -~]{0,30}|(\"[a-c]{0,2}\"|[a-c,;=? 0-9()]|, ){0,8}") {
        let (mut facing, session) = asked(&connect().and("wt-available-protocols", text.trim()));
        let offered = facing.core.connection().request(session).unwrap().protocols().to_vec();
        // Every string of a list stands in it between quotation marks.
        prop_assert!(offered.iter().all(|protocol| text.contains(&quoted(protocol))), "{offered:?} from {text:?}");
        prop_assert_eq!(facing.violation(), None);
    }
}
