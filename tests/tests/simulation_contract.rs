//! The contract of the core, C1 to C8, each with a test that can fail.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use proptest::prelude::*;
use transom_core::{Config, DatagramPriority, Direction, Event, Receive, Request, Response, SessionId};
use transom_tests::simulation::{LinkConfig, Pair, Side};

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;

/// C3: nothing may be pending while `poll_timeout` would let its caller sleep.
fn check_not_asleep(side: &mut Side, now: std::time::Instant) {
    let due = side.endpoint.poll_timeout().is_some_and(|at| at <= now);
    let mut buffer = Vec::new();
    let event = side.endpoint.poll_event();
    let transmit = side.endpoint.poll_transmit(now, 1, &mut buffer);
    assert!(due || (event.is_none() && transmit.is_none()), "slept through {event:?} or {transmit:?}");
    // What was taken here is lost to the simulation; QUIC sends the packet again, the events are put back.
    side.events.extend(event.map(|(_, event)| event));
}

/// A command an application may give at any time, sensible or not.
#[derive(Debug, Clone)]
enum Command {
    Open(Direction),
    Accept(Direction),
    Write(u8, u16),
    Finish(u8),
    Reset(u8, u32),
    Read(u8),
    Stop(u8, u32),
    Datagram(u16),
    UnforcedDatagram(u16, DatagramPriority),
    DatagramAge(Option<u8>),
    ReceiveDatagram,
    Drain,
    OldTimeout,
    EmptyReceive,
}

fn command() -> impl Strategy<Value = Command> {
    let direction = prop_oneof![Just(BIDI), Just(UNI)];
    let priority = prop_oneof![Just(DatagramPriority::Low), Just(DatagramPriority::High)];
    prop_oneof![
        direction.clone().prop_map(Command::Open),
        direction.prop_map(Command::Accept),
        (any::<u8>(), any::<u16>()).prop_map(|(stream, size)| Command::Write(stream, size)),
        any::<u8>().prop_map(Command::Finish),
        (any::<u8>(), any::<u32>()).prop_map(|(stream, code)| Command::Reset(stream, code)),
        any::<u8>().prop_map(Command::Read),
        (any::<u8>(), any::<u32>()).prop_map(|(stream, code)| Command::Stop(stream, code)),
        (0u16..1_400).prop_map(Command::Datagram),
        (0u16..1_400, priority).prop_map(|(size, priority)| Command::UnforcedDatagram(size, priority)),
        prop::option::of(any::<u8>()).prop_map(Command::DatagramAge),
        Just(Command::ReceiveDatagram),
        Just(Command::Drain),
        Just(Command::OldTimeout),
        Just(Command::EmptyReceive),
    ]
}

/// The streams of one side, as an application would know them.
type Known = Vec<transom_core::StreamId>;

fn give(end: &mut Side, session: SessionId, known: &mut Known, command: &Command, now: std::time::Instant) {
    let pick = |index: u8| known.get(usize::from(index) % known.len().max(1)).copied();
    match command {
        Command::Open(direction) => {
            known.extend(end.connection().session(session).and_then(|mut session| session.open(*direction).ok()));
        }
        Command::Accept(direction) => known.extend(end.accept(session, *direction)),
        Command::Write(index, size) => {
            if let Some(stream) = pick(*index) {
                let _ = end.connection().send_stream(stream).write(&vec![1; usize::from(*size)]);
            }
        }
        Command::Finish(index) => _ = pick(*index).map(|stream| end.connection().send_stream(stream).finish()),
        Command::Reset(index, code) => {
            _ = pick(*index).map(|stream| end.connection().send_stream(stream).reset(*code));
        }
        Command::Read(index) => _ = pick(*index).map(|stream| end.connection().recv_stream(stream).read(500)),
        Command::Stop(index, code) => {
            _ = pick(*index).map(|stream| end.connection().recv_stream(stream).stop(*code));
        }
        Command::Datagram(size) => {
            if let Some(mut session) = end.connection().session(session) {
                let _ = session.force_datagram(&vec![2; usize::from(*size)]);
            }
        }
        Command::UnforcedDatagram(size, priority) => {
            if let Some(mut session) = end.connection().session(session) {
                let _ = session.send_datagram_with_priority(&vec![3; usize::from(*size)], *priority);
            }
        }
        Command::DatagramAge(millis) => {
            if let Some(mut session) = end.connection().session(session) {
                let mut options = session.datagram_options();
                options.outgoing_max_age = millis.map(|millis| Duration::from_millis(millis.into()));
                options.incoming_max_age = options.outgoing_max_age;
                session.set_datagram_options(options);
            }
        }
        Command::ReceiveDatagram => {
            _ = end.connection().session(session).and_then(|mut session| session.recv_datagram());
        }
        Command::Drain => _ = end.connection().session(session).map(|mut session| session.drain()),
        // C1: time that goes back counts as the newest seen.
        Command::OldTimeout => end.endpoint.handle_timeout(now.checked_sub(Duration::from_secs(1)).unwrap_or(now)),
        Command::EmptyReceive => {
            let remote = ([10, 0, 0, 9], 1).into();
            end.endpoint
                .handle_receive(now, Receive { remote, local_ip: None, ecn: None, data: bytes::BytesMut::new() });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// C1, C2, C3, C4, C7: any commands in any order, with the clock standing, going or going back, never panic, never
    /// leave something to sleep through, and afterwards the session still works.
    #[test]
    fn any_order_is_legal(script in prop::collection::vec((any::<bool>(), command(), 0u64..40), 0..60)) {
        let mut pair = Pair::connected();
        let session = pair.session("/");
        let (mut ours, mut theirs) = (Known::new(), Known::new());
        for (client, command, pause) in script {
            let now = pair.now;
            if client {
                give(&mut pair.client, session, &mut ours, &command, now);
                check_not_asleep(&mut pair.client, now);
            } else {
                give(&mut pair.server, session, &mut theirs, &command, now);
                check_not_asleep(&mut pair.server, now);
            }
            if pause > 20 {
                pair.run_for(Duration::from_millis(pause));
            }
        }
        pair.run_for(Duration::from_secs(5));
        pair.client.take_events();
        let closed = pair.server.connection().session(session).map(|mut session| session.close(5, "end")).is_some();
        prop_assert!(closed, "the session lives through all of it");
        pair.run_for(Duration::from_secs(5));
        let end = transom_core::SessionEnd::ClosedByPeer { code: 5, reason: "end".into() };
        let ended = Event::SessionEnded { session, end };
        prop_assert!(pair.client.saw(&ended));
    }
}

#[test]
fn c5_hints_are_not_piled_up() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let stream = pair.client.connection().session(session).unwrap().open(UNI).unwrap();
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server.accept(session, UNI), Some(stream));
    let now = pair.now;
    let mut buffer = Vec::new();
    for _ in 0..100 {
        pair.client.write(stream, &[0; 100]).unwrap();
        pair.client.connection().session(session).unwrap().force_datagram(b"x").unwrap();
        buffer.clear();
        while let Some(transmit) = pair.client.endpoint.poll_transmit(now, 1, &mut buffer) {
            let data = bytes::BytesMut::from(&buffer[..transmit.size]);
            let remote = ([10, 0, 0, 1], 4433).into();
            pair.server.endpoint.handle_receive(now, Receive { remote, local_ip: None, ecn: None, data });
            buffer.clear();
        }
    }
    let mut hints = 0;
    while pair.server.endpoint.poll_event().is_some() {
        hints += 1;
    }
    assert!((1..=4).contains(&hints), "{hints} hints for one stream and one session");
}

#[test]
fn c6_dropping_proxies_sends_nothing() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let stream = pair.client.connection().session(session).unwrap().open(BIDI).unwrap();
    pair.run_for(Duration::from_secs(1));
    let before = pair.client.endpoint.stats().udp_datagrams_sent;
    for _ in 0..10 {
        let connection = pair.client.connection();
        let _ = connection.session(session);
        let _ = connection.send_stream(stream);
        let _ = connection.recv_stream(stream);
    }
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.client.endpoint.stats().udp_datagrams_sent, before);
    pair.server.take_events();
    drop(std::mem::replace(&mut pair.client.endpoint, transom_core::Endpoint::client(Config::default()).unwrap()));
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.server.events, [], "an endpoint that is dropped says nothing");
}

#[test]
fn c8_the_same_seed_gives_the_same_events() {
    let trace = |seed| {
        let mut pair = Pair::with(Config::default(), Config::default(), LinkConfig::good(), seed);
        pair.connect();
        let session = pair.session("/");
        for size in [10, 5_000, 60_000] {
            pair.client.send(session, UNI, &vec![3; size]);
            pair.server.send(session, BIDI, &vec![4; size]);
            pair.run_for(Duration::from_millis(7));
        }
        pair.client.connection().session(session).unwrap().close(1, "x");
        pair.run_for(Duration::from_secs(1));
        (pair.client.take_events(), pair.server.take_events())
    };
    assert_eq!(trace(11), trace(11));
}

#[test]
fn commands_while_nobody_polls_lose_nothing() {
    let mut pair = Pair::new();
    // Not one poll between connecting and this: the request is refused for now, nothing breaks.
    let early = pair.client.connection().request_session(Request::new("localhost", "/"));
    assert_eq!(early, Err(transom_core::OpenError::Blocked));
    pair.connect();
    let session = pair.client.connection().request_session(Request::new("localhost", "/")).unwrap();
    pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
    // Accept, open, write, finish, datagram and close in one go.
    pair.server.connection().accept(session, Response::accept()).unwrap();
    pair.server.send(session, UNI, b"at once");
    pair.server.connection().session(session).unwrap().force_datagram(b"too").unwrap();
    pair.run_for(Duration::from_millis(100));
    let stream = pair.client.accept(session, UNI).unwrap();
    assert_eq!(pair.client.read(stream), Ok((b"at once".to_vec(), true)));
    assert_eq!(pair.client.connection().session(session).unwrap().recv_datagram().unwrap(), "too");
}
