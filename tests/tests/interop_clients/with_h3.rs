//! h3 0.0.8 on h3-quinn 0.0.10: plain HTTP/3 as it is, WebTransport with what [`h3_adapter`](crate::h3_adapter) adds.
//! The streams of a session are opened through quinn, with their preambles written by h3's encoders.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use h3::client::RequestStream;
use h3::ext::Protocol;
use h3::proto::coding::Encode;
use h3::stream::{BidiStreamHeader, UniStreamHeader};
use h3::webtransport::SessionId;
use h3_datagram::datagram::Datagram;
use http::{Method, Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use transom_tests::demo::Demo;
use transom_tests::raw::accept_any_certificate;
use web_transport_quinn::proto::Capsule;

use crate::h3_adapter::{Adapter, Incoming};
use crate::{DATAGRAM_TRIES, DATAGRAM_WAIT, MEBIBYTE, demo, numbered, pattern, within};

/// A session that h3 has opened.
struct Session {
    quic: quinn::Connection,
    connect: RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>,
    uni_streams: UnboundedReceiver<Incoming>,
    id: u64,
    /// As long as it is there, h3 keeps the connection.
    requests: h3::client::SendRequest<crate::h3_adapter::Opener, Bytes>,
}

async fn quic(demo: &Demo) -> quinn::Connection {
    let tls = accept_any_certificate(&[b"h3".to_vec()]).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    within(endpoint.connect_with(config, demo.address(), "localhost").unwrap()).await.unwrap()
}

fn connect_request(demo: &Demo, path: &str) -> Request<()> {
    let request = Request::builder().method(Method::CONNECT).uri(demo.url(path)).extension(Protocol::WEB_TRANSPORT);
    request.body(()).unwrap()
}

/// Opens a session, or gives the status and the header `x-refused` of the refusal.
async fn connect(demo: &Demo, path: &str) -> Result<Session, (StatusCode, Option<String>)> {
    let quic = quic(demo).await;
    let (send, uni_streams) = unbounded_channel();
    let (mut driver, mut requests) = h3::client::builder()
        .enable_datagram(true)
        .enable_extended_connect(true)
        .build(Adapter::new(quic.clone(), send))
        .await
        .unwrap();
    tokio::spawn(async move { driver.wait_idle().await });
    let mut connect = requests.send_request(connect_request(demo, path)).await.unwrap();
    let response = within(connect.recv_response()).await.unwrap();
    if response.status() != StatusCode::OK {
        let refused = response.headers().get("x-refused").map(|value| value.to_str().unwrap().to_owned());
        return Err((response.status(), refused));
    }
    let id = connect.id().into_inner();
    Ok(Session { quic, connect, uni_streams, id, requests })
}

impl Session {
    fn id(&self) -> SessionId {
        SessionId::try_from(self.id).unwrap()
    }

    async fn echo_bidi(&self, message: &[u8]) -> Vec<u8> {
        let (mut send, mut recv) = self.quic.open_bi().await.unwrap();
        let mut preamble = BytesMut::new();
        BidiStreamHeader::WebTransportBidi(self.id()).encode(&mut preamble);
        let write = async {
            send.write_all(&preamble).await.unwrap();
            send.write_all(message).await.unwrap();
            send.finish().unwrap();
        };
        let ((), echo) = tokio::join!(write, recv.read_to_end(2 * MEBIBYTE));
        echo.unwrap()
    }

    async fn next_uni(&mut self) -> Vec<u8> {
        let stream = within(self.uni_streams.recv()).await.unwrap();
        let (session, body) = within(stream.read_to_end()).await;
        assert_eq!(session, self.id);
        body
    }
}

#[tokio::test]
async fn bidirectional_streams_echo() {
    let demo = demo();
    let session = connect(&demo, "/echo").await.ok().unwrap();
    for length in [0, 1, 5000, MEBIBYTE] {
        let message = pattern(length);
        assert!(within(session.echo_bidi(&message)).await == message, "{length} bytes");
    }
}

#[tokio::test]
async fn unidirectional_streams_echo() {
    let demo = demo();
    let mut session = connect(&demo, "/echo").await.ok().unwrap();
    let message = pattern(MEBIBYTE);
    let mut send = session.quic.open_uni().await.unwrap();
    let mut preamble = BytesMut::new();
    UniStreamHeader::WebTransportUni(session.id()).encode(&mut preamble);
    let body = message.clone();
    let write = async move {
        send.write_all(&preamble).await.unwrap();
        send.write_all(&body).await.unwrap();
        send.finish().unwrap();
    };
    let ((), echo) = tokio::join!(write, session.next_uni());
    assert!(echo == message);
}

#[tokio::test]
async fn datagrams_echo() {
    let demo = demo();
    let session = connect(&demo, "/echo").await.ok().unwrap();
    let message = Bytes::from_static(b"datagram");
    let mut echo = None;
    for _ in 0..DATAGRAM_TRIES {
        let mut datagram = Datagram::new(session.connect.id(), message.clone()).encode();
        session.quic.send_datagram(datagram.copy_to_bytes(datagram.remaining())).unwrap();
        if let Ok(received) = timeout(DATAGRAM_WAIT, session.quic.read_datagram()).await {
            echo = Some(Datagram::decode(received.unwrap()).ok().unwrap());
            break;
        }
    }
    let echo = echo.expect("one of many comes back");
    assert_eq!((echo.stream_id(), echo.payload()), (session.connect.id(), &message));
}

#[tokio::test]
async fn the_server_opens_unidirectional_streams() {
    let demo = demo();
    let mut session = connect(&demo, "/streams/uni/20").await.ok().unwrap();
    let mut messages = Vec::new();
    for _ in 0..20 {
        messages.push(String::from_utf8(session.next_uni().await).unwrap());
    }
    messages.sort_by_key(|message| (message.len(), message.clone()));
    assert_eq!(messages, numbered(20));
}

#[tokio::test]
async fn the_server_opens_bidirectional_streams() {
    let demo = demo();
    let session = connect(&demo, "/streams/bidi/20").await.ok().unwrap();
    let mut preamble = BytesMut::new();
    BidiStreamHeader::WebTransportBidi(session.id()).encode(&mut preamble);
    let mut messages = Vec::new();
    for _ in 0..20 {
        let (_send, mut recv) = within(session.quic.accept_bi()).await.unwrap();
        let bytes = within(recv.read_to_end(100)).await.unwrap();
        let body = bytes.strip_prefix(&preamble[..]).expect("the preamble comes first");
        messages.push(String::from_utf8(body.to_vec()).unwrap());
    }
    messages.sort_by_key(|message| (message.len(), message.clone()));
    assert_eq!(messages, numbered(20));
}

#[tokio::test]
async fn a_million_bytes_come() {
    let demo = demo();
    let mut session = connect(&demo, "/source/1000000").await.ok().unwrap();
    assert_eq!(session.next_uni().await.len(), 1_000_000);
}

/// h3 gives the content of the DATA frames; web-transport-proto reads the capsule in them.
#[tokio::test]
async fn a_close_brings_its_code_and_reason() {
    let demo = demo();
    let mut session = connect(&demo, "/close/42?reason=that%20is%20all").await.ok().unwrap();
    let mut capsules = BytesMut::new();
    while let Some(mut data) = within(session.connect.recv_data()).await.unwrap() {
        capsules.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    match Capsule::decode(&mut capsules).unwrap() {
        Capsule::CloseWebTransportSession { code, reason } => assert_eq!((code, reason.as_str()), (42, "that is all")),
        other => panic!("{other:?}"),
    }
    assert!(capsules.is_empty(), "the close capsule is the last one");
}

#[tokio::test]
async fn refusals_bring_their_status() {
    let demo = demo();
    for (path, status, refused) in
        [("/status/403", 403, Some("yes")), ("/status/500", 500, Some("yes")), ("/nowhere", 404, None)]
    {
        let refusal = connect(&demo, path).await.err().expect("no session");
        assert_eq!(refusal, (StatusCode::from_u16(status).unwrap(), refused.map(str::to_owned)), "{path}");
    }
}

/// h3 as it is: plain HTTP/3 gets a 404; a CONNECT without WebTransport in its SETTINGS is not implemented.
#[tokio::test]
async fn plain_http_gets_answers() {
    let demo = demo();
    let connection = h3_quinn::Connection::new(quic(&demo).await);
    let (mut driver, mut requests) = h3::client::new(connection).await.unwrap();
    tokio::spawn(async move { driver.wait_idle().await });
    for _ in 0..3 {
        let get = Request::get(demo.url("/echo")).body(()).unwrap();
        let mut request = requests.send_request(get).await.unwrap();
        request.finish().await.unwrap();
        let response = within(request.recv_response()).await.unwrap();
        assert!([404, 405].contains(&response.status().as_u16()), "{}", response.status());
        assert!(within(request.recv_data()).await.is_ok(), "the answer ends cleanly");
    }
    let mut request = requests.send_request(connect_request(&demo, "/echo")).await.unwrap();
    let response = within(request.recv_response()).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn health_checks_are_answered_beside_a_session() {
    let demo = demo();
    let mut session = connect(&demo, "/echo").await.ok().unwrap();
    for (method, path, status, body) in [
        (Method::GET, "/health", 200, "ok\n"),
        (Method::HEAD, "/health", 200, ""),
        (Method::POST, "/health", 405, ""),
        (Method::GET, "/elsewhere", 404, ""),
    ] {
        let request = Request::builder().method(method.clone()).uri(demo.url(path)).body(()).unwrap();
        let mut request = session.requests.send_request(request).await.unwrap();
        if method == Method::POST {
            request.send_data(Bytes::from_static(b"thrown away")).await.unwrap();
        }
        request.finish().await.unwrap();
        let response = within(request.recv_response()).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        let length = response.headers().get("content-length").unwrap().to_str().unwrap().to_owned();
        let mut content = BytesMut::new();
        while let Some(mut data) = within(request.recv_data()).await.unwrap() {
            content.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        assert_eq!(content, body, "{method} {path}");
        assert_eq!(length, if status == 200 { "3" } else { "0" }, "{method} {path}");
    }
    assert_eq!(within(session.echo_bidi(b"undisturbed")).await, b"undisturbed");
}
