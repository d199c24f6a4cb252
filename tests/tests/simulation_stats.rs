//! What connections, sessions and streams say about themselves, compared with what was done.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use transom_core::{Config, ConnectionStats, Direction, Event, SessionId, SessionStats};
use transom_tests::simulation::{LinkConfig, Pair, Side};

const BIDI: Direction = Direction::Bidirectional;
const UNI: Direction = Direction::Unidirectional;

fn of_session(side: &mut Side, session: SessionId) -> SessionStats {
    side.connection().session(session).unwrap().stats()
}

#[test]
fn a_session_counts_what_its_streams_carry_and_not_their_headers() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    assert_eq!(of_session(&mut pair.client, session), SessionStats::default());
    let first = pair.client.send(session, BIDI, &[1; 1_000]);
    pair.client.send(session, UNI, &[1; 30]);
    pair.client.send(session, UNI, b"");
    let ours = pair.server.send(session, BIDI, &[2; 7]);
    pair.run_for(Duration::from_millis(100));

    let client = of_session(&mut pair.client, session);
    assert_eq!((client.bidi_streams_opened, client.uni_streams_opened), (1, 2));
    assert_eq!((client.bidi_streams_opened_by_peer, client.uni_streams_opened_by_peer), (1, 0));
    assert_eq!((client.bytes_written, client.bytes_read), (1_030, 0));
    let server = of_session(&mut pair.server, session);
    assert_eq!((server.bidi_streams_opened_by_peer, server.uni_streams_opened_by_peer), (1, 2));
    assert_eq!((server.bytes_written, server.bytes_read), (7, 0), "nothing is read before it is asked for");

    let written = pair.client.connection().send_stream(first).stats();
    assert_eq!(written.unwrap().bytes_written, 1_000);
    assert_eq!(pair.server.connection().recv_stream(first).read(400).unwrap().unwrap().len(), 400);
    assert_eq!(pair.server.connection().recv_stream(first).stats().unwrap().bytes_read, 400);
    assert_eq!(pair.server.connection().send_stream(first).stats().unwrap().bytes_written, 0);
    assert_eq!(pair.server.read(first).unwrap(), (vec![1; 600], true));
    assert_eq!(of_session(&mut pair.server, session).bytes_read, 1_000);
    assert_eq!(pair.client.read(ours).unwrap(), (vec![2; 7], true));
    assert_eq!(of_session(&mut pair.client, session).bytes_read, 7);

    pair.server.connection().send_stream(first).finish().unwrap();
    pair.run_for(Duration::from_millis(100));
    pair.client.read(first).unwrap();
    assert_eq!(pair.client.connection().send_stream(first).stats(), None, "it is forgotten");
    assert_eq!(of_session(&mut pair.client, session).bytes_written, 1_030, "and what it did is not");
}

#[test]
fn sessions_on_one_connection_are_counted_apart_and_the_connection_adds_up() {
    let mut pair = Pair::connected();
    let first = pair.session("/");
    for _ in 0..3 {
        pair.client.connection().session(first).unwrap().send_datagram(b"one").unwrap();
    }
    pair.run_for(Duration::from_millis(50));
    assert_eq!(of_session(&mut pair.client, first).datagrams.sent, 3);
    assert_eq!(of_session(&mut pair.server, first).datagrams.received, 3);
    pair.client.connection().session(first).unwrap().close(0, "");
    pair.run_for(Duration::from_secs(1));

    let second = pair.session("/");
    assert_eq!(of_session(&mut pair.client, second), SessionStats::default());
    pair.server.connection().session(second).unwrap().send_datagram(b"two").unwrap();
    pair.run_for(Duration::from_millis(50));
    assert_eq!(of_session(&mut pair.client, second).datagrams.received, 1);
    let (client, server) = (pair.client.connection().stats(), pair.server.connection().stats());
    assert_eq!((client.datagrams.sent, client.datagrams.received), (3, 1));
    assert_eq!((server.datagrams.sent, server.datagrams.received), (1, 3));
}

#[test]
fn what_nobody_reads_in_time_is_counted_as_dropped() {
    let mut config = Config::default();
    config.datagram_queue = 4;
    let mut pair = Pair::with(Config::default(), config, LinkConfig::good(), 1);
    pair.connect();
    let session = pair.session("/");
    for number in 0..10u8 {
        pair.client.connection().session(session).unwrap().send_datagram(&[number]).unwrap();
    }
    pair.run_for(Duration::from_millis(50));
    let stats = of_session(&mut pair.server, session).datagrams;
    assert_eq!((stats.received, stats.dropped_incoming), (10, 6));
    assert_eq!(pair.server.connection().stats().datagrams, stats);
}

fn transfer(link: LinkConfig, seed: u64) -> ConnectionStats {
    let mut pair = Pair::with(Config::default(), Config::default(), link, seed);
    pair.connect();
    let session = pair.session("/");
    let stream = pair.client.connection().session(session).unwrap().open(UNI).unwrap();
    let mut left = 300_000;
    for _ in 0..2_000 {
        left -= pair.client.write(stream, &vec![1; left]).unwrap();
        pair.run_for(Duration::from_millis(10));
        // Until its header has arrived there is no stream to read.
        let _ = pair.server.read(stream);
    }
    assert_eq!(left, 0);
    pair.client.connection().stats()
}

#[test]
fn a_connection_sees_its_path() {
    let good = transfer(LinkConfig::good(), 1);
    assert!(good.min_rtt >= Duration::from_millis(10) && good.rtt >= good.min_rtt, "{good:?}");
    // Acknowledgements wait up to 25 ms at the peer, nothing else varies.
    assert!(good.rtt_variation > Duration::ZERO && good.rtt_variation <= Duration::from_millis(25), "{good:?}");
    assert_eq!((good.packets_lost, good.bytes_lost, good.congestion_events), (0, 0, 0));
    assert!(good.udp_bytes_sent > 300_000 && good.udp_bytes_received > 0);
    let in_a_round_trip = u128::from(good.estimated_send_rate.unwrap()) * good.rtt.as_micros() / 8_000_000;
    assert!(in_a_round_trip.abs_diff(good.congestion_window.into()) < 100, "{good:?}");

    let bad = transfer(LinkConfig::bad(), 2);
    assert!(bad.packets_lost > 0 && bad.congestion_events > 0, "{bad:?}");
    assert!(bad.bytes_lost > bad.packets_lost && bad.bytes_lost < bad.udp_bytes_sent, "{bad:?}");
    assert!(bad.rtt_variation > Duration::from_millis(1), "the jitter is 20 ms each way: {bad:?}");
}

#[test]
fn nothing_is_estimated_before_it_was_measured() {
    let mut pair = Pair::new();
    let stats = pair.client.connection().stats();
    assert_eq!((stats.rtt_variation, stats.estimated_send_rate, stats.at_send_capacity), (Duration::ZERO, None, false));
}

#[test]
fn who_has_more_to_send_than_the_network_takes_is_at_capacity() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.run_for(Duration::from_secs(1));
    assert!(!pair.client.connection().stats().at_send_capacity, "idle");
    let stream = pair.client.connection().session(session).unwrap().open(UNI).unwrap();
    pair.client.write(stream, &vec![1; 200_000]).unwrap();
    pair.run_for(Duration::from_millis(15));
    assert!(pair.client.connection().stats().at_send_capacity, "the window is smaller than 200 kB");
}

/// Small datagrams, each answered before the next one leaves, so that there is never more than one packet to send.
fn ping_pong(rounds: usize) -> ConnectionStats {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    pair.run_for(Duration::from_millis(40));
    for _ in 0..rounds {
        pair.client.connection().session(session).unwrap().send_datagram(&[7; 32]).unwrap();
        pair.run_until(|pair| pair.server.saw(&Event::DatagramReceived { session }));
        let mut answering = pair.server.connection().session(session).unwrap();
        assert!(answering.recv_datagram().is_some());
        answering.send_datagram(&[8; 32]).unwrap();
        pair.run_until(|pair| pair.client.saw(&Event::DatagramReceived { session }));
        assert!(pair.client.connection().session(session).unwrap().recv_datagram().is_some());
        pair.client.take_events();
        pair.server.take_events();
    }
    pair.client.connection().stats()
}

/// RFC 9002, section 7.8.
#[test]
fn who_has_little_to_send_gets_no_larger_window_for_it() {
    let (few, many) = (ping_pong(1), ping_pong(400));
    assert_eq!(few.congestion_window, many.congestion_window);
    assert!(!many.at_send_capacity);
}
