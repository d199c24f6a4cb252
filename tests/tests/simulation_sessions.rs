//! Sessions between two real cores in virtual time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use transom_core::{
    Config, ConnectionError, Dialect, Direction, ErrorCode, Event, OpenError, ReadError, Request, Response, SessionEnd,
    SessionId, WriteError,
};
use transom_tests::simulation::{LinkConfig, Pair};

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;

fn ended(events: &[Event]) -> Vec<(SessionId, SessionEnd)> {
    let end = |event: &Event| match event {
        Event::SessionEnded { session, end } => Some((*session, end.clone())),
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

#[test]
fn a_session_is_opened_in_the_newest_dialect() {
    let mut pair = Pair::connected();
    let session = pair.session("/echo?x=1");
    assert_eq!(pair.server.connection().dialect(), Some(Dialect::Draft15));
    let request = pair.server.connection().request(session).unwrap().clone();
    assert_eq!((request.path(), request.query(), request.authority()), ("/echo", Some("x=1"), "localhost"));
    assert_eq!(request.dialect(), Dialect::Draft15);
    assert_eq!(pair.client.connection().session(session).unwrap().response().unwrap().status(), StatusCode::OK);
}

#[test]
fn streams_of_all_four_kinds_and_datagrams_arrive() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    for direction in [BIDI, UNI] {
        let up = pair.client.send(session, direction, b"from the client");
        let down = pair.server.send(session, direction, b"from the server");
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.server.accept(session, direction), Some(up));
        assert_eq!(pair.client.accept(session, direction), Some(down));
        assert_eq!(pair.server.read(up), Ok((b"from the client".to_vec(), true)));
        assert_eq!(pair.client.read(down), Ok((b"from the server".to_vec(), true)));
    }
    for size in [0, 1, 1_000] {
        let payload = vec![7; size];
        pair.client.connection().session(session).unwrap().send_datagram(&payload).unwrap();
        pair.run_for(Duration::from_millis(50));
        assert_eq!(pair.server.connection().session(session).unwrap().recv_datagram().unwrap(), payload);
        assert_eq!(pair.server.connection().session(session).unwrap().recv_datagram(), None);
    }
}

#[test]
fn the_stream_header_leaves_before_any_data() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let stream = pair.server.connection().session(session).unwrap().open(BIDI).unwrap();
    pair.run_until(|pair| pair.client.saw(&Event::StreamOpened { session, direction: BIDI }));
    assert_eq!(pair.client.accept(session, BIDI), Some(stream));
    assert_eq!(pair.client.read(stream), Ok((Vec::new(), false)));
}

#[test]
fn closing_a_session_tells_code_and_reason_and_leaves_the_connection() {
    for by_server in [true, false] {
        let mut pair = Pair::connected();
        let session = pair.session("/");
        let (closer, other) =
            if by_server { (&mut pair.server, &mut pair.client) } else { (&mut pair.client, &mut pair.server) };
        other.take_events();
        let long = "é".repeat(600);
        closer.connection().session(session).unwrap().close(u32::MAX, &long);
        assert!(closer.connection().session(session).is_none());
        pair.run_for(Duration::from_secs(1));
        let (closer, other) = if by_server { (&pair.server, &pair.client) } else { (&pair.client, &pair.server) };
        let cut = "é".repeat(512);
        let by_peer = SessionEnd::ClosedByPeer { code: u32::MAX, reason: cut.clone() };
        assert_eq!(ended(&other.events), [(session, by_peer)]);
        assert_eq!(ended(&closer.events), [(session, SessionEnd::ClosedLocally { code: u32::MAX, reason: cut })]);
        let next = pair.session("/again");
        assert_ne!(next, session, "the same connection serves the next session");
    }
}

#[test]
fn a_close_that_cannot_leave_does_not_wait_for_ever() {
    let mut client = Config::default();
    // Room for the answer on the CONNECT stream, not for the reason of the close.
    client.stream_window = 200;
    let mut pair = Pair::with(client, Config::default(), LinkConfig::good(), 5);
    pair.connect();
    let session = pair.session("/");
    pair.run_for(Duration::from_secs(1));
    // What would give the server credit is lost.
    pair.up.set(LinkConfig { loss_per_mille: 1_000, ..LinkConfig::good() });
    pair.server.connection().session(session).unwrap().close(3, &"x".repeat(1_000));
    assert!(pair.server.connection().session(session).is_none(), "closing never waits");
    pair.run_for(Duration::from_millis(300));
    pair.up.set(LinkConfig::good());
    pair.run_for(Duration::from_secs(5));
    let aborted = SessionEnd::Aborted { code: ErrorCode::H3_REQUEST_CANCELLED };
    assert_eq!(ended(&pair.client.events), [(session, aborted)], "a reset instead of the close");
    pair.session("/next");
}

#[test]
fn a_plain_end_is_code_zero() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.server.connection().session(session).unwrap().finish();
    pair.run_for(Duration::from_secs(1));
    let end = SessionEnd::ClosedByPeer { code: 0, reason: String::new() };
    assert_eq!(ended(&pair.client.events), [(session, end)]);
}

#[test]
fn both_sides_closing_at_once_hear_one_end_each() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.server.connection().session(session).unwrap().close(1, "server");
    pair.client.connection().session(session).unwrap().close(2, "client");
    pair.run_for(Duration::from_secs(10));
    assert_eq!(ended(&pair.server.events).len(), 1);
    assert_eq!(ended(&pair.client.events).len(), 1);
    pair.session("/next");
}

#[test]
fn the_end_of_a_session_resets_its_streams() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let half = pair.client.connection().session(session).unwrap().open(BIDI).unwrap();
    pair.client.write(half, b"unfinished").unwrap();
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server.accept(session, BIDI), Some(half));
    pair.server.connection().session(session).unwrap().close(0, "");
    assert_eq!(pair.server.read(half), Err(ReadError::Closed));
    assert_eq!(pair.server.connection().send_stream(half).write(b"x"), Err(WriteError::Closed));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.client.connection().send_stream(half).write(b"x"), Err(WriteError::Closed));
    assert_eq!(pair.client.read(half), Err(ReadError::Closed));
    assert!(pair.client.connection().session(session).is_none());
}

#[test]
fn drain_is_a_wish() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.server.connection().session(session).unwrap().drain();
    pair.run_until(|pair| pair.client.saw(&Event::SessionDraining { session }));
    let stream = pair.client.send(session, UNI, b"still works");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server.accept(session, UNI), Some(stream));
}

#[test]
fn a_refusal_carries_status_and_headers() {
    let mut pair = Pair::connected();
    let session = pair.client.connection().request_session(Request::new("localhost", "/secret")).unwrap();
    pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
    let response = Response::new(StatusCode::FORBIDDEN)
        .header(HeaderName::from_static("x-refused"), HeaderValue::from_static("yes"));
    pair.server.connection().refuse(session, response).unwrap();
    assert!(pair.server.connection().accept(session, Response::accept()).is_err(), "answered already");
    pair.run_for(Duration::from_millis(100));
    let refused = |event: &Event| match event {
        Event::SessionRefused { response, .. } => Some((response.status(), response.headers().clone())),
        _ => None,
    };
    let (status, headers) = pair.client.events.iter().find_map(refused).unwrap();
    assert_eq!((status, headers.get("x-refused").unwrap().as_bytes()), (StatusCode::FORBIDDEN, &b"yes"[..]));
    pair.session("/open");
}

#[test]
fn an_answer_is_told_though_the_session_ended_with_it() {
    let mut pair = Pair::connected();
    let request = Request::new("localhost", "/").protocol("a");
    let id = pair.client.connection().request_session(request).unwrap();
    pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session: id }));
    let response = Response::accept()
        .with_protocol("a")
        .header(HeaderName::from_static("x-server"), HeaderValue::from_static("here"));
    pair.server.connection().accept(id, response).unwrap();
    pair.server.connection().session(id).unwrap().close(7, "enough");
    pair.run_for(Duration::from_millis(100));
    assert!(pair.client.connection().session(id).is_none(), "it is over");
    let answer = |event: &Event| match event {
        Event::SessionEstablished { session, response } if *session == id => Some(response.clone()),
        _ => None,
    };
    let answer = pair.client.events.iter().find_map(answer).expect("an answer");
    assert_eq!((answer.protocol(), &answer.headers()["x-server"]), (Some("a"), &HeaderValue::from_static("here")));
}

#[test]
fn a_subprotocol_is_chosen_from_the_offer_only() {
    for (choice, expected) in [("b", Some("b")), ("c", None)] {
        let mut pair = Pair::connected();
        let request = Request::new("localhost", "/").protocol("a").protocol("b");
        let session = pair.client.connection().request_session(request).unwrap();
        pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
        assert_eq!(pair.server.connection().request(session).unwrap().protocols(), ["a", "b"]);
        pair.server.connection().accept(session, Response::accept().with_protocol(choice)).unwrap();
        pair.run_until(|pair| pair.client.is_established(session));
        let mut session = pair.client.connection().session(session).unwrap();
        assert_eq!(session.response().unwrap().protocol(), expected);
        session.close(0, "");
    }
}

#[test]
fn without_flow_control_a_client_asks_for_one_session_at_a_time() {
    let mut without = Config::default();
    (without.session_window, without.session_bidi_streams, without.session_uni_streams) = (0, 0, 0);
    let mut pair = Pair::with(Config::default(), without, LinkConfig::good(), 9);
    pair.connect();
    let first = pair.session("/first");
    let second = pair.client.connection().request_session(Request::new("localhost", "/second"));
    assert_eq!(second, Err(OpenError::Blocked));
    let stream = pair.client.send(first, UNI, b"alive");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server.accept(first, UNI), Some(stream));
    pair.client.connection().session(first).unwrap().close(0, "");
    pair.session("/second");
}

#[test]
fn streams_in_one_batch_with_the_answer_are_not_early() {
    let mut client = Config::default();
    client.session_uni_streams = 99;
    let mut pair = Pair::with(client, Config::default(), LinkConfig::good(), 10);
    pair.connect();
    let session = pair.client.connection().request_session(Request::new("localhost", "/")).unwrap();
    pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
    pair.server.connection().accept(session, Response::accept()).unwrap();
    // More than are held for a session that does not exist.
    let sent: Vec<_> = (0..99).map(|_| pair.server.send(session, UNI, b"x")).collect();
    pair.run_for(Duration::from_millis(200));
    let mut accepted = Vec::new();
    while let Some(stream) = pair.client.accept(session, UNI) {
        accepted.push(stream);
    }
    accepted.sort_unstable();
    assert_eq!(accepted, sent);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let (mut client, mut server) = (Config::default(), Config::default());
    client.keep_alive_interval = Duration::from_secs(10);
    server.accept_timeout = Duration::from_secs(3_600);
    let mut pair = Pair::with(client, server, LinkConfig::good(), 8);
    pair.connect();
    let session = pair.client.connection().request_session(Request::new("localhost", "/")).unwrap();
    pair.run_for(Duration::from_secs(59));
    assert_eq!(ended(&pair.client.events), []);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(ended(&pair.client.events), [(session, SessionEnd::AnswerTimedOut)]);
    let cancelled = SessionEnd::Aborted { code: ErrorCode::H3_REQUEST_CANCELLED };
    assert_eq!(ended(&pair.server.events), [(session, cancelled)]);
}

#[test]
fn a_session_accepted_while_draining_is_asked_to_wind_down() {
    let mut pair = Pair::connected();
    let session = pair.client.connection().request_session(Request::new("localhost", "/")).unwrap();
    pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
    let now = pair.now;
    pair.server.endpoint.drain(now);
    pair.server.connection().accept(session, Response::accept()).unwrap();
    pair.run_until(|pair| pair.client.saw(&Event::SessionDraining { session }));
}

#[test]
fn nobody_answering_is_503_and_a_client_that_leaves_is_told() {
    let mut pair = Pair::connected();
    let session = pair.client.connection().request_session(Request::new("localhost", "/slow")).unwrap();
    pair.run_for(Duration::from_secs(29));
    assert_eq!(ended(&pair.server.events), []);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(ended(&pair.server.events), [(session, SessionEnd::AnswerTimedOut)]);
    let status = |event: &Event| match event {
        Event::SessionRefused { response, .. } => Some(response.status()),
        _ => None,
    };
    assert_eq!(pair.client.events.iter().find_map(status), Some(StatusCode::SERVICE_UNAVAILABLE));

    let session = pair.client.connection().request_session(Request::new("localhost", "/leave")).unwrap();
    pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
    pair.server.take_events();
    pair.client.connection().session(session).unwrap().close(0, "changed my mind");
    pair.run_for(Duration::from_millis(100));
    let aborted = SessionEnd::Aborted { code: ErrorCode::H3_REQUEST_CANCELLED };
    assert_eq!(ended(&pair.server.events), [(session, aborted)]);
    assert!(pair.server.connection().accept(session, Response::accept()).is_err());
}

#[test]
fn a_dead_peer_ends_every_session_once() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.server.take_events();
    let cut = LinkConfig { loss_per_mille: 1_000, ..LinkConfig::good() };
    pair.up.set(cut);
    pair.down.set(cut);
    pair.run_for(Duration::from_secs(60));
    let end = SessionEnd::ConnectionLost(ConnectionError::TimedOut);
    assert_eq!(ended(&pair.server.events), [(session, end)]);
    assert!(pair.server.saw(&Event::ConnectionLost { error: ConnectionError::TimedOut }));
    assert!(pair.server.endpoint.is_drained(), "nothing is left of it");
    assert_eq!(pair.server.endpoint.poll_timeout(), None);
}

#[test]
fn closing_the_connection_tells_both_sides() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.client.connection().close(ErrorCode::H3_NO_ERROR, "done");
    pair.run_for(Duration::from_secs(5));
    let by_peer = ConnectionError::ClosedByPeer { code: ErrorCode::H3_NO_ERROR, reason: "done".into() };
    assert!(pair.server.saw(&Event::ConnectionLost { error: by_peer.clone() }));
    assert_eq!(ended(&pair.server.events), [(session, SessionEnd::ConnectionLost(by_peer))]);
    let locally = ConnectionError::ClosedLocally { code: ErrorCode::H3_NO_ERROR, reason: "done".into() };
    assert!(pair.client.saw(&Event::ConnectionLost { error: locally }));
    assert!(pair.client.endpoint.is_drained() && pair.server.endpoint.is_drained());
}

#[test]
fn draining_refuses_new_sessions_and_asks_the_old_ones() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let now = pair.now;
    pair.server.endpoint.drain(now);
    pair.run_until(|pair| pair.client.saw(&Event::SessionDraining { session }));
    // Both in one packet, so that the request is there before the server has said that it goes.
    pair.client.connection().session(session).unwrap().close(0, "");
    let refused = pair.client.connection().request_session(Request::new("localhost", "/late")).unwrap();
    pair.run_for(Duration::from_millis(100));
    let status = |event: &Event| match event {
        Event::SessionRefused { session, response } if *session == refused => Some(response.status()),
        _ => None,
    };
    assert_eq!(pair.client.events.iter().find_map(status), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[test]
fn opening_before_the_answer_is_not_possible() {
    let mut pair = Pair::connected();
    let session = pair.client.connection().request_session(Request::new("localhost", "/")).unwrap();
    assert_eq!(pair.client.connection().session(session).unwrap().open(UNI), Err(OpenError::Closed));
}
