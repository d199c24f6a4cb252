//! Our client against a server that writes every byte by hand and goes away.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use transom::{Client, ClientError, ConnectionError, ErrorCode, Session, SessionEnd};
use transom_tests::raw::{code, wire};
use wtransport::Identity;

/// What a server of draft 02 announces.
const SETTINGS: &[(u64, u64)] = &[(0x08, 1), (0x33, 1), (0x2b60_3742, 1)];

/// HEADERS with `:status: 200`, from the static table.
const OK: &[u8] = &[1, 3, 0, 0, 0xd9];

/// One connection of the server.
struct Peer {
    connection: Connection,
    control: SendStream,
}

impl Peer {
    async fn goes_away(&mut self, id: u64) {
        self.control.write_all(&wire::frame(wire::GOAWAY, &wire::varint(id))).await.unwrap();
    }

    /// The next request stream.
    async fn request(&self) -> (SendStream, RecvStream) {
        self.connection.accept_bi().await.unwrap()
    }
}

fn listen() -> Endpoint {
    let identity = Identity::self_signed(["127.0.0.1"]).unwrap();
    let certificate = CertificateDer::from(identity.certificate_chain().as_slice()[0].der().to_vec());
    let key = PrivatePkcs8KeyDer::from(identity.private_key().secret_der().to_vec());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), address).unwrap()
}

async fn accept(endpoint: &Endpoint) -> Peer {
    let connection = endpoint.accept().await.unwrap().await.unwrap();
    let mut control = connection.open_uni().await.unwrap();
    let bytes = [wire::varint(wire::CONTROL_STREAM), wire::settings(SETTINGS)].concat();
    control.write_all(&bytes).await.unwrap();
    Peer { connection, control }
}

async fn connect(endpoint: &Endpoint) -> Result<Session, ClientError> {
    let url = format!("https://{}/", endpoint.local_addr().unwrap());
    Client::builder().danger_accept_any_certificate().connect(&url).await
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("the test hangs")
}

/// A session, and the halves of its CONNECT stream at the server.
async fn session() -> (Session, Peer, SendStream, RecvStream) {
    let endpoint = listen();
    let serving = async {
        let peer = accept(&endpoint).await;
        let (mut send, recv) = peer.request().await;
        send.write_all(OK).await.unwrap();
        (peer, send, recv)
    };
    let (session, (peer, send, recv)) = within(async { tokio::join!(connect(&endpoint), serving) }).await;
    (session.unwrap(), peer, send, recv)
}

#[tokio::test]
async fn an_open_session_goes_on_and_is_told_to_wind_down() {
    let (session, mut peer, _send, _recv) = session().await;
    peer.goes_away(4).await;
    within(session.draining()).await;
    assert_eq!(session.end(), None);
    let second = within(Client::builder().connect_over(&session, "https://127.0.0.1/")).await;
    assert!(matches!(second, Err(ClientError::Session(SessionEnd::NotProcessed))), "{second:?}");
    let mut stream = within(session.open_uni()).await.unwrap();
    stream.write_all(b"still here").await.unwrap();
    stream.finish().unwrap();
    let expected = [wire::uni_header(0), b"still here".to_vec()].concat();
    loop {
        // Our control stream is among them.
        let mut stream = within(peer.connection.accept_uni()).await.unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).await.unwrap();
        if first[0] == expected[0] {
            assert_eq!(within(stream.read_to_end(100)).await.unwrap(), expected[1..]);
            return;
        }
    }
}

#[tokio::test]
async fn a_request_that_is_not_looked_at_may_be_asked_again() {
    let endpoint = listen();
    let serving = async {
        let mut peer = accept(&endpoint).await;
        let (send, _recv) = peer.request().await;
        peer.goes_away(0).await;
        assert_eq!(send.stopped().await.unwrap().map(quinn::VarInt::into_inner), Some(code::H3_REQUEST_CANCELLED));
    };
    let (refused, ()) = within(async { tokio::join!(connect(&endpoint), serving) }).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ClientError::Session(SessionEnd::NotProcessed)), "{refused:?}");
    assert!(refused.to_string().contains("safe to ask again"), "{refused}");
}

#[tokio::test]
async fn a_request_is_not_even_sent_to_a_server_that_goes_away() {
    let endpoint = listen();
    let serving = async {
        let mut peer = accept(&endpoint).await;
        peer.goes_away(0).await;
        peer.connection.closed().await;
        peer
    };
    let (refused, _peer) = within(async { tokio::join!(connect(&endpoint), serving) }).await;
    assert!(matches!(refused, Err(ClientError::Session(SessionEnd::NotProcessed))), "{refused:?}");
}

#[tokio::test]
async fn a_request_below_the_id_is_answered_and_told_to_wind_down() {
    let endpoint = listen();
    let serving = async {
        let mut peer = accept(&endpoint).await;
        let (mut send, recv) = peer.request().await;
        peer.goes_away(4).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        send.write_all(OK).await.unwrap();
        (peer, send, recv)
    };
    let (session, _serving) = within(async { tokio::join!(connect(&endpoint), serving) }).await;
    let session = session.unwrap();
    within(session.draining()).await;
    assert_eq!(session.end(), None);
}

#[tokio::test]
async fn a_growing_id_ends_the_connection() {
    let (session, mut peer, _send, _recv) = session().await;
    peer.goes_away(4).await;
    peer.goes_away(4).await;
    peer.goes_away(8).await;
    let end = within(session.closed()).await;
    let SessionEnd::ConnectionLost(ConnectionError::PeerMisbehaved { code, .. }) = end else { panic!("{end:?}") };
    assert_eq!(code, ErrorCode::H3_ID_ERROR);
}
