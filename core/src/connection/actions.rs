//! From HTTP/3 outwards: its orders carried out on QUIC and on sessions.

use std::net::SocketAddr;

use bytes::Bytes;

use super::flow::new_flow;
use super::qlog;
use super::quic::Ahead;
use super::streams::{Entry, SendHalf, WebTransportStream};
use super::{Connection, Timer};
use crate::h3::{Action, GLITCH_REFUSED, GLITCH_RESET};
use crate::session::SessionState;
use crate::session::registry::Past;
use crate::session::transition::Input;
use crate::{Direction, ErrorCode, Event, Request, Response, SessionId, StreamId};

impl Connection {
    /// Carries out everything HTTP/3 has ordered.
    pub(super) fn act(&mut self) {
        self.carry_out();
        let glitches = self.h3.take_glitches();
        if glitches > 0 {
            self.glitch(glitches);
        }
        // An answered request is read out whatever led to the answer: QUIC may have nothing more to report of it.
        while let Some(stream) = self.to_read.pop() {
            self.read_http(stream);
        }
    }

    /// The same, without reading on.
    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.h3.poll_action() {
            if self.error.is_none() {
                self.action(action);
            }
        }
    }

    fn action(&mut self, action: Action) {
        match action {
            Action::Send { stream, bytes } => {
                if let Some(http) = self.streams.http(stream) {
                    http.outbox.push_back(bytes);
                    self.flush(stream);
                }
            }
            Action::Finish { stream } => {
                if let Some(http) = self.streams.http(stream) {
                    http.finish = true;
                    self.flush(stream);
                }
            }
            Action::Abort { stream, code } => self.abort_stream(stream, code),
            Action::Answered { stream } => {
                if let Some(http) = self.streams.http(stream) {
                    http.answered = true;
                    self.to_read.push(stream);
                }
                self.timers.set(Timer::Undecided(stream), None);
            }
            Action::Forget { stream } => {
                self.timers.set(Timer::Undecided(stream), None);
                self.http_forgotten(stream);
                if let Some(http) = self.streams.http(stream) {
                    http.forgotten = true;
                    self.flush(stream);
                }
            }
            Action::Settings => self.announce(),
            Action::Attach { stream, session } => self.attach_known(stream, session),
            Action::Request { stream, request } => self.requested(SessionId(stream.0), *request),
            Action::Plain { stream, request } => self.http_requested(stream, request),
            Action::Response { stream, response } => self.answered(SessionId(stream.0), *response),
            Action::Capsules { stream, bytes } => self.capsules(SessionId(stream.0), bytes),
            Action::Meaningless { stream } => self.apply(SessionId(stream.0), Input::Surplus),
            Action::Ended { stream } => {
                let id = SessionId(stream.0);
                if let Some(session) = self.sessions.get(id) {
                    let input = session.receive_finish();
                    self.apply(id, input);
                }
            }
            Action::Aborted { stream, .. } if self.http_cancelled(stream) => {}
            Action::Aborted { stream, code } => self.apply(SessionId(stream.0), Input::PeerReset { code }),
            Action::Unknown { stream } => self.unseen(None, stream),
            Action::Unprocessed { stream } => self.apply(SessionId(stream.0), Input::Unprocessed),
            Action::GoAway { id } => self.peer_goes_away(id),
            Action::Close(violation) => self.violation(violation.code, violation.reason),
        }
    }

    fn capsules(&mut self, id: SessionId, bytes: Bytes) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let outcome = session.receive_capsules(bytes);
        for released in outcome.released {
            self.released(released);
        }
        for input in outcome.inputs {
            self.apply(id, input);
        }
        self.glitch(outcome.glitches);
    }

    fn abort_stream(&mut self, stream: StreamId, code: ErrorCode) {
        self.quic.reset(stream, code);
        self.stop_quic(stream, code);
        if let Some(http) = self.streams.http(stream) {
            http.outbox.clear();
            http.finish = false;
        }
    }

    /// Spends the peer's budget of oddities.
    pub(super) fn glitch(&mut self, cost: u32) {
        if cost > 0 && !self.budget.spend(self.now, cost) {
            self.violation(ErrorCode::H3_EXCESSIVE_LOAD, "too many protocol oddities");
        }
    }

    /// A client asks for a session.
    fn requested(&mut self, id: SessionId, mut request: Request) {
        if self.streams.http(id.stream()).is_some_and(|http| http.stopped.is_some()) {
            // Its client does not want the answer, and said so before we had all of the question.
            return self.turn_away(id, ErrorCode::H3_REQUEST_CANCELLED);
        }
        // On a socket for both families IPv4 addresses come as IPv6 ones; people and rate limits mean the former.
        let remote = self.quic.remote_address();
        request.remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let allowed = self.h3.max_sessions(request.dialect);
        if self.sessions.live() >= allowed {
            // The end of one may have come in the same batch.
            for open in self.sessions.ids() {
                self.read_http(open.stream());
            }
            // And so may something that ends the connection.
            if self.error.is_some() {
                return;
            }
        }
        if !self.connects.spend(self.now, 1) || self.sessions.live() >= allowed {
            // Beyond a limit: the surplus goes, the sessions that are there are not harmed (draft-16, section 5.1).
            return self.turn_away(id, ErrorCode::H3_REQUEST_REJECTED);
        }
        self.timers.set(Timer::Undecided(id.stream()), None);
        self.qlog.write(self.now, id, qlog::Entry::Requested(&request));
        if self.draining {
            return self.unavailable(id);
        }
        let flow = new_flow(&self.h3, request.dialect);
        self.sessions.insert(SessionState::new(id, request, flow));
        let deadline = self.now.checked_add(self.config.accept_timeout);
        self.timers.set(Timer::Answer(id), deadline);
        if let Some(deadline) = deadline {
            self.early.extend(id, deadline);
            self.timers.set(Timer::Early, self.early.deadline());
        }
        self.hints.push(Event::SessionRequested { session: id });
    }

    /// Answers a request with 503. It never becomes a session: what came behind it may end the connection, and then
    /// applications would hear of the end of a session that they know nothing of.
    fn unavailable(&mut self, id: SessionId) {
        let response = Response::new(http::StatusCode::SERVICE_UNAVAILABLE);
        self.counters.sessions_refused += 1;
        self.qlog.write(self.now, id, qlog::Entry::Refused(&response));
        self.reject_early(id);
        self.sessions.remember(id, Past::Refused);
        self.h3.refuse(id, &response);
    }

    /// Turns away a request without an answer.
    fn turn_away(&mut self, id: SessionId, code: ErrorCode) {
        self.counters.sessions_refused += 1;
        self.glitch(GLITCH_RESET);
        self.reject_early(id);
        self.sessions.remember(id, Past::Refused);
        self.h3.abort(id, code);
    }

    /// The header of a WebTransport stream that has been waited for is read.
    fn attach_known(&mut self, stream: StreamId, id: SessionId) {
        self.timers.set(Timer::Undecided(stream), None);
        let stopped = self.streams.http(stream).and_then(|http| http.stopped);
        self.attach(stream, id, stopped, Ahead::default());
    }

    /// The header of a WebTransport stream is read, and perhaps what is behind it: find its session, hold it, or turn it
    /// away. `stopped`: what the peer said of our half.
    pub(super) fn attach(&mut self, stream: StreamId, id: SessionId, stopped: Option<ErrorCode>, ahead: Ahead) {
        self.counters.streams_opened_by_peer += 1;
        self.qlog.write(self.now, id, qlog::Entry::Opened(stream));
        let sends = stream.direction() == Direction::Bidirectional;
        let entry = |held| {
            let mut entry = WebTransportStream::incoming(id, sends, held);
            if let (true, Some(code)) = (sends, stopped) {
                entry.send = SendHalf::Stopped(code);
            }
            entry
        };
        if let Some(session) = self.sessions.get_mut(id)
            && session.is_open()
        {
            let counted = session.flow.is_some();
            if session.push_incoming(stream).is_err() {
                self.reject(stream, ErrorCode::WT_SESSION_GONE);
                return self.overused(id);
            }
            let mut entry = entry(false);
            entry.counted = counted;
            entry.put_ahead(ahead);
            self.streams.insert(stream, Entry::WebTransport(entry));
            self.hints.push(Event::StreamOpened { session: id, direction: stream.direction() });
            return;
        }
        let waits = self.sessions.get(id).is_some_and(SessionState::is_live) || self.may_become_session(id);
        if waits
            && let Some(deadline) = self.hold_deadline(id)
            && self.early.hold_stream(id, deadline, stream)
        {
            self.streams.insert(stream, Entry::WebTransport(entry(true)));
            self.timers.set(Timer::Early, self.early.deadline());
            return;
        }
        self.unseen(Some(id), stream);
        // Stragglers of a session that just ended are normal, streams of what never was a session are not.
        if self.sessions.past(id) == Some(Past::Closed) || self.sessions.get(id).is_some() {
            self.reject(stream, ErrorCode::WT_SESSION_GONE);
        } else {
            self.glitch(GLITCH_REFUSED);
            self.reject(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
        }
    }

    /// Resets and stops a WebTransport stream that the application never saw.
    pub(super) fn reject(&mut self, stream: StreamId, code: ErrorCode) {
        self.quic.reset(stream, code);
        self.stop_quic(stream, code);
        self.streams.remove(stream);
    }
}
