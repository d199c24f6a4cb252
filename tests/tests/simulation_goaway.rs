//! Connections that are brought to their end while work is under way, between two real cores in virtual time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use http::StatusCode;
use transom_core::{
    Config, ConnectionError, Direction, ErrorCode, Event, OpenError, Request, Response, SessionEnd, SessionId,
};
use transom_tests::simulation::{LinkConfig, Pair, Side};

const UNI: Direction = Direction::Unidirectional;

fn ends(side: &Side) -> Vec<SessionEnd> {
    let end = |event: &Event| match event {
        Event::SessionEnded { end, .. } => Some(end.clone()),
        _ => None,
    };
    side.events.iter().filter_map(end).collect()
}

fn loss(side: &Side) -> Option<ConnectionError> {
    side.events.iter().find_map(|event| match event {
        Event::ConnectionLost { error } => Some(error.clone()),
        _ => None,
    })
}

fn ask(pair: &mut Pair) -> Result<SessionId, OpenError> {
    pair.client.connection().request_session(Request::new("localhost", "/"))
}

fn drain_server(pair: &mut Pair) {
    let now = pair.now;
    pair.server.endpoint.drain(now);
}

fn closed_by_peer() -> ConnectionError {
    ConnectionError::ClosedByPeer { code: ErrorCode::H3_NO_ERROR, reason: String::new() }
}

fn closed_locally() -> ConnectionError {
    ConnectionError::ClosedLocally { code: ErrorCode::H3_NO_ERROR, reason: String::new() }
}

/// 30 ms each way, a fifth lost, much overtaken.
fn lossy() -> LinkConfig {
    LinkConfig { loss_per_mille: 200, ..LinkConfig::bad() }
}

#[test]
fn an_idle_connection_hears_goaway_and_is_closed() {
    let mut pair = Pair::connected();
    drain_server(&mut pair);
    pair.run_until(|pair| pair.client.saw(&Event::GoingAway));
    assert_eq!(loss(&pair.client), None, "GOAWAY comes first");
    assert!(pair.client.connection().is_going_away());
    assert_eq!(ask(&mut pair), Err(OpenError::Closed));
    pair.run_for(Duration::from_secs(5));
    assert_eq!((loss(&pair.server), loss(&pair.client)), (Some(closed_locally()), Some(closed_by_peer())));
    assert!(pair.client.endpoint.is_drained() && pair.server.endpoint.is_drained());
}

#[test]
fn open_sessions_end_before_goaway() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    drain_server(&mut pair);
    pair.run_for(Duration::from_secs(20));
    assert!(pair.client.saw(&Event::SessionDraining { session }));
    assert!(!pair.client.saw(&Event::GoingAway), "Chromium would close the connection at the next stream");
    let stream = pair.client.send(session, UNI, b"still works");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server.accept(session, UNI), Some(stream));
    pair.client.connection().session(session).unwrap().close(3, "done");
    pair.run_for(Duration::from_millis(100));
    assert!(pair.client.saw(&Event::GoingAway));
    assert_eq!(ends(&pair.server), [SessionEnd::ClosedByPeer { code: 3, reason: "done".into() }]);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(loss(&pair.client), Some(closed_by_peer()));
}

#[test]
fn a_request_under_way_may_be_asked_again() {
    let mut pair = Pair::connected();
    drain_server(&mut pair);
    ask(&mut pair).unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(ends(&pair.client), [SessionEnd::NotProcessed]);
    assert!(!pair.server.events.iter().any(|event| matches!(event, Event::SessionRequested { .. })));
}

#[test]
fn a_request_turned_down_unread_may_be_asked_again() {
    let mut server = Config::default();
    server.max_sessions = 0;
    let mut pair = Pair::with(Config::default(), server, LinkConfig::good(), 3);
    pair.connect();
    ask(&mut pair).unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(ends(&pair.client), [SessionEnd::NotProcessed], "H3_REQUEST_REJECTED says so");
    assert!(!pair.client.connection().is_going_away());
}

#[test]
fn a_client_that_leaves_closes_after_its_session() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.client.connection().drain();
    assert_eq!(ask(&mut pair), Err(OpenError::Closed));
    pair.run_for(Duration::from_secs(5));
    assert!(pair.server.saw(&Event::SessionDraining { session }));
    assert_eq!(loss(&pair.client), None, "the session may take its time");
    pair.server.connection().session(session).unwrap().close(7, "bye");
    pair.run_for(Duration::from_secs(5));
    assert_eq!(ends(&pair.client), [SessionEnd::ClosedByPeer { code: 7, reason: "bye".into() }]);
    assert_eq!((loss(&pair.client), loss(&pair.server)), (Some(closed_locally()), Some(closed_by_peer())));
}

#[test]
fn leaving_during_the_handshake_waits_for_its_end() {
    let mut pair = Pair::new();
    pair.run_for(Duration::from_millis(8));
    drain_server(&mut pair);
    pair.run_for(Duration::from_secs(10));
    assert!(pair.client.saw(&Event::GoingAway));
    assert_eq!(loss(&pair.client), Some(closed_by_peer()));
    assert!(pair.server.endpoint.is_drained());
}

#[test]
fn the_close_of_a_session_outlives_any_loss() {
    for seed in 0..40 {
        let mut pair = Pair::with(Config::default(), Config::default(), LinkConfig::good(), seed);
        pair.connect();
        let session = pair.session("/");
        pair.up.set(lossy());
        pair.down.set(lossy());
        pair.server.connection().session(session).unwrap().close(7, "bye");
        drain_server(&mut pair);
        pair.run_for(Duration::from_secs(60));
        assert_eq!(ends(&pair.client), [SessionEnd::ClosedByPeer { code: 7, reason: "bye".into() }], "seed {seed}");
        assert_eq!(loss(&pair.server), Some(closed_locally()), "seed {seed}");
        assert!(pair.server.endpoint.is_drained(), "seed {seed}");
    }
}

#[test]
fn an_answer_outlives_any_loss() {
    for seed in 0..40 {
        let mut pair = Pair::with(Config::default(), Config::default(), LinkConfig::good(), seed);
        pair.connect();
        let session = ask(&mut pair).unwrap();
        pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
        pair.up.set(lossy());
        pair.down.set(lossy());
        drain_server(&mut pair);
        pair.server.connection().refuse(session, Response::new(StatusCode::FORBIDDEN)).unwrap();
        pair.run_for(Duration::from_secs(60));
        let refused = |event: &Event| match event {
            Event::SessionRefused { response, .. } => Some(response.status()),
            _ => None,
        };
        let status = pair.client.events.iter().find_map(refused);
        assert_eq!(status, Some(StatusCode::FORBIDDEN), "seed {seed}: {:?}", pair.client.events);
        assert_eq!(loss(&pair.server), Some(closed_locally()), "seed {seed}");
    }
}

#[test]
fn requests_that_cross_goaway_have_one_honest_end() {
    let mut unprocessed = 0;
    for seed in 0..60 {
        let mut pair = Pair::with(Config::default(), Config::default(), LinkConfig::good(), seed);
        pair.connect();
        pair.up.set(lossy());
        pair.down.set(lossy());
        ask(&mut pair).unwrap();
        pair.run_for(Duration::from_millis(seed * 2));
        drain_server(&mut pair);
        pair.run_for(Duration::from_secs(90));
        let seen = pair.server.events.iter().any(|event| matches!(event, Event::SessionRequested { .. }));
        match &ends(&pair.client)[..] {
            [SessionEnd::NotProcessed] => {
                assert!(!seen, "seed {seed}: safe to ask again, but the application saw it");
                unprocessed += 1;
            }
            // Nobody answers here; or GOAWAY was lost too often.
            [] | [SessionEnd::ConnectionLost(_)] => {}
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(unprocessed > 5, "{unprocessed} requests crossed GOAWAY");
}
