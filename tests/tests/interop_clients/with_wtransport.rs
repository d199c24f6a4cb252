//! wtransport 0.7: drafts 02 and 07, old token.

use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use transom_tests::demo::Demo;
use wtransport::endpoint::endpoint_side::Client;
use wtransport::error::{ConnectingError, ConnectionError, StreamReadError};
use wtransport::tls::Sha256Digest;
use wtransport::{ClientConfig, Connection, Endpoint, VarInt};

use crate::{DATAGRAM_TRIES, DATAGRAM_WAIT, MEBIBYTE, demo, numbered, pattern, within};

fn endpoint(demo: &Demo) -> Endpoint<Client> {
    let hashes = [Sha256Digest::new(demo.certificate_sha256())];
    let config = ClientConfig::builder().with_bind_default().with_server_certificate_hashes(hashes).build();
    Endpoint::client(config).unwrap()
}

async fn connect(demo: &Demo, path: &str) -> Result<Connection, ConnectingError> {
    within(endpoint(demo).connect(demo.url(path))).await
}

/// How the session ended. (`closed` tells of the QUIC connection, which wtransport itself closes when a session ends.)
async fn end_of(connection: &Connection) -> ConnectionError {
    within(connection.accept_uni()).await.expect_err("the server opens no stream")
}

async fn echo_bidi(connection: &Connection, message: &[u8]) -> Vec<u8> {
    let (mut send, mut recv) = connection.open_bi().await.unwrap().await.unwrap();
    let write = async {
        send.write_all(message).await.unwrap();
        send.finish().await.unwrap();
    };
    let mut echo = Vec::new();
    let ((), read) = tokio::join!(write, recv.read_to_end(&mut echo));
    read.unwrap();
    echo
}

#[tokio::test]
async fn bidirectional_streams_echo() {
    let demo = demo();
    let connection = connect(&demo, "/echo").await.unwrap();
    for length in [0, 1, 5000, MEBIBYTE] {
        let message = pattern(length);
        assert!(within(echo_bidi(&connection, &message)).await == message, "{length} bytes");
    }
}

#[tokio::test]
async fn unidirectional_streams_echo() {
    let demo = demo();
    let connection = connect(&demo, "/echo").await.unwrap();
    for length in [1, MEBIBYTE] {
        let message = pattern(length);
        let mut send = connection.open_uni().await.unwrap().await.unwrap();
        let write = async {
            send.write_all(&message).await.unwrap();
            send.finish().await.unwrap();
        };
        let read = async {
            let mut echo = Vec::new();
            connection.accept_uni().await.unwrap().read_to_end(&mut echo).await.unwrap();
            echo
        };
        let ((), echo) = within(async { tokio::join!(write, read) }).await;
        assert!(echo == message, "{length} bytes");
    }
}

#[tokio::test]
async fn datagrams_echo() {
    let demo = demo();
    let connection = connect(&demo, "/echo").await.unwrap();
    for message in [&b"datagram"[..], b"", &[7; 1000]] {
        let mut echo = None;
        for _ in 0..DATAGRAM_TRIES {
            connection.send_datagram(message).unwrap();
            if let Ok(received) = timeout(DATAGRAM_WAIT, connection.receive_datagram()).await {
                echo = Some(received.unwrap());
                break;
            }
        }
        assert_eq!(echo.expect("one of many comes back").payload(), message);
    }
}

#[tokio::test]
async fn the_server_opens_unidirectional_streams() {
    let demo = demo();
    let connection = connect(&demo, "/streams/uni/20").await.unwrap();
    let mut messages = Vec::new();
    for _ in 0..20 {
        let mut message = String::new();
        let mut stream = within(connection.accept_uni()).await.unwrap();
        within(stream.read_to_string(&mut message)).await.unwrap();
        messages.push(message);
    }
    messages.sort_by_key(|message| (message.len(), message.clone()));
    assert_eq!(messages, numbered(20));
}

#[tokio::test]
async fn the_server_opens_bidirectional_streams() {
    let demo = demo();
    let connection = connect(&demo, "/streams/bidi/20").await.unwrap();
    let mut messages = Vec::new();
    for _ in 0..20 {
        let mut message = String::new();
        let (_send, mut stream) = within(connection.accept_bi()).await.unwrap();
        within(stream.read_to_string(&mut message)).await.unwrap();
        messages.push(message);
    }
    messages.sort_by_key(|message| (message.len(), message.clone()));
    assert_eq!(messages, numbered(20));
}

#[tokio::test]
async fn a_million_bytes_come() {
    let demo = demo();
    let connection = connect(&demo, "/source/1000000").await.unwrap();
    let mut bytes = Vec::new();
    let mut stream = within(connection.accept_uni()).await.unwrap();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes.len(), 1_000_000);
}

#[tokio::test]
async fn a_close_brings_its_code_and_reason() {
    let demo = demo();
    for code in [0, 42, u32::MAX] {
        let connection = connect(&demo, &format!("/close/{code}?reason=that%20is%20all")).await.unwrap();
        match end_of(&connection).await {
            ConnectionError::ApplicationClosed(close) => {
                assert_eq!((close.code(), close.reason()), (VarInt::from_u32(code), &b"that is all"[..]));
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn fin_without_a_capsule_is_a_close_with_code_0() {
    let demo = demo();
    let connection = connect(&demo, "/fin").await.unwrap();
    match end_of(&connection).await {
        ConnectionError::ApplicationClosed(close) => {
            assert_eq!((close.code(), close.reason()), (VarInt::from_u32(0), &b""[..]));
        }
        other => panic!("{other}"),
    }
}

/// wtransport tells a refusal, but not its status.
#[tokio::test]
async fn refusals_are_refusals() {
    let demo = demo();
    for path in ["/status/403", "/status/500", "/nowhere"] {
        match connect(&demo, path).await {
            Err(ConnectingError::SessionRejected) => {}
            Err(other) => panic!("{path}: {other}"),
            Ok(_) => panic!("{path} was accepted"),
        }
    }
}

/// wtransport does not map codes: it shows what HTTP/3 carries. 0x52e4a40fa8db is application code 0.
#[tokio::test]
async fn a_reset_is_answered_with_the_same_code() {
    let demo = demo();
    let connection = connect(&demo, "/echo").await.unwrap();
    for code in [0x52e4_a40f_a8db_u64, 0x52e4_a40f_a8db + 29, 0x52e4_a40f_a8db + 31, 0x52e5_ac98_3162] {
        let (mut send, mut recv) = connection.open_bi().await.unwrap().await.unwrap();
        send.write_all(b"before").await.unwrap();
        let mut echo = [0; 6];
        within(recv.read_exact(&mut echo)).await.unwrap();
        let code = VarInt::try_from_u64(code).unwrap();
        send.reset(code).unwrap();
        assert_eq!(within(recv.read(&mut echo)).await, Err(StreamReadError::Reset(code)));
    }
}
