//! What a handler returns, and what it means for the session.

use std::any::Any;
use std::error::Error;
use std::fmt::Display;

use thiserror::Error;
use transom_core::SessionEnd;

use crate::error::SessionError;

/// What a handler may return: nothing, or a `Result` with nothing and an error that can be displayed.
///
/// - Nothing, or `Ok`: the session is closed with code 0, once the peer has acknowledged all finished streams, or after
///   5 seconds. It is not closed again if it has ended. Acknowledged means that it arrived at the peer, not that the
///   peer's application has read it: what is unread when the close comes may be dropped there. Where every byte counts,
///   let the side that receives end the session, and await [`Session::closed`](crate::Session::closed).
/// - `Err`: the session is closed with code 1 and the error's text as reason, cut to 1024 bytes. **The peer reads that
///   text.** A [`CloseCode`] brings its own code and reason; it may be in a `Box<dyn Error + Send + Sync>`.
/// - A panic closes the session with code 1 and the reason "internal error", and harms no other session.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a handler or a hook can return",
    note = "they return `()`, or `Result<(), E>` with an `E` that can be displayed"
)]
pub trait IntoOutcome {
    /// What to do with the session.
    fn into_outcome(self) -> Outcome;
}

/// What to do with a session after its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome(pub(crate) Kind);

/// The cases of an [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All went well.
    Done,
    /// The handler failed.
    Failed { code: u32, reason: String },
    /// The handler failed because the session ended under it.
    Ended(SessionEnd),
}

/// An error that closes the session with a code and reason of its own.
///
/// # Examples
///
/// ```
/// use transom::{CloseCode, Session};
///
/// async fn handler(session: Session) -> Result<(), CloseCode> {
///     if session.request().query() == Some("full") {
///         return Err(CloseCode::new(42, "the room is full"));
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct CloseCode {
    /// The application's code.
    pub code: u32,
    /// The application's explanation, cut to 1024 bytes.
    pub reason: String,
}

impl CloseCode {
    /// A code with an explanation.
    pub fn new(code: u32, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome(Kind::Done)
    }
}

impl<E: Display + 'static> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        Outcome(match self {
            Ok(()) => Kind::Done,
            Err(error) => failure(&error),
        })
    }
}

fn failure<E: Display + 'static>(error: &E) -> Kind {
    let any: &dyn Any = error;
    let boxed = any.downcast_ref::<Box<dyn Error + Send + Sync>>();
    let close = any.downcast_ref::<CloseCode>().or_else(|| boxed?.downcast_ref());
    let session = any.downcast_ref::<SessionError>().or_else(|| boxed?.downcast_ref());
    if let Some(CloseCode { code, reason }) = close {
        return Kind::Failed { code: *code, reason: reason.clone() };
    }
    if let Some(end) = session.and_then(SessionError::session_end) {
        return Kind::Ended(end.clone());
    }
    Kind::Failed { code: FAILURE_CODE, reason: error.to_string() }
}

/// The code and reason of an outcome that is a failure of its own, not of the session under it.
pub(crate) fn failure_of(outcome: Outcome) -> Option<(u32, String)> {
    match outcome.0 {
        Kind::Failed { code, reason } => Some((code, reason)),
        Kind::Done | Kind::Ended(_) => None,
    }
}

/// The code of a session whose handler failed without naming one.
pub(crate) const FAILURE_CODE: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ReadError;

    fn failed(code: u32, reason: &str) -> Outcome {
        Outcome(Kind::Failed { code, reason: reason.to_owned() })
    }

    #[test]
    fn success() {
        assert_eq!(().into_outcome(), Outcome(Kind::Done));
        assert_eq!(Ok::<(), String>(()).into_outcome(), Outcome(Kind::Done));
    }

    #[test]
    fn any_error_gives_its_text() {
        assert_eq!(Err::<(), _>("no luck").into_outcome(), failed(1, "no luck"));
        assert_eq!(Err::<(), _>(ReadError::Reset(Some(3))).into_outcome().0, failure(&ReadError::Reset(Some(3))));
    }

    #[test]
    fn a_close_code_is_used_also_in_a_box() {
        let close = CloseCode::new(42, "full");
        assert_eq!(Err::<(), _>(close.clone()).into_outcome(), failed(42, "full"));
        let boxed: Box<dyn Error + Send + Sync> = close.into();
        assert_eq!(Err::<(), _>(boxed).into_outcome(), failed(42, "full"));
    }

    #[test]
    fn the_end_of_the_session_is_no_failure_of_the_handler() {
        let end = SessionEnd::ClosedByPeer { code: 0, reason: String::new() };
        let error = SessionError::from(end.clone());
        assert_eq!(Err::<(), _>(error.clone()).into_outcome(), Outcome(Kind::Ended(end.clone())));
        let boxed: Box<dyn Error + Send + Sync> = error.into();
        assert_eq!(Err::<(), _>(boxed).into_outcome(), Outcome(Kind::Ended(end)));
    }
}
