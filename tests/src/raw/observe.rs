use std::collections::BTreeMap;
use std::fmt;
use std::io;

use quinn_proto::ConnectionError;

use super::code;

/// Everything a [`Client`](super::Client) has seen so far on its connection.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How the connection ended; `None` while it is alive.
    pub close: Option<Close>,
    /// What came in on each stream, by stream id.
    pub streams: BTreeMap<u64, StreamSeen>,
    /// Payloads of DATAGRAM frames, oldest first.
    pub datagrams: Vec<Vec<u8>>,
}

/// What one stream has shown so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamSeen {
    /// The bytes received.
    pub data: Vec<u8>,
    /// The peer finished its half.
    pub fin: bool,
    /// The code with which the peer reset its half.
    pub reset: Option<u64>,
    /// The code with which the peer asked us to stop sending.
    pub stop: Option<u64>,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    /// CONNECTION_CLOSE from the application layer (type 0x1d).
    Application {
        /// The code.
        code: u64,
        /// The reason.
        reason: String,
    },
    /// CONNECTION_CLOSE from the transport (type 0x1c).
    Transport {
        /// The code.
        code: u64,
        /// The reason.
        reason: String,
    },
    /// Anything else: idle timeout, stateless reset, an error that our own QUIC code found.
    Other(String),
}

/// Why the raw client could not go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The connection is over.
    #[error("connection closed: {0}")]
    Closed(Close),
    /// Nothing happened for as long as the test was willing to wait.
    #[error("waited in vain for {0}")]
    Waited(String),
    /// Something else happened than the test asked for.
    #[error("{0}")]
    Unexpected(String),
}

impl Seen {
    /// What a stream has shown; empty for a stream that has shown nothing.
    pub fn stream(&self, id: u64) -> &StreamSeen {
        self.streams.get(&id).unwrap_or(&NOTHING)
    }

    /// Streams that the server opened, as (id, what it has shown), in the order of their ids.
    pub fn opened_by_server(&self) -> impl Iterator<Item = (u64, &StreamSeen)> {
        self.streams.iter().filter(|(id, _)| *id % 2 == 1).map(|(id, stream)| (*id, stream))
    }
}

impl StreamSeen {
    /// Whether the peer's half is over, by FIN or by reset.
    pub fn ended(&self) -> bool {
        self.fin || self.reset.is_some()
    }

    /// Whether the peer has reset its half or stopped ours.
    pub fn aborted(&self) -> bool {
        self.reset.is_some() || self.stop.is_some()
    }
}

impl Failure {
    /// A failure in words.
    pub fn unexpected(words: impl Into<String>) -> Self {
        Self::Unexpected(words.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unexpected(format!("socket: {error}"))
    }
}

impl From<ConnectionError> for Close {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Application {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            ConnectionError::ConnectionClosed(close) => Self::Transport {
                code: u64::from(close.error_code),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application { code, reason } => write!(f, "{} \"{reason}\"", code::name(*code)),
            Self::Transport { code, reason } => write!(f, "transport error {code:#x} \"{reason}\""),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// What a stream has shown that has shown nothing.
static NOTHING: StreamSeen = StreamSeen { data: Vec::new(), fin: false, reset: None, stop: None };
