//! What an application may want to look at.

use crate::{ConnectionError, Direction, SessionEnd, SessionId, StreamId};

/// Something happened on a connection; come and pull what you need.
///
/// Events are hints (contract C5): they carry no stream or datagram bytes, at most one of a kind is pending per stream
/// and session, and a spurious one does no harm. What becomes of a connection, of a session or of a finished stream are
/// facts, each sent once.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The QUIC handshake is done and the peer's SETTINGS are here.
    Connected,
    /// A client asks for a session: look at [`Connection::request`](crate::Connection::request) and answer.
    SessionRequested {
        /// The session asked for.
        session: SessionId,
    },
    /// A client asks for something else than a session: look at
    /// [`Connection::http_request`](crate::Connection::http_request) and
    /// [`respond`](crate::Connection::respond). Only with [`Config::http_requests`](crate::Config::http_requests).
    HttpRequest {
        /// The stream of the request.
        stream: StreamId,
    },
    /// The server accepted our request for a session.
    SessionEstablished {
        /// The session, usable now unless it has ended since.
        session: SessionId,
        /// Status, header fields and subprotocol of the answer.
        response: Box<crate::Response>,
    },
    /// The server refused our request; the session is gone.
    SessionRefused {
        /// The session asked for.
        session: SessionId,
        /// Status and header fields of the refusal.
        response: Box<crate::Response>,
    },
    /// The peer asks to wind the session down; nothing is closed by it.
    SessionDraining {
        /// The session to end soon.
        session: SessionId,
    },
    /// The session is over, with all its streams; also sent for a request whose client went away before the answer.
    SessionEnded {
        /// The session that ended.
        session: SessionId,
        /// Why.
        end: SessionEnd,
    },
    /// The peer opened a stream: see [`Session::accept`](crate::Session::accept).
    StreamOpened {
        /// The session it belongs to.
        session: SessionId,
        /// Which kind.
        direction: Direction,
    },
    /// A stream probably has data, its end or a reset to read.
    StreamReadable {
        /// The stream.
        stream: StreamId,
    },
    /// A stream that was blocked can probably be written, or the peer stopped it.
    StreamWritable {
        /// The stream.
        stream: StreamId,
    },
    /// Everything written on a finished stream, and its end, has arrived at the peer.
    StreamFinished {
        /// The stream.
        stream: StreamId,
    },
    /// The peer stopped a stream that was finished already: what it had not received it will not.
    StreamStopped {
        /// The stream.
        stream: StreamId,
        /// The peer's code; absent when it was not an application code.
        code: Option<u32>,
    },
    /// Streams of this kind can be opened again.
    StreamsAvailable {
        /// Which kind.
        direction: Direction,
    },
    /// The session has datagrams to read.
    DatagramReceived {
        /// The session.
        session: SessionId,
    },
    /// Datagrams can be sent again after [`SendDatagramError::Blocked`](crate::SendDatagramError::Blocked).
    DatagramsUnblocked,
    /// The server takes no more requests on this connection (client only): ask for further sessions on a new one.
    ///
    /// Its open sessions go on, and were told [`SessionDraining`](Self::SessionDraining); requests that it did not look
    /// at have ended with [`SessionEnd::NotProcessed`].
    GoingAway,
    /// The connection is over; every session on it has been told before.
    ConnectionLost {
        /// Why.
        error: ConnectionError,
    },
}
