use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ReadError, Side, StreamEvent,
    StreamId, VarInt,
};

use crate::raw::{Close, Options, Seen, client_config};

/// A QUIC connection that says what it is told and notes what it sees; somebody else moves its packets and its time.
pub struct Intruder {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    connected: bool,
    /// Leaves what comes in the transport, so that its windows fill up.
    pub reads: bool,
    /// Answers STOP_SENDING with a reset, as RFC 9000, section 3.5, wants it.
    pub answers_stops: bool,
    seen: Seen,
    buffer: Vec<u8>,
}

impl Intruder {
    pub(super) fn new(now: Instant, options: &Options) -> Self {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let config = client_config(options).expect("a configuration for a client");
        let (handle, connection) = endpoint.connect(now, config, server(), "localhost").expect("a connection");
        let (seen, buffer) = (Seen::default(), Vec::new());
        Self { endpoint, handle, connection, connected: false, reads: true, answers_stops: false, seen, buffer }
    }

    /// Whether the handshake is complete.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// What has been seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Drops what has been seen of streams and datagrams.
    pub fn forget(&mut self) {
        self.seen.streams.clear();
        self.seen.datagrams.clear();
    }

    /// Opens a unidirectional stream, if there is credit.
    pub fn open_uni(&mut self) -> Option<u64> {
        self.connection.streams().open(Dir::Uni).map(u64::from)
    }

    /// Opens a bidirectional stream, if there is credit.
    pub fn open_bidi(&mut self) -> Option<u64> {
        self.connection.streams().open(Dir::Bi).map(u64::from)
    }

    /// Writes as much as there is credit for.
    pub fn write(&mut self, stream: u64, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.connection.send_stream(stream_id(stream)).write(rest) {
                Ok(taken) => written += taken,
                Err(_) => break,
            }
        }
        written
    }

    /// Ends our half of a stream.
    pub fn finish(&mut self, stream: u64) {
        let _ = self.connection.send_stream(stream_id(stream)).finish();
    }

    /// Resets our half of a stream.
    pub fn reset(&mut self, stream: u64, code: u64) {
        let _ = self.connection.send_stream(stream_id(stream)).reset(varint(code));
    }

    /// Asks the server to stop its half of a stream.
    pub fn stop(&mut self, stream: u64, code: u64) {
        let _ = self.connection.recv_stream(stream_id(stream)).stop(varint(code));
    }

    /// Sends a DATAGRAM frame.
    pub fn datagram(&mut self, payload: &[u8]) {
        let _ = self.connection.datagrams().send(Bytes::copy_from_slice(payload), true);
    }

    /// Closes the connection.
    pub fn close(&mut self, now: Instant) {
        self.connection.close(now, varint(crate::raw::code::H3_NO_ERROR), Bytes::new());
    }

    pub(super) fn receive(&mut self, now: Instant, packet: &[u8]) {
        self.buffer.clear();
        let packet = BytesMut::from(packet);
        let event = self.endpoint.handle(now, server(), None, None, packet, &mut self.buffer);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
        self.note();
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
            self.note();
        }
    }

    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(answer);
            }
        }
        self.buffer.clear();
        let transmit = self.connection.poll_transmit(now, 1, &mut self.buffer)?;
        Some(self.buffer[..transmit.size].to_vec())
    }

    fn note(&mut self) {
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::ConnectionLost { reason } => self.seen.close = Some(Close::from(reason)),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.connection.streams().accept(dir) {
                        self.read(id);
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.seen.streams.entry(u64::from(id)).or_default().stop = Some(error_code.into_inner());
                    if self.answers_stops {
                        let _ = self.connection.send_stream(id).reset(error_code);
                    }
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

    fn read(&mut self, id: StreamId) {
        let noted = self.seen.streams.entry(u64::from(id)).or_default();
        if !self.reads {
            return;
        }
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

fn server() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 4433))
}

fn varint(value: u64) -> VarInt {
    VarInt::from_u64(value).expect("codes have at most 62 bits")
}

fn stream_id(id: u64) -> StreamId {
    let initiator = if id.is_multiple_of(2) { Side::Client } else { Side::Server };
    let dir = if id & 2 == 0 { Dir::Bi } else { Dir::Uni };
    StreamId::new(initiator, dir, id >> 2)
}
