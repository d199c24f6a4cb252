//! What handles say about what went through them.

#![cfg(feature = "tokio")]

mod common;

use common::{Running, echo, within};
use transom::{ConnectionStats, ServerApp};

#[tokio::test]
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
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
