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
    /// As [`Reaction::Aborts`], but the connection takes no session after it. Nobody else was on it.
    AbortsForGood(u64),
    /// As [`Reaction::Answers`], but the connection takes no session after it. Nobody else was on it.
    AnswersForGood(u16),
    /// As [`Reaction::Finishes`], but the connection takes no session after it.
    FinishesForGood,
    /// Nothing happens and everything goes on.
    GoesOn,
}

impl Reaction {
    /// The same without a session after it, where that makes a difference.
    pub(super) fn for_good(self) -> Option<Self> {
        match self {
            Self::Aborts(code) => Some(Self::AbortsForGood(code)),
            Self::Answers(status) if status >= 400 => Some(Self::AnswersForGood(status)),
            Self::Finishes => Some(Self::FinishesForGood),
            _ => None,
        }
    }

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
            Self::AbortsForGood(code) => write!(f, "abort {}, no session after it", code::name(*code)),
            Self::AnswersForGood(status) => write!(f, "status {status}, no session after it"),
            Self::FinishesForGood => f.write_str("clean end, no session after it"),
            Self::GoesOn => f.write_str("goes on"),
        }
    }
}
