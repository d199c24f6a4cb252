//! A client that says what the dice tell it, right or wrong, on bare QUIC: nothing here is made of our HTTP/3.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint,
    EndpointConfig, Event, StreamEvent, StreamId, TransportConfig, VarInt,
};
use transom_core::{Ecn, ErrorCode};

use super::facts;
use super::mischief::Mischief;
use super::model::{Verdict, require};
use super::shared::Shared;
use crate::raw;
use transom::testing::Parcel;

/// One connection of a misbehaving client.
pub(super) struct Offender {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    connected: bool,
    /// How the connection ended.
    pub(super) end: Option<ConnectionError>,
    /// Whether it reads what it is sent.
    reads: bool,
    mischief: Mischief,
    number: usize,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Offender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offender").field("number", &self.number).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Offender {
    pub(super) fn connect(shared: &mut Shared, number: usize, server: SocketAddr) -> Result<Self, String> {
        let words = |error: &dyn std::fmt::Display| format!("an offender cannot connect: {error}");
        let tls = raw::accept_any_certificate(&[b"h3".to_vec()]).map_err(|error| words(&error))?;
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| words(&error))?;
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(VarInt::from_u32(1 << (8 + shared.random.below(12))))
            .max_concurrent_uni_streams(VarInt::from_u32(3 + shared.random.below(50) as u32))
            .datagram_receive_buffer_size((shared.random.below(10) > 0).then_some(1 << 16))
            .keep_alive_interval(Some(Duration::from_secs(5)));
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        let mut own = EndpointConfig::default();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&shared.random.number().to_be_bytes());
        own.rng_seed(Some(seed));
        let mut endpoint = Endpoint::new(Arc::new(own), None, true, None);
        let (handle, connection) =
            endpoint.connect(shared.now, config, server, "localhost").map_err(|error| words(&error))?;
        let (reads, mischief) = (shared.random.below(3) > 0, Mischief::default());
        Ok(Self {
            endpoint,
            handle,
            connection,
            connected: false,
            end: None,
            reads,
            mischief,
            number,
            buffer: Vec::new(),
        })
    }

    /// One random misdeed, or something decent that makes the next one possible.
    pub(super) fn act(&mut self, shared: &mut Shared) {
        if self.connected && self.end.is_none() {
            shared.counts.misdeeds += 1;
            let deed = self.mischief.act(&mut self.connection, shared);
            shared.note(&(self.number, deed));
        }
    }

    /// Goes, with any code.
    pub(super) fn leave(&mut self, shared: &mut Shared) {
        if !self.connection.is_closed() {
            let code = [0, 0x100, 0x10c, 7, VarInt::MAX.into_inner()];
            let code = shared.random.pick(&code).copied().unwrap_or(0);
            self.connection.close(shared.now, VarInt::from_u64(code).unwrap_or(VarInt::MAX), Bytes::from_static(b"x"));
        }
    }

    pub(super) fn receive(&mut self, now: Instant, parcel: Parcel) {
        let ecn = parcel.ecn.map(Ecn::bits).and_then(EcnCodepoint::from_bits);
        let data = BytesMut::from(parcel.bytes.as_slice());
        self.buffer.clear();
        let event = self.endpoint.handle(now, parcel.source, None, ecn, data, &mut self.buffer);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
    }

    pub(super) fn next(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.next().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
    }

    /// Takes in what happened and gives datagrams to `send`.
    pub(super) fn turn(&mut self, shared: &mut Shared, send: &mut dyn FnMut(Parcel)) -> Verdict {
        self.events(shared)?;
        loop {
            while let Some(event) = self.connection.poll_endpoint_events() {
                if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                    self.connection.handle_event(answer);
                }
            }
            self.buffer.clear();
            let Some(transmit) = self.connection.poll_transmit(shared.now, 1, &mut self.buffer) else { break };
            let source = ([0, 0, 0, 0], 0).into();
            let ecn = transmit.ecn.and_then(|ecn| Ecn::from_bits(ecn as u8));
            let bytes = self.buffer[..transmit.size].to_vec();
            send(Parcel { source, destination: transmit.destination, ecn, bytes });
        }
        self.events(shared)
    }

    fn events(&mut self, shared: &mut Shared) -> Verdict {
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::ConnectionLost { reason } => {
                    shared.note(&(self.number, &reason));
                    self.end = Some(reason);
                    self.judge(shared)?;
                }
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.connection.streams().accept(dir) {
                        self.mischief.theirs.push(id);
                        self.read(shared, id);
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(shared, id),
                Event::DatagramReceived => while self.connection.datagrams().recv().is_some() {},
                _ => {}
            }
        }
        Ok(())
    }

    fn read(&mut self, shared: &mut Shared, id: StreamId) {
        if !self.reads && id.dir() == Dir::Uni {
            return;
        }
        let mut stream = self.connection.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        let mut size = 0;
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            size += chunk.bytes.len();
        }
        let _ = chunks.finalize();
        shared.note(&(self.number, id, size));
    }

    /// The server may close the connection, but only with a code of HTTP/3 or WebTransport.
    fn judge(&self, shared: &mut Shared) -> Verdict {
        match &self.end {
            Some(ConnectionError::ApplicationClosed(close)) => {
                shared.counts.expelled += 1;
                let code = ErrorCode(close.error_code.into_inner());
                require(facts::is_known(code), format_args!("an offender was expelled with {code}"))
            }
            Some(ConnectionError::TransportError(error)) => Err(format!("an offender blames the server: {error}")),
            _ => Ok(()),
        }
    }
}
