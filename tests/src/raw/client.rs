use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ReadError, Side,
    StreamEvent, StreamId, TransportConfig, VarInt, WriteError,
};

use super::congestion::Unlimited;
use super::observe::{Close, Failure, Seen};
use super::{code, tls};

/// What a [`Client`] announces when it connects.
#[derive(Debug, Clone)]
pub struct Options {
    /// Application protocols offered in the handshake.
    pub alpn: Vec<Vec<u8>>,
    /// The server name of the handshake.
    pub server_name: String,
    /// Whether DATAGRAM frames are announced.
    pub datagrams: bool,
    /// Receive window of each stream, in bytes.
    pub stream_window: u32,
    /// How many unidirectional streams the server may have open at a time.
    pub uni_streams: u32,
    /// Whether it holds back when the network is full. An attacker does not.
    pub congestion_control: bool,
    /// When every wait fails, however patient: whoever works with the connection comes to an end.
    pub end: Option<Instant>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            alpn: vec![b"h3".to_vec()],
            server_name: "localhost".to_owned(),
            datagrams: true,
            stream_window: 4 << 20,
            uni_streams: 100,
            congestion_control: false,
            end: None,
        }
    }
}

/// One QUIC connection that sends what it is told and notes what it sees.
///
/// Calls block until their bytes are on the wire or a deadline has passed. Only calls move time and packets: between
/// them the connection rests, apart from what the kernel keeps in the socket's buffer. Dropping it closes the
/// connection with H3_NO_ERROR.
pub struct Client {
    socket: UdpSocket,
    remote: SocketAddr,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    connected: bool,
    end: Option<Instant>,
    seen: Seen,
    unread: BTreeSet<u64>,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Client {
    /// Connects, or says how the handshake failed.
    ///
    /// # Errors
    /// The handshake was refused or did not end within ten seconds.
    pub fn connect(remote: SocketAddr, options: &Options) -> Result<Self, Failure> {
        let local: SocketAddr =
            if remote.is_ipv4() { (Ipv4Addr::LOCALHOST, 0).into() } else { (Ipv6Addr::LOCALHOST, 0).into() };
        let socket = UdpSocket::bind(local)?;
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let config = client_config(options)?;
        let (handle, connection) = endpoint
            .connect(Instant::now(), config, remote, &options.server_name)
            .map_err(|error| Failure::unexpected(error.to_string()))?;
        let mut client = Self {
            socket,
            remote,
            endpoint,
            handle,
            connection,
            connected: false,
            end: options.end,
            seen: Seen::default(),
            unread: BTreeSet::new(),
            outgoing: Vec::new(),
            incoming: vec![0; 65_536],
        };
        let until = Instant::now() + LIMIT;
        while !client.connected {
            client.still_alive()?;
            client.turn_until(until, "the handshake")?;
        }
        Ok(client)
    }

    /// What has been seen up to the last call.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The error that a closed connection gives, or nothing while it lives.
    ///
    /// # Errors
    /// The connection is over.
    pub fn still_alive(&self) -> Result<(), Failure> {
        match &self.seen.close {
            Some(close) => Err(Failure::Closed(close.clone())),
            None => Ok(()),
        }
    }

    /// Opens a unidirectional stream; nothing is on the wire before the first byte, FIN or reset.
    ///
    /// # Errors
    /// The connection is over, or the server gave no stream credit in time.
    pub fn open_uni(&mut self) -> Result<u64, Failure> {
        self.open(Dir::Uni)
    }

    /// Opens a bidirectional stream; nothing is on the wire before the first byte, FIN or reset.
    ///
    /// # Errors
    /// The connection is over, or the server gave no stream credit in time.
    pub fn open_bidi(&mut self) -> Result<u64, Failure> {
        self.open(Dir::Bi)
    }

    /// Writes bytes and sends them; waits for flow control. Bytes that the server has asked not to send are dropped.
    ///
    /// # Errors
    /// The connection is over, the stream was finished or reset, or the server gave no credit in time.
    pub fn write(&mut self, id: u64, mut bytes: &[u8]) -> Result<(), Failure> {
        let until = Instant::now() + LIMIT;
        while !bytes.is_empty() {
            self.still_alive()?;
            match self.connection.send_stream(stream_id(id)).write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(WriteError::Blocked) => self.turn_until(until, "credit to write")?,
                Err(WriteError::Stopped(code)) => {
                    self.seen.streams.entry(id).or_default().stop = Some(code.into_inner());
                    return Ok(());
                }
                Err(WriteError::ClosedStream) => return Err(Failure::unexpected(format!("stream {id} is closed"))),
            }
        }
        self.flush()
    }

    /// Ends our half of a stream with FIN. Does nothing if the server has stopped it.
    ///
    /// # Errors
    /// The socket failed.
    pub fn finish(&mut self, id: u64) -> Result<(), Failure> {
        // An error here says that the stream was stopped or reset before: there is no FIN to send.
        let _ = self.connection.send_stream(stream_id(id)).finish();
        self.flush()
    }

    /// Resets our half of a stream.
    ///
    /// # Errors
    /// The socket failed.
    pub fn reset(&mut self, id: u64, code: u64) -> Result<(), Failure> {
        let _ = self.connection.send_stream(stream_id(id)).reset(varint(code));
        self.flush()
    }

    /// Asks the server to stop its half of a stream.
    ///
    /// # Errors
    /// The socket failed.
    pub fn stop(&mut self, id: u64, code: u64) -> Result<(), Failure> {
        let _ = self.connection.recv_stream(stream_id(id)).stop(varint(code));
        self.flush()
    }

    /// Sends a DATAGRAM frame.
    ///
    /// # Errors
    /// The server has not announced datagrams, or the payload is too large for a packet.
    pub fn datagram(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.still_alive()?;
        self.connection
            .datagrams()
            .send(Bytes::copy_from_slice(payload), true)
            .map_err(|error| Failure::unexpected(format!("datagram: {error}")))?;
        self.flush()
    }

    /// Asks TLS itself for keying material.
    ///
    /// # Errors
    /// TLS refuses.
    pub fn export_keying_material(&self, label: &[u8], context: &[u8], output: &mut [u8]) -> Result<(), Failure> {
        let exported = self.connection.crypto_session().export_keying_material(output, label, context);
        exported.map_err(|error| Failure::unexpected(format!("exporter: {error:?}")))
    }

    /// Drops what was seen on a stream, for those who open very many.
    pub fn forget(&mut self, id: u64) {
        self.seen.streams.remove(&id);
    }

    /// Leaves what comes on a stream in the transport, so that its receive window fills up.
    pub fn leave_unread(&mut self, id: u64) {
        self.unread.insert(id);
    }

    /// Reads a stream again after [`Client::leave_unread`].
    pub fn read_again(&mut self, id: u64) {
        self.unread.remove(&id);
        self.read(id);
    }

    /// Lets the connection work until `look` finds something, the connection ends, or `limit` has passed.
    pub fn wait<T>(&mut self, limit: Duration, mut look: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        let until = Instant::now() + limit;
        loop {
            if let Some(found) = look(&self.seen) {
                return Some(found);
            }
            if self.seen.close.is_some() || self.turn_until(until, "").is_err() {
                return look(&self.seen);
            }
        }
    }

    /// Lets the connection work for a while.
    pub fn rest(&mut self, duration: Duration) {
        let _: Option<()> = self.wait(duration, |_| None);
    }

    fn open(&mut self, dir: Dir) -> Result<u64, Failure> {
        let until = Instant::now() + LIMIT;
        loop {
            self.still_alive()?;
            if let Some(id) = self.connection.streams().open(dir) {
                return Ok(u64::from(id));
            }
            self.turn_until(until, "credit to open a stream")?;
        }
    }

    /// One turn: send what is due, wait for a packet or a timer, take in what came.
    fn turn_until(&mut self, until: Instant, what: &str) -> Result<(), Failure> {
        self.flush()?;
        let now = Instant::now();
        if self.end.is_some_and(|end| now >= end) {
            return Err(Failure::Waited(format!("{what}, until the case's time was over")));
        }
        if now >= until {
            return Err(Failure::Waited(what.to_owned()));
        }
        let timer = self.connection.poll_timeout().unwrap_or(until);
        if timer <= now {
            self.connection.handle_timeout(now);
        } else {
            let wait = timer.min(until).saturating_duration_since(now).max(Duration::from_micros(100));
            self.socket.set_read_timeout(Some(wait))?;
            match self.socket.recv_from(&mut self.incoming) {
                Ok((length, from)) => self.take_in(length, from),
                Err(error) if is_passing(error.kind()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.note_events();
        self.flush()
    }

    fn take_in(&mut self, length: usize, from: SocketAddr) {
        let packet = BytesMut::from(&self.incoming[..length]);
        self.outgoing.clear();
        let event = self.endpoint.handle(Instant::now(), from, None, None, packet, &mut self.outgoing);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        loop {
            while let Some(event) = self.connection.poll_endpoint_events() {
                if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                    self.connection.handle_event(answer);
                }
            }
            self.outgoing.clear();
            let Some(transmit) = self.connection.poll_transmit(Instant::now(), 1, &mut self.outgoing) else {
                return Ok(());
            };
            match self.socket.send_to(&self.outgoing[..transmit.size], self.remote) {
                Ok(_) => {}
                Err(error) if is_passing(error.kind()) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note_events(&mut self) {
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::ConnectionLost { reason } => self.seen.close = Some(Close::from(reason)),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.connection.streams().accept(dir) {
                        self.read(u64::from(id));
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(u64::from(id)),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.seen.streams.entry(u64::from(id)).or_default().stop = Some(error_code.into_inner());
                }
                Event::DatagramReceived => {
                    while let Some(payload) = self.connection.datagrams().recv() {
                        self.seen.datagrams.push(payload.to_vec());
                    }
                }
                Event::HandshakeDataReady | Event::DatagramsUnblocked | Event::Stream(_) => {}
            }
        }
    }

    fn read(&mut self, id: u64) {
        let noted = self.seen.streams.entry(id).or_default();
        if self.unread.contains(&id) {
            return;
        }
        let mut stream = self.connection.recv_stream(stream_id(id));
        let Ok(mut chunks) = stream.read(true) else { return };
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => noted.data.extend_from_slice(&chunk.bytes),
                Ok(None) => {
                    noted.fin = true;
                    break;
                }
                Err(ReadError::Reset(code)) => {
                    noted.reset = Some(code.into_inner());
                    break;
                }
                Err(ReadError::Blocked) => break,
            }
        }
        let _ = chunks.finalize();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.close(Instant::now(), varint(code::H3_NO_ERROR), Bytes::new());
        // The server notices by its idle timeout if the socket fails here.
        let _ = self.flush();
    }
}

pub(crate) fn client_config(options: &Options) -> Result<ClientConfig, Failure> {
    let tls = tls::accept_any_certificate(&options.alpn).map_err(|error| Failure::unexpected(error.to_string()))?;
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| Failure::unexpected(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport(options)));
    Ok(config)
}

/// What is announced to the peer.
pub(super) fn transport(options: &Options) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(options.stream_window))
        .max_concurrent_uni_streams(VarInt::from_u32(options.uni_streams))
        .datagram_receive_buffer_size(options.datagrams.then_some(1 << 20))
        .keep_alive_interval(Some(Duration::from_secs(3)));
    if !options.congestion_control {
        transport.congestion_controller_factory(Arc::new(Unlimited));
    }
    transport
}

/// Socket errors that say nothing about this connection: time-outs, and ICMP messages about earlier packets.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
    )
}

fn varint(value: u64) -> VarInt {
    VarInt::from_u64(value).expect("codes have at most 62 bits")
}

fn stream_id(id: u64) -> StreamId {
    let initiator = if id.is_multiple_of(2) { Side::Client } else { Side::Server };
    let dir = if id & 2 == 0 { Dir::Bi } else { Dir::Uni };
    StreamId::new(initiator, dir, id >> 2)
}

/// How long a call waits for credit or for the handshake.
const LIMIT: Duration = Duration::from_secs(10);
