//! Datagrams between two real cores in virtual time: order, turns, age, room.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use transom_core::{Config, DatagramPriority, DatagramStats, Event, Receive, SendDatagramError, SessionId};
use transom_tests::simulation::{LinkConfig, Pair, Side};

const MS: Duration = Duration::from_millis(1);

/// A network that takes everything and delivers nothing.
fn black_hole() -> LinkConfig {
    LinkConfig { loss_per_mille: 1_000, ..LinkConfig::good() }
}

fn pair_with(change: impl Fn(&mut Config)) -> (Pair, SessionId) {
    let mut config = Config::default();
    change(&mut config);
    let mut pair = Pair::with(config.clone(), config, LinkConfig::good(), 5);
    pair.connect();
    let session = pair.session("/");
    (pair, session)
}

fn send(side: &mut Side, session: SessionId, payload: &[u8]) -> Result<(), SendDatagramError> {
    side.connection().session(session).unwrap().send_datagram(payload)
}

fn force(side: &mut Side, session: SessionId, payload: &[u8], priority: DatagramPriority) {
    side.connection().session(session).unwrap().force_datagram_with_priority(payload, priority).unwrap();
}

/// Sends until there is no room; how many there was room for.
fn fill(side: &mut Side, session: SessionId, payload: &[u8]) -> usize {
    (0..100_000).find(|_| send(side, session, payload) == Err(SendDatagramError::Blocked)).unwrap()
}

fn received(side: &mut Side, session: SessionId) -> Vec<Vec<u8>> {
    let mut session = side.connection().session(session).unwrap();
    std::iter::from_fn(|| session.recv_datagram()).map(Vec::from).collect()
}

fn stats(side: &mut Side, session: SessionId) -> DatagramStats {
    side.connection().session(session).unwrap().stats().datagrams
}

fn unblocked(side: &mut Side) -> bool {
    side.take_events().contains(&Event::DatagramsUnblocked)
}

fn outgoing_max_age(side: &mut Side, session: SessionId, age: Duration) {
    let mut session = side.connection().session(session).unwrap();
    let mut options = session.datagram_options();
    options.outgoing_max_age = Some(age);
    session.set_datagram_options(options);
}

#[test]
fn a_higher_priority_goes_first_and_each_in_its_order() {
    let (mut pair, session) = pair_with(|_| {});
    let priorities = [DatagramPriority::Low, DatagramPriority::Normal, DatagramPriority::High];
    for number in 0..30u8 {
        force(&mut pair.client, session, &[number], priorities[usize::from(number % 3)]);
    }
    pair.run_for(50 * MS);
    let numbers: Vec<u8> = received(&mut pair.server, session).concat();
    let expected: Vec<u8> = [2, 1, 0].into_iter().flat_map(|class| (0..10).map(move |at| at * 3 + class)).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn what_must_give_way_is_the_oldest_of_the_lowest_priority() {
    let (mut pair, session) = pair_with(|config| config.datagram_send_queue = 3);
    force(&mut pair.client, session, b"high 1", DatagramPriority::High);
    force(&mut pair.client, session, b"low 1", DatagramPriority::Low);
    force(&mut pair.client, session, b"low 2", DatagramPriority::Low);
    force(&mut pair.client, session, b"normal 1", DatagramPriority::Normal);
    force(&mut pair.client, session, b"high 2", DatagramPriority::High);
    force(&mut pair.client, session, b"low 3", DatagramPriority::Low);
    force(&mut pair.client, session, b"high 3", DatagramPriority::High);
    force(&mut pair.client, session, b"normal 2", DatagramPriority::Normal);
    force(&mut pair.client, session, b"high 4", DatagramPriority::High);
    pair.run_for(50 * MS);
    let expected = [&b"high 2"[..], b"high 3", b"high 4"];
    assert_eq!(received(&mut pair.server, session), expected);
    let stats = stats(&mut pair.client, session);
    assert_eq!((stats.sent, stats.dropped_outgoing), (3, 6));
}

#[test]
fn who_is_blocked_is_told_when_there_is_room_and_nobody_else() {
    let (mut pair, session) = pair_with(|config| config.datagram_send_queue = 2);
    assert_eq!(send(&mut pair.client, session, b"1"), Ok(()));
    assert_eq!(send(&mut pair.client, session, b"2"), Ok(()));
    pair.run_for(50 * MS);
    assert!(!unblocked(&mut pair.client), "nobody was blocked");
    assert_eq!(fill(&mut pair.client, session, b"x"), 2);
    assert_eq!(send(&mut pair.client, session, b"y"), Err(SendDatagramError::Blocked));
    let other = pair.client.connection();
    assert!(other.stats().datagrams.dropped_outgoing == 0, "refused is not dropped");
    pair.run_for(MS);
    assert!(unblocked(&mut pair.client));
    assert_eq!(fill(&mut pair.client, session, b"z"), 2);
    pair.run_for(50 * MS);
    assert_eq!(received(&mut pair.server, session).concat(), b"12xxzz");
}

#[test]
fn one_may_always_wait() {
    let (mut pair, session) = pair_with(|config| {
        config.datagram_send_queue = 0;
        config.connection_datagram_bytes = 0;
    });
    for round in 0..3 {
        assert_eq!(fill(&mut pair.client, session, &[round; 500]), 1);
        pair.run_for(20 * MS);
        assert!(unblocked(&mut pair.client));
    }
    assert_eq!(stats(&mut pair.client, session).sent, 3);
}

#[test]
fn bytes_are_limited_exactly() {
    // 48 bytes are charged for each datagram, 1 is the session id.
    let (mut pair, session) = pair_with(|config| config.datagram_send_buffer = 1_000);
    let most = pair.client.connection().session(session).unwrap().max_datagram_size();
    assert_eq!(most, 1_000 - 48 - 1);
    assert_eq!(send(&mut pair.client, session, &vec![0; most + 1]), Err(SendDatagramError::TooLarge { max: most }));
    assert_eq!(fill(&mut pair.client, session, &vec![0; most]), 1);
    pair.run_for(20 * MS);
    assert_eq!(fill(&mut pair.client, session, &[0; 51]), 10);
    pair.run_for(20 * MS);
    assert_eq!(fill(&mut pair.client, session, &[0; 52]), 9);
}

#[test]
fn a_session_that_fills_its_queues_leaves_the_others_their_share() {
    let (mut pair, greedy) = pair_with(|config| config.connection_datagram_bytes = 32 * 1024);
    let modest = pair.session("/");
    // Half for who comes first, a sixteenth of the other half for each of 16 sessions.
    let cost = 100 + 1 + 48;
    assert_eq!(fill(&mut pair.client, greedy, &[1; 100]), 16 * 1024 / cost);
    assert_eq!(fill(&mut pair.client, modest, &[2; 100]), 1024 / cost);
    // The same at the receiver, where the greedy one is not read.
    pair.run_for(50 * MS);
    while fill(&mut pair.client, greedy, &[1; 100]) > 0 && stats(&mut pair.server, greedy).dropped_incoming == 0 {
        pair.run_for(50 * MS);
    }
    assert_eq!(received(&mut pair.server, modest).len(), 1024 / cost);
    for _ in 0..50 {
        assert_eq!(send(&mut pair.client, modest, &[3; 100]), Ok(()));
        pair.run_for(50 * MS);
    }
    assert_eq!(received(&mut pair.server, modest).len(), 1024 / 148, "the newest of 50");
    let kept = received(&mut pair.server, greedy).len();
    assert!(kept > 100 && kept <= 16 * 1024 / 148, "{kept}");
}

#[test]
fn sessions_take_turns_by_bytes() {
    let mut config = Config::default();
    // Room for both to have something to send all the time.
    config.connection_datagram_bytes = 1024 * 1024;
    let mut pair = Pair::with(config.clone(), config, LinkConfig::bad(), 3);
    pair.connect();
    let (large, small) = (pair.session("/"), pair.session("/"));
    let mut bytes = (0, 0);
    for _ in 0..4_000 {
        fill(&mut pair.client, large, &[1; 1_000]);
        fill(&mut pair.client, small, &[2; 100]);
        pair.run_for(MS);
        bytes.0 += received(&mut pair.server, large).concat().len();
        bytes.1 += received(&mut pair.server, small).concat().len();
    }
    assert!(bytes.0 > 50_000, "something was sent: {bytes:?}");
    assert!(bytes.0.abs_diff(bytes.1) < bytes.0 / 5, "{bytes:?}");
}

#[test]
fn who_comes_late_does_not_wait_for_who_was_first() {
    let (mut pair, first) = pair_with(|_| {});
    let late = pair.session("/");
    let many = fill(&mut pair.client, first, &[1; 1_000]);
    pair.run_for(MS);
    send(&mut pair.client, late, b"late").unwrap();
    let before = stats(&mut pair.client, first).sent;
    pair.run_for(12 * MS);
    assert_eq!(stats(&mut pair.client, late).sent, 1);
    let after = stats(&mut pair.client, first).sent;
    assert!(after > before && after < many as u64, "{before} then {after} of {many}: the first is not through either");
}

#[test]
fn quic_holds_no_more_than_a_batch() {
    let (mut pair, session) = pair_with(|_| {});
    pair.up.set(black_hole());
    let window = pair.client.connection().stats().congestion_window;
    for _ in 0..20 {
        for _ in 0..10 {
            force(&mut pair.client, session, &[1; 1_000], DatagramPriority::Normal);
        }
        pair.run_for(MS);
    }
    let sent = stats(&mut pair.client, session).sent;
    // Eight segments are what a `Pair` asks for.
    let most = (window + 9 * 1_452) / 1_000;
    assert!(sent > 5 && sent <= most, "{sent} given to QUIC, which had room for {most}");
}

#[test]
fn what_cannot_leave_in_time_is_not_sent_and_needs_no_reader_to_go() {
    let (mut pair, session) = pair_with(|_| {});
    outgoing_max_age(&mut pair.client, session, 100 * MS);
    pair.up.set(black_hole());
    let queued = fill(&mut pair.client, session, &[1; 1_000]) as u64;
    pair.run_for(99 * MS);
    let before = stats(&mut pair.client, session);
    assert_eq!(before.expired_outgoing, 0);
    assert!(before.sent < queued);
    fill(&mut pair.client, session, &[2; 1_000]);
    pair.client.take_events();
    pair.run_for(2 * MS);
    let after = stats(&mut pair.client, session);
    assert_eq!((after.sent, after.expired_outgoing), (before.sent, queued - before.sent));
    assert!(unblocked(&mut pair.client), "there is room again");
    pair.up.set(LinkConfig::good());
    send(&mut pair.client, session, b"new").unwrap();
    pair.run_for(2_000 * MS);
    let arrived = received(&mut pair.server, session);
    assert_eq!(arrived.last().map(Vec::as_slice), Some(&b"new"[..]));
}

/// The client's endpoint driven by hand, without the timer: takes in what is under way, then polls.
fn without_timers(pair: &mut Pair, now: Instant) {
    while let Some(datagram) = pair.down.receive(now) {
        let receive = Receive {
            remote: ([10, 0, 0, 2], 4433).into(),
            local_ip: None,
            ecn: None,
            data: BytesMut::from(datagram.bytes.as_slice()),
        };
        pair.client.endpoint.handle_receive(now, receive);
    }
    let mut buffer = Vec::new();
    while pair.client.endpoint.poll_transmit(now, 8, &mut buffer).is_some() {
        buffer.clear();
    }
}

#[test]
fn age_is_looked_at_when_a_packet_is_filled_and_not_by_a_timer_alone() {
    let (mut pair, session) = pair_with(|_| {});
    outgoing_max_age(&mut pair.client, session, 100 * MS);
    let queued = fill(&mut pair.client, session, &[1; 1_000]) as u64;
    // As much as the congestion window takes is under way, its acknowledgements with it.
    pair.run_for(6 * MS);
    let sent = stats(&mut pair.client, session).sent;
    assert!(sent < queued);
    let later = pair.now + 101 * MS;
    without_timers(&mut pair, later);
    let stats = stats(&mut pair.client, session);
    assert_eq!((stats.sent, stats.expired_outgoing), (sent, queued - sent));
}

#[test]
fn a_command_after_a_long_rest_is_not_old_at_once() {
    let (mut pair, session) = pair_with(|_| {});
    outgoing_max_age(&mut pair.client, session, 10 * MS);
    // Nothing tells the endpoint that time goes by.
    pair.now += Duration::from_secs(5);
    send(&mut pair.client, session, b"fresh").unwrap();
    pair.run_for(50 * MS);
    assert_eq!(received(&mut pair.server, session), [b"fresh"]);
    assert_eq!(stats(&mut pair.client, session).expired_outgoing, 0);
}

#[test]
fn what_is_not_read_in_time_is_not_given() {
    let (mut pair, session) = pair_with(|config| config.datagram_max_age = Some(Duration::from_millis(100)));
    send(&mut pair.client, session, b"read in time").unwrap();
    pair.run_for(104 * MS);
    assert_eq!(received(&mut pair.server, session), [b"read in time"]);
    send(&mut pair.client, session, b"left alone").unwrap();
    pair.run_for(50 * MS);
    send(&mut pair.client, session, b"younger").unwrap();
    pair.run_for(56 * MS);
    assert_eq!(stats(&mut pair.server, session).expired_incoming, 1, "without anybody asking");
    assert!(pair.server.connection().session(session).unwrap().has_datagrams());
    assert_eq!(received(&mut pair.server, session), [b"younger"]);
    for _ in 0..2 {
        send(&mut pair.client, session, b"one after the other").unwrap();
        pair.run_for(50 * MS);
    }
    pair.run_for(110 * MS);
    let total = pair.server.connection().stats().datagrams;
    assert_eq!((total.received, total.expired_incoming, total.dropped_incoming), (5, 3, 0));
    assert_eq!(pair.server.endpoint.stats().datagrams_expired, 3);
}

#[test]
fn an_application_may_lower_its_marks_but_not_raise_the_limits() {
    let (mut pair, session) = pair_with(|config| {
        config.datagram_send_queue = 8;
        config.datagram_queue = 8;
    });
    let marks = |side: &mut Side, mark: usize| {
        let mut session = side.connection().session(session).unwrap();
        let mut options = session.datagram_options();
        options.outgoing_high_water_mark = mark;
        options.incoming_high_water_mark = mark;
        session.set_datagram_options(options);
    };
    for (mark, expected) in [(3, 3), (1_000, 8)] {
        marks(&mut pair.client, mark);
        assert_eq!(fill(&mut pair.client, session, b"x"), expected);
        pair.run_for(50 * MS);
        received(&mut pair.server, session);
    }
    marks(&mut pair.server, 2);
    fill(&mut pair.client, session, b"y");
    pair.run_for(50 * MS);
    assert_eq!(received(&mut pair.server, session).len(), 2);
    assert_eq!(stats(&mut pair.server, session).dropped_incoming, 6);
}

#[test]
fn what_was_sent_right_before_a_close_still_leaves() {
    for finish in [false, true] {
        let (mut pair, session) = pair_with(|_| {});
        for _ in 0..10 {
            send(&mut pair.client, session, &[1; 100]).unwrap();
        }
        let mut handle = pair.client.connection().session(session).unwrap();
        if finish {
            handle.finish();
        } else {
            handle.close(0, "");
        }
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.server.connection().stats().datagrams.received, 10);
    }
}

#[test]
fn the_end_of_a_session_drops_what_waits_and_gives_the_room_to_others() {
    let (mut pair, first) = pair_with(|_| {});
    pair.up.set(black_hole());
    let queued = fill(&mut pair.client, first, &[1; 500]) as u64;
    pair.run_for(MS);
    let sent = stats(&mut pair.client, first).sent;
    pair.server.connection().session(first).unwrap().close(1, "");
    pair.run_for(50 * MS);
    let total = pair.client.connection().stats().datagrams;
    assert!(sent < queued);
    assert_eq!((total.sent, total.dropped_outgoing), (sent, queued - sent));
    pair.up.set(LinkConfig::good());
    let second = pair.session("/");
    assert_eq!(fill(&mut pair.client, second, &[1; 500]) as u64, queued);
}

#[test]
fn everything_is_sent_or_counted_as_dropped() {
    let mut pair = Pair::with(Config::default(), Config::default(), LinkConfig::bad(), 9);
    pair.connect();
    let sessions: Vec<SessionId> = (0..8).map(|_| pair.session("/")).collect();
    for round in 0..20u8 {
        for session in &sessions {
            let priority = [DatagramPriority::Low, DatagramPriority::High][usize::from(round % 2)];
            for _ in 0..10 {
                force(&mut pair.client, *session, &[round; 300], priority);
            }
        }
        pair.run_for(60 * MS);
    }
    pair.run_for(Duration::from_secs(20));
    let client = pair.client.connection().stats().datagrams;
    assert_eq!(client.sent + client.dropped_outgoing, 8 * 20 * 10, "{client:?}");
    let server = pair.server.connection().stats().datagrams;
    assert!(server.received <= client.sent && server.received > client.sent / 2, "{server:?} of {client:?}");
}

/// The second fits neither the first packet nor, being larger, the same system call.
#[test]
fn a_datagram_that_does_not_fit_behind_a_small_one_leaves_at_once() {
    let (mut pair, session) = pair_with(|_| {});
    // Until QUIC has been asked often enough whether it has more to send, see `quic/spent.rs`.
    for _ in 0..40 {
        send(&mut pair.client, session, b"small").unwrap();
        pair.run_for(50 * MS);
        assert_eq!(received(&mut pair.server, session).len(), 1);
    }
    for size in [600, 900] {
        send(&mut pair.client, session, &vec![7; size]).unwrap();
    }
    pair.run_for(15 * MS);
    let sizes: Vec<usize> = received(&mut pair.server, session).iter().map(Vec::len).collect();
    assert_eq!(sizes, [600, 900]);
}
