//! Session flow control against a raw peer, in both roles: what a core sends, and what it does to who breaks the rules.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use proptest::prelude::*;
use transom_core::{Config, Direction, ErrorCode, Event, SessionEnd, SessionId, StreamId};
use transom_tests::raw::{DRAFT_15, Options, Request, code, wire};
use transom_tests::simulation::Facing;

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;
const A_WHILE: Duration = Duration::from_millis(50);

const MAX_DATA: u64 = 0x190b_4d3d;
const MAX_STREAM_DATA: u64 = 0x190b_4d3e;
const MAX_STREAMS_BIDI: u64 = 0x190b_4d3f;
const MAX_STREAMS_UNI: u64 = 0x190b_4d40;
const STREAM_DATA_BLOCKED: u64 = 0x190b_4d42;
const STREAMS_BLOCKED_BIDI: u64 = 0x190b_4d43;
const STREAMS_BLOCKED_UNI: u64 = 0x190b_4d44;

/// What the raw peer allows in each session.
#[derive(Debug, Clone, Copy)]
struct Limits {
    data: u64,
    bidi: u64,
    uni: u64,
}

const SOME: Limits = Limits { data: 1_000, bidi: 5, uni: 5 };

fn settings(limits: Limits) -> Vec<(u64, u64)> {
    [DRAFT_15, &[(0x2b61, limits.data), (0x2b64, limits.uni), (0x2b65, limits.bidi)]].concat()
}

/// A core with an open session whose peer has sent these settings; `is_client` says which role the core has.
fn in_session(is_client: bool, settings: &[(u64, u64)]) -> (Facing, SessionId) {
    if is_client {
        let mut facing = Facing::greeted_server(settings);
        let session = facing.session();
        (facing, session)
    } else {
        let mut facing = Facing::greeted_client(settings);
        let session = facing.accepted(&connect());
        (facing, session)
    }
}

fn connect() -> Request {
    Request::webtransport("localhost", "/").with(":protocol", "webtransport-h3")
}

fn say(facing: &mut Facing, session: SessionId, kind: u64, value: u64) {
    facing.raw.write(session.get(), &wire::data(&wire::frame(kind, &wire::varint(value))));
    facing.run_for(A_WHILE);
}

/// The code with which the session was ended; the connection must live on.
fn punished(facing: &Facing, session: SessionId) -> Option<u64> {
    assert_eq!((facing.violation(), &facing.seen().close), (None, &None));
    let stream = facing.seen().stream(session.get());
    assert_eq!(stream.reset, stream.stop, "both halves of the CONNECT stream");
    let end = SessionEnd::PeerMisbehaved { code: ErrorCode::WT_FLOW_CONTROL_ERROR };
    assert_eq!(stream.reset.is_some(), facing.core.saw(&Event::SessionEnded { session, end }));
    stream.reset
}

#[test]
fn capsules_that_http3_forbids_end_the_session_with_and_without_flow_control() {
    for is_client in [true, false] {
        for settings in [settings(SOME), DRAFT_15.to_vec()] {
            for kind in [MAX_STREAM_DATA, STREAM_DATA_BLOCKED] {
                let (mut facing, session) = in_session(is_client, &settings);
                facing.raw.write(session.get(), &wire::data(&wire::frame(kind, &wire::varints(&[0, 9]))));
                facing.run_for(A_WHILE);
                assert_eq!(punished(&facing, session), Some(code::WT_FLOW_CONTROL_ERROR), "{kind:#x}");
            }
        }
    }
}

#[test]
fn limits_that_do_not_grow_or_are_too_large_end_the_session() {
    let beyond = (1 << 60) + 1;
    for is_client in [true, false] {
        for (kind, value, expected) in [
            (MAX_DATA, SOME.data, true),
            (MAX_DATA, 0, true),
            (MAX_DATA, SOME.data + 1, false),
            (MAX_STREAMS_BIDI, SOME.bidi, true),
            (MAX_STREAMS_UNI, SOME.uni - 1, true),
            (MAX_STREAMS_BIDI, beyond, true),
            (MAX_STREAMS_UNI, beyond, true),
            (MAX_STREAMS_UNI, beyond - 1, false),
            (STREAMS_BLOCKED_BIDI, beyond, true),
            (STREAMS_BLOCKED_UNI, beyond, true),
            (STREAMS_BLOCKED_UNI, beyond - 1, false),
        ] {
            let (mut facing, session) = in_session(is_client, &settings(SOME));
            say(&mut facing, session, kind, value);
            let code = expected.then_some(code::WT_FLOW_CONTROL_ERROR);
            assert_eq!(punished(&facing, session), code, "{kind:#x} = {value}, client: {is_client}");
        }
    }
}

#[test]
fn without_flow_control_its_capsules_say_nothing() {
    for is_client in [true, false] {
        let (mut facing, session) = in_session(is_client, DRAFT_15);
        for kind in [MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI, STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI] {
            say(&mut facing, session, kind, 9);
            say(&mut facing, session, kind, 3);
        }
        assert_eq!(punished(&facing, session), None);
        let stream = facing.core.connection().session(session).unwrap().open(UNI).unwrap();
        assert_eq!(facing.core.write(stream, &[1; 5_000]), Ok(5_000), "and nothing is limited");
    }
}

/// What Safari 26.4 sends (tests/captures/safari.json), with smaller limits. It takes draft 7 from a server without RESET_STREAM_AT.
const SAFARI: &[(u64, u64)] = &[(0x14e9_cd29, 1), (0x33, 1), (0x2b61, 1_000), (0x2b64, 2), (0x2b65, 2)];

/// One that keeps to our limits by itself would stand still; one that does not is not harmed, and neither are we.
#[test]
fn who_need_not_keep_to_limits_is_told_of_them_all_the_same() {
    let mut config = Config::default();
    (config.session_window, config.connection_window) = (1_000, 2_000);
    let uni = u64::from(config.session_uni_streams);
    let mut facing = Facing::client_of(config, &Options::default());
    facing.run_for(A_WHILE);
    facing.raw.send_settings(SAFARI);
    facing.run_for(A_WHILE);
    let session = facing.accepted(&Request::webtransport("localhost", "/"));
    let grants = |facing: &Facing, kind: u64| {
        // Behind the answer there are DATA frames of capsules, of which each is known by its first bytes.
        let data = facing.seen().stream(session.get()).data.clone();
        data.windows(4).filter(|bytes| *bytes == wire::varint(kind)).count()
    };
    for round in 0..2 * uni {
        let stream = facing.raw.open_uni();
        facing.raw.write(stream, &[wire::uni_header(session.get()), vec![7; 700]].concat());
        facing.raw.finish(stream);
        facing.run_for(A_WHILE);
        let accepted = facing.core.connection().session(session).unwrap().accept(UNI);
        let accepted = accepted.unwrap_or_else(|| panic!("stream {round} of {uni}"));
        assert_eq!(facing.core.read(accepted).unwrap().0.len(), 700);
        facing.run_for(A_WHILE);
    }
    assert!(grants(&facing, MAX_DATA) > 10 && grants(&facing, MAX_STREAMS_UNI) > 1);
    // Its own limits are for whoever raises them; here they say nothing.
    for value in [3, 9, 9] {
        say(&mut facing, session, MAX_DATA, value);
        say(&mut facing, session, STREAMS_BLOCKED_UNI, (1 << 60) + 1);
    }
    for _ in 0..10 {
        let stream = facing.core.connection().session(session).unwrap().open(UNI).unwrap();
        assert_eq!(facing.core.write(stream, &[1; 500]), Ok(500));
    }
    facing.run_for(A_WHILE);
    assert_eq!(punished(&facing, session), None);
}

#[test]
fn streams_over_the_limit_end_the_session() {
    let (bidi, uni) = (Config::default().session_bidi_streams, Config::default().session_uni_streams);
    for is_client in [true, false] {
        for (direction, limit) in [(BIDI, bidi), (UNI, uni)] {
            let (mut facing, session) = in_session(is_client, &settings(SOME));
            for number in 0..=limit {
                assert_eq!(punished(&facing, session), None, "{number} of {limit}");
                let (stream, header) = if direction == BIDI {
                    (facing.raw.open_bidi(), wire::bidi_header(session.get()))
                } else {
                    (facing.raw.open_uni(), wire::uni_header(session.get()))
                };
                facing.raw.write(stream, &header);
                facing.run_for(Duration::from_millis(20));
            }
            assert_eq!(punished(&facing, session), Some(code::WT_FLOW_CONTROL_ERROR), "{direction:?}");
        }
    }
}

#[test]
fn a_byte_over_the_limit_ends_the_session_when_it_is_read() {
    for (bytes, expected) in [(1_000, None), (1_001, Some(code::WT_FLOW_CONTROL_ERROR))] {
        let mut config = Config::default();
        (config.session_window, config.connection_window) = (1_000, 2_000);
        let mut facing = Facing::client_of(config, &Options::default());
        facing.run_for(A_WHILE);
        facing.raw.send_settings(&settings(SOME));
        facing.run_for(A_WHILE);
        let session = facing.accepted(&connect());
        // In several streams: the limit is that of the session, and headers are not counted.
        for part in [bytes / 2, bytes - bytes / 2] {
            let stream = facing.raw.open_uni();
            facing.raw.write(stream, &wire::uni_header(session.get()));
            facing.raw.write(stream, &vec![7; part]);
        }
        facing.run_for(A_WHILE);
        while let Some(stream) = facing.core.connection().session(session).and_then(|mut session| session.accept(UNI)) {
            let _ = facing.core.read(stream);
        }
        facing.run_for(A_WHILE);
        assert_eq!(punished(&facing, session), expected, "{bytes} bytes");
    }
}

/// Something an application or its peer does.
#[derive(Debug, Clone)]
enum Does {
    Opens(Direction),
    Writes(u8, u16),
    Finishes(u8),
    Resets(u8),
    GrantsData(u16),
    GrantsStreams(Direction, u8),
    Waits,
}

fn does() -> impl Strategy<Value = Does> {
    let direction = prop_oneof![Just(BIDI), Just(UNI)];
    prop_oneof![
        3 => direction.clone().prop_map(Does::Opens),
        4 => (any::<u8>(), 0u16..900).prop_map(|(stream, size)| Does::Writes(stream, size)),
        1 => any::<u8>().prop_map(Does::Finishes),
        1 => any::<u8>().prop_map(Does::Resets),
        1 => (1u16..600).prop_map(Does::GrantsData),
        1 => (direction, 1u8..3).prop_map(|(direction, more)| Does::GrantsStreams(direction, more)),
        2 => Just(Does::Waits),
    ]
}

/// Streams and bytes that the core has used of its session.
fn used(facing: &Facing, is_client: bool, session: SessionId) -> Limits {
    let mut used = Limits { data: 0, bidi: 0, uni: 0 };
    let (header_bidi, header_uni) = (wire::bidi_header(session.get()), wire::uni_header(session.get()));
    let of_core = |id: &u64| id.is_multiple_of(2) == is_client;
    for (id, stream) in facing.seen().streams.iter().filter(|(id, _)| of_core(id) && **id != session.get()) {
        // What comes first on the control stream is its type, 0.
        if id & 2 == 2 && stream.data.first() == Some(&0) {
            continue;
        }
        let header = if id & 2 == 0 { header_bidi.len() } else { header_uni.len() };
        used.data += stream.data.len().saturating_sub(header) as u64;
        used.bidi += u64::from(id & 2 == 0);
        used.uni += u64::from(id & 2 == 2);
    }
    used
}

fn act(facing: &mut Facing, session: SessionId, known: &mut Vec<StreamId>, limits: &mut Limits, does: &Does) {
    let pick = |index: u8| known.get(usize::from(index) % known.len().max(1)).copied();
    match does {
        Does::Opens(direction) => {
            known.extend(facing.core.connection().session(session).and_then(|mut proxy| proxy.open(*direction).ok()));
        }
        Does::Writes(index, size) => {
            _ = pick(*index).map(|stream| facing.core.write(stream, &vec![1; usize::from(*size)]));
        }
        Does::Finishes(index) => _ = pick(*index).map(|stream| facing.core.connection().send_stream(stream).finish()),
        Does::Resets(index) => _ = pick(*index).map(|stream| facing.core.connection().send_stream(stream).reset(1)),
        Does::GrantsData(more) => {
            limits.data += u64::from(*more);
            say(facing, session, MAX_DATA, limits.data);
        }
        Does::GrantsStreams(BIDI, more) => {
            limits.bidi += u64::from(*more);
            say(facing, session, MAX_STREAMS_BIDI, limits.bidi);
        }
        Does::GrantsStreams(UNI, more) => {
            limits.uni += u64::from(*more);
            say(facing, session, MAX_STREAMS_UNI, limits.uni);
        }
        Does::Waits => facing.run_for(A_WHILE),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the application wants: never more streams, those that are over included, and never more bytes than the
    /// peer has allowed.
    #[test]
    fn nobody_sends_more_than_was_allowed(
        is_client: bool,
        (data, bidi, uni) in (1u64..1_500, 0u64..4, 0u64..4),
        script in prop::collection::vec(does(), 1..60),
    ) {
        let mut limits = Limits { data, bidi, uni };
        let (mut facing, session) = in_session(is_client, &settings(limits));
        let mut known = Vec::new();
        for does in &script {
            act(&mut facing, session, &mut known, &mut limits, does);
            let used = used(&facing, is_client, session);
            prop_assert!(used.data <= limits.data && used.bidi <= limits.bidi && used.uni <= limits.uni,
                "{:?} of {:?}", used, limits);
        }
        facing.run_for(Duration::from_secs(1));
        let used = used(&facing, is_client, session);
        prop_assert!(used.data <= limits.data && used.bidi <= limits.bidi && used.uni <= limits.uni);
        prop_assert_eq!(punished(&facing, session), None);
    }
}
