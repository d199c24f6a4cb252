//! The graceful end of a connection, ours and the peer's (RFC 9114, section 5.2; draft-ietf-webtrans-http3-16, section
//! 4.7).

use super::{Connection, Timer};
use crate::session::SessionState;
use crate::session::transition::Input;
use crate::{ConnectionError, ErrorCode, Event, Role, StreamId};

/// How far we are with leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Leaving {
    /// Sessions are open, or nobody asked us to leave.
    #[default]
    No,
    /// GOAWAY was sent; what the client asked before it could know is being turned away.
    Announced,
    /// The connection is closed as soon as everything has arrived.
    Flushing,
    /// It is closed whatever has arrived.
    Overdue,
}

impl Connection {
    /// Brings the connection to its end: new sessions are refused with 503 and open ones are asked to wind down. When
    /// none is left, a server sends GOAWAY, and the connection is closed with H3_NO_ERROR once everything has arrived.
    ///
    /// Nothing limits the time that open sessions take; close them when it is over.
    pub fn drain(&mut self) {
        // Once is enough: a session accepted from now on is told when it is accepted.
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        for id in self.sessions.ids() {
            self.apply(id, Input::Drain);
        }
        self.act();
    }

    /// Whether the server takes no more requests on this connection: sessions need a new one, those that are open go on.
    pub fn is_going_away(&self) -> bool {
        self.h3.peer_goes_away()
    }

    /// Takes the next step of leaving if it is due. Called with the time known.
    ///
    /// GOAWAY waits for the end of all sessions: Chromium 156 closes the connection when a session opens a stream after
    /// it.
    pub(super) fn leave(&mut self) {
        let unused = self.draining && self.connected && self.sessions.ids().is_empty() && !self.plain.is_waiting();
        if !unused || self.error.is_some() {
            return;
        }
        match self.leaving {
            Leaving::No if self.role() == Role::Server => self.announce_leaving(),
            // A client's GOAWAY would only be about pushes, and there are none.
            Leaving::No => self.leave_when_flushed(),
            Leaving::Announced | Leaving::Flushing | Leaving::Overdue => {}
        }
        let flushed = self.leaving == Leaving::Flushing && self.quic.unacknowledged_streams() <= CONTROL_STREAMS;
        if flushed || self.leaving == Leaving::Overdue {
            let (code, reason) = (ErrorCode::H3_NO_ERROR, String::new());
            self.end(ConnectionError::ClosedLocally { code, reason }, Some(code));
        }
    }

    fn announce_leaving(&mut self) {
        self.leaving = Leaving::Announced;
        let first = StreamId(self.client_bidi_opened * 4);
        if let (Some(control), Some(frame)) = (self.control, self.h3.go_away(first))
            && let Some(http) = self.streams.http(control)
        {
            http.outbox.push_back(frame);
            self.flush(control);
        }
        // What was sent before GOAWAY arrived is here one round trip after it left. A lost one is sent again in the
        // same time, which no longer happens once the connection is closed.
        let linger = (3 * self.quic.stats().rtt).max(self.config.close_flush_timeout);
        self.timers.set(Timer::Leave, self.now.checked_add(linger));
    }

    fn leave_when_flushed(&mut self) {
        self.leaving = Leaving::Flushing;
        self.timers.set(Timer::Leave, self.now.checked_add(self.config.request_timeout));
    }

    pub(super) fn leave_timeout(&mut self) {
        match self.leaving {
            Leaving::Announced => self.leave_when_flushed(),
            Leaving::No | Leaving::Flushing | Leaving::Overdue => self.leaving = Leaving::Overdue,
        }
    }

    /// The peer sent GOAWAY: on a client, requests from `id` on will never be looked at, and to open sessions it is like
    /// the wish to wind down. A server has no pushes that it could be about.
    pub(super) fn peer_goes_away(&mut self, id: u64) {
        tracing::debug!(remote = %self.quic.remote_address(), id, "the peer sent GOAWAY");
        if self.role() == Role::Server {
            return;
        }
        for session in self.sessions.ids() {
            let open = self.sessions.get(session).is_some_and(SessionState::is_open);
            if open {
                self.apply(session, Input::PeerDrain);
            } else if session.0 >= id {
                self.apply(session, Input::Unprocessed);
            }
        }
        self.hints.push(Event::GoingAway);
    }
}

/// Streams of ours that never end.
const CONTROL_STREAMS: usize = 1;
