//! What handles say about what went through them.

#[macro_use]
mod common;

use std::time::Duration;

use common::{Running, echo, sleep, within};
use transom::{ConnectionStats, DatagramPriority, ServerApp};

async fn sessions_and_streams_count_and_streams_remember() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    within(stream.send.write_all(&[1; 300])).await.unwrap();
    within(stream.send.write_bytes(vec![2; 50].into())).await.unwrap();
    within(stream.send.acknowledged()).await.unwrap();
    let echoed = within(stream.recv.read_to_end(1_000)).await.unwrap();
    assert_eq!(echoed.len(), 350);
    within(stream.recv.read_to_end(0)).await.unwrap();
    assert_eq!((stream.send.stats().bytes_written, stream.recv.stats().bytes_read), (350, 350));

    session.send_datagram(b"datagram".as_slice()).unwrap();
    within(session.recv_datagram()).await.unwrap().unwrap();
    let stats = session.stats().unwrap();
    assert_eq!((stats.bidi_streams_opened, stats.uni_streams_opened), (1, 0));
    assert_eq!((stats.bytes_written, stats.bytes_read), (350, 350));
    assert_eq!((stats.datagrams.sent, stats.datagrams.received), (1, 1));
    let connection = session.connection_stats();
    assert_eq!(connection.datagrams, stats.datagrams);
    assert!(connection.udp_bytes_sent > 350 && connection.estimated_send_rate.is_some(), "{connection:?}");

    session.close(0, "");
    within(session.closed()).await;
    assert_eq!(session.stats(), None);
    assert_eq!(stream.send.stats().bytes_written, 350, "the handle remembers");
    drop(running);
    while session.connection_stats() != ConnectionStats::default() {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn datagrams_have_priorities_and_ages_that_an_application_chooses() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let mut options = session.datagram_options().unwrap();
    assert_eq!(options.incoming_max_age, None);
    options.incoming_max_age = Some(Duration::from_millis(20));
    options.outgoing_high_water_mark = 1;
    session.set_datagram_options(options);
    assert_eq!(session.datagram_options(), Some(options));
    session.send_datagram_with_priority(b"not read in time".as_slice(), DatagramPriority::High).unwrap();
    while session.stats().unwrap().datagrams.expired_incoming == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    // Each waits for room; the mark holds one.
    for _ in 0..20 {
        within(session.send_datagram_wait(b"waits".as_slice())).await.unwrap();
    }
    assert_eq!(within(session.recv_datagram()).await.unwrap().unwrap(), "waits");
    assert_eq!(session.stats().unwrap().datagrams.dropped_outgoing, 0);
}

on_each_runtime! {
    sessions_and_streams_count_and_streams_remember,
    datagrams_have_priorities_and_ages_that_an_application_chooses,
}
