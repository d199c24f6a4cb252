//! What the driver and all handles share: the endpoint, who waits, and whether the driver has to run.
//!
//! Handles lock, act, unlock, wake. The only place that takes the lock is this file.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rustc_hash::FxHashMap;
use transom_core::rt::Runtime;
use transom_core::{ConnectionId, Endpoint, EndpointStats};

use super::crew::Post;
use super::entry::ConnectionEntry;
use super::phase::{Phase, Shutdown, later};
use super::session_cell::SessionCell;
use super::waiters::{Ticket, WaitList};
use crate::server::Watchers;

/// One endpoint, shared by its driver and all handles of its sessions and streams.
pub(crate) struct Shared {
    state: Mutex<State>,
    runtime: Arc<dyn Runtime>,
    watchers: OnceLock<Arc<Watchers>>,
    post: Option<Post>,
}

/// What the lock guards.
pub(crate) struct State {
    /// The core.
    pub(crate) endpoint: Endpoint,
    /// Connections that have sessions or are being set up by a client.
    pub(crate) connections: FxHashMap<ConnectionId, ConnectionEntry>,
    /// Sessions that are open or asked for by us.
    pub(crate) open_sessions: usize,
    /// Handlers that have not returned.
    pub(crate) running_handlers: usize,
    /// Where the endpoint stands on its way to the end.
    pub(crate) phase: Phase,
    /// Who wants it to end, and how.
    pub(crate) shutdown: Option<Shutdown>,
    /// What peers read as the reason when everything is closed.
    pub(crate) goodbye: &'static str,
    /// A client's connection is closed when the last session on it is over.
    pub(crate) ends_with_session: bool,
    /// Who wait to ask for a session, or are about to; the connection is kept for them.
    pub(crate) asking: usize,
    /// When the last session ended.
    pub(crate) last_end: Option<Instant>,
    /// The time of the driver's current turn.
    pub(crate) now: Instant,
    /// What broke the socket.
    pub(crate) failure: Option<Arc<io::Error>>,
    /// Whether the driver is gone.
    pub(crate) stopped: bool,
    /// Who waits for that.
    pub(crate) done: WaitList,
    driver: DriverSlot,
    after: AfterUnlock,
}

/// How to wake the driver.
#[derive(Debug, Default)]
struct DriverSlot {
    waker: Option<Waker>,
    /// Whether the driver runs anyway before it sleeps again, so that waking it would be work for nothing.
    scheduled: bool,
    /// Whether a handle left something to send since the driver last ran.
    asked: bool,
}

/// What has to wait until the lock is free again, because it runs code of others.
#[derive(Debug, Default)]
struct AfterUnlock {
    wake: Option<Waker>,
    discard: Vec<Waker>,
}

impl AfterUnlock {
    fn is_nothing(&self) -> bool {
        self.wake.is_none() && self.discard.is_empty()
    }
}

impl Shared {
    pub(crate) fn new(
        endpoint: Endpoint,
        runtime: Arc<dyn Runtime>,
        goodbye: &'static str,
        post: Option<Post>,
    ) -> Arc<Self> {
        let state = State {
            endpoint,
            connections: FxHashMap::default(),
            open_sessions: 0,
            running_handlers: 0,
            phase: Phase::Running,
            shutdown: None,
            goodbye,
            ends_with_session: false,
            asking: 0,
            last_end: None,
            now: runtime.now(),
            failure: None,
            stopped: false,
            done: WaitList::default(),
            driver: DriverSlot { waker: None, scheduled: true, asked: false },
            after: AfterUnlock::default(),
        };
        Arc::new(Self { state: Mutex::new(state), runtime, watchers: OnceLock::new(), post })
    }

    /// The runtime that the driver runs on.
    pub(crate) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    /// Who wants to know of sessions that come and go.
    pub(crate) fn watchers(&self) -> Option<&Arc<Watchers>> {
        self.watchers.get()
    }

    pub(super) fn set_watchers(&self, watchers: &Arc<Watchers>) {
        // An endpoint has one acceptor, and it is told once.
        let _ = self.watchers.set(Arc::clone(watchers));
    }

    /// Locks, acts, unlocks, wakes.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state);
        unlock(state);
        result
    }

    /// Asks the driver to end; of several wishes the one for the least time counts.
    pub(crate) fn shut_down(&self, shutdown: Shutdown) {
        // Nobody is asked for the time by a handle that goes: its runtime may have gone before.
        let end = match shutdown {
            Shutdown::Graceful(grace) if !grace.is_zero() => Some(later(self.runtime.now(), grace)),
            Shutdown::Graceful(_) | Shutdown::Now => None,
        };
        self.act(|state| {
            state.shutdown = Some(shutdown.sooner(state.shutdown));
            if shutdown != Shutdown::Now {
                state.phase = state.phase.hastened(end.unwrap_or(state.now));
            }
            state.wake_driver();
        });
    }

    /// The core's counters.
    pub(crate) fn stats(&self) -> EndpointStats {
        let mut stats = self.act(|state| state.endpoint.stats());
        stats.udp_datagrams_handed_on = self.post.as_ref().map_or(0, Post::handed_on);
        stats
    }

    /// The sessions open now, in no order.
    pub(crate) fn sessions(&self) -> Vec<Arc<SessionCell>> {
        self.act(|state| {
            let sessions = state.connections.values().flat_map(|connection| connection.sessions.values());
            sessions.map(|session| Arc::clone(&session.cell)).collect()
        })
    }

    /// Number of sessions open now.
    pub(crate) fn open_sessions(&self) -> usize {
        self.act(|state| state.open_sessions)
    }

    // One copy of this code for all who act: where one message comes at a time, all code is out of the processor's caches when
    // it comes, and each line of it is waited for.
    #[inline(never)]
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug; the other sessions of the endpoint still deserve an orderly end.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unlocks, and does what had to wait for that.
#[inline(never)]
fn unlock(mut state: MutexGuard<'_, State>) {
    if state.after.is_nothing() {
        return;
    }
    let after = std::mem::take(&mut state.after);
    drop(state);
    if let Some(waker) = after.wake {
        waker.wake();
    }
}

/// Waits until a driver is done; leaves the waiters on drop.
#[derive(Debug)]
pub(crate) struct Done<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl<'a> Done<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, ticket: None }
    }

    /// Ready once nothing is left to do, or with what broke the socket.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<Result<(), Arc<io::Error>>> {
        self.shared.act(|state| {
            if let Some(error) = &state.failure {
                return Poll::Ready(Err(Arc::clone(error)));
            }
            if state.stopped {
                return Poll::Ready(Ok(()));
            }
            let replaced = state.done.register(&mut self.ticket, context.waker());
            state.discard(replaced);
            Poll::Pending
        })
    }
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        self.shared.act(|state| {
            let removed = state.done.remove(ticket);
            state.discard(removed);
        });
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

impl State {
    /// Says that the driver has something to do.
    pub(crate) fn wake_driver(&mut self) {
        self.driver.asked = true;
        if !self.driver.scheduled {
            self.driver.scheduled = true;
            self.after.wake = self.driver.waker.take();
        }
    }

    /// Drops a waker that is not needed any more, once the lock is free.
    pub(crate) fn discard(&mut self, waker: Option<Waker>) {
        self.after.discard.extend(waker);
    }

    /// For the driver: it runs now, and later calls of [`wake_driver`](Self::wake_driver) shall wake it again. Returns
    /// whether there were any since it last ran.
    pub(crate) fn driver_runs(&mut self, context: &Context<'_>) -> bool {
        self.driver.scheduled = false;
        let asked = std::mem::take(&mut self.driver.asked);
        match &self.driver.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => {
                let replaced = self.driver.waker.replace(context.waker().clone());
                self.discard(replaced);
            }
        }
        asked
    }

    /// For the driver: whether a handle left something to send since it last ran.
    pub(crate) fn driver_is_asked(&self) -> bool {
        self.driver.asked
    }

    /// For the driver: it runs again without being woken, after the tasks it is about to wake.
    pub(crate) fn driver_returns(&mut self) {
        self.driver.scheduled = true;
    }
}
