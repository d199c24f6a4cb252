use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, ReadError, RecvStream, SendStream};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use wtransport::Identity;

use super::transport_parameters::{Seen, Watching};
use super::{Capture, Step, request_fields};
use crate::raw::{qpack, wire};

/// A server that notes everything one client sends, and says no more than what makes it go on: SETTINGS, 200, and each
/// bidirectional stream and datagram back as it came.
pub struct Recorder {
    endpoint: quinn::Endpoint,
    certificate_sha256: [u8; 32],
    parameters: Seen,
}

/// The settings of a server that offers every draft to everybody and needs no more than QUIC without extensions.
pub const SERVER_SETTINGS: &[(u64, u64)] =
    &[(0x06, 16_384), (0x08, 1), (0x33, 1), (0xff_d277, 1), (0x2b60_3742, 1), (0x2c7c_f000, 1), (0xc671_706a, 1)];

/// What has been noted so far.
type Notes = Arc<Mutex<Vec<Step>>>;

impl Recorder {
    /// Listens; must be called inside an async runtime.
    ///
    /// # Errors
    /// The socket or the certificate could not be made.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let identity = Identity::self_signed(["localhost", "127.0.0.1"]).map_err(io::Error::other)?;
        let certificate_sha256 = *identity.certificate_chain().as_slice()[0].hash().as_ref();
        let chain = identity.certificate_chain().as_slice().iter().map(|one| one.der().to_vec().into()).collect();
        let key = PrivatePkcs8KeyDer::from(identity.private_key().secret_der().to_vec());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::Pkcs8(key)))
            .map_err(io::Error::other)?;
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let inner = Arc::new(QuicServerConfig::try_from(tls).map_err(io::Error::other)?);
        let parameters = Seen::default();
        let crypto = Watching { inner, seen: Arc::clone(&parameters) };
        let endpoint = quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), address)?;
        Ok(Self { endpoint, certificate_sha256, parameters })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// SHA-256 of its certificate in DER form, in hexadecimal digits.
    pub fn certificate_sha256(&self) -> String {
        super::hex(&self.certificate_sha256)
    }

    /// Waits for a client and notes what it sends until its connection is over or silent for two seconds.
    ///
    /// # Errors
    /// The client did not get through the handshake.
    pub async fn record(&self) -> io::Result<Capture> {
        let incoming = self.endpoint.accept().await.ok_or_else(|| io::Error::other("the endpoint is closed"))?;
        let connection = incoming.await?;
        let notes = Notes::default();
        greet(&connection).await?;
        tokio::spawn(take_uni(connection.clone(), Arc::clone(&notes)));
        tokio::spawn(take_bidi(connection.clone(), Arc::clone(&notes)));
        tokio::spawn(take_datagrams(connection.clone(), Arc::clone(&notes)));
        until_silent(&connection, &notes).await;
        connection.close(0x100u32.into(), b"");
        let steps = lock(&notes).clone();
        let transport_parameters: BTreeMap<_, _> =
            self.parameters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Capture { transport_parameters, steps, ..Capture::default() })
    }
}

async fn greet(connection: &Connection) -> io::Result<()> {
    let mut control = connection.open_uni().await?;
    let bytes = [wire::varint(wire::CONTROL_STREAM), wire::settings(SERVER_SETTINGS)].concat();
    control.write_all(&bytes).await?;
    // Dropping the stream would finish it, which ends an HTTP/3 connection.
    let connection = connection.clone();
    tokio::spawn(async move {
        connection.closed().await;
        drop(control);
    });
    Ok(())
}

async fn until_silent(connection: &Connection, notes: &Notes) {
    let mut before = 0;
    loop {
        tokio::select! {
            _ = connection.closed() => return,
            () = tokio::time::sleep(SILENCE) => {}
        }
        let now = lock(notes).len();
        let has_session = lock(notes).iter().any(|step| matches!(step, Step::Accepted { .. }));
        if now == before && has_session {
            return;
        }
        before = now;
    }
}

async fn take_uni(connection: Connection, notes: Notes) {
    while let Ok(recv) = connection.accept_uni().await {
        let notes = Arc::clone(&notes);
        tokio::spawn(async move {
            let mut recv = recv;
            while let Some(Some(_)) = next(&mut recv, &notes).await {}
        });
    }
}

async fn take_bidi(connection: Connection, notes: Notes) {
    while let Ok((send, recv)) = connection.accept_bi().await {
        tokio::spawn(bidi(send, recv, Arc::clone(&notes)));
    }
}

async fn take_datagrams(connection: Connection, notes: Notes) {
    while let Ok(bytes) = connection.read_datagram().await {
        lock(&notes).push(Step::Datagram { bytes: bytes.to_vec() });
        // One that does not come back will be sent again or not; the recording has it.
        let _ = connection.send_datagram(bytes);
    }
}

/// A CONNECT stream or a WebTransport stream, as its first bytes tell.
async fn bidi(mut send: SendStream, mut recv: RecvStream, notes: Notes) {
    let stream = u64::from(quinn::VarInt::from(recv.id()));
    let (mut bytes, mut answered) = (Vec::new(), false);
    while let Some(Some(chunk)) = next(&mut recv, &notes).await {
        bytes.extend(chunk);
        let is_request = wire::read_varint(&bytes).is_some_and(|(kind, _)| kind != wire::WT_BIDI);
        if !answered
            && is_request
            && let Ok(Some(fields)) = request_fields(&bytes)
        {
            answered = true;
            // Every client waits for SETTINGS of ours; its own may still be under way.
            while !has_settings(&notes) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            lock(&notes).push(Step::Accepted { stream });
            let _ = send.write_all(&accept(&fields)).await;
        }
    }
    if let Some((wire::WT_BIDI, first)) = wire::read_varint(&bytes)
        && let Some((_, second)) = wire::read_varint(&bytes[first..])
    {
        let _ = send.write_all(&bytes[first + second..]).await;
    }
    let _ = send.finish();
    let _ = send.stopped().await;
}

/// A 200 that chooses the first subprotocol offered: pywebtransport takes no choice for an error.
fn accept(fields: &[(String, String)]) -> Vec<u8> {
    let mut answer = vec![(":status".to_owned(), "200".to_owned())];
    if let Some((_, offered)) = fields.iter().find(|(name, _)| name == "wt-available-protocols") {
        let first = offered.split(',').next().unwrap_or_default();
        answer.push(("wt-protocol".to_owned(), first.trim().to_owned()));
    }
    wire::frame(wire::HEADERS, &qpack::block(&answer))
}

/// Notes the next piece of a stream. `None` when the stream is over in another way than by FIN.
async fn next(recv: &mut RecvStream, notes: &Notes) -> Option<Option<Vec<u8>>> {
    let stream = u64::from(quinn::VarInt::from(recv.id()));
    let (step, found) = match recv.read_chunk(usize::MAX, true).await {
        Ok(Some(chunk)) => {
            let bytes = chunk.bytes.to_vec();
            (Step::Bytes { stream, bytes: bytes.clone(), fin: false }, Some(Some(bytes)))
        }
        Ok(None) => (Step::Bytes { stream, bytes: Vec::new(), fin: true }, Some(None)),
        Err(ReadError::Reset(code)) => (Step::Reset { stream, code: code.into_inner() }, None),
        Err(_) => return None,
    };
    lock(notes).push(step);
    found
}

fn has_settings(notes: &Notes) -> bool {
    lock(notes).iter().any(|step| {
        matches!(step, Step::Bytes { stream, bytes, .. } if stream & 2 == 2 && bytes.first() == Some(&0) && bytes.len() > 1)
    })
}

fn lock(notes: &Notes) -> MutexGuard<'_, Vec<Step>> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After how long without anything new a client is taken to be done.
const SILENCE: Duration = Duration::from_secs(2);
