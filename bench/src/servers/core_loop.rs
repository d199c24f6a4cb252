//! transom-core in a loop of its own: the shape of the floor, with the core instead of hand-written HTTP/3.

use std::collections::hash_map::Entry;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_udp::EcnCodepoint;
use rustc_hash::FxHashMap;
use transom_core::{
    Config, Connection, ConnectionId, Direction, Ecn, Endpoint, Event, ReadError, Receive, Response, SessionId,
    StreamId,
};

use super::{Failure, Route, Setup, announce, route};
use crate::payload;
use crate::quic::{self, Tuning};
use crate::socket::BatchSocket;

pub(super) fn serve(setup: &Setup) -> Result<(), Failure> {
    let mut socket = BatchSocket::bind(setup.listen)?;
    announce(socket.local_addr()?);
    let mut endpoint = Endpoint::server(config(setup.tuning), quic::server_tls(&setup.certificate))?;
    let mut app = App::new();
    let mut outgoing = Vec::with_capacity(65_536);
    let mut received = Vec::new();
    loop {
        flush(&mut endpoint, &mut app, &socket, &mut outgoing)?;
        let readable = socket.wait(endpoint.poll_timeout())?;
        let now = Instant::now();
        if readable {
            receive(&mut socket, &mut received)?;
        }
        for datagram in received.drain(..) {
            endpoint.handle_receive(now, datagram);
            if endpoint.connections_to_poll() >= MANY {
                flush(&mut endpoint, &mut app, &socket, &mut outgoing)?;
            }
        }
        endpoint.handle_timeout(now);
    }
}

fn receive(socket: &mut BatchSocket, received: &mut Vec<Receive>) -> Result<(), Failure> {
    socket.receive(|message, meta| {
        let ecn = meta.ecn.and_then(|ecn| Ecn::from_bits(ecn as u8));
        let mut message = BytesMut::from(message);
        while !message.is_empty() {
            let data = message.split_to(meta.stride.min(message.len()));
            received.push(Receive { remote: meta.addr, local_ip: meta.dst_ip, ecn, data });
        }
    })?;
    Ok(())
}

/// Events first and packets then, until there are neither.
fn flush(endpoint: &mut Endpoint, app: &mut App, socket: &BatchSocket, outgoing: &mut Vec<u8>) -> Result<(), Failure> {
    let segments = socket.max_segments();
    loop {
        while let Some((id, event)) = endpoint.poll_event() {
            app.event(endpoint, id, event);
        }
        app.broadcast(endpoint);
        outgoing.clear();
        let Some(transmit) = endpoint.poll_transmit(Instant::now(), segments, outgoing) else { return Ok(()) };
        socket.send(&quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn.bits())),
            contents: &outgoing[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.source,
        })?;
    }
}

/// What every Transom server here is configured with.
pub(super) fn config(tuning: Tuning) -> Config {
    let mut config = Config::default();
    if tuning == Tuning::Tuned {
        config.max_bidi_streams = quic::STREAMS;
        config.stream_window = quic::STREAM_WINDOW;
        config.connection_window = quic::WINDOW;
        config.connection_window_before_session = quic::WINDOW;
        config.send_window = quic::WINDOW;
        config.datagram_send_queue = 16_384;
        config.datagram_queue = 16_384;
        config.datagram_send_buffer = quic::DATAGRAM_BUFFER;
        config.datagram_queue_bytes = quic::DATAGRAM_BUFFER;
        config.connection_datagram_bytes = 2 * quic::DATAGRAM_BUFFER;
        config.max_sessions_without_flow_control = 256;
        config.max_sessions = 256;
        config.connect_burst = 1_000_000;
        config.idle_timeout = quic::IDLE_TIMEOUT;
        config.initial_mtu = quic::MTU;
        config.max_mtu = quic::MTU;
        config.max_handshakes = 65_536;
        config.retry_above = 65_536;
    }
    config
}

struct App {
    chunk: Bytes,
    sessions: FxHashMap<(ConnectionId, SessionId), Route>,
    /// Only those that are not over when first looked at.
    streams: FxHashMap<(ConnectionId, StreamId), Stream>,
    audience: Vec<(ConnectionId, SessionId)>,
    broadcasts: Vec<Bytes>,
}

enum Stream {
    Echo { waiting: Option<Bytes>, ended: bool },
    Sink(u64),
    Source { head: Vec<u8>, sent: u64 },
}

impl App {
    fn new() -> Self {
        Self {
            chunk: payload::chunk(),
            sessions: FxHashMap::default(),
            streams: FxHashMap::default(),
            audience: Vec::new(),
            broadcasts: Vec::new(),
        }
    }

    fn event(&mut self, endpoint: &mut Endpoint, id: ConnectionId, event: Event) {
        let Some(connection) = endpoint.connection(id) else {
            if let Event::ConnectionLost { .. } = event {
                self.forget(id);
            }
            return;
        };
        match event {
            Event::SessionRequested { session } => {
                let known = connection.request(session).and_then(|request| route(request.path().as_bytes()));
                let Some(known) = known else { return };
                if connection.accept(session, Response::accept()).is_ok() {
                    self.sessions.insert((id, session), known);
                    if known == Route::Broadcast {
                        self.audience.push((id, session));
                    }
                }
            }
            Event::StreamOpened { session, direction: Direction::Bidirectional } => {
                let Some(&route) = self.sessions.get(&(id, session)) else { return };
                while let Some(stream) =
                    connection.session(session).and_then(|mut session| session.accept(Direction::Bidirectional))
                {
                    let mut state = Stream::new(route);
                    if !state.go_on(connection, stream, &self.chunk) {
                        self.streams.insert((id, stream), state);
                    }
                }
            }
            Event::StreamReadable { stream } | Event::StreamWritable { stream } => {
                if let Entry::Occupied(mut entry) = self.streams.entry((id, stream))
                    && entry.get_mut().go_on(connection, stream, &self.chunk)
                {
                    entry.remove();
                }
            }
            Event::StreamStopped { stream, .. } => _ = self.streams.remove(&(id, stream)),
            Event::DatagramReceived { session } => {
                let route = self.sessions.get(&(id, session));
                let Some(mut session) = connection.session(session) else { return };
                while let Some(payload) = session.recv_datagram() {
                    match route {
                        Some(Route::Echo) => _ = session.force_datagram(&payload),
                        Some(Route::Broadcast) => self.broadcasts.push(payload),
                        _ => {}
                    }
                }
            }
            Event::SessionEnded { session, .. } => {
                self.sessions.remove(&(id, session));
                self.audience.retain(|listener| *listener != (id, session));
            }
            Event::ConnectionLost { .. } => self.forget(id),
            _ => {}
        }
    }

    fn broadcast(&mut self, endpoint: &mut Endpoint) {
        for payload in self.broadcasts.drain(..) {
            for &(id, session) in &self.audience {
                if let Some(mut session) = endpoint.connection(id).and_then(|connection| connection.session(session)) {
                    _ = session.force_datagram(&payload);
                }
            }
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        self.sessions.retain(|(connection, _), _| *connection != id);
        self.streams.retain(|(connection, _), _| *connection != id);
        self.audience.retain(|(connection, _)| *connection != id);
    }
}

impl Stream {
    fn new(route: Route) -> Self {
        match route {
            Route::Echo | Route::Broadcast => Self::Echo { waiting: None, ended: false },
            Route::Sink => Self::Sink(0),
            Route::Source => Self::Source { head: Vec::new(), sent: 0 },
        }
    }

    /// Reads and writes what can be; says whether the stream is over.
    fn go_on(&mut self, connection: &mut Connection, id: StreamId, chunk: &Bytes) -> bool {
        match self {
            Self::Echo { waiting, ended } => loop {
                if let Some(bytes) = waiting {
                    while !bytes.is_empty() {
                        match connection.send_stream(id).write_bytes(bytes) {
                            Ok(_) => {}
                            Err(transom_core::WriteError::Blocked) => return false,
                            Err(_) => return true,
                        }
                    }
                    *waiting = None;
                }
                if *ended {
                    _ = connection.send_stream(id).finish();
                    return true;
                }
                match connection.recv_stream(id).read_with_end(usize::MAX) {
                    Ok((bytes, at_end)) => (*waiting, *ended) = (Some(bytes), at_end),
                    Err(ReadError::Blocked) => return false,
                    Err(_) => return true,
                }
            },
            Self::Sink(count) => {
                let mut places = payload::places();
                loop {
                    match connection.recv_stream(id).read_chunks(usize::MAX, &mut places) {
                        Ok((filled, at_end)) => {
                            *count += payload::length(&places[..filled]);
                            if !at_end {
                                continue;
                            }
                            _ = connection.send_stream(id).write(&count.to_be_bytes());
                            _ = connection.send_stream(id).finish();
                            return true;
                        }
                        Err(ReadError::Blocked) => return false,
                        Err(_) => return true,
                    }
                }
            }
            Self::Source { head, sent } => {
                while let Ok(Some(bytes)) = connection.recv_stream(id).read(usize::MAX) {
                    head.extend_from_slice(&bytes);
                }
                let Some(size) = head.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)) else { return false };
                while *sent < size {
                    let at = (*sent % chunk.len() as u64) as usize;
                    let end = chunk.len().min(at + usize::try_from(size - *sent).unwrap_or(usize::MAX));
                    match connection.send_stream(id).write_bytes(&mut chunk.slice(at..end)) {
                        Ok(written) => *sent += written as u64,
                        Err(transom_core::WriteError::Blocked) => return false,
                        Err(_) => return true,
                    }
                }
                _ = connection.send_stream(id).finish();
                true
            }
        }
    }
}

/// Connections that are sent for before more is handed in.
const MANY: usize = 32;
