use std::fmt;

use crate::raw::code;

/// How a server reacts to an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The connection is closed by the application layer with this code.
    Closes(u64),
    /// The connection is closed by the application layer; the catalogue leaves the code open.
    ClosesSomehow,
    /// The connection is closed by the transport with this code.
    ClosesTransport(u64),
    /// The stream is reset, stopped, or both, with this code; everything else goes on.
    Aborts(u64),
    /// The stream is reset, stopped, or both; the catalogue leaves the code open. Everything else goes on.
    AbortsSomehow,
    /// The request is answered with this status; everything else goes on.
    Answers(u16),
    /// The session's CONNECT stream ends with FIN; the connection goes on.
    Finishes,
    /// Nothing happens and everything goes on.
    GoesOn,
}

impl Reaction {
    /// Whether this is what was expected.
    pub fn meets(self, expected: Self) -> bool {
        match (self, expected) {
            (Self::Closes(_), Self::ClosesSomehow) | (Self::Aborts(_), Self::AbortsSomehow) => true,
            _ => self == expected,
        }
    }
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closes(code) => write!(f, "close {}", code::name(*code)),
            Self::ClosesSomehow => f.write_str("close"),
            Self::ClosesTransport(code) => write!(f, "transport close {code:#x}"),
            Self::Aborts(code) => write!(f, "abort {}", code::name(*code)),
            Self::AbortsSomehow => f.write_str("abort"),
            Self::Answers(status) => write!(f, "status {status}"),
            Self::Finishes => f.write_str("clean end"),
            Self::GoesOn => f.write_str("goes on"),
        }
    }
}
