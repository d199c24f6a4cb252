//! HTTP/3 as a machine: stream bytes in, [`Action`]s out. It knows no QUIC and no clock, so any scenario can be run again
//! one byte at a time and must give the same actions.

mod classify;
mod connect;
mod control;
pub(crate) mod dialect;
mod goaway;
pub(crate) mod message;
mod offer;
mod plain;
pub(crate) mod protocols;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

pub(crate) use classify::FIRST_READ;
use classify::{Class, Classifier};
use connect::RequestStream;
use control::{Control, ControlEvent};
pub(crate) use dialect::FlowControl;
use goaway::GoAway;
pub(crate) use offer::{Offer, Offers};

use crate::wire::qpack::{DecoderStream, EncoderStream};
use crate::wire::settings::Settings;
use crate::wire::stream_header;
use crate::{Config, Dialect, ErrorCode, HttpRequest, Request, Response, Role, SessionId, StreamId};

/// An order from HTTP/3 to the connection.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Write these bytes on a request stream.
    Send { stream: StreamId, bytes: Bytes },
    /// End our side of a request stream after what was sent.
    Finish { stream: StreamId },
    /// Reset our side and stop the peer's, as far as either is open.
    Abort { stream: StreamId, code: ErrorCode },
    /// A whole answer was sent; the request's rest, if any, is unwanted: stop the peer unless it has finished.
    Answered { stream: StreamId },
    /// HTTP/3 is done with the stream; it will not be asked about it again.
    Forget { stream: StreamId },
    /// The peer's SETTINGS are here.
    Settings,
    /// The stream belongs to a WebTransport session, whose existence is unchecked; its header has been read.
    Attach { stream: StreamId, session: SessionId },
    /// A client asks for a session on this stream (server only).
    Request { stream: StreamId, request: Box<Request> },
    /// A client asks for something else (server only); see [`Http3::respond`].
    Plain { stream: StreamId, request: Box<HttpRequest> },
    /// The server answered our CONNECT (client only).
    Response { stream: StreamId, response: Box<Response> },
    /// Bytes of the capsule protocol on an accepted CONNECT.
    Capsules { stream: StreamId, bytes: Bytes },
    /// A frame without meaning came on an accepted CONNECT: harmless, unless the peer had closed the session.
    Meaningless { stream: StreamId },
    /// The peer finished the CONNECT stream.
    Ended { stream: StreamId },
    /// The peer reset the CONNECT stream.
    Aborted { stream: StreamId, code: ErrorCode },
    /// The peer gave up a stream before it said what it is.
    Unknown { stream: StreamId },
    /// The server says that it did not and will not look at this request (client only).
    Unprocessed { stream: StreamId },
    /// The peer will take no requests from this id on (client), or wants none of our pushes (server).
    GoAway { id: u64 },
    /// The peer broke a rule of the connection.
    Close(Violation),
}

/// A broken rule that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: ErrorCode,
    pub(crate) reason: &'static str,
}

impl Violation {
    pub(crate) fn new(code: ErrorCode, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

/// HTTP/3 for one connection, either role.
#[derive(Debug)]
pub(crate) struct Http3 {
    role: Role,
    config: Limits,
    ours: Arc<Offer>,
    peer: Option<Settings>,
    peer_takes_datagrams: bool,
    streams: FxHashMap<StreamId, Stream>,
    has_control: bool,
    has_encoder: bool,
    has_decoder: bool,
    goaway: GoAway,
    /// CONNECTs that arrived before SETTINGS (draft-16, section 3.1): none is looked at until those are here.
    early_requests: VecDeque<(StreamId, message::Parsed)>,
    /// Bytes of unfinished header sections and early requests over all streams.
    kept: usize,
    actions: VecDeque<Action>,
    glitches: u32,
    closed: bool,
}

/// The part of the configuration that HTTP/3 needs.
type Limits = Arc<Config>;

/// What is large is boxed: the table has room for four, and most connections need that much.
#[derive(Debug)]
enum Stream {
    New(Classifier),
    Control(Box<Control>),
    Encoder(EncoderStream),
    Decoder(DecoderStream),
    Request(Box<RequestStream>),
}

/// Bytes asked for at once on the control and QPACK streams.
const CONTROL_READ: usize = 4 * 1024;
/// What a refused or held-then-rejected stream costs of the glitch budget.
pub(crate) const GLITCH_REFUSED: u32 = 2;
/// What a cancelled CONNECT or a session reset by us costs.
pub(crate) const GLITCH_RESET: u32 = 10;
/// What a malformed request costs.
const GLITCH_MALFORMED: u32 = 20;

impl Http3 {
    pub(crate) fn new(role: Role, config: Limits, ours: Arc<Offer>) -> Self {
        Self {
            role,
            config,
            ours,
            peer: None,
            peer_takes_datagrams: false,
            streams: FxHashMap::default(),
            has_control: false,
            has_encoder: false,
            has_decoder: false,
            goaway: GoAway::default(),
            early_requests: VecDeque::new(),
            kept: 0,
            actions: VecDeque::new(),
            glitches: 0,
            closed: false,
        }
    }

    /// On a transport that has nothing beyond RFC 9000.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_tests(role: Role, config: Config) -> Self {
        let offer = Offer::new(role, dialect::Transport { reset_stream_at: false }, &config);
        Self::new(role, Arc::new(config), offer)
    }

    /// What our control stream begins with: its type and SETTINGS (RFC 9114, section 6.2.1).
    pub(crate) fn control_preface(&self) -> Bytes {
        self.ours.preface.clone()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Oddities since the last call, in units of the glitch budget.
    pub(crate) fn take_glitches(&mut self) -> u32 {
        std::mem::take(&mut self.glitches)
    }

    /// The newest dialect both sides announced, once SETTINGS are here.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        self.peer.as_ref().and_then(|peer| dialect::negotiated(&self.ours.settings, peer))
    }

    pub(crate) fn has_settings(&self) -> bool {
        self.peer.is_some()
    }

    /// Whether the peer's transport parameters allow DATAGRAM frames; known once the handshake is done.
    pub(crate) fn set_peer_takes_datagrams(&mut self, takes: bool) {
        self.peer_takes_datagrams = takes;
    }

    // Streams the peer opened.

    pub(crate) fn opened(&mut self, stream: StreamId) {
        self.streams.insert(stream, Stream::New(Classifier::new(stream)));
    }

    /// The session that a stream says it belongs to in its first bytes, at most [`FIRST_READ`], if it says so at once: as an
    /// [`Action::Attach`] would, without a place in our table.
    pub(crate) fn session_of(&self, stream: StreamId, first: &[u8]) -> Option<SessionId> {
        let session = stream_header::decode(stream.direction(), first)?;
        (stream_header::is_session_id(session) && !self.closed).then_some(SessionId(session))
    }

    /// Whether HTTP/3 has something to do with this stream.
    pub(crate) fn knows(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Whether the stream has not said yet what it is, or its request is not complete.
    pub(crate) fn is_undecided(&self, stream: StreamId) -> bool {
        match self.streams.get(&stream) {
            Some(Stream::New(_)) => true,
            Some(Stream::Request(request)) => {
                request.phase == connect::Phase::Headers || self.early_requests.iter().any(|(id, _)| *id == stream)
            }
            _ => false,
        }
    }

    /// Whether the stream has begun to say what it is or wants and must come to an end with it. One without any byte is
    /// only a number: QUIC opens those below another one by itself.
    pub(crate) fn is_dawdling(&self, stream: StreamId) -> bool {
        match self.streams.get(&stream) {
            Some(Stream::New(classifier)) => !classifier.is_empty(),
            // The answer to our own request may take its time; it must not stop in the middle.
            Some(Stream::Request(request)) if self.role == Role::Client => request.is_cut(),
            _ => self.is_undecided(stream),
        }
    }

    /// How many bytes of the stream to read now; zero: leave them where they are.
    pub(crate) fn wants(&self, stream: StreamId) -> usize {
        match self.streams.get(&stream) {
            Some(Stream::New(classifier)) => classifier.wants(),
            Some(Stream::Control(_) | Stream::Encoder(_) | Stream::Decoder(_)) => CONTROL_READ,
            Some(Stream::Request(request)) => request.wants(),
            None => 0,
        }
    }

    /// Takes bytes of a stream, at most as many as it [`wants`](Self::wants).
    pub(crate) fn received(&mut self, stream: StreamId, bytes: Bytes) {
        if self.closed {
            return;
        }
        let result = match self.streams.get_mut(&stream) {
            Some(Stream::New(classifier)) => match classifier.push(&bytes) {
                Some(class) => {
                    let rest = classifier.rest();
                    self.classified(stream, class, rest)
                }
                None => Ok(()),
            },
            Some(Stream::Control(control)) => {
                let mut events = Vec::new();
                let result = control.push(bytes, &mut events);
                self.control_events(events);
                result
            }
            Some(Stream::Encoder(encoder)) => {
                encoder.push(&bytes).map_err(|error| Violation::new(ErrorCode::QPACK_ENCODER_STREAM_ERROR, error.0))
            }
            Some(Stream::Decoder(decoder)) => decoder
                .push(&bytes)
                .map(|cancelled| self.glitches = self.glitches.saturating_add(cancelled))
                .map_err(|error| Violation::new(ErrorCode::QPACK_DECODER_STREAM_ERROR, error.0)),
            Some(Stream::Request(_)) => self.request_bytes(stream, bytes),
            None => Ok(()),
        };
        self.check(result);
    }

    /// The peer finished a stream.
    pub(crate) fn finished(&mut self, stream: StreamId) {
        if self.closed {
            return;
        }
        let result = match self.streams.get(&stream) {
            Some(Stream::New(classifier)) => {
                // RFC 9114, section 6.2: a stream cut before it says what it is is tolerated; on a request stream, an
                // end without headers is an incomplete request (section 4.1.1).
                let cut = !classifier.is_empty();
                self.glitches = self.glitches.saturating_add(u32::from(cut));
                self.abandon(stream, ErrorCode::H3_REQUEST_INCOMPLETE);
                Ok(())
            }
            Some(Stream::Control(_) | Stream::Encoder(_) | Stream::Decoder(_)) => Err(closed_critical()),
            Some(Stream::Request(_)) => self.request_finished(stream),
            None => Ok(()),
        };
        self.check(result);
    }

    /// The peer reset a stream.
    pub(crate) fn reset(&mut self, stream: StreamId, code: ErrorCode) {
        if self.closed {
            return;
        }
        let result = match self.streams.get(&stream) {
            Some(Stream::New(_)) => {
                self.glitches = self.glitches.saturating_add(1);
                self.actions.push_back(Action::Unknown { stream });
                self.abandon(stream, ErrorCode::H3_REQUEST_CANCELLED);
                Ok(())
            }
            Some(Stream::Control(_) | Stream::Encoder(_) | Stream::Decoder(_)) => Err(closed_critical()),
            Some(Stream::Request(_)) => {
                self.request_reset(stream, code);
                Ok(())
            }
            None => Ok(()),
        };
        self.check(result);
    }

    /// A stream took too long to say what it is or to complete its request.
    pub(crate) fn expired(&mut self, stream: StreamId) {
        if self.is_dawdling(stream) {
            self.glitches = self.glitches.saturating_add(GLITCH_REFUSED);
            self.give_up(stream, ErrorCode::H3_REQUEST_REJECTED);
        }
    }

    /// Forgets a stream and closes what is open of it.
    fn abandon(&mut self, stream: StreamId, code: ErrorCode) {
        self.actions.push_back(Action::Abort { stream, code });
        self.forget(stream);
    }

    fn forget(&mut self, stream: StreamId) {
        if let Some(Stream::Request(request)) = self.streams.remove(&stream) {
            self.kept = self.kept.saturating_sub(request.kept());
        }
        let kept = &mut self.kept;
        self.early_requests.retain(|(id, parsed)| {
            let keep = *id != stream;
            *kept = kept.saturating_sub(if keep { 0 } else { parsed.size() });
            keep
        });
        self.actions.push_back(Action::Forget { stream });
    }

    /// `rest`: what was read behind the type of a unidirectional stream.
    fn classified(&mut self, stream: StreamId, class: Class, rest: Bytes) -> Result<(), Violation> {
        let state = match class {
            Class::WebTransport { session } => {
                // draft-16, section 4: only client-initiated bidirectional streams can be sessions.
                if !stream_header::is_session_id(session) {
                    return Err(Violation::new(ErrorCode::H3_ID_ERROR, "a session id that no session can have"));
                }
                self.streams.remove(&stream);
                self.actions.push_back(Action::Attach { stream, session: SessionId(session) });
                return Ok(());
            }
            Class::Control => {
                once(&mut self.has_control)?;
                Stream::Control(Box::new(Control::new(self.role, self.config.max_settings_size)))
            }
            Class::QpackEncoder => {
                once(&mut self.has_encoder)?;
                Stream::Encoder(EncoderStream::default())
            }
            Class::QpackDecoder => {
                once(&mut self.has_decoder)?;
                Stream::Decoder(DecoderStream::default())
            }
            // Only servers push, and we allow none: RFC 9114, sections 6.2.2 and 7.2.7.
            Class::Push if self.role == Role::Server => {
                return Err(Violation::new(ErrorCode::H3_STREAM_CREATION_ERROR, "push stream from a client"));
            }
            Class::Push => return Err(Violation::new(ErrorCode::H3_ID_ERROR, "a push that was not allowed")),
            Class::Request { .. } if self.role == Role::Client => {
                return Err(Violation::new(ErrorCode::H3_STREAM_CREATION_ERROR, "request stream from a server"));
            }
            Class::Request { .. } if self.turns_away(stream) => {
                self.abandon(stream, ErrorCode::H3_REQUEST_REJECTED);
                return Ok(());
            }
            Class::Request { taken } => {
                self.streams.insert(stream, Stream::Request(Box::new(RequestStream::new(self.role, &self.config))));
                return self.request_bytes(stream, taken);
            }
            Class::Unknown => {
                self.glitches = self.glitches.saturating_add(1);
                self.abandon(stream, ErrorCode::H3_STREAM_CREATION_ERROR);
                return Ok(());
            }
        };
        self.streams.insert(stream, state);
        if !rest.is_empty() {
            self.received(stream, rest);
        }
        Ok(())
    }

    fn control_events(&mut self, events: Vec<ControlEvent>) {
        for event in events {
            match event {
                ControlEvent::Settings(settings) => {
                    self.peer = Some(settings);
                    self.actions.push_back(Action::Settings);
                    for (stream, parsed) in std::mem::take(&mut self.early_requests) {
                        self.kept = self.kept.saturating_sub(parsed.size());
                        self.judge(stream, parsed);
                    }
                }
                ControlEvent::GoAway { id } => self.goaway_received(id),
                ControlEvent::Skipped => self.glitches = self.glitches.saturating_add(1),
            }
        }
    }

    fn check(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result
            && !self.closed
        {
            self.closed = true;
            self.actions.push_back(Action::Close(violation));
        }
    }
}

/// At most one of each critical stream: RFC 9114, section 6.2.1; RFC 9204, section 4.2.
fn once(seen: &mut bool) -> Result<(), Violation> {
    if std::mem::replace(seen, true) {
        return Err(Violation::new(ErrorCode::H3_STREAM_CREATION_ERROR, "second critical stream of a kind"));
    }
    Ok(())
}

fn closed_critical() -> Violation {
    Violation::new(ErrorCode::H3_CLOSED_CRITICAL_STREAM, "a critical stream was closed")
}
