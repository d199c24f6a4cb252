use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ReadError,
    ServerConfig, StreamEvent, StreamId, VarInt,
};

use super::client::transport;
use super::observe::{Close, Seen};
use super::{Options, Request, qpack, wire};

/// One end of a QUIC connection, client or server, that sends what it is told and notes what it sees.
///
/// Like [`Client`](super::Client), but without a socket or a clock: its owner carries the datagrams and says what time
/// it is, so that it can face a core in virtual time. Commands only queue; what they cause leaves with
/// [`Memory::transmit`].
#[derive(Debug)]
pub struct Memory {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    seen: Seen,
}

impl Memory {
    /// A server that waits for one connection.
    pub fn server(mut tls: rustls::ServerConfig, options: &Options) -> Self {
        tls.alpn_protocols.clone_from(&options.alpn);
        let crypto = QuicServerConfig::try_from(tls).expect("a TLS configuration for QUIC");
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(transport(options)));
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), Some(Arc::new(config)), false, None);
        Self { endpoint, connection: None, seen: Seen::default() }
    }

    /// A client that connects.
    pub fn client(mut tls: rustls::ClientConfig, options: &Options, now: Instant, remote: SocketAddr) -> Self {
        tls.alpn_protocols.clone_from(&options.alpn);
        tls.enable_early_data = true;
        let crypto = QuicClientConfig::try_from(tls).expect("a TLS configuration for QUIC");
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport(options)));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let connection = endpoint.connect(now, config, remote, &options.server_name).expect("a valid address");
        Self { endpoint, connection: Some(connection), seen: Seen::default() }
    }

    /// Everything seen so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Takes in a datagram that arrived.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let mut answer = Vec::new();
        match self.endpoint.handle(now, from, None, None, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::NewConnection(incoming)) if self.connection.is_none() => {
                self.connection = Some(self.endpoint.accept(incoming, now, &mut answer, None).expect("a handshake"));
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            // Version negotiation, stateless resets and second connections are no part of what is tested with this.
            _ => {}
        }
        self.note_events();
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, connection)) = &mut self.connection {
            if connection.poll_timeout().is_some_and(|due| due <= now) {
                connection.handle_timeout(now);
            }
            self.note_events();
        }
    }

    /// When [`Memory::handle_timeout`] is due.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.connection.as_mut().and_then(|(_, connection)| connection.poll_timeout())
    }

    /// The next datagram to send.
    pub fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (handle, connection) = self.connection.as_mut()?;
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(answer);
            }
        }
        let mut buffer = Vec::new();
        let transmit = connection.poll_transmit(now, 1, &mut buffer)?;
        buffer.truncate(transmit.size);
        Some(buffer)
    }

    /// Closes the connection from the application layer.
    pub fn close(&mut self, now: Instant, code: u64, reason: &[u8]) {
        self.connection().close(now, varint(code), Bytes::copy_from_slice(reason));
    }

    /// Whether, as a client, it may send before the handshake is complete.
    pub fn has_0rtt(&mut self) -> bool {
        self.connection().has_0rtt()
    }

    /// Opens a unidirectional stream; `None` without credit.
    pub fn try_open_uni(&mut self) -> Option<u64> {
        self.connection().streams().open(Dir::Uni).map(u64::from)
    }

    /// Opens a bidirectional stream; `None` without credit.
    pub fn try_open_bidi(&mut self) -> Option<u64> {
        self.connection().streams().open(Dir::Bi).map(u64::from)
    }

    /// Writes as much as there is credit for.
    pub fn try_write(&mut self, stream: u64, bytes: &[u8]) -> usize {
        self.connection().send_stream(stream_id(stream)).write(bytes).unwrap_or(0)
    }

    /// Opens a unidirectional stream.
    pub fn open_uni(&mut self) -> u64 {
        self.try_open_uni().expect("credit for a stream")
    }

    /// Opens a bidirectional stream.
    pub fn open_bidi(&mut self) -> u64 {
        self.try_open_bidi().expect("credit for a stream")
    }

    /// Writes bytes, all of which must fit.
    pub fn write(&mut self, stream: u64, bytes: &[u8]) {
        let written = self.connection().send_stream(stream_id(stream)).write(bytes);
        assert_eq!(written, Ok(bytes.len()), "stream {stream} takes {} bytes", bytes.len());
    }

    /// Ends our half of a stream.
    pub fn finish(&mut self, stream: u64) {
        self.connection().send_stream(stream_id(stream)).finish().expect("an open stream");
    }

    /// Resets our half of a stream.
    pub fn reset(&mut self, stream: u64, code: u64) {
        self.connection().send_stream(stream_id(stream)).reset(varint(code)).expect("an open stream");
    }

    /// Asks the peer to stop its half of a stream.
    pub fn stop(&mut self, stream: u64, code: u64) {
        self.connection().recv_stream(stream_id(stream)).stop(varint(code)).expect("an open stream");
    }

    /// Sends a DATAGRAM frame.
    pub fn datagram(&mut self, payload: &[u8]) {
        self.connection().datagrams().send(Bytes::copy_from_slice(payload), true).expect("room for a datagram");
    }

    /// Opens the control stream with these settings; gives the stream.
    pub fn send_settings(&mut self, settings: &[(u64, u64)]) -> u64 {
        let control = self.open_uni();
        self.write(control, &[wire::varint(wire::CONTROL_STREAM), wire::settings(settings)].concat());
        control
    }

    /// Sends a request on a new stream; gives the stream.
    pub fn send_request(&mut self, request: &Request) -> u64 {
        let stream = self.open_bidi();
        self.write(stream, &request.frame());
        stream
    }

    /// Sends the head of a response.
    pub fn respond(&mut self, stream: u64, fields: &[(&str, &str)]) {
        self.write(stream, &wire::frame(wire::HEADERS, &qpack::block(fields)));
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().expect("a connection").1
    }

    fn note_events(&mut self) {
        let Some((_, connection)) = &mut self.connection else { return };
        let seen = &mut self.seen;
        while let Some(event) = connection.poll() {
            match event {
                Event::ConnectionLost { reason } => seen.close = Some(Close::from(reason)),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = connection.streams().accept(dir) {
                        read(connection, id, seen);
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => read(connection, id, seen),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    seen.streams.entry(u64::from(id)).or_default().stop = Some(error_code.into_inner());
                }
                Event::DatagramReceived => {
                    while let Some(payload) = connection.datagrams().recv() {
                        seen.datagrams.push(payload.to_vec());
                    }
                }
                Event::Connected | Event::HandshakeDataReady | Event::DatagramsUnblocked | Event::Stream(_) => {}
            }
        }
    }
}

fn read(connection: &mut Connection, id: StreamId, seen: &mut Seen) {
    let noted = seen.streams.entry(u64::from(id)).or_default();
    let mut stream = connection.recv_stream(id);
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

fn stream_id(id: u64) -> StreamId {
    StreamId::from(varint(id))
}

fn varint(value: u64) -> VarInt {
    VarInt::from_u64(value).expect("codes and ids have at most 62 bits")
}
