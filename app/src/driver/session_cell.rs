//! What all handles of a session share, and how they act on it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use transom_core::{
    Connection, ConnectionError, ConnectionId, ErrorCode, Request, Response, Session, SessionEnd, SessionId,
};

use super::shared::{Shared, State};
use super::waiters::{Kind, SessionWaiters, Ticket};

/// One session as its handles and streams see it; freed with the last of them.
pub(crate) struct SessionCell {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: ConnectionId,
    pub(crate) id: SessionId,
    pub(crate) request: Arc<Request>,
    pub(crate) remote: std::net::SocketAddr,
    /// The answer: ours on a server, the peer's on a client once it is here; a refusal included.
    pub(crate) response: OnceLock<Arc<Response>>,
    draining: AtomicBool,
    end: OnceLock<SessionEnd>,
}

/// One future's place among the waiters of a session; given up on drop.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    cell: &'a SessionCell,
    kind: Kind,
    ticket: Option<Ticket>,
}

impl SessionCell {
    pub(crate) fn new(
        shared: Arc<Shared>,
        connection: ConnectionId,
        id: SessionId,
        request: Arc<Request>,
        remote: std::net::SocketAddr,
    ) -> Self {
        // People think in addresses, not in the IPv6 form that a socket for both families has of IPv4 ones.
        let remote = std::net::SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let (response, draining, end) = (OnceLock::new(), AtomicBool::new(false), OnceLock::new());
        Self { shared, connection, id, request, remote, response, draining, end }
    }

    /// Why the session ended, once it has.
    pub(crate) fn end(&self) -> Option<&SessionEnd> {
        self.end.get()
    }

    /// For the driver: the session is over.
    pub(crate) fn ended(&self, end: SessionEnd) {
        // Facts come once; should one come twice, the first stands.
        let _ = self.end.set(end);
    }

    /// Whether the peer asked to wind down.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// For the driver: the peer asks to wind down.
    pub(crate) fn peer_drains(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Acts on the core's session, if it is open, and wakes the driver.
    pub(crate) fn act<R>(&self, act: impl FnOnce(Session<'_>) -> R) -> Option<R> {
        self.shared.act(|state| {
            let result = self.core_session(state).map(act);
            state.wake_driver();
            result
        })
    }

    /// Looks at the core's session, if it is open.
    pub(crate) fn look<R>(&self, look: impl FnOnce(Session<'_>) -> R) -> Option<R> {
        self.shared.act(|state| self.core_session(state).map(look))
    }

    /// Looks at the connection, if it is still there.
    pub(crate) fn look_at_connection<R>(&self, look: impl FnOnce(&mut Connection) -> R) -> Option<R> {
        self.shared.act(|state| state.endpoint.connection(self.connection).map(look))
    }

    fn core_session<'a>(&self, state: &'a mut State) -> Option<Session<'a>> {
        state.endpoint.connection(self.connection)?.session(self.id)
    }

    fn waiters<'a>(&self, state: &'a mut State) -> Option<&'a mut SessionWaiters> {
        let entry = state.connections.get_mut(&self.connection)?;
        entry.sessions.get_mut(&self.id).map(|session| &mut session.waiters)
    }
}

impl<'a> Place<'a> {
    /// A place that is taken when it has to be.
    pub(crate) fn new(cell: &'a SessionCell, kind: Kind) -> Self {
        Self { cell, kind, ticket: None }
    }

    /// Ready with what `attempt` on the open session gives, or with the end of the session.
    ///
    /// While `attempt` gives nothing, the task is woken for another one when things may have changed; who is polled
    /// before that, because of something else that its task waits for, mostly need not try. The lock is held from the
    /// attempt to the registration, so that no change between them is missed.
    pub(crate) fn poll<T>(
        &mut self,
        context: &Context<'_>,
        attempt: impl FnOnce(Session<'_>) -> Option<T>,
    ) -> Poll<Result<T, SessionEnd>> {
        let cell = self.cell;
        cell.shared.act(|state| {
            if let Some(end) = cell.end() {
                return Poll::Ready(Err(end.clone()));
            }
            if self.kind.is_always_told() && self.still_waits(state, context) {
                return Poll::Pending;
            }
            // No session here and no end there: it was closed on our side and the driver has not run since.
            if let Some(result) = cell.core_session(state).and_then(attempt) {
                if self.kind.has_output() {
                    state.wake_driver();
                }
                return Poll::Ready(Ok(result));
            }
            self.register(state, context)
        })
    }

    /// Ready once `done` says so, or with the end of the session.
    pub(crate) fn poll_until(
        &mut self,
        context: &Context<'_>,
        done: impl FnOnce(&SessionCell) -> bool,
    ) -> Poll<Result<(), SessionEnd>> {
        let cell = self.cell;
        cell.shared.act(|state| {
            if done(cell) {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = cell.end() {
                return Poll::Ready(Err(end.clone()));
            }
            self.register(state, context)
        })
    }

    /// Whether nobody has woken us yet, after which only the task to wake may be another. Who has been woken has no place
    /// any more, and nothing to give up.
    fn still_waits(&mut self, state: &mut State, context: &Context<'_>) -> bool {
        let Some(ticket) = self.ticket.take() else { return false };
        let Some(waiters) = self.cell.waiters(state) else { return false };
        let Ok(replaced) = waiters.renew(ticket, context.waker()) else { return false };
        self.ticket = Some(ticket);
        state.discard(replaced);
        true
    }

    fn register<T>(&mut self, state: &mut State, context: &Context<'_>) -> Poll<Result<T, SessionEnd>> {
        let Some(waiters) = self.cell.waiters(state) else { return Poll::Ready(Err(abandoned())) };
        let replaced = waiters.register_for(self.kind, &mut self.ticket, context.waker());
        state.discard(replaced);
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        self.cell.shared.act(|state| {
            if let Some(waiters) = self.cell.waiters(state) {
                let removed = waiters.remove(ticket);
                state.discard(removed);
            }
        });
    }
}

impl fmt::Debug for SessionCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("connection", &self.connection)
            .field("id", &self.id)
            .field("path", &self.request.path())
            .field("remote", &self.remote)
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

/// The end of a session whose driver is gone, as when its runtime was shut down.
pub(crate) fn abandoned() -> SessionEnd {
    SessionEnd::ConnectionLost(driver_gone())
}

/// The end of a connection whose driver is gone.
pub(crate) fn driver_gone() -> ConnectionError {
    ConnectionError::ClosedLocally {
        code: ErrorCode::H3_INTERNAL_ERROR,
        reason: String::from("the endpoint's driver has stopped"),
    }
}
