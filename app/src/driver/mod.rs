//! The one async driver: runs a [`transom_core::Endpoint`] over the runtime traits.
//!
//! One driver per UDP socket owns the socket and the timer; there is no task per connection and no channel between
//! tasks. A *turn* receives a batch, feeds it to the core, polls what there is to send, sends it, and only then wakes
//! the tasks concerned. Handles act on the core themselves, under the lock in [`shared`].

mod clock;
mod crew;
mod entry;
mod events;
#[cfg(test)]
mod leaks;
mod look;
mod outgoing;
mod patience;
mod phase;
mod session_cell;
pub(crate) mod shared;
mod stream_ref;
mod turn;
mod waiters;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use transom_core::rt::{Runtime, Timer, UdpSocket};
use transom_core::{Config, Endpoint, Receive};

pub(crate) use clock::Deadline;
pub(crate) use crew::{Crew, Post};
pub(crate) use entry::ConnectionCell;
pub(crate) use events::{HttpRequested, Requested};
pub(crate) use phase::Shutdown;
pub(crate) use session_cell::{Place, SessionCell, driver_gone};
pub(crate) use shared::{Done, Shared};
pub(crate) use stream_ref::StreamRef;
pub(crate) use waiters::{Delivery, Kind, Slot, Ticket, WaitList};

use crate::server::Bound;
use crate::server::Watchers;
use events::Work;
use outgoing::Outgoing;
use patience::Patience;
use turn::Next;

/// Answers clients' requests for sessions.
pub(crate) trait Acceptor: Send + Sync {
    /// Decides on a request and accepts or refuses it; called without the lock.
    fn requested(&self, shared: &Arc<Shared>, requested: Requested);

    /// Who wants to know of sessions that come and go.
    fn watchers(&self) -> &Arc<Watchers>;

    /// Sees to it that a plain request is answered; called without the lock.
    fn http_requested(&self, shared: &Arc<Shared>, requested: HttpRequested);
}

/// The future that runs one endpoint.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    acceptor: Option<Arc<dyn Acceptor>>,
    socket: Box<dyn UdpSocket>,
    /// Its place among several drivers behind one address.
    post: Option<Post>,
    timer: Pin<Box<dyn Timer>>,
    /// What the timer is set to, as long as it has not fired.
    armed: Option<Instant>,
    /// Datagrams that arrived and are not in the core yet.
    received: VecDeque<Receive>,
    outgoing: Outgoing,
    patience: Patience,
    work: Work,
}

/// Wraps the socket and starts a driver for the endpoint on the runtime.
///
/// # Errors
///
/// What the runtime says about the socket.
pub(crate) fn start(
    endpoint: Endpoint,
    config: &Config,
    socket: Bound,
    runtime: Arc<dyn Runtime>,
    acceptor: Option<Arc<dyn Acceptor>>,
    post: Option<Post>,
) -> io::Result<Arc<Shared>> {
    let socket = socket.watch(&*runtime)?;
    let sender = socket.sender();
    // Servers are few. A client has an endpoint for each connection, and shall not need a descriptor more for its alarm.
    let timer = if acceptor.is_some() { Runtime::driver_timer } else { Runtime::timer }(&*runtime, runtime.now());
    let goodbye = if acceptor.is_some() { SERVER_GOODBYE } else { "" };
    let shared = Shared::new(endpoint, Arc::clone(&runtime), goodbye, post.clone());
    shared.act(|state| state.ends_with_session = acceptor.is_none());
    if let Some(acceptor) = &acceptor {
        shared.set_watchers(acceptor.watchers());
    }
    let driver = Driver {
        shared: Arc::clone(&shared),
        acceptor,
        outgoing: Outgoing::new(sender, config),
        socket,
        post,
        timer,
        armed: None,
        received: VecDeque::new(),
        patience: Patience::default(),
        work: Work::default(),
    };
    runtime.spawn(Box::pin(driver));
    Ok(shared)
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        for _ in 0..MAX_TURNS {
            match driver.turn(context) {
                Next::Turn => {}
                Next::Yield => break,
                Next::Sleep => return Poll::Pending,
                Next::Stop => return Poll::Ready(()),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Also when the runtime drops the task: whoever waits then would wait for ever.
        let work = &mut self.work;
        self.shared.act(|state| state.abandon(work));
        for waker in work.wakes.drain(..) {
            waker.wake();
        }
    }
}

/// What clients read when a server closes what is left.
const SERVER_GOODBYE: &str = "server shutting down";

/// Turns taken in a row before other tasks of the runtime get theirs.
const MAX_TURNS: usize = 8;
