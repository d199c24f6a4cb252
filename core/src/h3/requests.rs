//! What [`Http3`] does with request streams: judge requests, answer those that ask for no session, carry capsules.

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::connect::{Part, Phase, RequestStream};
use super::dialect::{self, FlowControl, Unserved};
use super::message::{self, Malformed, Parsed};
use super::{Action, GLITCH_MALFORMED, GLITCH_RESET, Http3, Stream, Violation};
use crate::limits::UNFINISHED_REQUESTS;
use crate::wire::frame;
use crate::wire::settings::Settings;
use crate::{Dialect, ErrorCode, OpenError, Request, Response, Role, SessionId, StreamId};

impl Http3 {
    /// Whether a session can be asked for now (client only).
    ///
    /// # Errors
    ///
    /// `Blocked` while SETTINGS are missing, `Closed` when the server cannot serve WebTransport.
    pub(crate) fn can_request(&self) -> Result<(), OpenError> {
        let peer = self.peer.as_ref().ok_or(OpenError::Blocked)?;
        match dialect::for_request(&self.ours.settings, peer, self.peer_takes_datagrams) {
            Some(_) if self.role == Role::Client && !self.peer_goes_away() => Ok(()),
            _ => Err(OpenError::Closed),
        }
    }

    /// How many sessions the server lets us have at once, as far as it said.
    pub(crate) fn max_sessions_as_client(&self) -> usize {
        self.peer.as_ref().map_or(0, |peer| dialect::max_sessions_as_client(&self.ours.settings, peer, &self.config))
    }

    /// How many sessions a client of this dialect may have at once.
    pub(crate) fn max_sessions(&self, dialect: Dialect) -> usize {
        self.peer.as_ref().map_or(0, |peer| dialect::max_sessions(dialect, &self.ours.settings, peer, &self.config))
    }

    /// What is made of session flow control in this dialect, with our SETTINGS and the peer's.
    pub(crate) fn flow_control(&self, dialect: Dialect) -> Option<(FlowControl, &Settings, &Settings)> {
        let (ours, peer) = (&self.ours.settings, self.peer.as_ref()?);
        Some((dialect::flow_control(dialect, ours, peer)?, ours, peer))
    }

    /// Sends a CONNECT on a stream that was opened for it; call after [`can_request`](Self::can_request).
    pub(crate) fn request(&mut self, stream: StreamId, request: &mut Request) {
        let Some(dialect) = self.peer.as_ref().and_then(|peer| dialect::for_request(&self.ours.settings, peer, true))
        else {
            return;
        };
        request.dialect = dialect;
        let bytes = message::encode_request(request, dialect::token(dialect), dialect::request_header(dialect));
        self.streams.insert(stream, Stream::Request(Box::new(RequestStream::new(self.role, &self.config))));
        self.actions.push_back(Action::Send { stream, bytes });
    }

    /// Accepts a CONNECT: answers and begins to read capsules.
    pub(crate) fn accept(&mut self, session: SessionId, request: &Request, response: &Response) {
        let stream = session.stream();
        let bytes = message::encode_response(response, dialect::response_header(&request.headers));
        self.actions.push_back(Action::Send { stream, bytes });
        if let Some(Stream::Request(connect)) = self.streams.get_mut(&stream) {
            connect.phase = Phase::Open;
        }
    }

    /// Refuses a CONNECT with a status; nothing of the stream is read any more.
    pub(crate) fn refuse(&mut self, session: SessionId, response: &Response) {
        self.answer(session.stream(), response);
    }

    /// Sends a DATA frame with capsules on an accepted CONNECT.
    pub(crate) fn send_capsules(&mut self, session: SessionId, capsules: &[u8]) {
        let mut bytes = BytesMut::with_capacity(capsules.len() + 8);
        frame::encode(frame::kind::DATA, capsules, &mut bytes);
        self.actions.push_back(Action::Send { stream: session.stream(), bytes: bytes.freeze() });
    }

    /// Ends our side of a CONNECT; what the peer still sends is read.
    pub(crate) fn finish(&mut self, session: SessionId) {
        self.actions.push_back(Action::Finish { stream: session.stream() });
    }

    /// Ends a CONNECT abruptly.
    pub(crate) fn abort(&mut self, session: SessionId, code: ErrorCode) {
        self.abandon(session.stream(), code);
    }

    /// The CONNECT stream is over on both sides, or what is left of it does not matter.
    pub(crate) fn done(&mut self, session: SessionId) {
        self.forget(session.stream());
    }

    pub(super) fn request_bytes(&mut self, stream: StreamId, bytes: Bytes) -> Result<(), Violation> {
        let Some(Stream::Request(request)) = self.streams.get_mut(&stream) else { return Ok(()) };
        let before = request.kept();
        let mut parts = Vec::new();
        let result = request.push(bytes, &mut parts);
        let after = request.kept();
        let is_open = request.phase == Phase::Open;
        self.kept = (self.kept + after).saturating_sub(before);
        for part in parts {
            match part {
                Part::Headers(fields) if self.role == Role::Server => match message::parse_request(fields) {
                    Ok(parsed) => self.judge(stream, parsed),
                    Err(malformed) => self.malformed(stream, malformed),
                },
                Part::Headers(fields) => match message::parse_response(fields) {
                    Ok(response) => self.response(stream, response),
                    Err(malformed) => self.malformed(stream, malformed),
                },
                Part::TooLarge => self.too_large(stream),
                Part::Data(bytes) => self.actions.push_back(Action::Capsules { stream, bytes }),
                Part::Glitch => {
                    self.glitches = self.glitches.saturating_add(1);
                    if is_open {
                        self.actions.push_back(Action::Meaningless { stream });
                    }
                }
            }
        }
        if self.kept > UNFINISHED_REQUESTS {
            self.give_up(stream, ErrorCode::H3_EXCESSIVE_LOAD);
        }
        result
    }

    pub(super) fn request_finished(&mut self, stream: StreamId) -> Result<(), Violation> {
        let Some(Stream::Request(request)) = self.streams.get(&stream) else { return Ok(()) };
        request.finish()?;
        match request.phase {
            // RFC 9114, section 4.1.1.
            Phase::Headers => self.give_up(stream, ErrorCode::H3_REQUEST_INCOMPLETE),
            Phase::Waiting | Phase::Open => self.actions.push_back(Action::Ended { stream }),
            Phase::Discarding | Phase::Trailers if request.unanswered => {}
            Phase::Discarding | Phase::Trailers => self.forget(stream),
        }
        Ok(())
    }

    pub(super) fn request_reset(&mut self, stream: StreamId, code: ErrorCode) {
        let Some(Stream::Request(request)) = self.streams.get(&stream) else { return };
        match request.phase {
            // RFC 9114, section 4.1.1: nothing was done about the request.
            Phase::Headers if self.role == Role::Client && code == ErrorCode::H3_REQUEST_REJECTED => {
                self.actions.push_back(Action::Unprocessed { stream });
            }
            Phase::Headers | Phase::Waiting => {
                self.glitches = self.glitches.saturating_add(GLITCH_RESET);
                // Known to the application only if it was judged already.
                let undecided = self.is_undecided(stream);
                if undecided && self.role == Role::Server {
                    self.abandon(stream, ErrorCode::H3_REQUEST_CANCELLED);
                } else {
                    self.actions.push_back(Action::Aborted { stream, code });
                }
            }
            Phase::Discarding | Phase::Trailers if request.unanswered => {
                self.actions.push_back(Action::Aborted { stream, code });
            }
            Phase::Open => self.actions.push_back(Action::Aborted { stream, code }),
            Phase::Discarding | Phase::Trailers => self.forget(stream),
        }
    }

    /// Decides what a request is once SETTINGS are here; before, it waits (draft-16, section 3.1).
    pub(super) fn judge(&mut self, stream: StreamId, parsed: Parsed) {
        let (token, mut request) = match parsed {
            Parsed::Plain(request) if self.config.http_requests > 0 => {
                return self.plain(stream, request);
            }
            Parsed::Plain(_) => return self.answer(stream, &Response::new(StatusCode::NOT_FOUND)),
            Parsed::Tunnel => return self.answer(stream, &Response::new(StatusCode::NOT_IMPLEMENTED)),
            Parsed::Upgrade { token, request } => (token, request),
        };
        let Some(peer) = &self.peer else {
            let early = Parsed::Upgrade { token, request };
            self.kept += early.size();
            self.early_requests.push_back((stream, early));
            return;
        };
        match dialect::of_request(&token, &self.ours.settings, peer, self.peer_takes_datagrams) {
            Ok(dialect) => {
                request.dialect = dialect;
                self.actions.push_back(Action::Request { stream, request });
            }
            // RFC 9220, section 3.
            Err(Unserved::NotImplemented) => self.answer(stream, &Response::new(StatusCode::NOT_IMPLEMENTED)),
            Err(Unserved::Malformed) => {
                self.malformed(stream, Malformed("SETTINGS or transport parameters lack what WebTransport requires"));
            }
        }
    }

    fn response(&mut self, stream: StreamId, response: Option<Response>) {
        let Some(Stream::Request(request)) = self.streams.get_mut(&stream) else { return };
        let Some(response) = response else {
            // Interim response: the final one follows.
            request.phase = Phase::Headers;
            self.glitches = self.glitches.saturating_add(1);
            return;
        };
        request.phase = if response.status.is_success() { Phase::Open } else { Phase::Discarding };
        self.actions.push_back(Action::Response { stream, response: Box::new(response) });
    }

    /// Sends a whole answer; the rest of the request is read, checked and thrown away.
    fn answer(&mut self, stream: StreamId, response: &Response) {
        let bytes = message::encode_response(response, None);
        self.actions.push_back(Action::Send { stream, bytes });
        self.answered(stream);
    }

    fn too_large(&mut self, stream: StreamId) {
        if self.role == Role::Client {
            return self.malformed(stream, Malformed("the header section of the response is too large"));
        }
        self.glitches = self.glitches.saturating_add(GLITCH_MALFORMED);
        self.answer(stream, &Response::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }

    fn malformed(&mut self, stream: StreamId, malformed: Malformed) {
        tracing::debug!(%stream, reason = malformed.0, "malformed message");
        self.glitches = self.glitches.saturating_add(GLITCH_MALFORMED);
        self.give_up(stream, ErrorCode::H3_MESSAGE_ERROR);
    }

    /// Abandons a request that the other side got wrong; on a client the application waits for its answer.
    pub(super) fn give_up(&mut self, stream: StreamId, code: ErrorCode) {
        if self.role == Role::Client {
            self.actions.push_back(Action::Aborted { stream, code });
        }
        self.abandon(stream, code);
    }
}
