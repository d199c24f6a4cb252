//! What our client needs before it has a session, and what it makes of the answer; the server is a raw peer.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use transom_core::{ErrorCode, Event, OpenError, Request, SessionEnd, SessionId};
use transom_tests::raw::{Options, qpack, wire};
use transom_tests::simulation::Facing;

/// The settings of a server of draft 15 or 16 without session flow control.
const DRAFT_15: [(u64, u64); 3] = [(0x08, 1), (0x33, 1), (0x2c7c_f000, 1)];
/// Of a server of draft 02, and of draft 07.
const DRAFT_02: [(u64, u64); 3] = [(0x08, 1), (0x33, 1), (0x2b60_3742, 1)];
const DRAFT_07: [(u64, u64); 3] = [(0x08, 1), (0x33, 1), (0xc671_706a, 1)];

const A_WHILE: Duration = Duration::from_millis(50);

fn request() -> Request {
    Request::new("localhost", "/path?query")
}

/// The fields of the request that the raw server has on its first stream.
fn fields(facing: &Facing) -> Vec<(String, String)> {
    let data = &facing.seen().stream(0).data;
    let (kind, width) = wire::read_varint(data).unwrap();
    assert_eq!(kind, wire::HEADERS);
    let (length, more) = wire::read_varint(&data[width..]).unwrap();
    let block = &data[width + more..];
    assert_eq!(block.len() as u64, length, "one HEADERS frame and nothing behind it");
    qpack::decode(block).unwrap()
}

/// The SETTINGS on the control stream of the core.
fn settings(facing: &Facing) -> Vec<(u64, u64)> {
    let (_, control) = facing.seen().streams.iter().find(|(_, stream)| stream.data.first() == Some(&0)).unwrap();
    let mut rest = &control.data[1..];
    let mut take = || {
        let (value, width) = wire::read_varint(rest).unwrap();
        rest = &rest[width..];
        value
    };
    assert_eq!(take(), wire::SETTINGS, "SETTINGS come first");
    let mut left = take() as usize;
    let mut pairs = Vec::new();
    while left > 0 {
        let (id, value) = (take(), take());
        left -= wire::varint(id).len() + wire::varint(value).len();
        pairs.push((id, value));
    }
    pairs
}

#[test]
fn no_request_leaves_before_the_settings_of_the_server() {
    let mut facing = Facing::server(&Options::default());
    facing.run_for(Duration::from_secs(1));
    assert_eq!(facing.core.connection().request_session(request()), Err(OpenError::Blocked));
    facing.run_for(Duration::from_secs(1));
    assert!(facing.seen().streams.keys().all(|id| id % 4 == 2), "only unidirectional streams: {:?}", facing.seen());
    assert!(!facing.core.saw(&Event::Connected));
    facing.raw.send_settings(&DRAFT_15);
    facing.run_for(A_WHILE);
    assert!(facing.core.saw(&Event::Connected));
    facing.ask(request());
    assert!(!facing.seen().stream(0).data.is_empty());
}

#[test]
fn the_settings_of_the_client_leave_at_once_with_the_numbers_of_every_draft() {
    let mut facing = Facing::server(&Options::default());
    facing.run_for(A_WHILE);
    let settings = settings(&facing);
    for wanted in [(0x33, 1), (0x2b60_3742, 1), (0xc671_706a, 1), (0x2c7c_f000, 1)] {
        assert!(settings.contains(&wanted), "{wanted:x?} in {settings:x?}");
    }
    let mut ids: Vec<u64> = settings.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), settings.len(), "no setting twice");
    assert!(ids.iter().all(|id| !matches!(id, 0 | 2..=5)), "no setting of HTTP/2");
    assert!(!ids.contains(&0x08), "extended CONNECT is a promise of servers");
    assert!(ids.iter().all(|id| !matches!(id, 1 | 7)), "no dynamic table");
}

#[test]
fn flags_that_are_neither_0_nor_1_close_the_connection() {
    for (id, value) in [
        (0x2c7c_f000, 2),
        (0x2c7c_f000, wire::VARINT_MAX),
        (0x33, 2),
        (0x33, wire::VARINT_MAX),
        (0x08, 2),
        (0x08, wire::VARINT_MAX),
    ] {
        let facing = Facing::greeted_server(&[(id, value)]);
        assert_eq!(facing.violation(), Some(ErrorCode::H3_SETTINGS_ERROR), "{id:#x} = {value}");
    }
}

#[test]
fn a_server_that_lacks_a_setting_is_not_asked() {
    for missing in 0..3 {
        let mut some = DRAFT_15.to_vec();
        some.remove(missing);
        let mut facing = Facing::greeted_server(&some);
        assert_eq!(facing.core.connection().request_session(request()), Err(OpenError::Closed), "{some:x?}");
        for (id, _) in DRAFT_15 {
            let mut zero = some.clone();
            if !zero.iter().any(|(known, _)| *known == id) {
                zero.push((id, 0));
            }
            let mut facing = Facing::greeted_server(&zero);
            assert_eq!(facing.core.connection().request_session(request()), Err(OpenError::Closed), "{zero:x?}");
            facing.run_for(A_WHILE);
            assert!(facing.seen().streams.keys().all(|id| id % 4 == 2), "nothing was asked for");
        }
    }
}

#[test]
fn a_server_that_takes_no_quic_datagrams_is_not_asked() {
    let mut facing = Facing::server(&Options { datagrams: false, ..Options::default() });
    facing.run_for(A_WHILE);
    facing.raw.send_settings(&DRAFT_15);
    facing.run_for(A_WHILE);
    assert_eq!(facing.core.connection().request_session(request()), Err(OpenError::Closed));
}

#[test]
fn the_request_is_a_well_formed_extended_connect_in_the_draft_of_the_server() {
    for (settings, token) in [(DRAFT_15, "webtransport-h3"), (DRAFT_07, "webtransport"), (DRAFT_02, "webtransport")] {
        let mut facing = Facing::greeted_server(&settings);
        facing.ask(request());
        let fields = fields(&facing);
        let expected = [
            (":method", "CONNECT"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/path?query"),
            (":protocol", token),
        ];
        let pseudo: Vec<(&str, &str)> =
            fields[..5].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pseudo, expected);
        let asks_for_draft_02 = fields.iter().any(|(name, _)| name == "sec-webtransport-http3-draft02");
        assert_eq!(asks_for_draft_02, settings == DRAFT_02);
    }
}

#[test]
fn fields_that_http3_forbids_are_not_sent() {
    let mut facing = Facing::greeted_server(&DRAFT_15);
    let mut request = request();
    for name in ["connection", "keep-alive", "upgrade", "transfer-encoding", "proxy-connection", "content-length"] {
        request = request.header(name.parse().unwrap(), "1".parse().unwrap());
    }
    facing.ask(request.header("X-Kept".parse().unwrap(), "yes".parse().unwrap()));
    let fields = fields(&facing);
    assert_eq!(fields[5..], [("x-kept".to_owned(), "yes".to_owned())]);
}

#[test]
fn a_redirect_is_an_answer_and_not_followed() {
    for status in ["301", "302", "303", "307", "308"] {
        let mut facing = Facing::greeted_server(&DRAFT_15);
        let session = facing.ask(request());
        facing.raw.respond(session.get(), &[(":status", status), ("location", "https://localhost/elsewhere")]);
        facing.raw.finish(session.get());
        facing.run_for(Duration::from_secs(5));
        let refused = |event: &Event| match event {
            Event::SessionRefused { response, .. } => Some(response.status().as_str().to_owned()),
            _ => None,
        };
        assert_eq!(facing.core.events.iter().find_map(refused).as_deref(), Some(status));
        assert!(facing.seen().streams.keys().all(|id| *id == session.get() || id % 4 == 2), "no second request");
    }
}

/// The answer to a request that offers "a" and "b", and may insist on one of them.
fn answered(required: bool, answer: &[(&str, &str)]) -> (Facing, SessionId) {
    let mut facing = Facing::greeted_server(&DRAFT_15);
    let mut request = request().protocol("a").protocol("b");
    if required {
        request = request.require_protocol();
    }
    let session = facing.ask(request);
    facing.raw.respond(session.get(), &[&[(":status", "200")], answer].concat());
    facing.run_for(A_WHILE);
    (facing, session)
}

fn ended(facing: &Facing) -> Option<SessionEnd> {
    facing.core.events.iter().find_map(|event| match event {
        Event::SessionEnded { end, .. } => Some(end.clone()),
        _ => None,
    })
}

#[test]
fn a_choice_is_one_of_the_offered_strings_with_or_without_parameters() {
    for (value, choice) in [("\"a\"", Some("a")), ("\"b\"", Some("b")), ("\"b\";q=1;x", Some("b"))] {
        let (mut facing, session) = answered(false, &[("wt-protocol", value)]);
        let chosen = facing.core.connection().session(session).unwrap();
        assert_eq!(chosen.response().and_then(|response| response.protocol()), choice, "{value}");
    }
}

#[test]
fn a_choice_that_is_no_string_is_no_choice() {
    for value in ["a", "1", "?1", ":YQ==:", "(\"a\")", "\"a", "\"a\", \"b\"", ""] {
        let (mut facing, session) = answered(false, &[("wt-protocol", value)]);
        let session = facing.core.connection().session(session).expect("a session without a subprotocol");
        assert_eq!(session.response().and_then(|response| response.protocol()), None, "{value}");
    }
}

#[test]
fn a_choice_that_was_not_offered_ends_the_session() {
    for required in [false, true] {
        let (facing, session) = answered(required, &[("wt-protocol", "\"c\"")]);
        assert_eq!(ended(&facing), Some(SessionEnd::PeerMisbehaved { code: ErrorCode::WT_ALPN_ERROR }));
        assert!(!facing.core.is_established(session), "nobody may use it");
        let stream = facing.seen().stream(session.get());
        assert_eq!((stream.reset, stream.stop), (Some(0x0817_b3dd), Some(0x0817_b3dd)));
        assert_eq!(facing.violation(), None, "the connection goes on");
    }
}

#[test]
fn a_client_that_needs_a_subprotocol_ends_the_session_without_one() {
    for answer in [&[][..], &[("wt-protocol", "a")], &[("wt-protocol", "\"a")]] {
        let (facing, session) = answered(true, answer);
        assert_eq!(ended(&facing), Some(SessionEnd::PeerMisbehaved { code: ErrorCode::WT_ALPN_ERROR }), "{answer:?}");
        assert!(!facing.core.is_established(session));
        assert_eq!(facing.seen().stream(session.get()).reset, Some(0x0817_b3dd));
    }
    let (facing, session) = answered(true, &[("wt-protocol", "\"b\"")]);
    assert!(facing.core.is_established(session));
}

#[test]
fn malformed_answers_end_the_request() {
    for fields in [
        &[("x", "y")][..],
        &[(":status", "200"), (":status", "200")],
        &[(":status", "200"), (":path", "/")],
        &[(":status", "200"), ("Upper", "case")],
        &[(":status", "abc")],
        &[(":status", "200"), ("connection", "close")],
    ] {
        let mut facing = Facing::greeted_server(&DRAFT_15);
        let session = facing.ask(request());
        facing.raw.respond(session.get(), fields);
        facing.run_for(A_WHILE);
        assert_eq!(facing.seen().stream(session.get()).stop, Some(ErrorCode::H3_MESSAGE_ERROR.0), "{fields:?}");
        let aborted = SessionEnd::Aborted { code: ErrorCode::H3_MESSAGE_ERROR };
        assert_eq!(ended(&facing), Some(aborted), "{fields:?}");
        facing.session();
    }
}

#[test]
fn an_interim_answer_is_not_the_answer() {
    let mut facing = Facing::greeted_server(&DRAFT_15);
    let session = facing.ask(request());
    facing.raw.respond(session.get(), &[(":status", "103")]);
    facing.run_for(A_WHILE);
    assert!(!facing.core.is_established(session));
    facing.raw.respond(session.get(), &[(":status", "200")]);
    facing.run_for(A_WHILE);
    assert!(facing.core.is_established(session));
}
