//! A reference model of one side of a connection: what its application has been shown, and what may come next.
//!
//! It is stepped with every event and with the result of every command, and says in a sentence what is not allowed. It
//! knows nothing of the other side; that is the ledger's part.

use std::collections::BTreeMap;
use std::fmt::Display;

use bytes::Bytes;
use transom_core::{
    Direction, Event, OpenError, ReadError, Role, SessionEnd, SessionId, StreamId, UnknownSession, WriteError,
};

/// Nothing wrong, or what is.
pub(super) type Verdict = Result<(), String>;

/// One side of one connection.
#[derive(Debug)]
pub(super) struct Model {
    role: Role,
    pub(super) connected: bool,
    pub(super) lost: bool,
    going_away: bool,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) streams: BTreeMap<StreamId, Stream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Requested,
    Open,
    /// Closed or given up by a command; its end has not been told.
    Closing,
    Over,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) phase: Phase,
    /// What a local end must say.
    pub(super) closed: Option<(u32, String)>,
    /// A plain end was asked for and takes effect soon.
    pub(super) finishing: bool,
}

/// A half of a stream; the sending one is `Finished` between its end and the news that all of it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Open,
    Finished,
    Over,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) session: SessionId,
    pub(super) send: Half,
    pub(super) recv: Half,
}

impl Model {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            connected: false,
            lost: false,
            going_away: false,
            sessions: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Sessions in a phase, in order.
    pub(super) fn in_phase(&self, phase: Phase) -> Vec<SessionId> {
        self.sessions.iter().filter(|(_, session)| session.phase == phase).map(|(id, _)| *id).collect()
    }

    /// Streams whose sending or receiving half is in a state, in order.
    pub(super) fn sending(&self, half: Half) -> Vec<StreamId> {
        self.streams.iter().filter(|(_, stream)| stream.send == half).map(|(id, _)| *id).collect()
    }

    pub(super) fn receiving(&self) -> Vec<StreamId> {
        self.streams.iter().filter(|(_, stream)| stream.recv == Half::Open).map(|(id, _)| *id).collect()
    }

    // Events.

    pub(super) fn event(&mut self, event: &Event) -> Verdict {
        if self.lost {
            return Err("an event after ConnectionLost".into());
        }
        match event {
            Event::Connected => self.connect(),
            Event::SessionRequested { session } => self.requested(*session),
            Event::SessionEstablished { session, .. } => self.answered(*session, Phase::Open),
            Event::SessionRefused { session, .. } => self.answered(*session, Phase::Over),
            Event::SessionEnded { session, end } => self.ended(*session, end),
            Event::SessionDraining { session }
            | Event::DatagramReceived { session }
            | Event::StreamOpened { session, .. } => self.needs_open(*session),
            Event::StreamReadable { stream } => self.hint(*stream, |stream| stream.recv != Half::Over),
            Event::StreamWritable { stream } => self.hint(*stream, |stream| stream.send == Half::Open),
            Event::StreamFinished { stream } | Event::StreamStopped { stream, .. } => self.told(*stream),
            Event::GoingAway => {
                require(!self.going_away && self.role == Role::Client, "the peer goes away once")?;
                self.going_away = true;
                Ok(())
            }
            Event::ConnectionLost { .. } => self.lose(),
            _ => Ok(()),
        }
    }

    fn connect(&mut self) -> Verdict {
        require(!self.connected, "Connected came twice")?;
        self.connected = true;
        Ok(())
    }

    fn requested(&mut self, id: SessionId) -> Verdict {
        require(self.role == Role::Server, "a client was asked for a session")?;
        require(self.connected, "a request before Connected")?;
        let session = Session { phase: Phase::Requested, closed: None, finishing: false };
        require(self.sessions.insert(id, session).is_none(), "the session is not new")
    }

    fn answered(&mut self, id: SessionId, phase: Phase) -> Verdict {
        require(self.role == Role::Client, "a server was answered")?;
        match self.sessions.get_mut(&id) {
            Some(session) if session.phase == Phase::Requested => {
                session.phase = phase;
                Ok(())
            }
            other => Err(format!("an answer to {other:?}")),
        }
    }

    fn ended(&mut self, id: SessionId, end: &SessionEnd) -> Verdict {
        let Some(session) = self.sessions.get_mut(&id) else { return Err("the session is not known".into()) };
        match (session.phase, end) {
            (Phase::Over, _) => return Err("the session was over".into()),
            (Phase::Closing, SessionEnd::ClosedLocally { code, reason }) => {
                let told = (*code, reason.clone());
                require(session.closed.as_ref() == Some(&told), format_args!("closed with {:?}", session.closed))?;
            }
            (Phase::Closing, SessionEnd::ConnectionLost(_)) if session.closed.is_none() => {}
            (Phase::Closing, _) => return Err("closed on our side".into()),
            (_, SessionEnd::ClosedLocally { code, reason }) => {
                let plain = session.finishing && *code == 0 && reason.is_empty();
                require(plain, "nobody here closed the session")?;
            }
            (phase, SessionEnd::AnswerTimedOut) => require(phase == Phase::Requested, "the answer was given")?,
            _ => {}
        }
        session.phase = Phase::Over;
        for stream in self.streams.values_mut().filter(|stream| stream.session == id) {
            (stream.send, stream.recv) = (Half::Over, Half::Over);
        }
        Ok(())
    }

    fn needs_open(&self, id: SessionId) -> Verdict {
        let phase = self.sessions.get(&id).map(|session| session.phase);
        require(phase == Some(Phase::Open), format_args!("the session is {phase:?}"))
    }

    /// A hint may be for a stream of the peer that waits to be accepted.
    fn hint(&self, id: StreamId, fits: impl Fn(&Stream) -> bool) -> Verdict {
        match self.streams.get(&id) {
            Some(stream) => require(fits(stream), format_args!("the stream is {stream:?}")),
            None => require(id.initiator() != self.role, "the stream was never opened"),
        }
    }

    fn told(&mut self, id: StreamId) -> Verdict {
        match self.streams.get_mut(&id) {
            Some(stream) if stream.send == Half::Finished => {
                stream.send = Half::Over;
                Ok(())
            }
            other => Err(format!("the stream is {other:?}")),
        }
    }

    fn lose(&mut self) -> Verdict {
        self.lost = true;
        let untold = self.sessions.iter().find(|(_, session)| session.phase != Phase::Over);
        require(untold.is_none(), format_args!("not told before: {untold:?}"))
    }

    // Commands on sessions.

    pub(super) fn asked(&mut self, result: Result<SessionId, OpenError>) -> Verdict {
        match result {
            Ok(id) => {
                require(self.connected && self.role == Role::Client, "asked before Connected")?;
                let session = Session { phase: Phase::Requested, closed: None, finishing: false };
                require(self.sessions.insert(id, session).is_none(), "the session is not new")
            }
            Err(OpenError::Blocked) => Ok(()),
            Err(OpenError::Closed) => require(self.lost || self.going_away, "Closed on a living connection"),
        }
    }

    /// The application answered a request: with `Open` it accepted.
    pub(super) fn answer(&mut self, id: SessionId, phase: Phase, result: Result<(), UnknownSession>) -> Verdict {
        let Some(session) = self.sessions.get_mut(&id) else { return require(result.is_err(), "not a session") };
        let waits = session.phase == Phase::Requested && self.role == Role::Server;
        require(result.is_ok() == waits, format_args!("answering {session:?} gave {result:?}"))?;
        if waits {
            session.phase = phase;
        }
        Ok(())
    }

    /// The application looked for a session.
    pub(super) fn looked_for(&self, id: SessionId, found: bool) -> Verdict {
        let phase = self.sessions.get(&id).map(|session| session.phase);
        let live = matches!(phase, Some(Phase::Requested | Phase::Open));
        require(live == found, format_args!("session {id} is {phase:?}, found: {found}"))
    }

    pub(super) fn closed(&mut self, id: SessionId, code: u32, reason: &str) {
        if let Some(session) = self.sessions.get_mut(&id)
            && !(session.finishing && code == 0 && reason.is_empty())
        {
            session.phase = Phase::Closing;
            session.closed = Some((code, reason.to_owned()));
        }
    }

    pub(super) fn finishing(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.finishing |= session.phase == Phase::Open;
        }
    }

    /// The application closed the connection: every end is the connection's.
    pub(super) fn connection_closed(&mut self) {
        for session in self.sessions.values_mut().filter(|session| session.phase != Phase::Over) {
            session.phase = Phase::Closing;
        }
    }

    // Commands on streams.

    pub(super) fn open(
        &mut self,
        session: SessionId,
        direction: Direction,
        result: Result<StreamId, OpenError>,
    ) -> Verdict {
        let is_open = self.sessions.get(&session).is_some_and(|session| session.phase == Phase::Open);
        match result {
            Ok(id) => {
                require(is_open, "opened a stream in a session that is not open")?;
                require(id.initiator() == self.role && id.direction() == direction, "the id does not fit")?;
                self.insert(id, session)
            }
            Err(OpenError::Blocked) => require(is_open, "Blocked for a session that is not open"),
            Err(OpenError::Closed) => require(!is_open, "Closed for a session that is open"),
        }
    }

    pub(super) fn accept(&mut self, session: SessionId, direction: Direction, id: StreamId) -> Verdict {
        self.needs_open(session)?;
        require(id.initiator() != self.role && id.direction() == direction, "the id does not fit")?;
        self.insert(id, session)
    }

    fn insert(&mut self, id: StreamId, session: SessionId) -> Verdict {
        let ours = id.initiator() == self.role;
        let both = id.direction() == Direction::Bidirectional;
        let half = |there| if there { Half::Open } else { Half::Over };
        let stream = Stream { session, send: half(both || ours), recv: half(both || !ours) };
        require(self.streams.insert(id, stream).is_none(), "the stream is not new")
    }

    pub(super) fn write(&mut self, id: StreamId, size: usize, result: Result<usize, WriteError>) -> Verdict {
        let open = self.send_half(id) == Half::Open;
        match result {
            Ok(taken) => {
                require(open && taken <= size && (taken > 0) == (size > 0), format_args!("{size} bytes, took {taken}"))
            }
            Err(WriteError::Blocked) => require(open, "Blocked on a stream that is over"),
            Err(WriteError::Stopped(_)) => self.end_send(id, open, "Stopped was told before"),
            Err(WriteError::Closed) => require(!open, "Closed on an open stream"),
        }
    }

    pub(super) fn finish(&mut self, id: StreamId, result: Result<(), WriteError>) -> Verdict {
        let open = self.send_half(id) == Half::Open;
        match result {
            Ok(()) => {
                require(open, "finished twice")?;
                self.streams.get_mut(&id).map(|stream| stream.send = Half::Finished).ok_or("no stream".into())
            }
            Err(WriteError::Blocked) => Err("a finish is never Blocked".into()),
            Err(WriteError::Stopped(_)) => self.end_send(id, open, "Stopped was told before"),
            Err(WriteError::Closed) => require(!open, "Closed on an open stream"),
        }
    }

    pub(super) fn reset(&mut self, id: StreamId, result: Result<(), WriteError>) -> Verdict {
        let over = self.send_half(id) == Half::Over;
        match result {
            Ok(()) => self.end_send(id, !over, "reset twice"),
            Err(WriteError::Closed) => require(over, "Closed on a stream that can be reset"),
            Err(other) => Err(format!("a reset gave {other:?}")),
        }
    }

    pub(super) fn read(&mut self, id: StreamId, max: usize, result: &Result<Option<Bytes>, ReadError>) -> Verdict {
        let open = self.streams.get(&id).is_some_and(|stream| stream.recv == Half::Open);
        match result {
            Ok(Some(bytes)) => {
                let fits = bytes.len() <= max && bytes.is_empty() == (max == 0);
                require(open && fits, format_args!("{} bytes where {max} were asked for", bytes.len()))
            }
            Err(ReadError::Blocked) => require(open, "Blocked on a stream that is over"),
            Err(ReadError::Closed) => require(!open, "Closed on an open stream"),
            Ok(None) | Err(ReadError::Reset(_)) => self.end_receive(id, open),
        }
    }

    pub(super) fn stop(&mut self, id: StreamId, result: Result<(), ReadError>) -> Verdict {
        let open = self.streams.get(&id).is_some_and(|stream| stream.recv == Half::Open);
        match result {
            Ok(()) => self.end_receive(id, open),
            Err(ReadError::Closed) => require(!open, "Closed on an open stream"),
            Err(other) => Err(format!("a stop gave {other:?}")),
        }
    }

    fn send_half(&self, id: StreamId) -> Half {
        self.streams.get(&id).map_or(Half::Over, |stream| stream.send)
    }

    fn end_send(&mut self, id: StreamId, may: bool, otherwise: &str) -> Verdict {
        require(may, otherwise)?;
        self.streams.get_mut(&id).map(|stream| stream.send = Half::Over).ok_or("no stream".into())
    }

    fn end_receive(&mut self, id: StreamId, may: bool) -> Verdict {
        require(may, "the end was told before")?;
        self.streams.get_mut(&id).map(|stream| stream.recv = Half::Over).ok_or("no stream".into())
    }
}

pub(super) fn require(holds: bool, otherwise: impl Display) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}
