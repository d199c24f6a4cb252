//! From a request to a running handler: decide, authenticate, prepare, accept, run.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Instant;

use http::{HeaderMap, StatusCode};
use tracing::Instrument;
use transom_core::admission::{Admission, UNJUDGED, Verdict};
use transom_core::middleware::{Permits, Rejection};
use transom_core::router::Params;
use transom_core::{Request, Response};

use super::about::Listing;
use super::authenticate::Authentications;
use super::handler::{Job, Prepare, Work};
use super::http_fallback::{HttpFallback, HttpResponse};
use super::operations::Operations;
use super::parts::{AnyIdentity, Parts};
use super::request::SessionRequest;
use super::run::{RunningHandler, run, run_request};
use super::span;
use super::watch::Watchers;
use crate::diagnostics::RouteDiagnostics;
use crate::driver::{Acceptor, HttpRequested, Requested, SessionCell, Shared};
use crate::session::{Session, cut};

/// Answers all requests of a server.
pub(crate) struct Dispatcher<S> {
    pub(crate) admission: Admission<Arc<dyn Prepare<S>>>,
    pub(crate) authentications: Authentications<S>,
    /// Header fields of every acceptance.
    pub(crate) accept: HeaderMap,
    pub(crate) protocols: Vec<String>,
    pub(crate) state: S,
    pub(crate) http_fallback: Option<HttpFallback>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) operations: Arc<Operations>,
    /// Whether the log has said what to do about web pages that are refused.
    pub(crate) advised: AtomicBool,
}

/// A request that passed the middleware, with what it takes to go on.
struct Passed<S> {
    handler: Arc<dyn Prepare<S>>,
    route: String,
    params: Params,
    permits: Permits,
    response: Response,
}

impl<S: Clone + Send + Sync + 'static> Acceptor for Dispatcher<S> {
    fn requested(&self, shared: &Arc<Shared>, requested: Requested) {
        let request = Arc::clone(&requested.request);
        let span = span::of(&request);
        let _entered = span.enter();
        // Middleware and extractors are the user's; a panic of theirs must not end the driver.
        let passed = contained(&request, || self.decide(&request, requested.now));
        match passed {
            Ok(passed) => match self.authentications.for_path(request.path()) {
                None => passed.go_on(shared, requested, &[], &self.state),
                Some(checks) => {
                    let (state, running, shared) =
                        (self.state.clone(), RunningHandler::new(shared), Arc::clone(shared));
                    let runtime = Arc::clone(shared.runtime());
                    let authenticated = async move {
                        match checks.pass(&requested.request, &state, shared.runtime()).await {
                            Ok(identities) => passed.go_on(&shared, requested, &identities, &state),
                            Err(rejection) => refuse(&shared, &requested, rejection),
                        }
                        drop(running);
                    };
                    runtime.spawn(Box::pin(authenticated.instrument(span.clone())));
                }
            },
            Err(rejection) => {
                self.advise(&rejection);
                refuse(shared, &requested, rejection);
            }
        }
    }

    fn watchers(&self) -> &Arc<Watchers> {
        &self.watchers
    }

    fn http_requested(&self, shared: &Arc<Shared>, requested: HttpRequested) {
        let running = RunningHandler::new(shared);
        let request = &requested.request;
        let answer = match self.operations.answer_http3(request.method(), request.path()) {
            Some(response) => Some(HttpFallback::answered(response)),
            None => self.http_fallback.as_ref().map(|fallback| fallback.answer(request.clone())),
        };
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
    fn decide(&self, request: &Request, now: Instant) -> Result<Passed<S>, Rejection> {
        let admitted = match self.admission.decide(request, now) {
            Verdict::Run(admitted) => admitted,
            Verdict::Reject(rejection) => return Err(rejection),
        };
        let mut response = Response::accept();
        for (name, value) in &self.accept {
            response = response.header(name.clone(), value.clone());
        }
        if let Some(protocol) = self.choose_protocol(request) {
            response = response.with_protocol(protocol);
        }
        let (found, permits) = (admitted.found, admitted.permits);
        let (handler, route) = (Arc::clone(found.value), found.pattern.to_owned());
        span::route(&route);
        Ok(Passed { handler, route, params: found.params, permits, response })
    }

    /// Says once what to do about pages that are refused for want of somebody who judges them; each one is only at level
    /// debug, since anybody's page can make browsers ask.
    fn advise(&self, rejection: &Rejection) {
        if rejection.reason == Some(UNJUDGED) && !self.advised.swap(true, Ordering::Relaxed) {
            tracing::warn!("{UNJUDGED}");
        }
    }

    /// The first subprotocol in the client's order that the server speaks.
    fn choose_protocol<'r>(&self, request: &'r Request) -> Option<&'r String> {
        request.protocols().iter().find(|offered| self.protocols.contains(offered))
    }
}

impl<S> Passed<S> {
    /// Takes the arguments out of the request, accepts it and starts its handler, or refuses it.
    fn go_on(self, shared: &Arc<Shared>, requested: Requested, identities: &[AnyIdentity], state: &S) {
        let job = contained(&requested.request, || self.prepare(&requested.request, identities, state));
        let job = match job {
            Ok(job) => job,
            Err(rejection) => return refuse(shared, &requested, rejection),
        };
        let running = RunningHandler::new(shared);
        let span = tracing::Span::current();
        match job.0 {
            Work::Session(job) => {
                // The client may have gone away meanwhile; then the job is dropped unused.
                let Some(cell) = accept(shared, requested, self.response) else { return };
                let running = run(Session::new(cell), job, self.permits, self.route, running);
                shared.runtime().spawn(Box::pin(running.instrument(span)));
            }
            Work::SessionRequest(job) => {
                let request = SessionRequest::new(Arc::clone(shared), requested, self.response);
                let running = run_request(request, job, self.permits, self.route, running);
                shared.runtime().spawn(Box::pin(running.instrument(span)));
            }
        }
    }

    fn prepare(&self, request: &Request, identities: &[AnyIdentity], state: &S) -> Result<Job, Rejection> {
        let (params, route) = (&self.params, self.route.as_str());
        let parts = Parts { request, params, route, protocol: self.response.protocol(), identities };
        self.handler.prepare(&parts, state)
    }
}

impl<S: Send + Sync> Listing for Dispatcher<S> {
    fn list(&self) -> (Vec<RouteDiagnostics>, u64) {
        let routes = self.admission.routes().into_iter();
        let routes = routes.map(|route| RouteDiagnostics { pattern: route.pattern.to_owned(), hits: route.hits });
        (routes.collect(), self.admission.stats().misses)
    }
}

/// Runs what the user wrote; a panic is a 500.
fn contained<T>(request: &Request, decide: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|panic| {
        tracing::warn!(path = ?shown(request.path()), panic = panic_text(&*panic), "deciding on a request panicked");
        Err(Rejection::new(StatusCode::INTERNAL_SERVER_ERROR).because("deciding on it panicked"))
    })
}

/// Accepts a request; `None` when the client went away meanwhile.
pub(super) fn accept(shared: &Arc<Shared>, requested: Requested, response: Response) -> Option<Arc<SessionCell>> {
    let Requested { connection, session, request, .. } = requested;
    let (cell, response) = shared.act(|state| {
        let core = state.endpoint.connection(connection)?;
        let response = core.accept(session, response).ok()?;
        state.wake_driver();
        Some((state.add_session(shared, connection, session, request)?, response))
    })?;
    span::answered(response.status(), response.protocol());
    let _ = cell.response.set(response);
    tracing::debug!(path = ?shown(cell.request.path()), remote = %cell.remote, status = 200, "session accepted");
    if let Some(watchers) = shared.watchers() {
        watchers.connected(&cell);
    }
    Some(cell)
}

pub(super) fn refuse(shared: &Arc<Shared>, requested: &Requested, rejection: Rejection) {
    let Requested { connection, session, request, .. } = requested;
    let (remote, status) = (request.remote_address(), rejection.status.as_u16());
    span::answered(rejection.status, None);
    let reason = rejection.reason;
    tracing::debug!(path = ?shown(request.path()), %remote, status, reason, "session refused");
    if let Some(watchers) = shared.watchers() {
        watchers.refused(request, &rejection);
    }
    shared.act(|state| {
        if let Some(core) = state.endpoint.connection(*connection) {
            // The client may have gone away meanwhile.
            let _ = core.refuse(*session, rejection.into());
            state.wake_driver();
        }
    });
}

/// Runs a future whose panic is a value.
pub(super) async fn catch_panic<T>(
    mut future: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Result<T, Box<dyn Any + Send>> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    cut(text.unwrap_or("(no text)"), MAX_SHOWN)
}

/// Text of a peer's choosing, short enough for a log line; write it with `?`, which escapes it.
pub(super) fn shown(text: &str) -> &str {
    cut(text, MAX_SHOWN)
}

/// Bytes of foreign text in a log line.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::extract::Path;
    use crate::server::handler::Route;

    fn dispatcher() -> Dispatcher<()> {
        let mut admission: Admission<Arc<dyn Prepare<()>>> = Admission::default();
        admission.route("/echo", Arc::new(Route::new(async |_: Session| {}))).unwrap();
        admission.route("/rooms/{room}", Arc::new(Route::new(async |_: Session, _: Path<u8>| {}))).unwrap();
        let protocols = vec![String::from("b"), String::from("a")];
        let authentications = Authentications::new();
        Dispatcher {
            admission,
            authentications,
            accept: HeaderMap::new(),
            protocols,
            state: (),
            http_fallback: None,
            watchers: Arc::default(),
            operations: Arc::default(),
            advised: AtomicBool::default(),
        }
    }

    fn status(path: &str) -> Result<(), StatusCode> {
        let request = Request::new("example.org", path);
        let decided =
            dispatcher().decide(&request, Instant::now()).and_then(|passed| passed.prepare(&request, &[], &()));
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
