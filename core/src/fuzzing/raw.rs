//! A client made of QUIC alone: it writes whatever bytes it is told on whatever streams.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, StreamEvent,
    StreamId, TransportConfig, VarInt,
};

use super::plain::Plain;
use super::{CLIENT, SERVER};

/// The client and the streams it knows of.
pub(super) struct Raw {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    streams: Vec<StreamId>,
    buffer: Vec<u8>,
}

impl Raw {
    /// Begins a connection; `window` is what the server may send ahead on a stream.
    pub(super) fn connect(now: Instant, window: u32, takes_datagrams: bool) -> Self {
        let mut config = EndpointConfig::default();
        config.rng_seed(Some([1; 32]));
        let mut endpoint = Endpoint::new(Arc::new(config), None, false, None);
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(VarInt::from_u32(window))
            .max_concurrent_uni_streams(VarInt::from_u32(3))
            .max_concurrent_bidi_streams(VarInt::from_u32(2))
            .datagram_receive_buffer_size(takes_datagrams.then_some(1 << 16))
            .mtu_discovery_config(None);
        let mut client = ClientConfig::new(Arc::new(Plain));
        client.transport_config(Arc::new(transport));
        let (handle, connection) = endpoint
            .connect(now, client, SERVER.into(), "localhost")
            .unwrap_or_else(|error| panic!("the first connection: {error}"));
        Self { endpoint, handle, connection, streams: Vec::new(), buffer: Vec::new() }
    }

    pub(super) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        self.buffer.clear();
        let event = self.endpoint.handle(now, SERVER.into(), None, None, BytesMut::from(datagram), &mut self.buffer);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
    }

    pub(super) fn transmit(&mut self, now: Instant) -> Option<BytesMut> {
        self.settle();
        self.buffer.clear();
        let transmit = self.connection.poll_transmit(now, 1, &mut self.buffer)?;
        Some(self.buffer.get(..transmit.size)?.into())
    }

    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
    }

    fn settle(&mut self) {
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(answer);
            }
        }
        while let Some(event) = self.connection.poll() {
            if let Event::Stream(StreamEvent::Opened { dir }) = event {
                while let Some(id) = self.connection.streams().accept(dir) {
                    self.streams.push(id);
                }
            }
        }
    }

    pub(super) fn open(&mut self, dir: Dir, bytes: &[u8]) {
        let Some(id) = self.connection.streams().open(dir) else { return };
        self.streams.push(id);
        self.write(self.streams.len() - 1, bytes);
    }

    pub(super) fn write(&mut self, index: usize, bytes: &[u8]) {
        let Some(id) = self.stream(index).filter(|id| self.sends(*id)) else { return };
        _ = self.connection.send_stream(id).write(bytes);
    }

    pub(super) fn finish(&mut self, index: usize) {
        let Some(id) = self.stream(index).filter(|id| self.sends(*id)) else { return };
        _ = self.connection.send_stream(id).finish();
    }

    pub(super) fn reset(&mut self, index: usize, code: u64) {
        let Some(id) = self.stream(index).filter(|id| self.sends(*id)) else { return };
        _ = self.connection.send_stream(id).reset(varint(code));
    }

    pub(super) fn stop(&mut self, index: usize, code: u64) {
        let Some(id) = self.stream(index).filter(|id| self.receives(*id)) else { return };
        _ = self.connection.recv_stream(id).stop(varint(code));
    }

    pub(super) fn read(&mut self, index: usize) {
        let Some(id) = self.stream(index).filter(|id| self.receives(*id)) else { return };
        let mut stream = self.connection.recv_stream(id);
        if let Ok(mut chunks) = stream.read(true) {
            while let Ok(Some(_)) = chunks.next(usize::MAX) {}
            _ = chunks.finalize();
        }
    }

    pub(super) fn datagram(&mut self, bytes: &[u8]) {
        _ = self.connection.datagrams().send(Bytes::copy_from_slice(bytes), true);
    }

    pub(super) fn close(&mut self, now: Instant, code: u64) {
        self.connection.close(now, varint(code), Bytes::from_static(b"bye"));
    }

    fn stream(&self, index: usize) -> Option<StreamId> {
        self.streams.get(index % self.streams.len().max(1)).copied()
    }

    fn sends(&self, id: StreamId) -> bool {
        id.dir() == Dir::Bi || id.initiator() == self.connection.side()
    }

    fn receives(&self, id: StreamId) -> bool {
        id.dir() == Dir::Bi || id.initiator() != self.connection.side()
    }

    /// From where the server sees its datagrams come.
    pub(super) fn address() -> std::net::SocketAddr {
        CLIENT.into()
    }
}

fn varint(value: u64) -> VarInt {
    VarInt::from_u64(value).unwrap_or(VarInt::MAX)
}
