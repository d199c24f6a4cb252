//! From a request to a running handler: decide, prepare, accept, run.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::StatusCode;
use transom_core::admission::{Admission, Verdict};
use transom_core::middleware::Rejection;
use transom_core::{Request, Response};

use super::handler::{Job, Prepare, Running, Work};
use super::http_fallback::{HttpFallback, HttpResponse};
use super::outcome::{FAILURE_CODE, Kind, Outcome};
use super::request::SessionRequest;
use crate::driver::{Acceptor, Deadline, HttpRequested, Requested, SessionCell, Shared};
use crate::session::{MAX_REASON, Session, cut};

/// Answers all requests of a server.
pub(crate) struct Dispatcher<S> {
    pub(crate) admission: Admission<Box<dyn Prepare<S>>>,
    pub(crate) protocols: Vec<String>,
    pub(crate) state: S,
    pub(crate) http_fallback: Option<HttpFallback>,
}

impl<S: Send + Sync> Acceptor for Dispatcher<S> {
    fn requested(&self, shared: &Arc<Shared>, requested: Requested) {
        let request = Arc::clone(&requested.request);
        // Middleware and extractors are the user's; a panic of theirs must not end the driver.
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(&request, requested.now)));
        let decided = decided.unwrap_or_else(|panic| {
            tracing::warn!(path = ?shown(request.path()), panic = panic_text(&*panic), "deciding on a request panicked");
            Err(Rejection::new(StatusCode::INTERNAL_SERVER_ERROR))
        });
        match decided {
            Ok(job) => self.start(shared, requested, job),
            Err(rejection) => refuse(shared, &requested, rejection),
        }
    }

    fn http_requested(&self, shared: &Arc<Shared>, requested: HttpRequested) {
        let running = RunningHandler::new(shared);
        let answer = self.http_fallback.as_ref().map(|fallback| fallback.answer(requested.request.clone()));
        let shared = Arc::clone(shared);
        let runtime = Arc::clone(shared.runtime());
        runtime.spawn(Box::pin(async move {
            let response = match answer {
                Some(answer) => catch_panic(answer).await.unwrap_or_else(|panic| {
                    tracing::warn!(panic = panic_text(&*panic), "answering a plain request panicked");
                    HttpResponse::from(StatusCode::INTERNAL_SERVER_ERROR)
                }),
                None => HttpResponse::from(StatusCode::NOT_FOUND),
            };
            let status = response.response.status().as_u16();
            tracing::debug!(path = ?shown(requested.request.path()), status, "plain request answered");
            let now = shared.runtime().now();
            shared.act(|state| state.respond(&requested, response.response, response.body, now));
            drop(running);
        }));
    }
}

impl<S> Dispatcher<S> {
    fn decide(&self, request: &Request, now: Instant) -> Result<Job, Rejection> {
        match self.admission.decide(request, now) {
            Verdict::Run(admitted) => admitted.found.value.prepare(request, &admitted.found.params, &self.state),
            Verdict::Reject(rejection) => Err(rejection),
        }
    }

    /// The first subprotocol in the client's order that the server speaks.
    fn choose_protocol<'r>(&self, request: &'r Request) -> Option<&'r String> {
        request.protocols().iter().find(|offered| self.protocols.contains(offered))
    }

    fn start(&self, shared: &Arc<Shared>, requested: Requested, job: Job) {
        let mut response = Response::accept();
        if let Some(protocol) = self.choose_protocol(&requested.request) {
            response = response.with_protocol(protocol);
        }
        let running = RunningHandler::new(shared);
        match job.0 {
            Work::Session(job) => {
                // The client may have gone away meanwhile; then the job is dropped unused.
                let Some(cell) = accept(shared, requested, response) else { return };
                shared.runtime().spawn(Box::pin(run(Session::new(cell), job, running)));
            }
            Work::SessionRequest(job) => {
                let request = SessionRequest::new(Arc::clone(shared), requested, response);
                shared.runtime().spawn(Box::pin(run_request(request, job, running)));
            }
        }
    }
}

/// Accepts a request; `None` when the client went away meanwhile.
pub(super) fn accept(shared: &Arc<Shared>, requested: Requested, response: Response) -> Option<Arc<SessionCell>> {
    let Requested { connection, session, request, .. } = requested;
    let cell = shared.act(|state| {
        let core = state.endpoint.connection(connection)?;
        core.accept(session, response.clone()).ok()?;
        state.wake_driver();
        state.add_session(shared, connection, session, request)
    })?;
    let _ = cell.response.set(response);
    tracing::debug!(path = ?shown(cell.request.path()), remote = %cell.remote, status = 200, "session accepted");
    Some(cell)
}

pub(super) fn refuse(shared: &Arc<Shared>, requested: &Requested, rejection: Rejection) {
    let Requested { connection, session, request, .. } = requested;
    let (remote, status) = (request.remote_address(), rejection.status.as_u16());
    tracing::debug!(path = ?shown(request.path()), %remote, status, "session refused");
    shared.act(|state| {
        if let Some(core) = state.endpoint.connection(*connection) {
            // The client may have gone away meanwhile.
            let _ = core.refuse(*session, rejection.into());
            state.wake_driver();
        }
    });
}

/// Runs a handler to its end, and then brings the session to its own.
async fn run<J>(session: Session, job: J, _running: RunningHandler)
where
    J: FnOnce(Session) -> Running,
{
    let result = catch_panic(job(session.clone())).await;
    conclude(session, result).await;
}

/// Runs a handler that answers its request itself, and then brings the session, if there is one, to its end.
async fn run_request<J>(request: SessionRequest, job: J, _running: RunningHandler)
where
    J: FnOnce(SessionRequest) -> Running,
{
    let accepted = request.accepted();
    let result = catch_panic(job(request)).await;
    match accepted.get().cloned() {
        Some(session) => conclude(session, result).await,
        // What it did not answer was answered when it was dropped.
        None => {
            if let Err(panic) = result {
                tracing::warn!(panic = panic_text(&*panic), "the handler of a request panicked");
            }
        }
    }
}

async fn conclude(session: Session, result: Result<Outcome, Box<dyn Any + Send>>) {
    match result {
        Ok(Outcome(Kind::Done)) => close_when_acknowledged(&session).await,
        // The end of this session, or of another one that the handler worked with.
        Ok(Outcome(Kind::Ended(end))) => fail(&session, FAILURE_CODE, &end.to_string()),
        Ok(Outcome(Kind::Failed { code, reason })) => fail(&session, code, &reason),
        Err(panic) => {
            let path = session.request().path();
            tracing::warn!(path = ?shown(path), panic = panic_text(&*panic), "the handler of a session panicked");
            session.close(FAILURE_CODE, "internal error");
        }
    }
    let end = session.closed().await;
    tracing::debug!(path = ?shown(session.request().path()), remote = %session.remote_address(), %end, "session ended");
}

/// Closes a session whose handler failed, unless the handler failed because it was over.
fn fail(session: &Session, code: u32, reason: &str) {
    let path = session.request().path();
    if session.end().is_some() {
        tracing::debug!(path = ?shown(path), reason = ?shown(reason), "the handler ended with its session");
        return;
    }
    tracing::warn!(path = ?shown(path), code, reason = ?shown(reason), "the handler of a session failed");
    session.close(code, cut(reason, MAX_REASON));
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
struct RunningHandler(Arc<Shared>);

impl RunningHandler {
    fn new(shared: &Arc<Shared>) -> Self {
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

/// Runs a future whose panic is a value.
async fn catch_panic<T>(mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> Result<T, Box<dyn Any + Send>> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    cut(text.unwrap_or("(no text)"), MAX_SHOWN)
}

/// Text of a peer's choosing, short enough for a log line; write it with `?`, which escapes it.
fn shown(text: &str) -> &str {
    cut(text, MAX_SHOWN)
}

/// How long a session is kept open for what its handler finished to be acknowledged.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of foreign text in a log line.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::extract::Path;
    use crate::server::handler::Route;

    fn dispatcher() -> Dispatcher<()> {
        let mut admission: Admission<Box<dyn Prepare<()>>> = Admission::default();
        admission.route("/echo", Box::new(Route::new(async |_: Session| {}))).unwrap();
        admission.route("/rooms/{room}", Box::new(Route::new(async |_: Session, _: Path<u8>| {}))).unwrap();
        Dispatcher { admission, protocols: vec![String::from("b"), String::from("a")], state: (), http_fallback: None }
    }

    fn status(path: &str) -> Result<(), StatusCode> {
        let decided = dispatcher().decide(&Request::new("example.org", path), Instant::now());
        decided.map(|_| ()).map_err(|rejection| rejection.status)
    }

    #[test]
    fn a_request_finds_its_handler() {
        assert_eq!(status("/echo"), Ok(()));
        assert_eq!(status("/echo?query"), Ok(()));
        assert_eq!(status("/rooms/7"), Ok(()));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert_eq!(status("/elsewhere"), Err(StatusCode::NOT_FOUND));
        assert_eq!(status("/rooms/blue"), Err(StatusCode::NOT_FOUND));
    }

    #[test]
    fn the_client_s_favourite_protocol_is_chosen() {
        let dispatcher = dispatcher();
        let request = |protocols: &[&str]| {
            protocols.iter().fold(Request::new("example.org", "/"), |request, name| request.protocol(*name))
        };
        assert_eq!(dispatcher.choose_protocol(&request(&["x", "a", "b"])).map(String::as_str), Some("a"));
        assert_eq!(dispatcher.choose_protocol(&request(&["x"])), None);
        assert_eq!(dispatcher.choose_protocol(&request(&[])), None);
    }

    #[test]
    fn a_panic_becomes_a_value_with_its_text() {
        let mut panics = Box::pin(catch_panic(Box::pin(async {
            std::panic::panic_any(String::from("oh no"));
        })));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Err(panic)) = panics.as_mut().poll(&mut context) else { panic!("not caught") };
        assert_eq!(panic_text(&*panic), "oh no");
    }

    #[test]
    fn foreign_text_is_cut() {
        assert_eq!(shown(&"é".repeat(200)).len(), 200);
        assert_eq!(shown("short"), "short");
    }
}
