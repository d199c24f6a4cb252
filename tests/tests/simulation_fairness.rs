//! Who gets how much of a connection that is too small for all.

use std::collections::BTreeMap;
use std::time::Duration;

use transom_core::{Config, Direction, SessionId, StreamId};
use transom_tests::simulation::{LinkConfig, Pair};

const UNI: Direction = Direction::Unidirectional;

/// Two sessions on a connection whose send buffer is the bottleneck.
fn narrow() -> (Pair, SessionId, SessionId) {
    let mut link = LinkConfig::good();
    link.delay = Duration::from_millis(20);
    let mut client = Config::default();
    client.send_window = 64 * 1024;
    let mut server = Config::default();
    (server.connection_window, server.stream_window) = (8 << 20, 2 << 20);
    let mut pair = Pair::with(client, server, link, 21);
    pair.connect();
    let (first, second) = (pair.session("/first"), pair.session("/second"));
    (pair, first, second)
}

/// Streams that want to write all the time, in the order in which their tasks run, and what each has written.
struct Greedy {
    streams: BTreeMap<StreamId, u64>,
    /// Bytes that each brings at a time.
    piece: usize,
}

impl Greedy {
    fn open(pair: &mut Pair, session: SessionId, count: usize) -> Self {
        let open = |_| pair.client.connection().session(session).expect("open").open(UNI).expect("room");
        Self { streams: (0..count).map(open).map(|stream| (stream, 0)).collect(), piece: 32 * 1024 }
    }

    fn write(&mut self, pair: &mut Pair) {
        let piece = vec![0; self.piece];
        for (stream, written) in &mut self.streams {
            *written += pair.client.write(*stream, &piece).expect("the stream lives") as u64;
        }
    }

    fn written(&self) -> u64 {
        self.streams.values().sum()
    }
}

/// Lets everybody write, and the server read, for some virtual seconds.
fn contend(pair: &mut Pair, sessions: [SessionId; 2], writers: &mut [&mut Greedy]) -> Vec<StreamId> {
    contend_on(pair, sessions, writers, Vec::new())
}

/// The same, with streams that the server has accepted before; gives all that it has.
fn contend_on(
    pair: &mut Pair,
    sessions: [SessionId; 2],
    writers: &mut [&mut Greedy],
    mut readers: Vec<StreamId>,
) -> Vec<StreamId> {
    for _ in 0..2_500 {
        for writer in writers.iter_mut() {
            writer.write(pair);
        }
        pair.run_for(Duration::from_millis(2));
        for session in sessions {
            while let Some(stream) = pair.server.accept(session, UNI) {
                readers.push(stream);
            }
        }
        for stream in &readers {
            let _ = pair.server.read(*stream);
        }
    }
    readers
}

#[test]
fn a_session_with_many_streams_gets_no_more_than_one_with_a_single_stream() {
    let (mut pair, first, second) = narrow();
    let mut many = Greedy::open(&mut pair, first, 40);
    let mut one = Greedy::open(&mut pair, second, 1);
    contend(&mut pair, [first, second], &mut [&mut many, &mut one]);
    let (many, one) = (many.written(), one.written());
    assert!(many + one > 5_000_000, "the connection was used: {many} and {one}");
    assert!(one * 10 > (many + one) * 4, "{one} of {}", many + one);
    assert!(many * 10 > (many + one) * 4, "{many} of {}", many + one);
}

#[test]
fn weights_divide() {
    let (mut pair, first, second) = narrow();
    pair.client.connection().session(first).expect("open").set_weight(48);
    let mut heavy = Greedy::open(&mut pair, first, 3);
    let mut light = Greedy::open(&mut pair, second, 20);
    contend(&mut pair, [first, second], &mut [&mut light, &mut heavy]);
    let (heavy, light) = (heavy.written(), light.written());
    assert!((24..36).contains(&(heavy * 10 / light)), "three to one: {heavy} and {light}");
}

#[test]
fn a_stream_that_nobody_reads_takes_nothing_from_another_session() {
    let written = |with_stuck: bool| {
        let (mut pair, first, second) = narrow();
        let mut free = Greedy::open(&mut pair, first, 2);
        let stuck = Greedy::open(&mut pair, second, 1);
        let stuck_stream = *stuck.streams.keys().next().expect("one");
        let mut readers = Vec::new();
        for _ in 0..600 {
            if with_stuck {
                let _ = pair.client.write(stuck_stream, &vec![0; 32 * 1024]);
            }
            free.write(&mut pair);
            pair.run_for(Duration::from_millis(5));
            while let Some(stream) = pair.server.accept(first, UNI) {
                readers.push(stream);
            }
            for stream in &readers {
                let _ = pair.server.read(*stream);
            }
        }
        free.written()
    };
    let (alone, beside) = (written(false), written(true));
    // 2 MiB are taken by the stuck one until its stream's window is full.
    assert!(beside + (5 << 20) / 2 > alone, "{beside} beside it, {alone} without");
}

#[test]
fn a_higher_order_goes_first_and_lower_ones_get_the_rest() {
    let (mut pair, first, second) = narrow();
    let mut low = Greedy::open(&mut pair, first, 4);
    let mut high = Greedy::open(&mut pair, first, 1);
    // More than there is ever room for: who has written all it has waits for nothing, and others may go on.
    high.piece = 128 * 1024;
    for stream in high.streams.keys() {
        pair.client.connection().send_stream(*stream).set_priority(7).expect("open");
    }
    let readers = contend(&mut pair, [first, second], &mut [&mut low, &mut high]);
    let (high_bytes, low_bytes) = (high.written(), low.written());
    assert!(high_bytes > 20 * low_bytes, "{high_bytes} before {low_bytes}");
    for stream in high.streams.keys() {
        pair.client.connection().send_stream(*stream).finish().expect("open");
    }
    contend_on(&mut pair, [first, second], &mut [&mut low], readers);
    let more = low.written() - low_bytes;
    assert!(more * 10 > high_bytes * 9, "nobody is before them any more, and they wrote {more} of {high_bytes}");
}

#[test]
fn groups_share_and_order_holds_within_each() {
    let (mut pair, first, second) = narrow();
    let mut loud = Greedy::open(&mut pair, first, 10);
    let mut quiet = Greedy::open(&mut pair, first, 1);
    let groups = [0, 1].map(|_| pair.client.connection().session(first).expect("open").create_send_group());
    for (streams, group) in [(&loud, groups[0]), (&quiet, groups[1])] {
        for stream in streams.streams.keys() {
            pair.client.connection().send_stream(*stream).set_send_group(Some(group)).expect("open");
        }
    }
    // A high order in one group is nothing to the other.
    for stream in loud.streams.keys() {
        pair.client.connection().send_stream(*stream).set_priority(100).expect("open");
    }
    contend(&mut pair, [first, second], &mut [&mut loud, &mut quiet]);
    let (loud, quiet) = (loud.written(), quiet.written());
    assert!(quiet * 20 > (loud + quiet) * 7 && loud * 20 > (loud + quiet) * 7, "{loud} and {quiet}");
}
