//! The application on one side of one connection: what it does when something happens.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use transom_core::{
    Connection, ConnectionId, Direction, Event, ReadError, Response, Role, SessionId, StreamId, WriteError,
};

use super::facts;
use super::model::{Half, Model, Phase, Verdict};
use super::shared::Shared;
use crate::simulation::ledger::Key;

/// One side of one connection.
#[derive(Debug)]
pub(super) struct App {
    /// The connection's number in its world.
    pub(super) number: usize,
    /// Whether this is the server's side.
    pub(super) down: bool,
    /// The other side is well-behaved too: the ledger judges both.
    pub(super) strict: bool,
    pub(super) id: ConnectionId,
    pub(super) model: Model,
    /// Events the model has seen and the application has not.
    pub(super) heard: VecDeque<Event>,
    sending: BTreeMap<StreamId, Sending>,
    reading: BTreeMap<StreamId, Reading>,
    /// Requests whose answer takes a while.
    unanswered: VecDeque<(Instant, SessionId)>,
    /// Streams wait in the core although they were announced.
    unaccepted: bool,
}

/// What is still to be written on a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    pub(super) left: u64,
    pub(super) finish: bool,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    size: usize,
    read: usize,
    paused: bool,
}

impl App {
    pub(super) fn new(number: usize, down: bool, strict: bool, id: ConnectionId) -> Self {
        Self {
            number,
            down,
            strict,
            id,
            model: Model::new(if down { Role::Server } else { Role::Client }),
            heard: VecDeque::new(),
            sending: BTreeMap::new(),
            reading: BTreeMap::new(),
            unanswered: VecDeque::new(),
            unaccepted: false,
        }
    }

    /// The ledger's name of a stream, as written by one side.
    pub(super) fn key(&self, stream: StreamId, down: bool) -> Key {
        Key { connection: self.number, stream, down }
    }

    /// An event, in the order of the core: model and ledger judge it before anything is done about it.
    pub(super) fn hear(&mut self, shared: &mut Shared, event: Event) -> Verdict {
        shared.note(&(self.number, self.down, &event));
        let verdict = self
            .model
            .event(&event)
            .and_then(|()| if self.strict { facts::event(self, shared, &event) } else { facts::any_end(&event) });
        verdict.map_err(|reason| self.blame(&format!("{event:?}: {reason}")))?;
        shared.ends(self.number).connected[usize::from(self.down)] |= event == Event::Connected;
        if let Event::SessionEnded { session, .. } = &event {
            let streams = &self.model.streams;
            let of = |stream: &StreamId| streams.get(stream).is_some_and(|known| known.session == *session);
            self.sending.retain(|stream, _| !of(stream));
            self.reading.retain(|stream, _| !of(stream));
            self.unanswered.retain(|(_, waiting)| waiting != session);
        }
        if matches!(event, Event::ConnectionLost { .. }) {
            // Also of sessions that had ended before they were looked at.
            self.unanswered.clear();
        }
        self.heard.push_back(event);
        Ok(())
    }

    /// What the application does about an event.
    pub(super) fn react(&mut self, connection: &mut Connection, shared: &mut Shared, event: Event) -> Verdict {
        match event {
            Event::Connected if !self.down => self.ask(connection, shared),
            Event::SessionRequested { session } => self.requested(connection, shared, session),
            Event::SessionEnded { .. } | Event::SessionRefused { .. } if !self.down && shared.random.below(2) == 0 => {
                self.ask(connection, shared)
            }
            Event::SessionEstablished { session, .. } if self.strict => {
                facts::established(self, connection, shared, session)
            }
            Event::StreamOpened { .. } if shared.script && shared.random.below(20) == 0 => {
                self.unaccepted = true;
                Ok(())
            }
            Event::StreamOpened { session, direction } => self.accept_all(connection, shared, session, direction),
            Event::StreamReadable { stream } => self.read(connection, shared, stream),
            Event::StreamWritable { stream } => self.send(connection, shared, stream),
            Event::DatagramReceived { session } => self.datagrams(connection, shared, session),
            _ => Ok(()),
        }
    }

    fn requested(&mut self, connection: &mut Connection, shared: &mut Shared, session: SessionId) -> Verdict {
        if self.strict {
            facts::requested(self, connection, shared, session)?;
        }
        match shared.random.below(20) {
            _ if !shared.script => self.answer(connection, shared, session, true),
            0 => self.answer(connection, shared, session, false),
            1..=3 => {
                let patience = Duration::from_millis(shared.random.below(3_000));
                self.unanswered.push_back((shared.now + patience, session));
                Ok(())
            }
            // Nobody answers this one.
            4 if shared.random.below(4) == 0 => Ok(()),
            _ => self.answer(connection, shared, session, true),
        }
    }

    /// Accepts or refuses a request.
    fn answer(
        &mut self,
        connection: &mut Connection,
        shared: &mut Shared,
        session: SessionId,
        accept: bool,
    ) -> Verdict {
        if accept {
            let protocol = connection.request(session).and_then(|request| request.protocols().first().cloned());
            let response = Response::accept();
            let response = match protocol {
                Some(protocol) => response.with_protocol(protocol),
                None => response,
            };
            let result = connection.accept(session, response);
            if result.is_ok() {
                shared.ledger.session(self.number, session).accepted = true;
            }
            return self.model.answer(session, Phase::Open, result.map(drop));
        }
        let status = 300 + shared.random.below(300) as u16;
        let response = Response::new(http::StatusCode::from_u16(status).unwrap_or_default());
        let result = connection.refuse(session, response);
        if result.is_ok() {
            shared.counts.refused += 1;
            shared.ledger.session(self.number, session).refused = Some(status);
            shared.ledger.session_over(self.number, session, self.down);
        }
        self.model.answer(session, Phase::Over, result)
    }

    /// When the next slow answer is due.
    pub(super) fn next_answer(&self) -> Option<Instant> {
        self.unanswered.iter().map(|(at, _)| *at).min()
    }

    /// Gives one answer that is due.
    pub(super) fn answer_due(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let Some(at) = self.unanswered.iter().position(|(at, _)| *at <= shared.now) else { return Ok(()) };
        let Some((_, session)) = self.unanswered.remove(at) else { return Ok(()) };
        let accept = shared.random.below(8) > 0;
        self.answer(connection, shared, session, accept)
    }

    /// Takes every stream the peer opened and begins to read it.
    fn accept_all(
        &mut self,
        connection: &mut Connection,
        shared: &mut Shared,
        session: SessionId,
        direction: Direction,
    ) -> Verdict {
        while let Some(stream) = connection.session(session).and_then(|mut session| session.accept(direction)) {
            shared.note(&(self.number, self.down, "accept", stream));
            self.model.accept(session, direction, stream).map_err(|reason| self.blame(&reason))?;
            let key = self.key(stream, !self.down);
            if self.strict {
                shared.ledger.accepted(key, session)?;
            }
            self.reading.insert(stream, Reading::random(shared));
            if direction == Direction::Bidirectional && !shared.script {
                self.begin(connection, shared, stream, Sending { left: 0, finish: true })?;
            } else if direction == Direction::Bidirectional && shared.random.below(3) == 0 {
                let (left, finish) = (shared.any_size(), shared.random.below(2) == 0);
                self.begin(connection, shared, stream, Sending { left, finish })?;
            }
            self.read(connection, shared, stream)?;
        }
        Ok(())
    }

    /// Begins to read a stream of our own.
    pub(super) fn watch(&mut self, shared: &mut Shared, stream: StreamId) {
        self.reading.insert(stream, Reading::random(shared));
    }

    fn read(&mut self, connection: &mut Connection, shared: &mut Shared, stream: StreamId) -> Verdict {
        while let Some(reading) = self.reading.get_mut(&stream).filter(|reading| !reading.paused) {
            // Slow readers of long streams would only take time.
            let max = if reading.read > SMALL { reading.size.max(4_096) } else { reading.size };
            let result = connection.recv_stream(stream).read(max);
            if let Ok(Some(bytes)) = &result {
                reading.read += bytes.len();
                reading.paused = shared.script && shared.random.below(100) == 0;
            }
            self.judge_read(shared, stream, max, &result)?;
            match result {
                Ok(Some(_)) => {}
                Err(ReadError::Blocked) => break,
                Ok(None) | Err(ReadError::Reset(_) | ReadError::Closed) => _ = self.reading.remove(&stream),
            }
        }
        Ok(())
    }

    /// What model and ledger say to the result of a read.
    pub(super) fn judge_read(
        &mut self,
        shared: &mut Shared,
        stream: StreamId,
        max: usize,
        result: &Result<Option<Bytes>, ReadError>,
    ) -> Verdict {
        let size = result.as_ref().map(|bytes| bytes.as_ref().map(Bytes::len));
        shared.note(&(self.number, self.down, stream, size));
        self.model.read(stream, max, result).map_err(|reason| self.blame(&format!("reading {stream}: {reason}")))?;
        if !self.strict {
            return Ok(());
        }
        let key = self.key(stream, !self.down);
        match result {
            Ok(Some(bytes)) => shared.ledger.read(key, bytes),
            Ok(None) => shared.ledger.end(key),
            Err(ReadError::Reset(code)) => shared.ledger.saw_reset(key, *code),
            Err(ReadError::Blocked | ReadError::Closed) => Ok(()),
        }
    }

    /// Adds to what is to be written on a stream and writes what fits.
    pub(super) fn begin(
        &mut self,
        connection: &mut Connection,
        shared: &mut Shared,
        stream: StreamId,
        more: Sending,
    ) -> Verdict {
        let sending = self.sending.entry(stream).or_insert(Sending { left: 0, finish: false });
        sending.left += more.left;
        sending.finish |= more.finish;
        self.send(connection, shared, stream)
    }

    fn send(&mut self, connection: &mut Connection, shared: &mut Shared, stream: StreamId) -> Verdict {
        while let Some(sending) = self.sending.get(&stream).copied() {
            if sending.left == 0 {
                if sending.finish {
                    self.finish(connection, shared, stream)?;
                    self.sending.remove(&stream);
                }
                break;
            }
            match self.write(connection, shared, stream, sending.left)? {
                Ok(taken) => {
                    if let Some(sending) = self.sending.get_mut(&stream) {
                        sending.left = sending.left.saturating_sub(taken as u64);
                    }
                }
                Err(WriteError::Blocked) => break,
                Err(WriteError::Stopped(_) | WriteError::Closed) => _ = self.sending.remove(&stream),
            }
        }
        Ok(())
    }

    /// Writes the stream's next bytes once, with or without a copy.
    pub(super) fn write(
        &mut self,
        connection: &mut Connection,
        shared: &mut Shared,
        stream: StreamId,
        size: u64,
    ) -> Result<Result<usize, WriteError>, String> {
        let key = self.key(stream, self.down);
        let chunk = shared.ledger.next_bytes(key, size);
        let result = if shared.random.below(2) == 0 {
            connection.send_stream(stream).write(chunk)
        } else {
            connection.send_stream(stream).write_bytes(&mut Bytes::from_static(chunk))
        };
        shared.note(&(self.number, self.down, stream, "write", result));
        let verdict = self.model.write(stream, chunk.len(), result);
        verdict.map_err(|reason| self.blame(&format!("writing {stream}: {reason}")))?;
        match result {
            Ok(taken) => shared.ledger.wrote(key, taken),
            Err(WriteError::Stopped(code)) if self.strict => shared.ledger.saw_stop(key, code)?,
            Err(_) => {}
        }
        Ok(result)
    }

    pub(super) fn finish(&mut self, connection: &mut Connection, shared: &mut Shared, stream: StreamId) -> Verdict {
        let key = self.key(stream, self.down);
        let result = connection.send_stream(stream).finish();
        self.model.finish(stream, result).map_err(|reason| self.blame(&format!("finishing {stream}: {reason}")))?;
        match result {
            Ok(()) => shared.ledger.finished(key),
            Err(WriteError::Stopped(code)) if self.strict => shared.ledger.saw_stop(key, code)?,
            Err(_) => {}
        }
        Ok(())
    }

    /// Nothing more is written or read on one half of a stream.
    pub(super) fn let_go(&mut self, stream: StreamId, sending: bool) {
        if sending {
            self.sending.remove(&stream);
        } else {
            self.reading.remove(&stream);
        }
    }

    fn datagrams(&mut self, connection: &mut Connection, shared: &mut Shared, session: SessionId) -> Verdict {
        while let Some(payload) = connection.session(session).and_then(|mut session| session.recv_datagram()) {
            shared.counts.datagrams += 1;
            shared.note(&(self.number, self.down, session, payload.len()));
            if self.strict {
                shared.ledger.got_datagram(self.number, session, !self.down, &payload)?;
            }
        }
        Ok(())
    }

    /// Reads on where it stopped reading; accepts what it left lying.
    pub(super) fn resume(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        if std::mem::take(&mut self.unaccepted) {
            for session in self.model.in_phase(Phase::Open) {
                self.accept_all(connection, shared, session, Direction::Bidirectional)?;
                self.accept_all(connection, shared, session, Direction::Unidirectional)?;
            }
        }
        let paused: Vec<StreamId> =
            self.reading.iter().filter(|(_, reading)| reading.paused).map(|(id, _)| *id).collect();
        for stream in paused {
            if let Some(reading) = self.reading.get_mut(&stream) {
                reading.paused = false;
            }
            self.read(connection, shared, stream)?;
        }
        Ok(())
    }

    /// Ends everything that is still open, behind what is still to be written.
    pub(super) fn finish_all(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        for stream in self.model.sending(Half::Open) {
            self.begin(connection, shared, stream, Sending { left: 0, finish: true })?;
        }
        Ok(())
    }

    pub(super) fn blame(&self, reason: &str) -> String {
        format!("connection {}, {}: {reason}", self.number, if self.down { "server" } else { "client" })
    }
}

impl Reading {
    fn random(shared: &mut Shared) -> Self {
        let size = shared.random.pick(&[1, 7, 100, 1_500, 65_536, usize::MAX]).copied().unwrap_or(1_500);
        Self { size, read: 0, paused: false }
    }
}

/// Bytes of a stream that are read in odd sizes.
const SMALL: usize = 16 * 1024;
