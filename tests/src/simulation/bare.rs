//! A bare QUIC client in front of a server core: no HTTP/3 on one side, all of ours on the other, no socket, no clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ReadError, Side,
    StreamEvent, StreamId, TransportConfig, VarInt,
};

use super::Lone;
use crate::raw::{Close, Seen, accept_any_certificate};

/// What a [`Bare`] client announces.
#[derive(Debug, Clone, Copy)]
pub struct Announced {
    /// Bidirectional streams the server may open.
    pub bidi_streams: u32,
    /// Unidirectional streams the server may open.
    pub uni_streams: u32,
    /// Largest DATAGRAM frame it takes; 0 for none.
    pub datagrams: u16,
}

/// One QUIC connection to a server core; everything it is told to say is said at once.
pub struct Bare {
    /// The server.
    pub server: Lone,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    opened: BTreeMap<bool, u64>,
    seen: Seen,
}

impl Bare {
    /// Connects.
    ///
    /// # Errors
    /// Says in words how the handshake failed.
    pub fn connect(server: Lone, announced: Announced) -> Result<Self, String> {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let (handle, connection) = endpoint
            .connect(server.now, client_config(announced)?, Lone::address(), "localhost")
            .map_err(|error| error.to_string())?;
        let (opened, seen) = <_>::default();
        let mut bare = Self { server, endpoint, handle, connection, opened, seen };
        bare.settle();
        if bare.connection.is_handshaking() { Err(format!("no handshake: {:?}", bare.seen.close)) } else { Ok(bare) }
    }

    /// What has come from the server.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Writes bytes on a stream of ours. Opening a stream opens those before it, as in QUIC.
    ///
    /// # Errors
    /// There is no credit, or the stream is over.
    pub fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<(), String> {
        let id = self.opened(stream)?;
        let written = self.connection.send_stream(id).write(bytes);
        if written != Ok(bytes.len()) {
            return Err(format!("stream {stream}: {written:?} instead of {} bytes", bytes.len()));
        }
        self.settle();
        Ok(())
    }

    /// Ends a stream of ours.
    ///
    /// # Errors
    /// The stream is over.
    pub fn finish(&mut self, stream: u64) -> Result<(), String> {
        let id = self.opened(stream)?;
        self.connection.send_stream(id).finish().map_err(|error| format!("end of stream {stream}: {error}"))?;
        self.settle();
        Ok(())
    }

    /// Resets a stream of ours.
    ///
    /// # Errors
    /// The stream is over.
    pub fn reset(&mut self, stream: u64, code: u64) -> Result<(), String> {
        let id = self.opened(stream)?;
        let code = VarInt::from_u64(code).map_err(|error| error.to_string())?;
        self.connection.send_stream(id).reset(code).map_err(|error| format!("reset of stream {stream}: {error}"))?;
        self.settle();
        Ok(())
    }

    /// Sends a DATAGRAM frame.
    ///
    /// # Errors
    /// The server takes none, or not of this size.
    pub fn datagram(&mut self, bytes: &[u8]) -> Result<(), String> {
        let bytes = Bytes::copy_from_slice(bytes);
        self.connection.datagrams().send(bytes, false).map_err(|error| format!("datagram: {error}"))?;
        self.settle();
        Ok(())
    }

    /// Lets packets go to and fro until there are no more.
    pub fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mut moved = false;
            for datagram in self.outgoing() {
                self.server.deliver(&datagram);
                moved = true;
            }
            for datagram in self.server.take() {
                self.take_in(&datagram);
                moved = true;
            }
            if !moved {
                return;
            }
            self.server.wait(Duration::from_millis(1));
        }
    }

    fn opened(&mut self, id: u64) -> Result<StreamId, String> {
        let dir = if id & 2 == 0 { Dir::Bi } else { Dir::Uni };
        let opened = self.opened.entry(dir == Dir::Uni).or_default();
        while *opened <= id >> 2 {
            self.connection.streams().open(dir).ok_or_else(|| format!("no credit for stream {id}"))?;
            *opened += 1;
        }
        Ok(StreamId::new(Side::Client, dir, id >> 2))
    }

    fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let now = self.server.now;
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        let mut datagrams = Vec::new();
        loop {
            while let Some(event) = self.connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                    self.connection.handle_event(event);
                }
            }
            let mut buffer = Vec::new();
            let Some(transmit) = self.connection.poll_transmit(now, 1, &mut buffer) else { return datagrams };
            buffer.truncate(transmit.size);
            datagrams.push(buffer);
        }
    }

    fn take_in(&mut self, datagram: &[u8]) {
        let data = BytesMut::from(datagram);
        let event = self.endpoint.handle(self.server.now, Lone::address(), None, None, data, &mut Vec::new());
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.connection.streams().accept(dir) {
                        self.read(id);
                    }
                }
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.seen.streams.entry(id.into()).or_default().stop = Some(error_code.into_inner());
                }
                Event::DatagramReceived => {
                    while let Some(payload) = self.connection.datagrams().recv() {
                        self.seen.datagrams.push(payload.to_vec());
                    }
                }
                Event::ConnectionLost { reason } => self.seen.close = Some(Close::from(reason)),
                Event::Connected | Event::HandshakeDataReady | Event::DatagramsUnblocked | Event::Stream(_) => {}
            }
        }
    }

    fn read(&mut self, id: StreamId) {
        let noted = self.seen.streams.entry(id.into()).or_default();
        let mut stream = self.connection.recv_stream(id);
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

impl Default for Announced {
    fn default() -> Self {
        Self { bidi_streams: 100, uni_streams: 100, datagrams: u16::MAX }
    }
}

fn client_config(announced: Announced) -> Result<ClientConfig, String> {
    let tls = accept_any_certificate(&[b"h3".to_vec()]).map_err(|error| error.to_string())?;
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(announced.bidi_streams.into())
        .max_concurrent_uni_streams(announced.uni_streams.into())
        .datagram_receive_buffer_size((announced.datagrams > 0).then_some(announced.datagrams.into()));
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Far more than any exchange between two steps takes.
const MAX_ROUNDS: usize = 1_000;
