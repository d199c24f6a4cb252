//! Requests that ask for no session: kept until the application answers, within bounds.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::StatusCode;

use super::{Connection, Timer};
use crate::h3::GLITCH_RESET;
use crate::{ErrorCode, Event, HttpRequest, Response, SessionId, StreamId, UnknownRequest};

/// The plain requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Plain {
    requests: BTreeMap<StreamId, State>,
}

#[derive(Debug)]
enum State {
    /// Nobody has answered.
    Waiting(Box<HttpRequest>),
    /// The answer is being written; what QUIC had no room for, so many bytes when it was last looked at, is kept.
    Answered { left: usize },
}

impl Plain {
    /// Whether a request waits for its answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.requests.values().any(|state| matches!(state, State::Waiting(_)))
    }

    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }
}

impl Connection {
    /// The head of a plain request that waits for an answer, see [`Event::HttpRequest`].
    pub fn http_request(&self, stream: StreamId) -> Option<&HttpRequest> {
        match self.plain.requests.get(&stream)? {
            State::Waiting(request) => Some(request),
            State::Answered { .. } => None,
        }
    }

    /// Answers a plain request. `content-length` is set here; a status of 1xx becomes 500, and an answer to `HEAD`, or
    /// with status 204 or 304, is sent without the body.
    ///
    /// What does not fit the send buffer is kept and counts as one of
    /// [`Config::http_requests`](crate::Config::http_requests) until the client has taken it; one that takes nothing for
    /// [`Config::accept_timeout`](crate::Config::accept_timeout) does not get the rest.
    ///
    /// # Errors
    ///
    /// When there is no unanswered request on this stream (any more): the client may have gone away.
    pub fn respond(&mut self, stream: StreamId, mut response: Response, body: Bytes) -> Result<(), UnknownRequest> {
        let Some(State::Waiting(request)) = self.plain.requests.remove(&stream) else { return Err(UnknownRequest) };
        if response.status.is_informational() {
            response.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        self.h3.respond(stream, &request.method, &response, body);
        self.act();
        self.timers.set(Timer::Plain(stream), None);
        let left = self.unwritten(stream);
        if left > 0 && self.error.is_none() {
            self.plain.requests.insert(stream, State::Answered { left });
            self.to_arm.push((Timer::Plain(stream), self.config.accept_timeout));
        }
        Ok(())
    }

    /// A plain request is here: for the application, or too many.
    pub(super) fn http_requested(&mut self, stream: StreamId, mut request: Box<HttpRequest>) {
        if self.streams.http(stream).is_some_and(|http| http.stopped.is_some()) {
            // As for sessions.
            self.glitch(GLITCH_RESET);
            self.h3.abort(SessionId(stream.0), ErrorCode::H3_REQUEST_CANCELLED);
            return;
        }
        let known: Vec<StreamId> = self.plain.requests.keys().copied().collect();
        for known in known {
            if self.unwritten(known) == 0 {
                self.forget_answer(known);
            }
        }
        if self.plain.requests.len() >= self.config.http_requests {
            self.h3.abort(SessionId(stream.0), ErrorCode::H3_REQUEST_REJECTED);
            return;
        }
        let remote = self.quic.remote_address();
        request.remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        self.plain.requests.insert(stream, State::Waiting(request));
        self.timers.set(Timer::Undecided(stream), None);
        self.timers.set(Timer::Plain(stream), self.now.checked_add(self.config.accept_timeout));
        self.hints.push(Event::HttpRequest { stream });
    }

    /// What a request goes on to send before it is answered is thrown away, but not without end.
    ///
    /// Left unread it would take from the credit that the sessions of the connection need.
    pub(super) fn stop_large_body(&mut self, stream: StreamId) {
        if self.http_request(stream).is_some() && self.h3.wants(stream) == 0 {
            self.stop_quic(stream, ErrorCode::H3_NO_ERROR);
        }
    }

    /// The client does not want the answer any more; whether it was one to a plain request.
    pub(super) fn http_cancelled(&mut self, stream: StreamId) -> bool {
        let known = self.plain.requests.contains_key(&stream);
        if known {
            // What waits is forgotten with it, see below.
            self.forget_answer(stream);
            self.h3.abort(SessionId(stream.0), ErrorCode::H3_REQUEST_CANCELLED);
        }
        known
    }

    /// HTTP/3 is done with the stream: if it waited, its client went away. An answer may still be on its way.
    pub(super) fn http_forgotten(&mut self, stream: StreamId) {
        if self.http_request(stream).is_some() {
            self.plain.requests.remove(&stream);
            self.timers.set(Timer::Plain(stream), None);
            // Asking and cancelling costs the peer little and us a handler each.
            self.glitch(GLITCH_RESET);
        }
    }

    /// Nobody answered in time, or the client did not take the answer.
    pub(super) fn http_timeout(&mut self, stream: StreamId) {
        let now_left = self.unwritten(stream);
        match self.plain.requests.get_mut(&stream) {
            None => {}
            Some(State::Waiting(_)) => {
                let unavailable = Response::new(StatusCode::SERVICE_UNAVAILABLE);
                // It waits, as just seen.
                let _ = self.respond(stream, unavailable, Bytes::new());
            }
            Some(State::Answered { .. }) if now_left == 0 => _ = self.plain.requests.remove(&stream),
            Some(State::Answered { left }) if now_left < *left => {
                *left = now_left;
                self.timers.set(Timer::Plain(stream), self.now.checked_add(self.config.accept_timeout));
            }
            Some(State::Answered { .. }) => {
                self.plain.requests.remove(&stream);
                self.h3.abort(SessionId(stream.0), ErrorCode::H3_REQUEST_CANCELLED);
            }
        }
    }

    fn forget_answer(&mut self, stream: StreamId) {
        if matches!(self.plain.requests.get(&stream), Some(State::Answered { .. })) {
            self.plain.requests.remove(&stream);
            self.timers.set(Timer::Plain(stream), None);
        }
    }

    /// Bytes on a stream of HTTP/3 for which QUIC had no room.
    fn unwritten(&mut self, stream: StreamId) -> usize {
        self.streams.http(stream).map_or(0, |http| http.outbox.iter().map(Bytes::len).sum())
    }
}
