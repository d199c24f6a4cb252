//! Sessions on their connection: asked for, accepted, ended, and what the end of one does to its streams.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use super::flow::new_flow;
use super::qlog::Entry as Logged;
use super::streams::{Entry, HttpStream, SendHalf};
use super::{Connection, Timer};
use crate::h3::{GLITCH_REFUSED, GLITCH_RESET};
use crate::session::SessionState;
use crate::session::registry::Past;
use crate::session::transition::{Effect, Input};
use crate::wire::capsule::Capsule;
use crate::{Direction, ErrorCode, Event, OpenError, Request, Response, Role, SessionEnd, SessionId, StreamId};

impl Connection {
    pub(super) fn accept_session(&mut self, id: SessionId, mut response: Response) -> Option<Arc<Response>> {
        let session = self.sessions.get_mut(id)?;
        // RFC 9297, section 3.2, forbids 204, 205 and 206 with the capsule protocol.
        if !response.status.is_success() || matches!(response.status.as_u16(), 204..=206) {
            response.status = StatusCode::OK;
        }
        response.protocol = response.protocol.filter(|protocol| session.request.protocols.contains(protocol));
        self.h3.accept(id, &session.request, &response);
        let response = Arc::new(response);
        session.response = Some(Arc::clone(&response));
        self.apply(id, Input::Accept);
        self.established(id);
        if self.draining {
            self.apply(id, Input::Drain);
        }
        self.act();
        // What came behind the request was left unread until now.
        self.read_http(id.stream());
        Some(response)
    }

    pub(super) fn refuse_session(&mut self, id: SessionId, mut response: Response) {
        if response.status.is_success() || response.status.is_informational() {
            response.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        self.counters.sessions_refused += 1;
        self.qlog.write(self.now, id, Logged::Refused(&response));
        self.h3.refuse(id, &response);
        // What follows the request may end the connection; by then the session must be over.
        self.carry_out();
        self.apply(id, Input::Refuse);
        self.act();
    }

    /// Opens a stream and asks for a session on it (client).
    pub(super) fn open_session(&mut self, mut request: Request) -> Result<SessionId, OpenError> {
        let stream = self.quic.open(Direction::Bidirectional).ok_or(OpenError::Blocked)?;
        self.streams.insert(stream, Entry::Http(HttpStream::default()));
        request.remote = self.quic.remote_address();
        self.h3.request(stream, &mut request);
        let id = SessionId(stream.0);
        self.qlog.write(self.now, id, Logged::Requested(&request));
        let flow = new_flow(&self.h3, request.dialect);
        self.sessions.insert(SessionState::new(id, request, flow));
        self.to_arm.push((Timer::Answer(id), self.config.response_timeout));
        self.act();
        Ok(id)
    }

    /// The server answered our request.
    pub(super) fn answered(&mut self, id: SessionId, response: Response) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if !response.status.is_success() {
            // Neither what a refusal says in its body nor our side of the stream is of use any more.
            self.h3.abort(id, ErrorCode::H3_NO_ERROR);
            self.apply(id, Input::Refuse);
            self.qlog.write(self.now, id, Logged::Refused(&response));
            self.hints.push(Event::SessionRefused { session: id, response: Box::new(response) });
            return;
        }
        // draft-16, section 3.3: a choice we did not offer ends the session; one we cannot read is no choice, which ends
        // it if we need one.
        let request = &session.request;
        let unoffered = match &response.protocol {
            Some(chosen) => !request.protocols.contains(chosen),
            None => request.protocol_required,
        };
        session.response = Some(Arc::new(response.clone()));
        self.apply(id, Input::Accept);
        if unoffered {
            self.apply(id, Input::Malformed { code: ErrorCode::WT_ALPN_ERROR });
            return;
        }
        self.hints.push(Event::SessionEstablished { session: id, response: Box::new(response) });
        self.established(id);
        if self.h3.peer_goes_away() {
            self.apply(id, Input::PeerDrain);
        }
    }

    fn established(&mut self, id: SessionId) {
        self.counters.sessions_accepted += 1;
        let response = self.sessions.get(id).and_then(|session| session.response.as_deref());
        self.qlog.write(self.now, id, Logged::Established(response));
        if self.sessions.live() > 1 {
            self.share();
        }
        self.timers.set(Timer::Answer(id), None);
        self.to_arm.retain(|(timer, _)| *timer != Timer::Answer(id));
        // What was lost or turned away while it waited.
        self.owing.insert(id);
        self.quic.set_receive_window(self.config.connection_window);
        let (streams, datagrams) = self.early.take(id);
        self.timers.set(Timer::Early, self.early.deadline());
        let mut too_many = false;
        for stream in streams {
            let (Some(entry), Some(session)) = (self.streams.webtransport(stream), self.sessions.get_mut(id)) else {
                continue;
            };
            entry.held = false;
            entry.counted = session.flow.is_some();
            if session.push_incoming(stream).is_ok() {
                self.hints.push(Event::StreamOpened { session: id, direction: stream.direction() });
            } else {
                too_many = true;
                self.reject(stream, ErrorCode::WT_SESSION_GONE);
            }
        }
        if too_many {
            return self.overused(id);
        }
        for payload in datagrams {
            self.queue_datagram(id, payload);
        }
    }

    /// Lets something happen to a session and carries out what follows.
    pub(super) fn apply(&mut self, id: SessionId, input: Input) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let effects = session.apply(input);
        let (over, was_open) = (session.is_over(), session.was_open);
        for effect in effects {
            self.effect(id, effect, was_open);
        }
        if over {
            for timer in [Timer::Answer(id), Timer::Finish(id), Timer::Flush(id), Timer::Linger(id)] {
                self.timers.set(timer, None);
            }
            let of_session = |timer: &Timer| match timer {
                Timer::Answer(of) | Timer::Finish(of) | Timer::Flush(of) | Timer::Linger(of) => *of == id,
                _ => false,
            };
            self.to_arm.retain(|(timer, _)| !of_session(timer));
            // A refused stream is still being read out, see `Action::Answered`.
            let answered = self.streams.http(id.stream()).is_some_and(|http| http.answered);
            if self.h3.knows(id.stream()) && !answered {
                self.h3.done(id);
            }
            self.sessions.remove(id, if was_open { Past::Closed } else { Past::Refused });
        }
    }

    fn effect(&mut self, id: SessionId, effect: Effect, was_open: bool) {
        match effect {
            Effect::EndStreams => self.end_streams(id, was_open),
            Effect::Ended(end) => self.ended(id, end, was_open),
            Effect::Draining => self.hints.push(Event::SessionDraining { session: id }),
            Effect::SendClose { code, reason } => self.send_capsules(id, &[Capsule::CloseSession { code, reason }]),
            Effect::SendDrain => self.send_capsules(id, &[Capsule::DrainSession]),
            Effect::Finish => self.h3.finish(id),
            Effect::Abort(code) => self.h3.abort(id, code),
            Effect::Unavailable if self.role() == Role::Client => self.h3.abort(id, ErrorCode::H3_REQUEST_CANCELLED),
            Effect::Unavailable => {
                self.counters.sessions_refused += 1;
                let response = Response::new(StatusCode::SERVICE_UNAVAILABLE);
                self.qlog.write(self.now, id, Logged::Refused(&response));
                self.h3.refuse(id, &response);
                self.act();
            }
            Effect::ArmFlush => self.to_arm.push((Timer::Flush(id), self.config.close_flush_timeout)),
            Effect::ArmLinger => self.to_arm.push((Timer::Linger(id), self.config.close_linger_timeout)),
            Effect::Glitch => self.glitch(GLITCH_RESET),
        }
    }

    fn ended(&mut self, id: SessionId, end: SessionEnd, was_open: bool) {
        self.counters.sessions_ended += u64::from(was_open);
        self.qlog.write(self.now, id, Logged::Ended(&end));
        self.hints.push(Event::SessionEnded { session: id, end });
    }

    /// Every stream of a session that is over is reset and stopped (draft-16, section 6).
    fn end_streams(&mut self, id: SessionId, was_open: bool) {
        self.forget_datagrams(id);
        let Some(session) = self.sessions.get_mut(id) else { return };
        let mut streams: Vec<StreamId> = std::mem::take(&mut session.streams).into_iter().collect();
        // In an order that a replay gives again.
        streams.sort_unstable();
        session.unacknowledged = 0;
        let released = self.turns.forget_session(id);
        self.go_on(released);
        for stream in streams {
            self.reject(stream, ErrorCode::WT_SESSION_GONE);
        }
        if !was_open {
            self.reject_early(id);
        }
    }

    /// Turns away what was held for a session that will not be.
    pub(super) fn reject_early(&mut self, id: SessionId) {
        let (streams, _) = self.early.take(id);
        self.timers.set(Timer::Early, self.early.deadline());
        for stream in streams {
            self.reject(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
        }
    }

    /// What was held too long goes.
    pub(super) fn expire_early(&mut self) {
        let (streams, datagrams) = self.early.expire(self.now);
        self.counters.datagrams_dropped += datagrams;
        for stream in streams {
            self.reject(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
            self.glitch(GLITCH_REFUSED);
        }
        self.timers.set(Timer::Early, self.early.deadline());
    }

    /// Whether an id that is no session (yet) can still become one: its CONNECT has not arrived or is incomplete.
    pub(super) fn may_become_session(&self, id: SessionId) -> bool {
        let opened = id.0 / 4 < self.client_bidi_opened;
        self.role() == Role::Server && (!opened || self.h3.is_undecided(id.stream()))
    }

    /// Until when something for a session that is not open may be held.
    pub(super) fn hold_deadline(&self, id: SessionId) -> Option<Instant> {
        let asked = self.sessions.get(id).is_some();
        self.now.checked_add(if asked { self.config.accept_timeout } else { self.config.hold_timeout })
    }

    /// Whether everything we wrote on the CONNECT stream has been taken by QUIC.
    pub(super) fn is_flushed(&mut self, id: SessionId) -> bool {
        self.streams.http(id.stream()).is_none_or(|http| http.outbox.is_empty())
    }

    /// Ends a session by a plain end of its CONNECT stream, a little later: Firefox 153 takes an answer whose stream ends
    /// in the same packet for a refusal.
    pub(super) fn finish_soon(&mut self, id: SessionId) {
        if !self.finishes_soon(id) {
            self.to_arm.push((Timer::Finish(id), FINISH_DELAY));
        }
    }

    pub(super) fn finishes_soon(&self, id: SessionId) -> bool {
        self.timers.contains(Timer::Finish(id)) || self.to_arm.iter().any(|(timer, _)| *timer == Timer::Finish(id))
    }

    /// Moves the sending half of a stream on, and forgets the stream when both halves are done.
    pub(super) fn set_send(&mut self, stream: StreamId, half: SendHalf) {
        self.writes_no_more(stream);
        let Some(entry) = self.streams.webtransport(stream) else { return };
        let before = std::mem::replace(&mut entry.send, half);
        let (id, over) = (entry.session, entry.is_over());
        if let Some(session) = self.sessions.get_mut(id) {
            session.unacknowledged += usize::from(half == SendHalf::Finishing);
            session.unacknowledged -= usize::from(before == SendHalf::Finishing).min(session.unacknowledged);
        }
        if over {
            self.forget(id, stream);
        }
    }

    /// The application will read nothing more of a stream.
    pub(super) fn set_read(&mut self, stream: StreamId) {
        let Some(entry) = self.streams.read_out(stream) else { return };
        let (id, over) = (entry.session, entry.is_over());
        if over {
            self.forget(id, stream);
        }
    }

    /// Both halves of a stream are done.
    fn forget(&mut self, id: SessionId, stream: StreamId) {
        self.streams.remove(stream);
        if let Some(session) = self.sessions.get_mut(id) {
            session.streams.remove(&stream);
        }
        self.stream_over(id, stream);
    }
}

/// How long a plain end of a CONNECT stream waits for what was sent before to leave.
const FINISH_DELAY: std::time::Duration = std::time::Duration::from_millis(50);
