//! Calls when sessions come and go.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use transom_core::middleware::Rejection;
use transom_core::{Request, SessionEnd};

use super::dispatch::panic_text;
use super::events::{EventSource, HandlerFailure, ServerEvent};
use super::run::RunningHandler;
use crate::driver::SessionCell;
use crate::session::Session;

type Connected = Box<dyn Fn(&Session) + Send + Sync>;
type Disconnected = Box<dyn Fn(&Session, &SessionEnd) + Send + Sync>;

/// Who wants to know of sessions that come and go.
#[derive(Default)]
pub(crate) struct Watchers {
    connected: Vec<Connected>,
    disconnected: Vec<Disconnected>,
    events: Vec<EventSource>,
    failed_handlers: AtomicU64,
}

impl Watchers {
    pub(super) fn on_connect(&mut self, call: impl Fn(&Session) + Send + Sync + 'static) {
        self.connected.push(Box::new(call));
    }

    pub(super) fn on_disconnect(&mut self, call: impl Fn(&Session, &SessionEnd) + Send + Sync + 'static) {
        self.disconnected.push(Box::new(call));
    }

    pub(super) fn add_events(&mut self, source: EventSource) {
        self.events.push(source);
    }

    /// A request was refused.
    pub(super) fn refused(&self, request: &Request, rejection: &Rejection) {
        for source in &self.events {
            let (path, remote) = (request.path().to_owned(), request.remote_address());
            let (status, reason) = (rejection.status, rejection.reason);
            source.push(ServerEvent::SessionRefused { path, remote, status, reason });
        }
    }

    /// A handler failed, and not because its session was over.
    pub(super) fn handler_failed(&self, request: &Request, route: &str, failure: &HandlerFailure) {
        self.failed_handlers.fetch_add(1, Ordering::Relaxed);
        for source in &self.events {
            let (path, remote) = (request.path().to_owned(), request.remote_address());
            source.push(ServerEvent::HandlerFailed { route: route.to_owned(), path, remote, failure: failure.clone() });
        }
    }

    /// Handlers that failed since the start.
    pub(super) fn failed_handlers(&self) -> u64 {
        self.failed_handlers.load(Ordering::Relaxed)
    }

    /// New connections are shown another certificate.
    pub(super) fn certificate_changed(&self, sha256: [u8; 32]) {
        for source in &self.events {
            source.push(ServerEvent::CertificateChanged(sha256));
        }
    }

    /// The certificate should change, and cannot.
    pub(super) fn certificate_failed(&self, problem: &str) {
        for source in &self.events {
            source.push(ServerEvent::CertificateFailed(problem.to_owned()));
        }
    }

    /// A session can be used; its handler has not begun.
    pub(super) fn connected(self: &Arc<Self>, cell: &Arc<SessionCell>) {
        let session = Session::observing(Arc::clone(cell));
        for call in &self.connected {
            contain("on_connect", || call(&session));
        }
        for source in &self.events {
            source.push(ServerEvent::SessionOpened(session.observer()));
        }
        if self.disconnected.is_empty() && self.events.is_empty() {
            return;
        }
        let watchers = Arc::clone(self);
        // A server that shuts down waits for these calls as it does for handlers.
        let running = RunningHandler::new(session.shared());
        let runtime = Arc::clone(session.shared().runtime());
        runtime.spawn(Box::pin(async move {
            let end = session.closed().await;
            for call in &watchers.disconnected {
                contain("on_disconnect", || call(&session, &end));
            }
            for source in &watchers.events {
                source.push(ServerEvent::SessionEnded(session.clone(), end.clone()));
            }
            drop(running);
        }));
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}

/// A panic of one call harms nobody else.
fn contain(hook: &str, call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        let panic: &(dyn Any + Send) = &*panic;
        tracing::warn!(hook, panic = panic_text(panic), "a call for a session panicked");
    }
}
