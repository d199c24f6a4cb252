//! What a core sends, whatever its application does: a raw peer takes everything down, and rules judge it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use transom_core::{Direction, OpenError, SendDatagramError, SessionId, StreamId};
use transom_tests::raw::{DRAFT_15, Options, Request, Seen, StreamSeen, code, wire};
use transom_tests::simulation::Facing;

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;
const A_WHILE: Duration = Duration::from_millis(50);

/// A core with an open session and a peer that has all three critical streams; `is_client` says which role the core has.
fn in_session(is_client: bool) -> (Facing, SessionId) {
    let mut facing = if is_client { Facing::greeted_server(DRAFT_15) } else { Facing::greeted_client(DRAFT_15) };
    for kind in [wire::ENCODER_STREAM, wire::DECODER_STREAM] {
        let stream = facing.raw.open_uni();
        facing.raw.write(stream, &wire::varint(kind));
    }
    let request = Request::webtransport("localhost", "/").with(":protocol", "webtransport-h3");
    let session = if is_client { facing.session() } else { facing.accepted(&request) };
    (facing, session)
}

/// Something an application or its peer does.
#[derive(Debug, Clone)]
enum Does {
    Opens(Direction),
    Accepts(Direction),
    Writes(u8, u16),
    Finishes(u8),
    Resets(u8, u32),
    Stops(u8, u32),
    SendsDatagram(u16),
    Drains,
    PeerOpens(Direction),
    Waits,
}

fn does() -> impl Strategy<Value = Does> {
    let direction = prop_oneof![Just(BIDI), Just(UNI)];
    prop_oneof![
        direction.clone().prop_map(Does::Opens),
        direction.clone().prop_map(Does::Accepts),
        (any::<u8>(), 0u16..3_000).prop_map(|(stream, size)| Does::Writes(stream, size)),
        any::<u8>().prop_map(Does::Finishes),
        (any::<u8>(), any::<u32>()).prop_map(|(stream, code)| Does::Resets(stream, code)),
        (any::<u8>(), any::<u32>()).prop_map(|(stream, code)| Does::Stops(stream, code)),
        (0u16..1_400).prop_map(Does::SendsDatagram),
        Just(Does::Drains),
        direction.prop_map(Does::PeerOpens),
        Just(Does::Waits),
    ]
}

/// How the session ends.
#[derive(Debug, Clone)]
enum Ending {
    Close(u32, String),
    Finish,
    PeerCloses,
    PeerFinishes,
    PeerResets,
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        (any::<u32>(), "(a|é|€|🦀){0,700}").prop_map(|(code, reason)| Ending::Close(code, reason)),
        Just(Ending::Finish),
        Just(Ending::PeerCloses),
        Just(Ending::PeerFinishes),
        Just(Ending::PeerResets),
    ]
}

fn act(facing: &mut Facing, session: SessionId, known: &mut Vec<StreamId>, does: &Does) {
    let pick = |index: u8| known.get(usize::from(index) % known.len().max(1)).copied();
    let connection = facing.core.connection();
    match does {
        Does::Opens(direction) => {
            known.extend(connection.session(session).and_then(|mut session| session.open(*direction).ok()));
        }
        Does::Accepts(direction) => {
            known.extend(connection.session(session).and_then(|mut session| session.accept(*direction)));
        }
        Does::Writes(index, size) => {
            _ = pick(*index).map(|stream| connection.send_stream(stream).write(&vec![0x41; usize::from(*size)]));
        }
        Does::Finishes(index) => _ = pick(*index).map(|stream| connection.send_stream(stream).finish()),
        Does::Resets(index, code) => _ = pick(*index).map(|stream| connection.send_stream(stream).reset(*code)),
        Does::Stops(index, code) => _ = pick(*index).map(|stream| connection.recv_stream(stream).stop(*code)),
        Does::SendsDatagram(size) => {
            _ = connection.session(session).map(|mut session| session.force_datagram(&vec![7; usize::from(*size)]));
        }
        Does::Drains => _ = connection.session(session).map(|mut session| session.drain()),
        Does::PeerOpens(direction) => {
            let bidi = *direction == BIDI;
            let stream = if bidi { facing.raw.open_bidi() } else { facing.raw.open_uni() };
            let header = if bidi { wire::bidi_header(session.get()) } else { wire::uni_header(session.get()) };
            facing.raw.write(stream, &header);
            facing.run_for(A_WHILE);
        }
        Does::Waits => facing.run_for(A_WHILE),
    }
}

fn end(facing: &mut Facing, session: SessionId, ending: &Ending) {
    let stream = session.get();
    match ending {
        Ending::Close(code, reason) => facing.core.connection().session(session).unwrap().close(*code, reason),
        Ending::Finish => facing.core.connection().session(session).unwrap().finish(),
        Ending::PeerCloses => {
            facing.raw.write(stream, &wire::data(&wire::close(1, b"bye")));
            facing.raw.finish(stream);
        }
        Ending::PeerFinishes => facing.raw.finish(stream),
        Ending::PeerResets => facing.raw.reset(stream, code::H3_REQUEST_CANCELLED),
    }
    facing.run_for(Duration::from_millis(500));
}

/// The frames of a request stream or control stream; every one must be whole if the stream has ended with FIN.
fn frames(stream: &StreamSeen, mut rest: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((kind, width)) = wire::read_varint(rest) {
        let Some((length, more)) = wire::read_varint(&rest[width..]) else { break };
        let Some(payload) = rest.get(width + more..width + more + length as usize) else { break };
        frames.push((kind, payload.to_vec()));
        rest = &rest[width + more + length as usize..];
    }
    assert!(rest.is_empty() || !stream.fin, "FIN inside a frame: {rest:x?}");
    frames
}

fn judge_control(stream: &StreamSeen) {
    let frames = frames(stream, &stream.data[1..]);
    let kinds: Vec<u64> = frames.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [wire::SETTINGS], "SETTINGS, first and once, and nothing else");
    assert!(!stream.ended(), "the control stream stays open");
}

fn judge_connect(stream: &StreamSeen) {
    let frames = frames(stream, &stream.data);
    let kinds: Vec<u64> = frames.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.first(), Some(&wire::HEADERS));
    assert!(kinds[1..].iter().all(|kind| *kind == wire::DATA), "only DATA behind the headers: {kinds:x?}");
    let capsules: Vec<u8> = frames[1..].iter().flat_map(|(_, payload)| payload.clone()).collect();
    let capsules = self::frames(stream, &capsules);
    for (index, (kind, payload)) in capsules.iter().enumerate() {
        match *kind {
            wire::CAPSULE_DRAIN => assert!(payload.is_empty()),
            wire::CAPSULE_CLOSE => {
                assert!((4..=4 + 1024).contains(&payload.len()));
                assert!(std::str::from_utf8(&payload[4..]).is_ok(), "cut between characters");
                assert_eq!(index + 1, capsules.len(), "nothing behind a close");
                assert!(stream.ended(), "FIN at once");
            }
            other => panic!("capsule {other:#x}"),
        }
    }
}

/// Every rule that what was seen of one core must keep.
fn judge(seen: &Seen, is_client: bool, session: SessionId) {
    assert_eq!(seen.close, None);
    let mut controls = 0;
    let (own_bidi, own_uni) = if is_client { (0, 2) } else { (1, 3) };
    for (id, stream) in &seen.streams {
        // A stream that was reset may have lost its header.
        let cut = stream.reset.is_some();
        if *id == session.get() {
            judge_connect(stream);
        } else if id % 4 == own_uni && stream.data.first() == Some(&0) {
            controls += 1;
            judge_control(stream);
        } else if id % 4 == own_uni {
            let header = wire::uni_header(session.get());
            assert!(stream.data.starts_with(&header) || cut, "stream {id}: {:x?}", stream.data.get(..9));
        } else if id % 4 == own_bidi {
            let header = wire::bidi_header(session.get());
            assert!(stream.data.starts_with(&header) || cut, "stream {id}: {:x?}", stream.data.get(..9));
        }
    }
    assert_eq!(controls, 1);
    let first_of_peer = if is_client { 3 } else { 2 };
    for critical in [first_of_peer, first_of_peer + 4, first_of_peer + 8] {
        assert_eq!(seen.stream(critical).stop, None, "nobody is asked to close a critical stream");
    }
    let id = wire::varint(session.get() / 4);
    assert!(seen.datagrams.iter().all(|datagram| datagram.starts_with(&id) && datagram.len() <= 1_200 + 250));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the application does: one control stream with SETTINGS, headers on all streams of the session, nothing
    /// but capsules on the CONNECT stream, datagrams of the session only; and silence after its end.
    #[test]
    fn everything_a_core_sends_keeps_the_rules(
        is_client: bool,
        script in prop::collection::vec(does(), 0..40),
        ending in ending(),
        after in prop::collection::vec(does(), 0..20),
    ) {
        let (mut facing, session) = in_session(is_client);
        let mut known = Vec::new();
        for does in &script {
            act(&mut facing, session, &mut known, does);
        }
        facing.run_for(A_WHILE);
        judge(facing.seen(), is_client, session);
        end(&mut facing, session, &ending);
        judge(facing.seen(), is_client, session);

        let is_of_peer = |id: &u64| id % 2 == u64::from(is_client);
        let count = |seen: &Seen| (seen.streams.keys().filter(|id| !is_of_peer(id)).count(), seen.datagrams.len());
        let before = count(facing.seen());
        for does in after.iter().filter(|does| !matches!(does, Does::PeerOpens(_))) {
            act(&mut facing, session, &mut known, does);
        }
        facing.run_for(Duration::from_secs(1));
        prop_assert_eq!(count(facing.seen()), before, "no stream, no datagram after the end");
        judge(facing.seen(), is_client, session);
    }
}

/// What was done to a stream before its session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Was {
    Open,
    Finished,
    Reset,
    Stopped,
}

/// Streams of every kind and in every state; by id, with what each end has done to its half.
fn many_streams(facing: &mut Facing, session: SessionId, is_client: bool) -> BTreeMap<u64, (Was, Was)> {
    let mut streams = BTreeMap::new();
    let all = [Was::Open, Was::Finished, Was::Reset, Was::Stopped];
    for (ours, theirs) in all.into_iter().flat_map(|ours| all.map(|theirs| (ours, theirs))) {
        for (opened_by_core, direction) in [(true, BIDI), (false, BIDI), (true, UNI), (false, UNI)] {
            let stream = if opened_by_core {
                facing.core.connection().session(session).unwrap().open(direction).unwrap()
            } else {
                let bidi = direction == BIDI;
                let id = if bidi { facing.raw.open_bidi() } else { facing.raw.open_uni() };
                let header = if bidi { wire::bidi_header(session.get()) } else { wire::uni_header(session.get()) };
                facing.raw.write(id, &header);
                facing.run_for(A_WHILE);
                facing.core.accept(session, direction).unwrap()
            };
            facing.run_for(A_WHILE);
            let (sends, receives) = (direction == BIDI || opened_by_core, direction == BIDI || !opened_by_core);
            match ours {
                Was::Finished if sends => facing.core.connection().send_stream(stream).finish().unwrap(),
                Was::Reset if sends => facing.core.connection().send_stream(stream).reset(1).unwrap(),
                Was::Stopped if receives => facing.core.connection().recv_stream(stream).stop(1).unwrap(),
                _ => {}
            }
            facing.run_for(Duration::from_millis(200));
            match theirs {
                Was::Finished if receives && ours != Was::Stopped => facing.raw.finish(stream.get()),
                Was::Reset if receives && ours != Was::Stopped => {
                    facing.raw.reset(stream.get(), code::from_application(2));
                }
                Was::Stopped if sends && !matches!(ours, Was::Finished | Was::Reset) => {
                    facing.raw.stop(stream.get(), code::from_application(2));
                }
                _ => {}
            }
            facing.run_for(Duration::from_millis(200));
            let _ = facing.core.read(stream);
            streams.insert(stream.get(), (ours, theirs));
        }
    }
    assert_eq!(streams.len(), 64, "{is_client}");
    streams
}

#[test]
fn the_end_of_a_session_resets_and_stops_every_stream_in_every_state() {
    for is_client in [true, false] {
        for ending in [Ending::Close(5, "end".into()), Ending::PeerCloses, Ending::PeerResets] {
            let (mut facing, session) = in_session(is_client);
            let streams = many_streams(&mut facing, session, is_client);
            end(&mut facing, session, &ending);
            for (id, (ours, theirs)) in streams {
                let opened_by_core = (id % 2 == 0) == is_client;
                let bidi = id & 2 == 0;
                let seen = facing.seen().stream(id);
                let sending = (bidi || opened_by_core) && !matches!(ours, Was::Finished | Was::Reset);
                if sending && theirs != Was::Stopped {
                    assert_eq!(seen.reset, Some(code::WT_SESSION_GONE), "{id} {ours:?} {theirs:?}");
                }
                let receiving = (bidi || !opened_by_core) && ours != Was::Stopped;
                if receiving && !matches!(theirs, Was::Finished | Was::Reset) {
                    assert_eq!(seen.stop, Some(code::WT_SESSION_GONE), "{id} {ours:?} {theirs:?}");
                }
                // Who has stopped a stream is not shown how it ends.
                let shown = (bidi || opened_by_core) && theirs != Was::Stopped;
                assert!(seen.ended() || !shown, "every half of ours has ended: {id} {seen:?}");
            }
        }
    }
}

#[test]
fn nothing_can_be_sent_on_a_session_that_is_over_or_not_open_yet() {
    let mut facing = Facing::greeted_server(DRAFT_15);
    let session = facing.ask(transom_core::Request::new("localhost", "/"));
    let mut early = facing.core.connection().session(session).unwrap();
    assert_eq!(early.open(UNI), Err(OpenError::Closed));
    assert_eq!(early.force_datagram(b"x"), Err(SendDatagramError::Closed));
    facing.run_for(A_WHILE);
    assert_eq!(facing.seen().datagrams, [[0; 0]; 0]);
    facing.raw.respond(session.get(), &[(":status", "200")]);
    facing.run_for(A_WHILE);
    facing.core.connection().session(session).unwrap().force_datagram(b"x").unwrap();
    facing.run_for(A_WHILE);
    assert_eq!(facing.seen().datagrams, [b"\0x"]);
    // Its peer has heard the end before anything else could be sent.
    facing.core.connection().session(session).unwrap().close(0, "");
    assert!(facing.core.connection().session(session).is_none());
}

#[test]
fn a_close_is_a_capsule_and_fin_at_once() {
    for is_client in [true, false] {
        let (mut facing, session) = in_session(is_client);
        let before = facing.seen().stream(session.get()).data.len();
        facing.core.connection().session(session).unwrap().close(0x0102_0304, "bye");
        // Half a round trip: what arrives now left at once.
        facing.run_for(Duration::from_millis(6));
        let seen = facing.seen().stream(session.get());
        let capsule = [0x68, 0x43, 7, 1, 2, 3, 4, b'b', b'y', b'e'];
        assert_eq!(seen.data[before..], wire::data(&capsule));
        assert!(seen.fin);
    }
}

#[test]
fn datagrams_are_neither_sent_to_who_takes_none_nor_larger_than_a_packet() {
    let (mut facing, session) = in_session(true);
    let max = facing.core.connection().session(session).unwrap().max_datagram_size();
    let mut proxy = facing.core.connection().session(session).unwrap();
    assert_eq!(proxy.force_datagram(&vec![1; max + 1]), Err(SendDatagramError::TooLarge { max }));
    assert_eq!(proxy.force_datagram(&vec![1; max]), Ok(()));
    facing.run_for(A_WHILE);
    assert_eq!(facing.seen().datagrams.len(), 1);
    assert_eq!(facing.seen().datagrams[0].len(), max + 1, "one byte for the session");

    let mut facing = Facing::client(&Options { datagrams: false, ..Options::default() });
    facing.run_for(A_WHILE);
    facing.raw.send_settings(DRAFT_15);
    let request = Request::webtransport("localhost", "/").with(":protocol", "webtransport-h3");
    let stream = facing.raw.send_request(&request);
    facing.run_for(A_WHILE);
    assert_eq!(facing.seen().stream(stream).reset, Some(code::H3_MESSAGE_ERROR), "no session, so no datagram");
}
