//! Our client against other people's servers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use bytes::Bytes;
use transom::{Client, ClientError, ConnectionError, ErrorCode, Session, SessionEnd};
use transom_tests::peers::{CLOSE_REASON, Implementation, PeerServer};

async fn connect(server: &PeerServer, path: &str) -> Result<Session, ClientError> {
    Client::builder().certificate_hash(server.certificate_sha256()).connect(&server.url(path)).await
}

async fn echoes(implementation: Implementation) {
    let server = PeerServer::start(implementation).unwrap();
    let session = connect(&server, "/echo").await.unwrap();
    for size in [0, 5, 1 << 20] {
        let data = Bytes::from((0..size).map(|index: u32| (index % 251) as u8).collect::<Vec<_>>());
        let (mut send, mut recv) = session.open_bi().await.unwrap().split();
        let copy = data.clone();
        let writer = tokio::spawn(async move {
            send.write_bytes(copy).await.unwrap();
            send.finish().unwrap();
        });
        assert_eq!(recv.read_to_end(2 << 20).await.unwrap(), data, "bidirectional, {size} bytes");
        writer.await.unwrap();
    }
    let mut send = session.open_uni().await.unwrap();
    send.write_all(b"one way").await.unwrap();
    send.finish().unwrap();
    let mut recv = session.accept_uni().await.unwrap().unwrap();
    assert_eq!(recv.read_to_end(1 << 16).await.unwrap(), "one way");
    // Datagrams may be lost; on loopback one of many is not.
    let echoed = async { session.recv_datagram().await.unwrap().unwrap() };
    let sender = async {
        loop {
            session.send_datagram(Bytes::from_static(b"datagram")).unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        datagram = echoed => assert_eq!(datagram, "datagram"),
        () = sender => {}
    }
    session.close(0, "");
}

#[tokio::test]
async fn wtransport_echoes_us() {
    echoes(Implementation::Wtransport).await;
}

#[tokio::test]
async fn web_transport_quinn_echoes_us() {
    echoes(Implementation::WebTransportQuinn).await;
}

#[tokio::test]
async fn h3_webtransport_echoes_us() {
    echoes(Implementation::H3).await;
}

#[tokio::test]
async fn a_close_with_a_capsule_is_understood() {
    let server = PeerServer::start(Implementation::WebTransportQuinn).unwrap();
    let session = connect(&server, "/close/77").await.unwrap();
    let end = session.closed().await;
    assert_eq!(end, SessionEnd::ClosedByPeer { code: 77, reason: CLOSE_REASON.to_owned() });
}

#[tokio::test]
async fn a_close_of_the_connection_is_an_end_too() {
    let server = PeerServer::start(Implementation::Wtransport).unwrap();
    // It may come before the answer was looked at.
    let error = match connect(&server, "/close/5").await {
        Ok(session) => match session.closed().await {
            SessionEnd::ConnectionLost(error) => error,
            end => panic!("not a close of the connection: {end:?}"),
        },
        Err(ClientError::Connection(error)) => error,
        Err(error) => panic!("not a close of the connection: {error:?}"),
    };
    let closed = ConnectionError::ClosedByPeer { code: ErrorCode(5), reason: CLOSE_REASON.to_owned() };
    assert_eq!(error, closed);
}

#[tokio::test]
async fn a_refusal_is_an_error_with_a_status() {
    let server = PeerServer::start(Implementation::WebTransportQuinn).unwrap();
    match connect(&server, "/nowhere").await {
        Err(ClientError::Refused { status, .. }) => assert!(status.is_client_error(), "{status}"),
        other => panic!("the path does not exist: {other:?}"),
    }
}

#[tokio::test]
async fn another_certificate_is_not_trusted() {
    let server = PeerServer::start(Implementation::Wtransport).unwrap();
    let connected = Client::builder().certificate_hash([7; 32]).connect(&server.url("/echo")).await;
    assert!(matches!(connected, Err(ClientError::Connection(_))), "{connected:?}");
}
