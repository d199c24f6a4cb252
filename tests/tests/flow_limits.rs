//! The rules of session flow control, judged by a raw peer: what a core sends stays within what it was allowed, and what it
//! allows is all that it takes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use proptest::prelude::*;
use transom_core::{Config, Direction, Event, OpenError, ReadError, SessionEnd, SessionId, StreamId};
use transom_tests::raw::{Options, Request, Seen, code, wire};
use transom_tests::simulation::Facing;

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;
const A_WHILE: Duration = Duration::from_millis(50);

const MAX_DATA: u64 = 0x190b_4d3d;
const MAX_STREAMS_BIDI: u64 = 0x190b_4d3f;
const MAX_STREAMS_UNI: u64 = 0x190b_4d40;

/// What the raw peer allows a session: data, bidirectional and unidirectional streams.
#[derive(Debug, Clone, Copy)]
struct Limits {
    data: u64,
    bidi: u64,
    uni: u64,
}

impl Limits {
    fn settings(self) -> Vec<(u64, u64)> {
        vec![(0x08, 1), (0x33, 1), (0x2c7c_f000, 1), (0x2b61, self.data), (0x2b64, self.uni), (0x2b65, self.bidi)]
    }
}

fn request() -> Request {
    Request::webtransport("localhost", "/").with(":protocol", "webtransport-h3")
}

/// A core of either role with a session whose peer allows this much.
fn in_session(is_client: bool, limits: Limits) -> (Facing, SessionId) {
    let settings = limits.settings();
    if is_client {
        let mut facing = Facing::greeted_server(&settings);
        let session = facing.session();
        return (facing, session);
    }
    let mut facing = Facing::greeted_client(&settings);
    let session = facing.accepted(&request());
    (facing, session)
}

/// A server core that allows little, and a raw client that is allowed to send much.
fn tight() -> Facing {
    let mut config = Config::default();
    (config.session_window, config.connection_window) = (1_000, 2_000);
    (config.session_bidi_streams, config.session_uni_streams) = (3, 3);
    let mut facing = Facing::client_of(config, &Options::default());
    facing.run_for(A_WHILE);
    facing.raw.send_settings(&Limits { data: 1 << 20, bidi: 100, uni: 100 }.settings());
    facing.run_for(A_WHILE);
    facing
}

/// Streams of a session that the core has opened, and the bytes on them behind their headers.
fn used(seen: &Seen, session: SessionId, is_client: bool) -> Limits {
    let mut used = Limits { data: 0, bidi: 0, uni: 0 };
    for (id, stream) in &seen.streams {
        let by_core = (id % 2 == 0) == is_client;
        let (header, count) = match id & 2 {
            0 => (wire::bidi_header(session.get()), &mut used.bidi),
            _ => (wire::uni_header(session.get()), &mut used.uni),
        };
        if by_core && stream.data.starts_with(&header) {
            *count += 1;
            used.data += (stream.data.len() - header.len()) as u64;
        } else if !by_core && *id != session.get() && id & 2 == 0 {
            used.data += stream.data.len() as u64;
        }
    }
    used
}

fn allow(facing: &mut Facing, session: SessionId, kind: u64, limit: u64) {
    let capsule = wire::frame(kind, &wire::varint(limit));
    facing.raw.write(session.get(), &wire::data(&capsule));
    facing.run_for(A_WHILE);
}

/// Something an application or its peer does.
#[derive(Debug, Clone)]
enum Does {
    Opens(Direction),
    PeerOpensBidi,
    Accepts,
    Writes(u8, u16),
    Finishes(u8),
    Resets(u8),
    PeerAllows(u64, u64),
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        prop_oneof![Just(BIDI), Just(UNI)].prop_map(Does::Opens),
        Just(Does::PeerOpensBidi),
        Just(Does::Accepts),
        (any::<u8>(), 0u16..800).prop_map(|(stream, size)| Does::Writes(stream, size)),
        any::<u8>().prop_map(Does::Finishes),
        any::<u8>().prop_map(Does::Resets),
        (prop_oneof![Just(MAX_DATA), Just(MAX_STREAMS_BIDI), Just(MAX_STREAMS_UNI)], 1u64..700)
            .prop_map(|(kind, more)| Does::PeerAllows(kind, more)),
    ]
}

/// Does it; `limits` grow with what the peer allows.
fn act(facing: &mut Facing, session: SessionId, known: &mut Vec<StreamId>, limits: &mut Limits, does: &Does) {
    let pick = |index: &u8, known: &[StreamId]| known.get(usize::from(*index) % known.len().max(1)).copied();
    match does {
        Does::Opens(direction) => {
            known.extend(facing.core.connection().session(session).unwrap().open(*direction).ok());
        }
        Does::PeerOpensBidi => {
            if let Some(stream) = facing.raw.try_open_bidi() {
                facing.raw.try_write(stream, &wire::bidi_header(session.get()));
            }
        }
        Does::Accepts => known.extend(facing.core.connection().session(session).unwrap().accept(BIDI)),
        Does::Writes(stream, size) => {
            if let Some(stream) = pick(stream, known) {
                let _ = facing.core.connection().send_stream(stream).write(&vec![9; usize::from(*size)]);
            }
        }
        Does::Finishes(stream) => {
            if let Some(stream) = pick(stream, known) {
                let _ = facing.core.connection().send_stream(stream).finish();
            }
        }
        Does::Resets(stream) => {
            if let Some(stream) = pick(stream, known) {
                let _ = facing.core.connection().send_stream(stream).reset(1);
            }
        }
        Does::PeerAllows(kind, more) => {
            let limit = match *kind {
                MAX_DATA => &mut limits.data,
                MAX_STREAMS_BIDI => &mut limits.bidi,
                _ => &mut limits.uni,
            };
            *limit += if *kind == MAX_DATA { *more } else { more % 4 + 1 };
            allow(facing, session, *kind, *limit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_core_uses_no_more_than_it_was_allowed(
        is_client: bool,
        (data, bidi, uni) in (1u64..900, 0u64..4, 0u64..4),
        script in prop::collection::vec(does(), 1..60),
    ) {
        let mut limits = Limits { data, bidi, uni };
        let (mut facing, session) = in_session(is_client, limits);
        let mut known = Vec::new();
        for does in &script {
            act(&mut facing, session, &mut known, &mut limits, does);
            facing.run_for(Duration::from_millis(20));
            let used = used(facing.seen(), session, is_client);
            prop_assert!(
                used.data <= limits.data && used.bidi <= limits.bidi && used.uni <= limits.uni,
                "{:?} used of {:?}", used, limits
            );
        }
        prop_assert_eq!(facing.violation(), None);
        // Everything that was allowed can be used: nothing was counted that is not there, such as headers.
        let rest = limits.data - used(facing.seen(), session, is_client).data;
        let (bidi, uni) = (MAX_STREAMS_BIDI, MAX_STREAMS_UNI);
        for (kind, limit) in [(bidi, limits.bidi + 60), (uni, limits.uni + 60)] {
            allow(&mut facing, session, kind, limit);
        }
        let resets = script.iter().any(|does| matches!(does, Does::Resets(_)));
        if let Ok(stream) = facing.core.connection().session(session).unwrap().open(UNI)
            && !resets
        {
            let mut written = 0;
            while let Ok(taken) = facing.core.connection().send_stream(stream).write(&[9; 100]) {
                written += taken as u64;
            }
            prop_assert_eq!(written, rest, "all that is left of {:?}", limits);
        }
    }
}

#[test]
fn a_byte_over_the_limit_ends_the_session_and_a_byte_less_does_not() {
    for (size, over) in [(1_000, false), (1_001, true)] {
        let mut facing = tight();
        let session = facing.accepted(&request());
        let stream = facing.raw.open_uni();
        facing.raw.write(stream, &[wire::uni_header(session.get()), vec![7; size]].concat());
        facing.run_for(A_WHILE);
        let accepted = facing.core.connection().session(session).unwrap().accept(UNI).unwrap();
        let first = facing.core.connection().recv_stream(accepted).read(900).map(|bytes| bytes.unwrap().len());
        assert_eq!(first, Ok(900), "what was sent in time is delivered");
        // The window has moved by what was read; the rest is judged against what had been granted.
        let rest = facing.core.connection().recv_stream(accepted).read(900).map(|bytes| bytes.unwrap().len());
        facing.run_for(A_WHILE);
        if over {
            assert_eq!(rest, Err(ReadError::Closed));
            assert_eq!(facing.seen().stream(session.get()).reset, Some(code::WT_FLOW_CONTROL_ERROR));
            let end =
                |event: &Event| matches!(event, Event::SessionEnded { end: SessionEnd::PeerMisbehaved { .. }, .. });
            assert!(facing.core.events.iter().any(end));
        } else {
            assert_eq!(rest, Ok(100));
            assert_eq!(facing.seen().stream(session.get()).reset, None);
        }
        assert_eq!(facing.violation(), None, "the connection lives");
    }
}

#[test]
fn a_stream_over_the_limit_ends_the_session_and_no_other() {
    for direction in [BIDI, UNI] {
        let mut facing = tight();
        let session = facing.accepted(&request());
        facing.core.events.clear();
        let other = facing.accepted(&request());
        for count in 1..=4 {
            let (stream, header) = match direction {
                BIDI => (facing.raw.open_bidi(), wire::bidi_header(session.get())),
                UNI => (facing.raw.open_uni(), wire::uni_header(session.get())),
            };
            facing.raw.write(stream, &header);
            facing.run_for(A_WHILE);
            let reset = facing.seen().stream(session.get()).reset;
            assert_eq!(reset, (count > 3).then_some(code::WT_FLOW_CONTROL_ERROR), "{count} streams");
        }
        // The other session has its own three streams.
        for _ in 0..3 {
            let stream = facing.raw.open_uni();
            facing.raw.write(stream, &wire::uni_header(other.get()));
        }
        facing.run_for(A_WHILE);
        assert_eq!(facing.seen().stream(other.get()).reset, None);
        assert_eq!(facing.violation(), None);
    }
}

/// As many streams early as are allowed in the session that comes later; one more ends it when it opens.
#[test]
fn streams_that_came_early_count() {
    for (count, over) in [(3, false), (4, true)] {
        let mut facing = tight();
        let stream = facing.raw.send_request(&request());
        for _ in 0..count {
            let early = facing.raw.open_uni();
            facing.raw.write(early, &wire::uni_header(stream));
        }
        facing.run_for(A_WHILE);
        let wanted =
            |event: &Event| if let Event::SessionRequested { session } = event { Some(*session) } else { None };
        let session = facing.core.events.iter().find_map(wanted).unwrap();
        facing.core.connection().accept(session, transom_core::Response::accept()).unwrap();
        facing.run_for(A_WHILE);
        assert_eq!(facing.seen().stream(stream).reset, over.then_some(code::WT_FLOW_CONTROL_ERROR), "{count} streams");
    }
}

#[test]
fn limits_in_settings_hold_for_each_session() {
    let mut facing = Facing::greeted_client(&Limits { data: 100, bidi: 1, uni: 1 }.settings());
    for _ in 0..3 {
        facing.core.events.clear();
        let session = facing.accepted(&request());
        let open = |facing: &mut Facing, direction| facing.core.connection().session(session).unwrap().open(direction);
        let stream = open(&mut facing, UNI).unwrap();
        assert_eq!(open(&mut facing, UNI), Err(OpenError::Blocked));
        assert!(open(&mut facing, BIDI).is_ok());
        assert_eq!(facing.core.connection().send_stream(stream).write(&[1; 500]), Ok(100));
    }
}
