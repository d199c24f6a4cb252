//! From the core's events to wakers and work.

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use transom_core::{ConnectionId, Direction, Event, HttpRequest, Request, Response, SessionEnd, SessionId, StreamId};

use super::entry::{ConnectionEntry, SessionEntry};
use super::phase::{Order, Phase, Shutdown, View};
use super::session_cell::{SessionCell, driver_gone};
use super::shared::{Shared, State};
use super::waiters::{Delivery, Kind, SessionWaiters, Slot};

/// A client's request for a session, to be answered without the lock.
#[derive(Debug)]
pub(crate) struct Requested {
    pub(crate) connection: ConnectionId,
    pub(crate) session: SessionId,
    pub(crate) request: Arc<Request>,
    /// When it came.
    pub(crate) now: Instant,
}

/// A client's plain request, to be answered without the lock.
#[derive(Debug)]
pub(crate) struct HttpRequested {
    pub(crate) connection: ConnectionId,
    pub(crate) stream: StreamId,
    pub(crate) request: HttpRequest,
}

/// What a turn leaves to be done after unlocking.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Tasks to wake.
    pub(crate) wakes: Vec<Waker>,
    /// Requests to answer.
    pub(crate) requests: Vec<Requested>,
    /// Plain requests to answer.
    pub(crate) http_requests: Vec<HttpRequested>,
}

impl Work {
    /// Whether there is any.
    pub(crate) fn is_some(&self) -> bool {
        !self.wakes.is_empty() || self.asks()
    }

    /// Whether there are requests.
    pub(crate) fn asks(&self) -> bool {
        !(self.requests.is_empty() && self.http_requests.is_empty())
    }
}

impl State {
    /// Polls the core's events until there is none.
    pub(crate) fn take_events(&mut self, work: &mut Work) {
        while let Some((connection, event)) = self.endpoint.poll_event() {
            self.take_event(connection, event, work);
        }
    }

    fn take_event(&mut self, connection: ConnectionId, event: Event, work: &mut Work) {
        match event {
            Event::SessionRequested { .. }
            | Event::HttpRequest { .. }
            | Event::SessionEnded { .. }
            | Event::SessionRefused { .. }
            | Event::SessionEstablished { .. }
            | Event::ConnectionLost { .. } => self.take_rare_event(connection, event, work),
            Event::StreamFinished { stream } => {
                self.stream_over(connection, stream, Delivery::Acknowledged, work);
            }
            Event::StreamStopped { stream, code } => {
                self.stream_over(connection, stream, Delivery::Stopped(code), work);
            }
            hint => {
                if let Some(entry) = self.connections.get_mut(&connection) {
                    take_hint(entry, &hint, &mut work.wakes);
                }
            }
        }
    }

    /// What comes once for a session or connection, apart from what comes with every message.
    #[cold]
    fn take_rare_event(&mut self, connection: ConnectionId, event: Event, work: &mut Work) {
        match event {
            Event::SessionRequested { session } => self.requested(connection, session, work),
            Event::HttpRequest { stream } => {
                let core = self.endpoint.connection(connection);
                if let Some(request) = core.and_then(|core| core.http_request(stream).cloned()) {
                    work.http_requests.push(HttpRequested { connection, stream, request });
                }
            }
            Event::SessionEnded { session, end } => self.end_session(connection, session, end, work),
            Event::SessionRefused { session, response } => self.refused(connection, session, *response, work),
            Event::SessionEstablished { session, response } => self.established(connection, session, *response, work),
            Event::ConnectionLost { error } => {
                if let Some(entry) = self.connections.get_mut(&connection) {
                    let sessions = entry.lose(&error, &mut work.wakes);
                    self.forget_if_over(connection);
                    self.sessions_ended(sessions);
                }
            }
            // Taken where it came in.
            _ => {}
        }
    }

    fn requested(&mut self, connection: ConnectionId, session: SessionId, work: &mut Work) {
        let request = self.endpoint.connection(connection).and_then(|core| core.request(session).cloned());
        if let Some(request) = request {
            work.requests.push(Requested { connection, session, request, now: self.now });
        }
    }

    fn established(&mut self, connection: ConnectionId, session: SessionId, response: Response, work: &mut Work) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        if let Some(SessionEntry { cell, .. }) = entry.sessions.get(&session).map(Box::as_ref) {
            let _ = cell.response.set(Arc::new(response));
        }
        entry.wake_session(session, Kind::Answer, &mut work.wakes);
    }

    fn refused(&mut self, connection: ConnectionId, session: SessionId, response: Response, work: &mut Work) {
        if let Some(entry) = self.connections.get(&connection).and_then(|entry| entry.sessions.get(&session)) {
            let _ = entry.cell.response.set(Arc::new(response));
        }
        // Who waits for the answer looks at it before the end.
        let end = SessionEnd::ClosedByPeer { code: 0, reason: String::new() };
        self.end_session(connection, session, end, work);
    }

    /// Answers a plain request, if it is still there.
    pub(crate) fn respond(&mut self, requested: &HttpRequested, response: Response, body: Bytes, now: Instant) {
        if let Some(core) = self.endpoint.connection(requested.connection)
            && core.respond(requested.stream, response, body).is_ok()
        {
            self.wake_driver();
            // An answer needs the same time to arrive as the close of a session.
            self.last_end = Some(now);
        }
    }

    /// It is known what became of what was written on a finished stream.
    fn stream_over(&mut self, connection: ConnectionId, stream: StreamId, delivery: Delivery, work: &mut Work) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        if entry.awaits_delivery(stream) {
            entry.delivered(stream, delivery, &mut work.wakes);
        }
        entry.wake_sessions(Kind::Acknowledged, &mut work.wakes);
    }

    fn end_session(&mut self, connection: ConnectionId, session: SessionId, end: SessionEnd, work: &mut Work) {
        if let Some(entry) = self.connections.get_mut(&connection)
            && entry.end_session(session, end, &mut work.wakes)
        {
            self.sessions_ended(1);
            self.end_if_unused();
        }
    }

    /// Forgets a connection with which nothing is left to do.
    pub(crate) fn forget_if_over(&mut self, connection: ConnectionId) {
        if self.connections.get(&connection).is_some_and(ConnectionEntry::is_over) {
            self.connections.remove(&connection);
        }
    }

    /// Closes a client's connection when nobody has a session on it or is about to ask for one.
    pub(crate) fn end_if_unused(&mut self) {
        if self.ends_with_session && self.open_sessions == 0 && self.asking == 0 {
            self.shutdown.get_or_insert(Shutdown::Graceful(Duration::ZERO));
        }
    }

    fn sessions_ended(&mut self, count: usize) {
        self.open_sessions -= count;
        if count > 0 {
            self.last_end = Some(self.now);
        }
    }

    /// Makes the handles' side of a session that the core has accepted or asked for.
    pub(crate) fn add_session(
        &mut self,
        shared: &Arc<Shared>,
        connection: ConnectionId,
        session: SessionId,
        request: Arc<Request>,
    ) -> Option<Arc<SessionCell>> {
        if self.stopped {
            return None;
        }
        let remote = self.endpoint.connection(connection)?.remote_address();
        let cell = Arc::new(SessionCell::new(Arc::clone(shared), connection, session, request, remote));
        let entry = SessionEntry { cell: Arc::clone(&cell), waiters: SessionWaiters::default() };
        self.connections.entry(connection).or_default().sessions.insert(session, Box::new(entry));
        self.open_sessions += 1;
        Some(cell)
    }

    /// Takes the next step towards the end if it is due; whether it was.
    pub(crate) fn advance_phase(&mut self) -> bool {
        let view = View {
            now: self.now,
            busy: self.open_sessions > 0 || self.running_handlers > 0,
            drained: self.endpoint.is_drained(),
            last_end: self.last_end,
        };
        let Some((phase, order)) = self.phase.next(self.shutdown, view) else { return false };
        self.phase = phase;
        match order {
            Some(Order::Drain) => self.endpoint.drain(self.now),
            Some(Order::CloseSessions) => self.close_sessions(),
            Some(Order::CloseConnections) => {
                self.endpoint.close(self.now, transom_core::ErrorCode::H3_NO_ERROR, self.goodbye);
            }
            None => {}
        }
        true
    }

    fn close_sessions(&mut self) {
        // From now on nobody gets in, even if there was no time to drain.
        self.endpoint.drain(self.now);
        let open: Vec<(ConnectionId, SessionId)> = self
            .connections
            .iter()
            .flat_map(|(connection, entry)| entry.sessions.keys().map(|session| (*connection, *session)))
            .collect();
        for (connection, session) in open {
            if let Some(core) = self.endpoint.connection(connection)
                && let Some(mut session) = core.session(session)
            {
                session.close(0, self.goodbye);
            }
        }
    }

    /// For the driver that goes: nothing will happen any more, so nobody may wait.
    pub(crate) fn abandon(&mut self, work: &mut Work) {
        let mut sessions = 0;
        self.connections.retain(|_, entry| {
            sessions += entry.lose(&driver_gone(), &mut work.wakes);
            !entry.is_over()
        });
        self.sessions_ended(sessions);
        if self.phase != Phase::Done && self.failure.is_none() {
            self.failure = Some(Arc::new(io::Error::other("the endpoint's driver stopped before its work was done")));
        }
        self.stopped = true;
        self.done.wake_all(&mut work.wakes);
    }
}

/// Events that only say where to look.
fn take_hint(entry: &mut ConnectionEntry, hint: &Event, wakes: &mut Vec<Waker>) {
    match *hint {
        Event::Connected => entry.connected(wakes),
        Event::StreamReadable { stream } => entry.wake_stream(stream, &[Slot::Read], wakes),
        Event::StreamWritable { stream } => entry.wake_stream(stream, &[Slot::Write, Slot::Stopped], wakes),
        Event::StreamOpened { session, direction } => {
            let kind = match direction {
                Direction::Bidirectional => Kind::AcceptBidirectional,
                Direction::Unidirectional => Kind::AcceptUnidirectional,
            };
            entry.wake_session(session, kind, wakes);
        }
        Event::StreamsAvailable { direction } => {
            let kind = match direction {
                Direction::Bidirectional => Kind::OpenBidirectional,
                Direction::Unidirectional => Kind::OpenUnidirectional,
            };
            entry.wake_sessions(kind, wakes);
            // A client may wait to ask for its session.
            entry.setup.wake_all(wakes);
        }
        Event::DatagramReceived { session } => entry.wake_session(session, Kind::Datagram, wakes),
        Event::DatagramsUnblocked => entry.wake_sessions(Kind::DatagramRoom, wakes),
        // A client may wait to ask for its session, in vain now.
        Event::GoingAway => entry.setup.wake_all(wakes),
        Event::SessionDraining { session } => {
            if let Some(SessionEntry { cell, .. }) = entry.sessions.get(&session).map(Box::as_ref) {
                cell.peer_drains();
            }
            entry.wake_session(session, Kind::Draining, wakes);
        }
        // The facts are taken elsewhere; events of later versions say nothing to us.
        _ => {}
    }
}
