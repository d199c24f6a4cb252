//! One connection: QUIC, HTTP/3 and sessions, which do not know each other, carried together.
//!
//! `pump` takes what QUIC reports, `actions` does what HTTP/3 orders, `sessions` moves sessions from state to state,
//! `handles` is what the application calls.

mod actions;
mod batch;
mod bucket;
pub(crate) mod congestion;
mod datagram_handles;
mod datagrams;
mod exporter;
mod flow;
mod goaway;
mod handles;
mod hints;
mod identity;
mod order;
mod plain;
mod pump;
pub(crate) mod qlog;
pub(crate) mod quic;
mod reads;
mod sessions;
mod stats;
mod streams;
mod turns;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(any(test, fuzzing))]
pub(crate) use flow::new_flow;
pub use handles::{RecvStream, SendStream, Session};
pub use order::SendGroup;
pub(crate) use stats::Counters;

use crate::deadlines::Deadlines;
pub(crate) use crate::h3::Offers;
use crate::h3::{Http3, dialect};
use crate::session::early::Early;
use crate::session::registry::Registry;
use crate::session::transition::Input;
use crate::{
    Config, ConnectionError, DatagramStats, Dialect, ErrorCode, Event, OpenError, Request, Response, Role, SessionId,
    StreamId, UnknownSession,
};
use bucket::Bucket;
use goaway::Leaving;
use hints::Hints;
use plain::Plain;
use quic::Quic;
use streams::StreamTable;
use turns::Turns;

/// One QUIC connection with its sessions; borrowed from [`Endpoint::connection`](crate::Endpoint::connection).
///
/// Its parts lie in memory as they stand here, first those that every packet has to do with: among a thousand connections
/// that have a packet each, nothing of one is in the processor's caches when its turn comes, and each line is waited for.
#[repr(C)]
pub struct Connection {
    /// The newest time seen. May be long ago while commands run: nothing is timed from it, see `to_arm`.
    now: Instant,
    /// The peer stopped our control stream, which it must not.
    control_stopped: bool,
    connected: bool,
    /// Whether [`Event::Connected`] was sent.
    announced: bool,
    /// New sessions are refused with 503.
    draining: bool,
    leaving: Leaving,
    /// Several sessions or groups of streams have been on this connection.
    shared: bool,
    /// Some stream has been given an order.
    ordered: bool,
    /// Timers wanted by a command; they start when time is known, on the next input or poll.
    to_arm: Vec<(Timer, Duration)>,
    /// Sessions whose peers may be told that they can send more.
    owing: BTreeSet<SessionId>,
    /// CONNECTION_CLOSE to send when time is known.
    to_close: Option<(ErrorCode, String)>,
    config: Arc<Config>,
    waiting: datagrams::Waiting,
    datagram_stats: DatagramStats,
    pub(crate) counters: Counters,
    hints: Hints,
    sessions: Registry,
    timers: Deadlines<Timer>,
    quic: Quic,
    /// Whose turn it is to write, where there is not room for all.
    turns: Turns,
    error: Option<ConnectionError>,
    streams: StreamTable,
    h3: Http3,
    plain: Plain,
    early: Early,
    /// Oddities the peer may still commit.
    budget: Bucket,
    /// Sessions the client may still ask for.
    connects: Bucket,
    /// Our control stream.
    control: Option<StreamId>,
    /// Bidirectional streams the client has opened so far, as far as we know.
    client_bidi_opened: u64,
    /// Answered requests that have to be read out.
    to_read: Vec<StreamId>,
    pub(crate) qlog: qlog::Qlog,
}

/// Deadlines of a connection beside QUIC's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Handshake,
    Settings,
    /// A stream must say what it is, a request must be complete.
    Undecided(StreamId),
    /// The application must answer a request.
    Answer(SessionId),
    /// It must answer a plain request, or the client must take the answer.
    Plain(StreamId),
    /// Our plain end of the CONNECT stream may leave.
    Finish(SessionId),
    /// Our close must have left.
    Flush(SessionId),
    /// The peer must have ended its side of the CONNECT stream.
    Linger(SessionId),
    /// Something held for a session must go.
    Early,
    /// The next step of leaving is due.
    Leave,
    /// Datagrams of a session have grown too old.
    Datagrams(SessionId),
    /// Somebody whose turn it is keeps others waiting.
    Turns,
    /// A STOP_SENDING must be answered with a reset of the same code.
    StopAnswer(StreamId, ErrorCode),
}

/// What the connections of an endpoint announce.
pub(crate) fn offers(config: &Config) -> Offers {
    Offers::new(dialect::Transport { reset_stream_at: quic::RESET_STREAM_AT }, config)
}

impl Connection {
    pub(crate) fn new(quic: Quic, config: Arc<Config>, offers: &Offers, now: Instant) -> Self {
        let mut timers = Deadlines::new();
        timers.set(Timer::Handshake, now.checked_add(config.handshake_timeout));
        Self {
            h3: Http3::new(quic.role(), Arc::clone(&config), offers.of(quic.role())),
            quic,
            now,
            streams: StreamTable::default(),
            sessions: Registry::default(),
            plain: Plain::default(),
            early: Early::new(config.held_streams, config.held_datagrams, config.connection_datagram_bytes),
            hints: Hints::default(),
            timers,
            to_arm: Vec::new(),
            budget: Bucket::new(config.glitch_burst, config.glitch_refill),
            connects: Bucket::new(config.connect_burst, config.connect_rate),
            control: None,
            control_stopped: false,
            client_bidi_opened: 0,
            connected: false,
            announced: false,
            draining: false,
            leaving: Leaving::No,
            error: None,
            owing: BTreeSet::new(),
            turns: Turns::default(),
            shared: false,
            ordered: false,
            to_read: Vec::new(),
            to_close: None,
            counters: Counters::default(),
            datagram_stats: DatagramStats::default(),
            waiting: datagrams::Waiting::default(),
            qlog: qlog::Qlog::default(),
            config,
        }
    }

    /// Which end of the connection we are.
    pub fn role(&self) -> Role {
        self.quic.role()
    }

    /// The peer's address; it changes when the peer migrates.
    pub fn remote_address(&self) -> SocketAddr {
        self.quic.remote_address()
    }

    /// The newest dialect both sides announced, once the peer's SETTINGS are here.
    ///
    /// A request names its own, which may be older: see [`Request::dialect`].
    pub fn dialect(&self) -> Option<Dialect> {
        self.h3.dialect()
    }

    /// Why the connection is over, once it is.
    pub fn error(&self) -> Option<&ConnectionError> {
        self.error.as_ref()
    }

    /// The request of a session that waits for an answer or is open; a clone of it can be kept.
    pub fn request(&self, session: SessionId) -> Option<&Arc<Request>> {
        self.sessions.get(session).filter(|session| session.is_live()).map(|session| &session.request)
    }

    /// Accepts a request for a session: sends the response, and the session is open. Returns the response as it was sent.
    ///
    /// A status outside 2xx, or one that forbids content (204, 205: RFC 9297, section 3.2), becomes 200. A subprotocol
    /// the client did not offer is left out.
    ///
    /// # Errors
    ///
    /// When there is no unanswered request of this id (any more): the client may have gone away.
    pub fn accept(&mut self, session: SessionId, response: Response) -> Result<Arc<Response>, UnknownSession> {
        self.answerable(session)?;
        self.accept_session(session, response).ok_or(UnknownSession)
    }

    /// Refuses a request for a session with the response's status and header fields.
    ///
    /// A status of 2xx becomes 500, since it would accept.
    ///
    /// # Errors
    ///
    /// When there is no unanswered request of this id (any more).
    pub fn refuse(&mut self, session: SessionId, response: Response) -> Result<(), UnknownSession> {
        self.answerable(session)?;
        self.refuse_session(session, response);
        Ok(())
    }

    /// Asks the server for a session (client only); [`Event::SessionEstablished`], [`Event::SessionRefused`] or
    /// [`Event::SessionEnded`] follows.
    ///
    /// # Errors
    ///
    /// `Blocked` before [`Event::Connected`], while the server allows no further stream, and while a session is open or
    /// asked for that must not share its connection (draft-ietf-webtrans-http3-16, section 5.1). `Closed` when the
    /// connection is over or [draining](Self::drain), when the server [is going away](Self::is_going_away) or does not
    /// speak WebTransport, or on a server's own connection.
    pub fn request_session(&mut self, request: Request) -> Result<SessionId, OpenError> {
        if self.error.is_some() || self.draining {
            return Err(OpenError::Closed);
        }
        self.h3.can_request()?;
        if self.sessions.live() >= self.h3.max_sessions_as_client() {
            return Err(OpenError::Blocked);
        }
        self.open_session(request)
    }

    /// The session, from the request until it is over for the application.
    pub fn session(&mut self, id: SessionId) -> Option<Session<'_>> {
        let live = self.sessions.get(id).is_some_and(crate::session::SessionState::is_live);
        live.then_some(Session { connection: self, id })
    }

    /// The sending half of a stream; operations on a stream that is not there answer `Closed`.
    pub fn send_stream(&mut self, id: StreamId) -> SendStream<'_> {
        SendStream { connection: self, id }
    }

    /// The receiving half of a stream; operations on a stream that is not there answer `Closed`.
    pub fn recv_stream(&mut self, id: StreamId) -> RecvStream<'_> {
        RecvStream { connection: self, id }
    }

    /// Closes the connection at once, with all its sessions.
    pub fn close(&mut self, code: ErrorCode, reason: &str) {
        self.end(ConnectionError::ClosedLocally { code, reason: reason.to_owned() }, Some(code));
    }

    // What the endpoint drives.

    pub(crate) fn quic(&mut self) -> &mut Quic {
        &mut self.quic
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = self.hints.pop()?;
            // The application may have written, and finished or reset the stream, without waiting for it.
            if let Event::StreamWritable { stream } = event
                && !self.streams.webtransport(stream).is_some_and(|entry| entry.send.can_be_told())
            {
                continue;
            }
            return Some(event);
        }
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.hints.is_empty()
    }

    /// Whether everything there was to send has been, as far as that shows without asking for more.
    pub(crate) fn is_spent(&self) -> bool {
        self.quic.is_spent() && !self.has_datagrams_to_give() && self.to_arm.is_empty() && self.to_close.is_none()
    }

    /// Notes the time, for what arrives now and for commands.
    pub(crate) fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Lets everything QUIC has to say take effect, without knowing the time.
    pub(crate) fn look(&mut self) {
        self.pump();
    }

    /// Lets time and everything QUIC has to say take effect.
    pub(crate) fn settle(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.is_settled() {
            return;
        }
        for (timer, after) in std::mem::take(&mut self.to_arm) {
            self.timers.set(timer, self.now.checked_add(after));
        }
        self.pump();
        self.grant_credit();
        self.leave();
        if let Some((code, reason)) = self.to_close.take() {
            let error = self.error.clone().unwrap_or(ConnectionError::TimedOut);
            self.quic.close(self.now, code, &reason, error);
        }
    }

    /// Whether nothing has happened since that anything could follow from, as is mostly so after a packet was sent.
    fn is_settled(&self) -> bool {
        let commanded = self.draining || self.control_stopped || self.to_close.is_some() || !self.to_arm.is_empty();
        !commanded && !self.quic.is_stirred() && self.owing.is_empty()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.quic.handle_timeout(self.now);
        // What arrived before the deadline was looked at is in time.
        self.pump();
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.expire(timer);
        }
        self.settle(now);
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        let quic = self.quic.poll_timeout();
        quic.into_iter().chain(self.timers.next()).min()
    }

    fn expire(&mut self, timer: Timer) {
        match timer {
            Timer::Handshake if self.connected => {}
            Timer::Handshake => self.end(ConnectionError::TimedOut, Some(ErrorCode::H3_NO_ERROR)),
            Timer::Settings if self.h3.has_settings() => {}
            Timer::Settings => self.violation(ErrorCode::H3_MISSING_SETTINGS, "no SETTINGS in time"),
            Timer::Undecided(stream) => self.h3.expired(stream),
            Timer::Answer(session) => self.apply(session, Input::AnswerTimeout),
            Timer::Plain(stream) => self.http_timeout(stream),
            Timer::Finish(session) => {
                self.give_all_datagrams(session);
                self.apply(session, Input::Finish);
            }
            Timer::Flush(session) if self.is_flushed(session) => {}
            Timer::Flush(session) => self.apply(session, Input::FlushTimeout),
            Timer::Linger(session) => self.apply(session, Input::LingerTimeout),
            Timer::Early => self.expire_early(),
            Timer::Leave => self.leave_timeout(),
            Timer::Datagrams(session) => self.expire_datagrams(session),
            Timer::Turns => self.turns_expired(),
            Timer::StopAnswer(stream, code) => _ = self.quic.reset(stream, code),
        }
        self.act();
    }

    /// Ends the connection because the peer broke a rule.
    #[cold]
    fn violation(&mut self, code: ErrorCode, reason: &str) {
        tracing::debug!(remote = %self.quic.remote_address(), %code, reason, "closing a connection: the peer broke a rule");
        self.end(ConnectionError::PeerMisbehaved { code, reason: reason.to_owned() }, Some(code));
    }

    /// Tells everybody, once. `send`: the code of the CONNECTION_CLOSE, if QUIC is not closed already.
    #[cold]
    fn end(&mut self, error: ConnectionError, send: Option<ErrorCode>) {
        if self.error.is_some() {
            return;
        }
        self.error = Some(error.clone());
        self.counters.lost += 1;
        for id in self.sessions.ids() {
            self.apply(id, Input::ConnectionLost { error: error.clone() });
        }
        self.streams.clear();
        self.plain.clear();
        self.timers.clear();
        self.to_arm.clear();
        self.owing.clear();
        self.to_close = send.map(|code| {
            let reason = match &error {
                ConnectionError::ClosedLocally { reason, .. } | ConnectionError::PeerMisbehaved { reason, .. } => {
                    reason
                }
                _ => "",
            };
            (code, reason.to_owned())
        });
        self.hints.push(Event::ConnectionLost { error });
    }

    fn answerable(&self, session: SessionId) -> Result<(), UnknownSession> {
        let waiting = self.sessions.get(session).is_some_and(|session| session.is_live() && !session.is_open());
        if waiting && self.role() == Role::Server { Ok(()) } else { Err(UnknownSession) }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role())
            .field("remote", &self.remote_address())
            .field("streams", &self.streams.len())
            .field("sessions", &self.sessions.ids())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
