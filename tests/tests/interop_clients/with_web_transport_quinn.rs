//! web-transport-quinn 0.13: drafts 02 and 07, old token, subprotocols.

use tokio::time::timeout;
use transom_tests::demo::Demo;
use url::Url;
use web_transport_quinn::proto::ConnectError::WrongStatus;
use web_transport_quinn::proto::ConnectRequest;
use web_transport_quinn::{
    ClientBuilder, ClientError, ConnectError, ReadError, Session, SessionError, WebTransportError, WriteError,
};

use crate::{DATAGRAM_TRIES, DATAGRAM_WAIT, MEBIBYTE, demo, numbered, pattern, within};

async fn request(demo: &Demo, request: ConnectRequest) -> Result<Session, ClientError> {
    let client = ClientBuilder::new().with_server_certificate_hashes(vec![demo.certificate_sha256().to_vec()]).unwrap();
    within(client.connect(request)).await
}

fn to(demo: &Demo, path: &str) -> ConnectRequest {
    ConnectRequest::new(demo.url(path).parse::<Url>().unwrap())
}

async fn connect(demo: &Demo, path: &str) -> Result<Session, ClientError> {
    request(demo, to(demo, path)).await
}

async fn echo_bidi(session: &Session, message: &[u8]) -> Vec<u8> {
    let (mut send, mut recv) = session.open_bi().await.unwrap();
    let write = async {
        send.write_all(message).await.unwrap();
        send.finish().unwrap();
    };
    let ((), echo) = tokio::join!(write, recv.read_to_end(2 * MEBIBYTE));
    echo.unwrap()
}

#[tokio::test]
async fn bidirectional_streams_echo() {
    let demo = demo();
    let session = connect(&demo, "/echo").await.unwrap();
    for length in [0, 1, 5000, MEBIBYTE] {
        let message = pattern(length);
        assert!(within(echo_bidi(&session, &message)).await == message, "{length} bytes");
    }
}

#[tokio::test]
async fn unidirectional_streams_echo() {
    let demo = demo();
    let session = connect(&demo, "/echo").await.unwrap();
    for length in [1, MEBIBYTE] {
        let message = pattern(length);
        let mut send = session.open_uni().await.unwrap();
        let write = async {
            send.write_all(&message).await.unwrap();
            send.finish().unwrap();
        };
        let read = async { session.accept_uni().await.unwrap().read_to_end(2 * MEBIBYTE).await.unwrap() };
        let ((), echo) = within(async { tokio::join!(write, read) }).await;
        assert!(echo == message, "{length} bytes");
    }
}

#[tokio::test]
async fn datagrams_echo() {
    let demo = demo();
    let session = connect(&demo, "/echo").await.unwrap();
    for message in [&b"datagram"[..], b"", &[7; 1000]] {
        let mut echo = None;
        for _ in 0..DATAGRAM_TRIES {
            session.send_datagram(message.to_vec().into()).unwrap();
            if let Ok(received) = timeout(DATAGRAM_WAIT, session.read_datagram()).await {
                echo = Some(received.unwrap());
                break;
            }
        }
        assert_eq!(echo.expect("one of many comes back"), message);
    }
}

#[tokio::test]
async fn the_server_opens_unidirectional_streams() {
    let demo = demo();
    let session = connect(&demo, "/streams/uni/20").await.unwrap();
    let mut messages = Vec::new();
    for _ in 0..20 {
        let mut stream = within(session.accept_uni()).await.unwrap();
        messages.push(String::from_utf8(within(stream.read_to_end(100)).await.unwrap()).unwrap());
    }
    messages.sort_by_key(|message| (message.len(), message.clone()));
    assert_eq!(messages, numbered(20));
}

#[tokio::test]
async fn the_server_opens_bidirectional_streams() {
    let demo = demo();
    let session = connect(&demo, "/streams/bidi/20").await.unwrap();
    let mut messages = Vec::new();
    for _ in 0..20 {
        let (_send, mut stream) = within(session.accept_bi()).await.unwrap();
        messages.push(String::from_utf8(within(stream.read_to_end(100)).await.unwrap()).unwrap());
    }
    messages.sort_by_key(|message| (message.len(), message.clone()));
    assert_eq!(messages, numbered(20));
}

#[tokio::test]
async fn a_million_bytes_come() {
    let demo = demo();
    let session = connect(&demo, "/source/1000000").await.unwrap();
    let mut stream = within(session.accept_uni()).await.unwrap();
    assert_eq!(within(stream.read_to_end(2 * MEBIBYTE)).await.unwrap().len(), 1_000_000);
}

#[tokio::test]
async fn a_close_brings_its_code_and_reason() {
    let demo = demo();
    for code in [0, 42, u32::MAX] {
        let session = connect(&demo, &format!("/close/{code}?reason=that%20is%20all")).await.unwrap();
        match within(session.closed()).await {
            SessionError::WebTransportError(WebTransportError::Closed(seen, reason)) => {
                assert_eq!((seen, reason.as_str()), (code, "that is all"));
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn refusals_bring_their_status() {
    let demo = demo();
    for (path, expected) in [("/status/403", 403), ("/status/500", 500), ("/nowhere", 404)] {
        match connect(&demo, path).await {
            Err(ClientError::HttpError(ConnectError::ProtoError(WrongStatus(Some(status))))) => {
                assert_eq!(status, expected, "{path}");
            }
            Err(other) => panic!("{path}: {other}"),
            Ok(_) => panic!("{path} was accepted"),
        }
    }
}

#[tokio::test]
async fn headers_and_offered_protocols_do_no_harm() {
    let demo = demo();
    let offer = to(&demo, "/headers")
        .with_protocols(["chat".to_owned(), "a\"b\\c".to_owned()])
        .with_header("x-one".parse().unwrap(), "first".parse().unwrap());
    let session = request(&demo, offer).await.unwrap();
    let mut stream = within(session.accept_uni()).await.unwrap();
    let headers = String::from_utf8(within(stream.read_to_end(MEBIBYTE)).await.unwrap()).unwrap();
    let headers: serde_json::Value = serde_json::from_str(&headers).unwrap();
    assert!(headers.to_string().contains("first"), "{headers}");
}

#[tokio::test]
async fn a_reset_is_answered_with_the_same_code() {
    let demo = demo();
    let session = connect(&demo, "/echo").await.unwrap();
    for code in [0, 1, 29, 30, 31, 255, u32::MAX] {
        let (mut send, mut recv) = session.open_bi().await.unwrap();
        send.write_all(b"before").await.unwrap();
        let mut echo = [0; 6];
        within(recv.read_exact(&mut echo)).await.unwrap();
        send.reset(code).unwrap();
        match within(recv.read(&mut echo)).await {
            Err(ReadError::Reset(seen)) => assert_eq!(seen, code),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stop_is_answered_with_the_same_code() {
    let demo = demo();
    let session = connect(&demo, "/echo").await.unwrap();
    for code in [0, 1, 29, 30, 31, 255, u32::MAX] {
        let (mut send, mut recv) = session.open_bi().await.unwrap();
        send.write_all(b"before").await.unwrap();
        let mut echo = [0; 6];
        within(recv.read_exact(&mut echo)).await.unwrap();
        recv.stop(code).unwrap();
        assert_eq!(within(send.stopped()).await.unwrap(), Some(code));
        match send.write_all(b"after").await {
            Err(WriteError::Stopped(seen)) => assert_eq!(seen, code),
            other => panic!("{other:?}"),
        }
    }
}

/// The client closes with a capsule; the server ends the session and takes the next one.
#[tokio::test]
async fn a_close_by_the_client_is_taken() {
    let demo = demo();
    for code in [7, u32::MAX] {
        let session = connect(&demo, "/echo").await.unwrap();
        assert_eq!(within(echo_bidi(&session, b"before the close")).await, b"before the close");
        session.close(code, b"the client has had enough");
        within(session.closed()).await;
    }
    let next = connect(&demo, "/echo").await.unwrap();
    assert_eq!(within(echo_bidi(&next, b"next")).await, b"next");
}
