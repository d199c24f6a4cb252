//! The floor: what a server costs when it is written by hand over quinn-proto, with nothing between.

use bytes::{Buf, Bytes};
use quinn_proto::{Connection, Dir, Event, StreamEvent, StreamId, VarInt};
use rustc_hash::FxHashMap;

use super::{Failure, Route, Setup, announce, route};
use crate::bare::{App, Bare, Connections};
use crate::payload;
use crate::quic;
use crate::wire;

pub(super) fn serve(setup: &Setup) -> Result<(), Failure> {
    let config = quic::server(&setup.certificate, setup.tuning);
    let app = Floor {
        control: wire::control_stream(true, SESSIONS),
        chunk: payload::chunk(),
        scratch: Vec::new(),
        audience: Vec::new(),
        broadcasts: Vec::new(),
    };
    let bare = Bare::new(setup.listen, Some(config), app)?;
    announce(bare.local_addr()?);
    bare.run()?;
    Ok(())
}

struct Floor {
    control: Vec<u8>,
    chunk: Bytes,
    /// Chunks read and not yet written.
    scratch: Vec<Bytes>,
    /// Connection and session of each listener.
    audience: Vec<(usize, u64)>,
    broadcasts: Vec<Bytes>,
}

#[derive(Default)]
struct State {
    greeted: bool,
    sessions: Vec<(u64, Route)>,
    streams: FxHashMap<StreamId, Stream>,
}

enum Stream {
    /// The first bytes, which say what it is.
    Head(Vec<u8>),
    /// HTTP/3's, and nothing more is wanted of it.
    Ignored,
    /// The one of a session; its end is the session's.
    Connect,
    Echo(Echo),
    Sink(u64),
    Source(Source),
}

/// What was read and could not be written yet.
#[derive(Default)]
struct Echo {
    waiting: Vec<Bytes>,
    ended: bool,
}

#[derive(Default)]
struct Source {
    head: Vec<u8>,
    sent: u64,
    size: Option<u64>,
}

impl App for Floor {
    type State = State;

    fn event(&mut self, key: usize, connection: &mut Connection, state: &mut State, event: Event) {
        match event {
            Event::HandshakeDataReady | Event::Connected if !state.greeted => {
                // In the first flight where the client's limits are known by then.
                if let Some(id) = connection.streams().open(Dir::Uni) {
                    state.greeted = true;
                    _ = connection.send_stream(id).write(&self.control);
                }
            }
            Event::Stream(StreamEvent::Opened { dir }) => {
                while let Some(id) = connection.streams().accept(dir) {
                    let stream = if dir == Dir::Bi { Stream::Head(Vec::new()) } else { Stream::Ignored };
                    self.go_on(key, connection, state, id, stream);
                }
            }
            Event::Stream(StreamEvent::Readable { id } | StreamEvent::Writable { id }) => {
                if let Some(stream) = state.streams.remove(&id) {
                    self.go_on(key, connection, state, id, stream);
                }
            }
            Event::Stream(StreamEvent::Stopped { id, .. }) => {
                _ = connection.send_stream(id).reset(VarInt::from_u32(0));
                _ = connection.recv_stream(id).stop(VarInt::from_u32(0));
                state.streams.remove(&id);
            }
            Event::DatagramReceived => self.datagrams(connection, state),
            Event::ConnectionLost { .. } => self.audience.retain(|(listener, _)| *listener != key),
            _ => {}
        }
    }

    fn before_sending(&mut self, connections: &mut Connections<State>) {
        for payload in self.broadcasts.drain(..) {
            for &(key, session) in &self.audience {
                if let Some((connection, _)) = connections.get(key) {
                    send_datagram(connection, session, &payload);
                }
            }
        }
    }
}

impl Floor {
    fn datagrams(&mut self, connection: &mut Connection, state: &State) {
        while let Some(datagram) = connection.datagrams().recv() {
            let mut rest = &datagram[..];
            let Some(quarter) = wire::varint(&mut rest) else { continue };
            let session = quarter * 4;
            let payload = datagram.slice(datagram.len() - rest.len()..);
            match state.sessions.iter().find(|(id, _)| *id == session) {
                Some((_, Route::Echo)) => send_datagram(connection, session, &payload),
                Some((_, Route::Broadcast)) => self.broadcasts.push(payload),
                _ => {}
            }
        }
    }

    /// Reads and writes what can be, and keeps the stream if it is not over.
    fn go_on(&mut self, key: usize, connection: &mut Connection, state: &mut State, id: StreamId, mut stream: Stream) {
        let mut ended = read(connection, id, &mut self.scratch);
        if let Stream::Head(head) = &mut stream
            && let Some(known) = self.identify(key, connection, state, id, head)
        {
            stream = known;
        }
        let over = match &mut stream {
            Stream::Head(_) => ended,
            Stream::Ignored | Stream::Connect => {
                self.scratch.clear();
                if ended && matches!(stream, Stream::Connect) {
                    _ = connection.send_stream(id).finish();
                    state.sessions.retain(|(session, _)| *session != u64::from(id));
                    self.audience.retain(|&(listener, session)| (listener, session) != (key, u64::from(id)));
                }
                ended
            }
            Stream::Echo(echo) => {
                ended |= echo.ended;
                echo.ended = ended;
                echo.go_on(connection, id, &mut self.scratch)
            }
            Stream::Sink(count) => {
                *count += self.scratch.drain(..).map(|bytes| bytes.len() as u64).sum::<u64>();
                if ended {
                    _ = connection.send_stream(id).write(&count.to_be_bytes());
                    _ = connection.send_stream(id).finish();
                }
                ended
            }
            Stream::Source(source) => source.go_on(connection, id, &mut self.scratch, &self.chunk),
        };
        if !over {
            state.streams.insert(id, stream);
        }
    }

    /// What a bidirectional stream is, once its beginning is there; what follows stays in `scratch`.
    fn identify(
        &mut self,
        key: usize,
        connection: &mut Connection,
        state: &mut State,
        id: StreamId,
        head: &mut Vec<u8>,
    ) -> Option<Stream> {
        if head.is_empty() && !self.scratch.is_empty() {
            // Nearly always all of it is in the first chunk, whose rest is shared and not copied.
            let mut first = std::mem::take(&mut self.scratch[0]);
            let found = self.parse(key, connection, state, id, &first);
            if let Some((stream, used)) = found {
                first.advance(used);
                if first.is_empty() {
                    self.scratch.remove(0);
                } else {
                    self.scratch[0] = first;
                }
                return Some(stream);
            }
            self.scratch[0] = first;
        }
        for bytes in self.scratch.drain(..) {
            head.extend_from_slice(&bytes);
        }
        let (stream, used) = self.parse(key, connection, state, id, head)?;
        if used < head.len() {
            self.scratch.push(Bytes::copy_from_slice(&head[used..]));
        }
        Some(stream)
    }

    /// What a bidirectional stream is, and how many bytes said so.
    fn parse(
        &mut self,
        key: usize,
        connection: &mut Connection,
        state: &mut State,
        id: StreamId,
        head: &[u8],
    ) -> Option<(Stream, usize)> {
        let mut rest = head;
        if wire::varint(&mut rest)? == wire::BIDI {
            let session = wire::varint(&mut rest)?;
            let used = head.len() - rest.len();
            let stream = match state.sessions.iter().find(|(known, _)| *known == session)?.1 {
                Route::Echo | Route::Broadcast => Stream::Echo(Echo::default()),
                Route::Sink => Stream::Sink(0),
                Route::Source => Stream::Source(Source::default()),
            };
            return Some((stream, used));
        }
        let mut rest = head;
        while let Some((kind, block)) = wire::take_frame(&mut rest) {
            if kind == wire::HEADERS {
                let route = wire::path(block).and_then(route)?;
                let session = u64::from(id);
                state.sessions.push((session, route));
                if route == Route::Broadcast {
                    self.audience.push((key, session));
                }
                _ = connection.send_stream(id).write(&wire::ACCEPTED);
                return Some((Stream::Connect, head.len() - rest.len()));
            }
        }
        None
    }
}

impl Echo {
    /// Whether everything was said.
    fn go_on(&mut self, connection: &mut Connection, id: StreamId, fresh: &mut Vec<Bytes>) -> bool {
        let mut stream = connection.send_stream(id);
        if self.waiting.is_empty() {
            let done = stream.write_chunks(fresh).map_or(0, |written| written.chunks);
            self.waiting.extend(fresh.drain(..).skip(done));
        } else {
            self.waiting.append(fresh);
            let done = stream.write_chunks(&mut self.waiting).map_or(0, |written| written.chunks);
            self.waiting.drain(..done);
        }
        if !self.ended || !self.waiting.is_empty() {
            return false;
        }
        _ = stream.finish();
        true
    }
}

impl Source {
    fn go_on(&mut self, connection: &mut Connection, id: StreamId, fresh: &mut Vec<Bytes>, chunk: &Bytes) -> bool {
        self.head.extend(fresh.drain(..).flatten());
        if self.size.is_none() {
            self.size = self.head.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        }
        let Some(size) = self.size else { return false };
        let mut stream = connection.send_stream(id);
        while self.sent < size {
            let at = (self.sent % chunk.len() as u64) as usize;
            let end = chunk.len().min(at + usize::try_from(size - self.sent).unwrap_or(usize::MAX));
            match stream.write_chunks(&mut [chunk.slice(at..end)]) {
                Ok(written) => self.sent += written.bytes as u64,
                Err(_) => return false,
            }
        }
        _ = stream.finish();
        true
    }
}

/// Everything that has arrived on a stream; says whether that was the end.
///
/// There is no back-pressure from an echo whose peer does not read; the load client reads.
fn read(connection: &mut Connection, id: StreamId, into: &mut Vec<Bytes>) -> bool {
    let mut stream = connection.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else { return false };
    let ended = loop {
        match chunks.next(usize::MAX) {
            Ok(Some(chunk)) => into.push(chunk.bytes),
            Ok(None) | Err(quinn_proto::ReadError::Reset(_)) => break true,
            Err(quinn_proto::ReadError::Blocked) => break false,
        }
    };
    _ = chunks.finalize();
    ended
}

fn send_datagram(connection: &mut Connection, session: u64, payload: &[u8]) {
    let mut datagram = Vec::with_capacity(payload.len() + 8);
    wire::put_varint(&mut datagram, session / 4);
    datagram.extend_from_slice(payload);
    // What does not fit is lost, as datagrams may be.
    _ = connection.datagrams().send(datagram.into(), true);
}

/// Sessions allowed on one connection.
const SESSIONS: u64 = 256;
