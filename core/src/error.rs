//! Errors, in the four families that are never mixed: codes on the wire, the end of a connection or session, results of
//! operations (where `Blocked` is control flow), and mistakes of the caller.

use std::fmt;

use thiserror::Error;

/// An HTTP/3 or WebTransport error code as it stands in RESET_STREAM, STOP_SENDING or CONNECTION_CLOSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u64);

impl ErrorCode {
    /// H3_DATAGRAM_ERROR (RFC 9297, section 5.2).
    pub const H3_DATAGRAM_ERROR: Self = Self(0x33);
    /// H3_NO_ERROR (RFC 9114, section 8.1, as the following).
    pub const H3_NO_ERROR: Self = Self(0x100);
    /// H3_GENERAL_PROTOCOL_ERROR.
    pub const H3_GENERAL_PROTOCOL_ERROR: Self = Self(0x101);
    /// H3_INTERNAL_ERROR.
    pub const H3_INTERNAL_ERROR: Self = Self(0x102);
    /// H3_STREAM_CREATION_ERROR.
    pub const H3_STREAM_CREATION_ERROR: Self = Self(0x103);
    /// H3_CLOSED_CRITICAL_STREAM.
    pub const H3_CLOSED_CRITICAL_STREAM: Self = Self(0x104);
    /// H3_FRAME_UNEXPECTED.
    pub const H3_FRAME_UNEXPECTED: Self = Self(0x105);
    /// H3_FRAME_ERROR.
    pub const H3_FRAME_ERROR: Self = Self(0x106);
    /// H3_EXCESSIVE_LOAD.
    pub const H3_EXCESSIVE_LOAD: Self = Self(0x107);
    /// H3_ID_ERROR.
    pub const H3_ID_ERROR: Self = Self(0x108);
    /// H3_SETTINGS_ERROR.
    pub const H3_SETTINGS_ERROR: Self = Self(0x109);
    /// H3_MISSING_SETTINGS.
    pub const H3_MISSING_SETTINGS: Self = Self(0x10a);
    /// H3_REQUEST_REJECTED.
    pub const H3_REQUEST_REJECTED: Self = Self(0x10b);
    /// H3_REQUEST_CANCELLED.
    pub const H3_REQUEST_CANCELLED: Self = Self(0x10c);
    /// H3_REQUEST_INCOMPLETE.
    pub const H3_REQUEST_INCOMPLETE: Self = Self(0x10d);
    /// H3_MESSAGE_ERROR.
    pub const H3_MESSAGE_ERROR: Self = Self(0x10e);
    /// QPACK_DECOMPRESSION_FAILED (RFC 9204, section 6, as the following).
    pub const QPACK_DECOMPRESSION_FAILED: Self = Self(0x200);
    /// QPACK_ENCODER_STREAM_ERROR.
    pub const QPACK_ENCODER_STREAM_ERROR: Self = Self(0x201);
    /// QPACK_DECODER_STREAM_ERROR.
    pub const QPACK_DECODER_STREAM_ERROR: Self = Self(0x202);
    /// WT_BUFFERED_STREAM_REJECTED (draft-ietf-webtrans-http3-16, section 9.5, as the following).
    pub const WT_BUFFERED_STREAM_REJECTED: Self = Self(0x3994_bd84);
    /// WT_SESSION_GONE.
    pub const WT_SESSION_GONE: Self = Self(0x170d_7b68);
    /// WT_FLOW_CONTROL_ERROR.
    pub const WT_FLOW_CONTROL_ERROR: Self = Self(0x045d_4487);
    /// WT_ALPN_ERROR.
    pub const WT_ALPN_ERROR: Self = Self(0x0817_b3dd);
    /// WT_REQUIREMENTS_NOT_MET.
    pub const WT_REQUIREMENTS_NOT_MET: Self = Self(0x212c_0d48);
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::H3_DATAGRAM_ERROR => "H3_DATAGRAM_ERROR",
            Self::H3_NO_ERROR => "H3_NO_ERROR",
            Self::H3_GENERAL_PROTOCOL_ERROR => "H3_GENERAL_PROTOCOL_ERROR",
            Self::H3_INTERNAL_ERROR => "H3_INTERNAL_ERROR",
            Self::H3_STREAM_CREATION_ERROR => "H3_STREAM_CREATION_ERROR",
            Self::H3_CLOSED_CRITICAL_STREAM => "H3_CLOSED_CRITICAL_STREAM",
            Self::H3_FRAME_UNEXPECTED => "H3_FRAME_UNEXPECTED",
            Self::H3_FRAME_ERROR => "H3_FRAME_ERROR",
            Self::H3_EXCESSIVE_LOAD => "H3_EXCESSIVE_LOAD",
            Self::H3_ID_ERROR => "H3_ID_ERROR",
            Self::H3_SETTINGS_ERROR => "H3_SETTINGS_ERROR",
            Self::H3_MISSING_SETTINGS => "H3_MISSING_SETTINGS",
            Self::H3_REQUEST_REJECTED => "H3_REQUEST_REJECTED",
            Self::H3_REQUEST_CANCELLED => "H3_REQUEST_CANCELLED",
            Self::H3_REQUEST_INCOMPLETE => "H3_REQUEST_INCOMPLETE",
            Self::H3_MESSAGE_ERROR => "H3_MESSAGE_ERROR",
            Self::QPACK_DECOMPRESSION_FAILED => "QPACK_DECOMPRESSION_FAILED",
            Self::QPACK_ENCODER_STREAM_ERROR => "QPACK_ENCODER_STREAM_ERROR",
            Self::QPACK_DECODER_STREAM_ERROR => "QPACK_DECODER_STREAM_ERROR",
            Self::WT_BUFFERED_STREAM_REJECTED => "WT_BUFFERED_STREAM_REJECTED",
            Self::WT_SESSION_GONE => "WT_SESSION_GONE",
            Self::WT_FLOW_CONTROL_ERROR => "WT_FLOW_CONTROL_ERROR",
            Self::WT_ALPN_ERROR => "WT_ALPN_ERROR",
            Self::WT_REQUIREMENTS_NOT_MET => "WT_REQUIREMENTS_NOT_MET",
            Self(code) => return write!(f, "{code:#x}"),
        };
        f.write_str(name)
    }
}

/// Why a connection ended; every session and waiter on it gets a copy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer closed the connection with an application (HTTP/3) code; `H3_NO_ERROR` is a friendly end.
    #[error("the peer closed the connection: {code} {reason:?}")]
    ClosedByPeer {
        /// The code it gave.
        code: ErrorCode,
        /// Its explanation, cut to 256 characters; text of the peer's choosing.
        reason: String,
    },
    /// The peer broke HTTP/3 or WebTransport rules and we closed the connection.
    #[error("the peer broke the protocol, the connection was closed with {code}: {reason}")]
    PeerMisbehaved {
        /// The code we sent.
        code: ErrorCode,
        /// What was wrong.
        reason: String,
    },
    /// QUIC or TLS failed, on our finding or the peer's.
    #[error("transport error {code:#x}: {reason:?}")]
    Transport {
        /// The QUIC transport error code (RFC 9000, section 20.1).
        code: u64,
        /// What was wrong.
        reason: String,
    },
    /// Nothing was heard from the peer for longer than the idle timeout.
    #[error("nothing was heard from the peer for longer than the idle timeout")]
    TimedOut,
    /// The peer does not know this connection any more, probably because it restarted.
    #[error("the peer lost its state and reset the connection")]
    Reset,
    /// Our side closed the connection.
    #[error("the connection was closed on our side: {code} {reason:?}")]
    ClosedLocally {
        /// The code we sent.
        code: ErrorCode,
        /// The explanation we sent.
        reason: String,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The peer closed the session; a plain end of the CONNECT stream counts as code 0 with an empty reason.
    #[error("the peer closed the session with code {code} {reason:?}")]
    ClosedByPeer {
        /// The application's code.
        code: u32,
        /// The application's explanation, at most 1024 bytes.
        reason: String,
    },
    /// Our side closed the session.
    #[error("the session was closed on our side with code {code} {reason:?}")]
    ClosedLocally {
        /// The application's code.
        code: u32,
        /// The application's explanation, at most 1024 bytes.
        reason: String,
    },
    /// The peer reset the CONNECT stream: an abrupt end.
    #[error("the peer aborted the session: {code}")]
    Aborted {
        /// The code of the reset.
        code: ErrorCode,
    },
    /// The server is going away or turned the request down unread.
    #[error("the server did not process the request: it is safe to ask again on a new connection")]
    NotProcessed,
    /// The peer broke a rule of the session and we reset it.
    #[error("the peer broke the session's rules, the session was reset with {code}")]
    PeerMisbehaved {
        /// The code we sent.
        code: ErrorCode,
    },
    /// The request was not answered within [`Config::accept_timeout`](crate::Config::accept_timeout).
    #[error("the request was not answered in time")]
    AnswerTimedOut,
    /// The connection ended.
    #[error(transparent)]
    ConnectionLost(ConnectionError),
}

impl SessionEnd {
    /// Whether both sides meant it: a close by either application, not an abort or a failure.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::ClosedByPeer { .. } | Self::ClosedLocally { .. })
    }
}

/// Why a read gave no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Nothing to read now; [`Event::StreamReadable`](crate::Event::StreamReadable) follows.
    #[error("no data yet")]
    Blocked,
    /// The peer reset the stream; the code is absent when it was not an application code (draft-16, section 4.4).
    #[error("the peer reset the stream with code {0:?}")]
    Reset(Option<u32>),
    /// The stream was finished, reset or stopped before, or its session is over.
    #[error("the stream is closed")]
    Closed,
}

/// Why a write took no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WriteError {
    /// No room now; [`Event::StreamWritable`](crate::Event::StreamWritable) follows.
    #[error("no room to write yet")]
    Blocked,
    /// The peer asked us to stop; the code is absent when it was not an application code. Told once, then `Closed`.
    #[error("the peer stopped the stream with code {0:?}")]
    Stopped(Option<u32>),
    /// The stream was finished or reset before, or its session is over.
    #[error("the stream is closed")]
    Closed,
}

/// Why no stream was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The peer's stream limit is used up; [`Event::StreamsAvailable`](crate::Event::StreamsAvailable) follows.
    #[error("the peer's stream limit is used up")]
    Blocked,
    /// The session is not open: not yet established, or over.
    #[error("the session is not open")]
    Closed,
}

/// Why a datagram was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendDatagramError {
    /// The send buffer is full; [`Event::DatagramsUnblocked`](crate::Event::DatagramsUnblocked) follows.
    #[error("the datagram buffer is full")]
    Blocked,
    /// The payload does not fit one packet on the current path.
    #[error("the datagram is larger than the current maximum of {max} bytes")]
    TooLarge {
        /// The most payload bytes that fit now; it changes with the path.
        max: usize,
    },
    /// The session is not open: not yet established, or over.
    #[error("the session is not open")]
    Closed,
}

/// Why no keying material was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The session is not open: not yet established, or over.
    #[error("the session is not open")]
    NotEstablished,
    /// The label has more than 255 bytes.
    #[error("the exporter label is longer than 255 bytes")]
    LabelTooLong,
    /// The context has more than 255 bytes.
    #[error("the exporter context is longer than 255 bytes")]
    ContextTooLong,
    /// More was asked for than the connection's hash can give: 255 times its size, 8,160 bytes with SHA-256.
    #[error("more keying material was asked for than the connection's hash can give")]
    OutputTooLong,
}

/// The identifier names nothing that is there (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no such session, or it is over")]
pub struct UnknownSession;

/// No plain request waits for an answer on the stream (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no such request, or it was answered or given up")]
pub struct UnknownRequest;

/// Why no connection was started; always a mistake of the caller or an exhausted limit, never the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint is closing, or has no client configuration.
    #[error("the endpoint takes no new connections")]
    Closing,
    /// [`Config::max_connections`](crate::Config::max_connections) is reached.
    #[error("the endpoint's connection limit is reached")]
    TooMany,
    /// The server name is not a valid DNS name or IP address.
    #[error("invalid server name {0:?}")]
    InvalidServerName(String),
    /// The remote address cannot be connected to (port 0, for example).
    #[error("invalid remote address {0}")]
    InvalidAddress(std::net::SocketAddr),
    /// The TLS configuration cannot be used for QUIC.
    #[error("the TLS configuration cannot be used for QUIC: {0}")]
    Tls(String),
}

/// A configuration that cannot work; the sentence says which value and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_by_their_names_in_the_drafts() {
        let named = [
            (0x33, "H3_DATAGRAM_ERROR"),
            (0x100, "H3_NO_ERROR"),
            (0x101, "H3_GENERAL_PROTOCOL_ERROR"),
            (0x102, "H3_INTERNAL_ERROR"),
            (0x103, "H3_STREAM_CREATION_ERROR"),
            (0x104, "H3_CLOSED_CRITICAL_STREAM"),
            (0x105, "H3_FRAME_UNEXPECTED"),
            (0x106, "H3_FRAME_ERROR"),
            (0x107, "H3_EXCESSIVE_LOAD"),
            (0x108, "H3_ID_ERROR"),
            (0x109, "H3_SETTINGS_ERROR"),
            (0x10a, "H3_MISSING_SETTINGS"),
            (0x10b, "H3_REQUEST_REJECTED"),
            (0x10c, "H3_REQUEST_CANCELLED"),
            (0x10d, "H3_REQUEST_INCOMPLETE"),
            (0x10e, "H3_MESSAGE_ERROR"),
            (0x200, "QPACK_DECOMPRESSION_FAILED"),
            (0x201, "QPACK_ENCODER_STREAM_ERROR"),
            (0x202, "QPACK_DECODER_STREAM_ERROR"),
            (0x3994_bd84, "WT_BUFFERED_STREAM_REJECTED"),
            (0x170d_7b68, "WT_SESSION_GONE"),
            (0x045d_4487, "WT_FLOW_CONTROL_ERROR"),
            (0x0817_b3dd, "WT_ALPN_ERROR"),
            (0x212c_0d48, "WT_REQUIREMENTS_NOT_MET"),
            (0x10f, "0x10f"),
        ];
        for (code, name) in named {
            assert_eq!(ErrorCode(code).to_string(), name);
        }
    }

    #[test]
    fn only_closes_by_an_application_are_clean() {
        let reason = String::new();
        assert!(SessionEnd::ClosedByPeer { code: 1, reason: reason.clone() }.is_clean());
        assert!(SessionEnd::ClosedLocally { code: 1, reason }.is_clean());
        let code = ErrorCode::H3_NO_ERROR;
        for end in [
            SessionEnd::Aborted { code },
            SessionEnd::PeerMisbehaved { code },
            SessionEnd::AnswerTimedOut,
            SessionEnd::ConnectionLost(ConnectionError::TimedOut),
        ] {
            assert!(!end.is_clean(), "{end}");
        }
    }
}
