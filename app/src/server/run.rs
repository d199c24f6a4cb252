//! Handlers at work, from the acceptance to the end of the session.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use transom_core::Request;
use transom_core::middleware::Permits;

use super::dispatch::{catch_panic, panic_text, shown};
use super::events::HandlerFailure;
use super::handler::Running;
use super::outcome::{FAILURE_CODE, Kind, Outcome};
use super::request::SessionRequest;
use super::span;
use crate::driver::{Deadline, Shared};
use crate::session::{MAX_REASON, Session, cut};

/// Runs a handler to its end, and then brings the session to its own.
pub(super) async fn run<J>(session: Session, job: J, permits: Permits, route: String, _running: RunningHandler)
where
    J: FnOnce(Session) -> Running,
{
    let began = session.shared().runtime().now();
    let accepted = Arc::new(OnceLock::from(session.clone()));
    let result = holding(permits, accepted, catch_panic(job(session.clone()))).await;
    conclude(session, result, &route, began).await;
}

/// Runs a handler that answers its request itself, and then brings the session, if there is one, to its end.
pub(super) async fn run_request<J>(
    request: SessionRequest,
    job: J,
    permits: Permits,
    route: String,
    _running: RunningHandler,
) where
    J: FnOnce(SessionRequest) -> Running,
{
    let (accepted, began) = (request.accepted(), request.now());
    let (shared, asked) = request.came_in();
    let result = holding(permits, Arc::clone(&accepted), catch_panic(job(request))).await;
    match accepted.get().cloned() {
        Some(session) => conclude(session, result, &route, began).await,
        // What it did not answer was answered when it was dropped.
        None => {
            if let Err(panic) = result {
                let text = panic_text(&*panic);
                tracing::warn!(panic = text, "the handler of a request panicked");
                tell(&shared, &asked, &route, &HandlerFailure::Panic(text.to_owned()));
            }
        }
    }
}

/// Runs a handler, and gives permits back when its session ends, though the handler may go on; at the latest when it is
/// done.
async fn holding<T>(permits: Permits, accepted: Arc<OnceLock<Session>>, handler: impl Future<Output = T>) -> T {
    if permits.is_empty() {
        return handler.await;
    }
    let (mut permits, mut handler) = (Some(permits), pin!(handler));
    let mut over: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    poll_fn(|context| {
        let result = handler.as_mut().poll(context);
        if let Some(session) = accepted.get().filter(|_| over.is_none() && permits.is_some()).cloned() {
            over = Some(Box::pin(async move {
                session.closed().await;
            }));
        }
        if over.as_mut().is_some_and(|over| over.as_mut().poll(context).is_ready()) {
            // Its handle of the session goes, too.
            over = None;
            permits = None;
        }
        result
    })
    .await
}

async fn conclude(session: Session, result: Result<Outcome, Box<dyn Any + Send>>, route: &str, began: Instant) {
    match result {
        Ok(Outcome(Kind::Done)) => close_when_acknowledged(&session).await,
        // The end of this session, or of another one that the handler worked with.
        Ok(Outcome(Kind::Ended(end))) => fail(&session, route, FAILURE_CODE, end),
        Ok(Outcome(Kind::Failed { code, reason })) => fail(&session, route, code, reason),
        Err(panic) => {
            let (path, text) = (session.request().path(), panic_text(&*panic));
            tracing::warn!(path = ?shown(path), panic = text, "the handler of a session panicked");
            tell(session.shared(), session.request(), route, &HandlerFailure::Panic(text.to_owned()));
            session.close(FAILURE_CODE, "internal error");
        }
    }
    let end = session.closed().await;
    span::ended(session.shared().runtime().now().saturating_duration_since(began));
    tracing::debug!(path = ?shown(session.request().path()), remote = %session.remote_address(), %end, "session ended");
}

/// Closes a session whose handler failed, unless the handler failed because it was over.
fn fail(session: &Session, route: &str, code: u32, reason: impl ToString) {
    let path = session.request().path();
    if session.end().is_some() {
        tracing::debug!(path = ?shown(path), reason = ?shown(&reason.to_string()), "the handler ended with its session");
        return;
    }
    let reason = reason.to_string();
    tracing::warn!(path = ?shown(path), code, reason = ?shown(&reason), "the handler of a session failed");
    let reason = cut(&reason, MAX_REASON);
    tell(session.shared(), session.request(), route, &HandlerFailure::Error { code, reason: reason.to_owned() });
    session.close(code, reason);
}

/// Tells those who want to know of handlers that fail.
fn tell(shared: &Shared, request: &Request, route: &str, failure: &HandlerFailure) {
    if let Some(watchers) = shared.watchers() {
        watchers.handler_failed(request, route, failure);
    }
}

/// Closing resets what is on its way, so that what the handler finished gets the time to arrive.
async fn close_when_acknowledged(session: &Session) {
    if session.end().is_none() {
        let mut deadline = Deadline::after(session.shared().runtime(), ACKNOWLEDGE_LIMIT);
        // Whoever does not acknowledge in that time does not get everything.
        let _ = deadline.bound(session.streams_acknowledged()).await;
        session.close(0, "");
    }
}

/// Counts a handler as running for as long as it lives.
pub(super) struct RunningHandler(Arc<Shared>);

impl RunningHandler {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.act(|state| state.running_handlers += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for RunningHandler {
    fn drop(&mut self) {
        self.0.act(|state| {
            state.running_handlers -= 1;
            // A server that shuts down may have waited for this one.
            if state.shutdown.is_some() {
                state.wake_driver();
            }
        });
    }
}

/// How long a session is kept open for what its handler finished to be acknowledged.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(5);
