//! Functions that serve sessions.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use transom_core::middleware::Rejection;

use super::extract::FromRequest;
use super::facts::IdentityType;
use super::outcome::{IntoOutcome, Outcome};
use super::parts::Parts;
use super::request::SessionRequest;
use crate::session::Session;

/// An async function that serves a session: it takes a [`Session`] and up to three arguments that come from the request.
///
/// With a [`SessionRequest`] instead of the `Session` it answers the request itself, when it is ready to.
///
/// It is implemented for functions and closures; see [`FromRequest`] for what the arguments may be, and [`IntoOutcome`]
/// for what may be returned. The future runs as a task of its own, and is not dropped when the session ends: its
/// operations give errors then, and it can clean up.
///
/// A peer that closes a session gives up all that is on its way: **what has arrived and was not read is lost** when the
/// close comes first, datagrams and streams that the peer had finished alike. Where every byte counts, let the side that
/// reads last close the session; [`IntoOutcome`] says what that means for what a handler has sent.
///
/// # Examples
///
/// ```no_run
/// use transom::{Path, ServerApp, Session, SessionError, State};
///
/// async fn room(session: Session, Path(room): Path<u32>, State(motd): State<String>) -> Result<(), SessionError> {
///     session.send_datagram(format!("room {room}: {motd}"))?;
///     session.closed().await;
///     Ok(())
/// }
///
/// let app = ServerApp::with_state(String::from("be nice")).route("/rooms/{room}", room);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler for sessions",
    note = "a handler is `async fn(Session, …) -> R`: first a `Session` or `SessionRequest`, then up to three arguments that implement \
            `FromRequest<S>` and are `Send`, where `S` is the state; `R` is `()` or `Result<(), E>` with an `E` that can \
            be displayed; and its future must be `Send`"
)]
pub trait Handler<S, Arguments>: Clone + Send + Sync + 'static {
    /// Says whether the arguments can be had from requests of a route.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    fn check_pattern(pattern: &str) -> Result<(), String>;

    /// The types of identity without which its arguments cannot be had.
    fn identities() -> Vec<IdentityType> {
        Vec::new()
    }

    /// Takes the arguments out of a request.
    ///
    /// # Errors
    ///
    /// What to answer instead of accepting the session.
    fn prepare(&self, parts: &Parts<'_>, state: &S) -> Result<Job, Rejection>;
}

/// A handler with its arguments, waiting for what it works on.
pub struct Job(pub(crate) Work);

/// What a handler works on.
pub(crate) enum Work {
    /// A session that has been accepted for it.
    Session(Box<dyn FnOnce(Session) -> Running + Send>),
    /// A request that it answers itself.
    SessionRequest(Box<dyn FnOnce(SessionRequest) -> Running + Send>),
}

/// A handler at work.
pub(crate) type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Calls a handler inside the future, so that a panic of it is caught like one of its body.
fn start<T, F, R>(run: impl FnOnce(T) -> F + Send + 'static) -> Box<dyn FnOnce(T) -> Running + Send>
where
    T: Send + 'static,
    F: Future<Output = R> + Send + 'static,
    R: IntoOutcome,
{
    Box::new(move |subject| Box::pin(async move { run(subject).await.into_outcome() }))
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// A handler of any kind, for the router.
pub(crate) trait Prepare<S>: Send + Sync {
    /// See [`Handler::check_pattern`].
    fn check_pattern(&self, pattern: &str) -> Result<(), String>;

    /// See [`Handler::identities`].
    fn identities(&self) -> Vec<IdentityType>;

    /// See [`Handler::prepare`].
    fn prepare(&self, parts: &Parts<'_>, state: &S) -> Result<Job, Rejection>;
}

/// A handler with its kind of arguments remembered.
pub(crate) struct Route<H, Arguments> {
    handler: H,
    arguments: PhantomData<fn(Arguments)>,
}

impl<H, Arguments> Route<H, Arguments> {
    pub(crate) fn new(handler: H) -> Self {
        Self { handler, arguments: PhantomData }
    }
}

impl<S, Arguments, H: Handler<S, Arguments>> Prepare<S> for Route<H, Arguments> {
    fn check_pattern(&self, pattern: &str) -> Result<(), String> {
        H::check_pattern(pattern)
    }

    fn identities(&self) -> Vec<IdentityType> {
        H::identities()
    }

    fn prepare(&self, parts: &Parts<'_>, state: &S) -> Result<Job, Rejection> {
        self.handler.prepare(parts, state)
    }
}

macro_rules! handler {
    ($subject:ident: $($argument:ident)*) => {
        impl<S, F, Fut, R, $($argument,)*> Handler<S, ($subject, $($argument,)*)> for F
        where
            F: Fn($subject, $($argument,)*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoOutcome,
            $($argument: FromRequest<S> + Send + 'static,)*
        {
            fn check_pattern(pattern: &str) -> Result<(), String> {
                let _ = pattern;
                $($argument::check_pattern(pattern)?;)*
                Ok(())
            }

            fn identities() -> Vec<IdentityType> {
                let identities: &[Option<IdentityType>] = &[$($argument::identity()),*];
                identities.iter().flatten().copied().collect()
            }

            #[allow(non_snake_case, reason = "each argument is named after its type parameter")]
            fn prepare(&self, parts: &Parts<'_>, state: &S) -> Result<Job, Rejection> {
                let _ = (parts, state);
                $(let $argument = $argument::from_parts(parts, state)?;)*
                let handler = self.clone();
                Ok(Job(Work::$subject(start(move |subject| handler(subject, $($argument,)*)))))
            }
        }
    };
}

handler!(Session:);
handler!(Session: A);
handler!(Session: A B);
handler!(Session: A B C);
handler!(SessionRequest:);
handler!(SessionRequest: A);
handler!(SessionRequest: A B);
handler!(SessionRequest: A B C);

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use transom_core::Request;
    use transom_core::router::Params;

    use super::*;
    use crate::server::extract::{Path, Query, State};

    fn prepare<A, H: Handler<u8, A>>(handler: &H, path: &str) -> Result<Job, Rejection> {
        let (request, params) = (Request::new("example.org", path), Params::default());
        let parts = Parts { request: &request, params: &params, route: "/", protocol: None, identities: &[] };
        handler.prepare(&parts, &7)
    }

    fn pattern<A, H: Handler<u8, A>>(_: H, pattern: &str) -> Result<(), String> {
        H::check_pattern(pattern)
    }

    #[test]
    fn up_to_three_arguments() {
        assert!(prepare(&async |_: Session| {}, "/").is_ok());
        assert!(prepare(&async |_: Session, _: Query| {}, "/").is_ok());
        assert!(prepare(&async |_: Session, _: Query, _: State<u8>| {}, "/").is_ok());
        assert!(prepare(&async |_: Session, _: Query, _: State<u8>, _: Params| {}, "/").is_ok());
    }

    #[test]
    fn an_argument_that_cannot_be_had_refuses() {
        let rejection = prepare(&async |_: Session, _: Path<u8>| {}, "/").unwrap_err();
        assert_eq!(rejection.status, StatusCode::NOT_FOUND);
        let rejection = prepare(&async |_: Session, _: State<u8>, _: Query| {}, "/?%ff").unwrap_err();
        assert_eq!(rejection.status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn every_argument_sees_the_pattern() {
        assert_eq!(pattern(async |_: Session, _: Query| {}, "/"), Ok(()));
        assert!(pattern(async |_: Session, _: Query, _: Path<u8>| {}, "/").is_err());
        assert_eq!(pattern(async |_: Session, _: Query, _: Path<u8>| {}, "/{id}"), Ok(()));
    }

    #[test]
    fn functions_that_return_results_are_handlers() {
        async fn fails(_: Session) -> Result<(), String> {
            Err(String::from("no"))
        }
        assert!(prepare(&fails, "/").is_ok());
    }
}
