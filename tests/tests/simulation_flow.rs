//! Session flow control and several sessions on one connection, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use transom_core::{Config, Direction, Event, OpenError, ReadError, Request, SessionEnd, SessionId, StreamId};
use transom_tests::simulation::{LinkConfig, Pair, Side};

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;

/// A small window, so that limits are met soon.
fn tight() -> Config {
    let mut config = Config::default();
    config.session_window = 1_000;
    config.connection_window = 2_000;
    config.session_bidi_streams = 2;
    config.session_uni_streams = 2;
    config
}

fn pair(client: Config, server: Config, link: LinkConfig) -> Pair {
    let mut pair = Pair::with(client, server, link, 11);
    pair.connect();
    pair
}

fn open(side: &mut Side, session: SessionId, direction: Direction) -> Result<StreamId, OpenError> {
    side.connection().session(session).expect("a session").open(direction)
}

fn ended(side: &Side) -> Vec<&SessionEnd> {
    side.events
        .iter()
        .filter_map(|event| if let Event::SessionEnded { end, .. } = event { Some(end) } else { None })
        .collect()
}

#[test]
fn writing_stops_at_the_session_limit_and_goes_on_when_the_reader_does() {
    let mut pair = pair(Config::default(), tight(), LinkConfig::good());
    let session = pair.session("/");
    let first = open(&mut pair.client, session, UNI).expect("room");
    let second = open(&mut pair.client, session, UNI).expect("room");
    assert_eq!(pair.client.write(first, &[1; 700]), Ok(700));
    assert_eq!(pair.client.write(second, &[2; 700]), Ok(300), "1000 for the session as a whole");
    assert_eq!(pair.client.write(first, &[1; 1]), Ok(0));
    pair.run_for(Duration::from_millis(200));
    pair.client.take_events();
    assert_eq!(pair.server.accept(session, UNI), Some(first));
    assert_eq!(pair.server.read(first).expect("data").0.len(), 700);
    pair.run_until(|pair| {
        [first, second].iter().all(|stream| pair.client.saw(&Event::StreamWritable { stream: *stream }))
    });
    assert_eq!(pair.client.write(second, &[2; 400]), Ok(400));
    assert!(ended(&pair.client).is_empty() && ended(&pair.server).is_empty());
}

#[test]
fn opening_stops_at_the_session_limit_and_goes_on_when_streams_are_over() {
    let mut pair = pair(Config::default(), tight(), LinkConfig::good());
    let session = pair.session("/");
    for direction in [UNI, BIDI] {
        let streams = [0, 1].map(|_| open(&mut pair.client, session, direction).expect("two are allowed"));
        assert_eq!(open(&mut pair.client, session, direction), Err(OpenError::Blocked));
        for stream in streams {
            pair.client.connection().send_stream(stream).finish().expect("open");
        }
        pair.run_for(Duration::from_millis(200));
        pair.client.take_events();
        while let Some(stream) = pair.server.accept(session, direction) {
            assert_eq!(pair.server.read(stream), Ok((Vec::new(), true)));
            let _ = pair.server.connection().send_stream(stream).finish();
        }
        pair.run_until(|pair| pair.client.saw(&Event::StreamsAvailable { direction }));
        open(&mut pair.client, session, direction).expect("one more");
    }
}

/// More streams, resets and stops than any limit, one after another: nothing of the credit gets lost.
#[test]
fn credit_survives_resets_and_stops() {
    let mut server = tight();
    server.stream_window = 400;
    let mut pair = pair(Config::default(), server, LinkConfig::good());
    let session = pair.session("/");
    for round in 0..60_u32 {
        let stream = open(&mut pair.client, session, UNI).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let written = pair.client.write(stream, &[0; 300]).expect("open");
        assert_eq!(written, 300, "round {round}");
        pair.run_for(Duration::from_millis(100));
        let accepted = pair.server.accept(session, UNI).expect("arrived");
        match round % 3 {
            0 => _ = pair.client.connection().send_stream(stream).reset(round),
            1 => _ = pair.server.connection().recv_stream(accepted).stop(round),
            _ => _ = pair.client.connection().send_stream(stream).finish(),
        }
        pair.run_for(Duration::from_millis(100));
        let _ = pair.server.read(accepted);
        pair.run_for(Duration::from_millis(200));
    }
    assert!(ended(&pair.client).is_empty() && ended(&pair.server).is_empty());
}

/// QUIC lets as much more come as was read ahead of the application, which then does not want any of it.
#[test]
fn credit_survives_what_was_read_ahead() {
    let mut server = tight();
    server.stream_window = 400;
    for resets in [false, true] {
        let mut pair = pair(Config::default(), server.clone(), LinkConfig::good());
        let session = pair.session("/");
        for round in 0..20_u32 {
            let stream = open(&mut pair.client, session, BIDI).unwrap_or_else(|error| panic!("round {round}: {error}"));
            for _ in 0..2 {
                let written = pair.client.write(stream, &[0; 390]).expect("open");
                assert_eq!(written, 390, "round {round}, resets: {resets}");
                pair.run_for(Duration::from_millis(200));
            }
            let accepted = pair.server.accept(session, BIDI).expect("arrived");
            if resets {
                let _ = pair.client.connection().send_stream(stream).reset(round);
            } else {
                let _ = pair.server.connection().recv_stream(accepted).stop(round);
            }
            let _ = pair.server.connection().send_stream(accepted).finish();
            pair.run_for(Duration::from_millis(200));
            let _ = pair.server.read(accepted);
            let _ = pair.client.read(stream);
            pair.run_for(Duration::from_millis(200));
        }
        assert!(ended(&pair.client).is_empty() && ended(&pair.server).is_empty());
    }
}

#[test]
fn a_session_alone_gets_more_than_the_least() {
    let mut slow = LinkConfig::good();
    slow.delay = Duration::from_millis(100);
    let mut server = Config::default();
    server.session_window = 10_000;
    let mut pair = pair(Config::default(), server, slow);
    let session = pair.session("/");
    let stream = open(&mut pair.client, session, UNI).expect("room");
    let (mut sent, mut reader, mut most) = (0, None, 0);
    for _ in 0..200 {
        let written = pair.client.write(stream, &vec![0; 300_000]).expect("open");
        most = most.max(written);
        sent += written;
        pair.run_for(Duration::from_millis(50));
        reader = reader.or_else(|| pair.server.accept(session, UNI));
        if let Some(stream) = reader {
            pair.server.read(stream).expect("data");
        }
    }
    // 200 ms of round trip and 10,000 bytes ahead would be 500,000 bytes in these ten seconds.
    assert!(sent > 3_000_000, "only {sent} bytes, {most} at once");
}

#[test]
fn a_session_that_is_not_read_does_not_hold_up_another() {
    let mut pair = pair(Config::default(), Config::default(), LinkConfig::good());
    let (stuck, free) = (pair.session("/stuck"), pair.session("/free"));
    for _ in 0..30 {
        let Ok(stream) = open(&mut pair.client, stuck, UNI) else { break };
        let _ = pair.client.write(stream, &vec![0; 100_000]);
        pair.run_for(Duration::from_millis(50));
    }
    for _ in 0..40 {
        let stream = pair.client.send(free, UNI, &vec![7; 20_000]);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.server.accept(free, UNI), Some(stream));
        assert_eq!(pair.server.read(stream), Ok((vec![7; 20_000], true)));
    }
}

#[test]
fn a_surplus_session_is_rejected_and_the_others_live() {
    let mut few = Config::default();
    few.max_sessions = 2;
    let mut pair = pair(Config::default(), few, LinkConfig::good());
    let sessions = [pair.session("/1"), pair.session("/2")];
    let surplus =
        pair.client.connection().request_session(Request::new("localhost", "/3")).expect("not known to be one");
    pair.run_for(Duration::from_millis(200));
    assert!(pair.client.saw(&Event::SessionEnded { session: surplus, end: SessionEnd::NotProcessed }));
    for session in sessions {
        let stream = pair.client.send(session, UNI, b"alive");
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.server.read(stream), Ok((b"alive".to_vec(), true)));
    }
}

/// 64 sessions exchange data over a bad network; one after another is closed, and the others lose nothing.
#[test]
fn closing_one_of_64_sessions_costs_the_others_nothing() {
    let mut config = Config::default();
    config.max_sessions = 64;
    config.max_bidi_streams = 300;
    config.max_uni_streams = 300;
    config.session_window = 8 * 1024;
    config.datagram_queue = 16;
    let mut bad = LinkConfig::good();
    bad.delay = Duration::from_millis(20);
    bad.loss_per_mille = 20;
    let mut pair = pair(config.clone(), config, bad);
    let mut open_sessions: Vec<SessionId> = (0..64).map(|_| pair.session("/")).collect();
    let mut streams: BTreeMap<SessionId, Exchange> = BTreeMap::new();
    for (seed, session) in open_sessions.iter().enumerate() {
        streams.insert(*session, Exchange::start(&mut pair.client, *session, seed as u64));
    }
    while let Some(victim) = open_sessions.pop() {
        for _ in 0..3 {
            pair.run_for(Duration::from_millis(30));
            for (session, exchange) in &mut streams {
                exchange.step(&mut pair, *session);
            }
        }
        let by = if open_sessions.len().is_multiple_of(2) { &mut pair.client } else { &mut pair.server };
        by.connection().session(victim).expect("open until now").close(7, "one of many");
        streams.remove(&victim);
    }
    pair.run_for(Duration::from_secs(1));
    let sessions = |side: &Side| {
        let wanted = |event: &&Event| matches!(event, Event::SessionEnded { end, .. } if end.is_clean());
        side.events.iter().filter(wanted).count()
    };
    assert_eq!((sessions(&pair.client), sessions(&pair.server)), (64, 64));
}

/// One bidirectional stream of a session that the server echoes; every byte is checked.
struct Exchange {
    stream: StreamId,
    seed: u64,
    sent: u64,
    echoed: u64,
    pending: Vec<u8>,
    accepted: bool,
}

impl Exchange {
    fn start(client: &mut Side, session: SessionId, seed: u64) -> Self {
        let stream = open(client, session, BIDI).expect("room for a stream");
        Self { stream, seed, sent: 0, echoed: 0, pending: Vec::new(), accepted: false }
    }

    fn step(&mut self, pair: &mut Pair, session: SessionId) {
        let offset = self.sent;
        let data: Vec<u8> = (offset..offset + 3_000).map(|position| byte(self.seed, position)).collect();
        self.sent += pair.client.write(self.stream, &data).expect("the stream lives") as u64;
        if !self.accepted {
            self.accepted = pair.server.accept(session, BIDI).is_some();
        }
        if self.accepted {
            let (data, _) = pair.server.read(self.stream).expect("the stream lives");
            self.pending.extend(data);
            let written = pair.server.write(self.stream, &self.pending).expect("the stream lives");
            self.pending.drain(..written);
        }
        let (data, ended) = pair.client.read(self.stream).expect("the stream lives");
        assert!(!ended);
        for value in data {
            assert_eq!(value, byte(self.seed, self.echoed), "session {session:?}, position {}", self.echoed);
            self.echoed += 1;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.sent == 0 || self.echoed > 0 || self.sent < 9_000, "nothing came back of {}", self.sent);
        }
    }
}

fn byte(seed: u64, position: u64) -> u8 {
    (seed.wrapping_mul(31) ^ position.wrapping_mul(7) ^ (position >> 8)) as u8
}

#[test]
fn a_reader_that_meets_the_end_of_its_session_is_told() {
    let mut pair = pair(Config::default(), tight(), LinkConfig::good());
    let session = pair.session("/");
    let stream = pair.client.send(session, UNI, &[0; 10]);
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.server.accept(session, UNI), Some(stream));
    pair.client.connection().session(session).expect("open").close(0, "");
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.server.read(stream), Err(ReadError::Closed));
}
