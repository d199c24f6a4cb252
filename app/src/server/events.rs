//! What happens at a server, as a queue to read from.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use http::StatusCode;
use transom_core::SessionEnd;

use crate::driver::{Ticket, WaitList};
use crate::session::Session;

/// Something that happened at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A session was opened. The handle does not keep it.
    SessionOpened(Session),
    /// A request for a session was refused by the application, its middleware or a missing route. Refusals of the core,
    /// for its limits, are only counted.
    SessionRefused {
        /// What was asked for.
        path: String,
        /// Who asked.
        remote: SocketAddr,
        /// What was answered.
        status: StatusCode,
        /// Why, if whoever refused has said so.
        reason: Option<&'static str>,
    },
    /// A session ended.
    SessionEnded(Session, SessionEnd),
    /// A handler failed. Its session is closed; one that failed because its session was over is not told here.
    HandlerFailed {
        /// The pattern of its route.
        route: String,
        /// What was asked for.
        path: String,
        /// Who asked.
        remote: SocketAddr,
        /// What happened.
        failure: HandlerFailure,
    },
    /// Connections that come from now on are shown another certificate, with this SHA-256.
    CertificateChanged([u8; 32]),
    /// A server that looks by itself for another certificate ([`Tls::watch`](crate::Tls::watch)) cannot use it: the old one
    /// stays. It is tried again, and told again when the problem is another.
    CertificateFailed(String),
    /// So many events were dropped here, because nobody read them in time.
    Missed(u64),
}

/// How a handler failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerFailure {
    /// It returned an error, which closed the session so.
    Error {
        /// The code of the close.
        code: u32,
        /// Its reason.
        reason: String,
    },
    /// It panicked with this text, cut at 200 bytes. The peer is only told that there was an error.
    Panic(String),
}

/// A bounded queue of what happens at the servers that were given it.
///
/// Who reads too slowly misses the oldest events, and is told how many; the server never waits. Clones read from the same
/// queue.
///
/// # Examples
///
/// ```no_run
/// use transom::{Events, ServerApp};
///
/// let events = Events::new(1_000);
/// let app = ServerApp::new().events(&events);
/// tokio::spawn(async move {
///     while let Some(event) = events.next().await {
///         println!("{event:?}");
///     }
/// });
/// ```
#[derive(Clone)]
pub struct Events {
    queue: Arc<Mutex<Queue>>,
}

/// Where a server writes its events to.
pub(super) struct EventSource {
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    events: VecDeque<ServerEvent>,
    capacity: usize,
    missed: u64,
    sources: usize,
    /// Whether there has ever been a source: before that there is something to wait for.
    began: bool,
    readers: WaitList,
}

impl Events {
    /// A queue for so many events, at least one.
    pub fn new(capacity: usize) -> Self {
        let (events, readers) = (VecDeque::new(), WaitList::default());
        let queue = Queue { events, capacity: capacity.max(1), missed: 0, sources: 0, began: false, readers };
        Self { queue: Arc::new(Mutex::new(queue)) }
    }

    /// Waits for the next event; `None` when all servers that were given this queue are gone, and everything is read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&self) -> Option<ServerEvent> {
        let mut reader = Reader { queue: &self.queue, ticket: None };
        poll_fn(|context| {
            let mut queue = lock(reader.queue);
            if queue.missed > 0 {
                return Poll::Ready(Some(ServerEvent::Missed(std::mem::take(&mut queue.missed))));
            }
            if let Some(event) = queue.events.pop_front() {
                return Poll::Ready(Some(event));
            }
            if queue.began && queue.sources == 0 {
                return Poll::Ready(None);
            }
            let replaced = queue.readers.register(&mut reader.ticket, context.waker());
            drop(queue);
            drop(replaced);
            Poll::Pending
        })
        .await
    }

    pub(super) fn source(&self) -> EventSource {
        let mut queue = lock(&self.queue);
        queue.sources += 1;
        queue.began = true;
        drop(queue);
        EventSource { queue: Arc::clone(&self.queue) }
    }
}

/// One future's place among the readers; given up on drop.
struct Reader<'a> {
    queue: &'a Mutex<Queue>,
    ticket: Option<Ticket>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let removed = lock(self.queue).readers.remove(ticket);
        drop(removed);
    }
}

impl EventSource {
    pub(super) fn push(&self, event: ServerEvent) {
        let mut queue = lock(&self.queue);
        if queue.events.len() == queue.capacity {
            queue.events.pop_front();
            queue.missed += 1;
        }
        queue.events.push_back(event);
        wake(queue);
    }
}

impl Drop for EventSource {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.sources -= 1;
        wake(queue);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = lock(&self.queue);
        f.debug_struct("Events").field("waiting", &queue.events.len()).finish_non_exhaustive()
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes all readers once the lock is free.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let mut readers = Vec::new();
    queue.readers.wake_all(&mut readers);
    drop(queue);
    for reader in readers {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn refused(number: u16) -> ServerEvent {
        let remote = SocketAddr::from(([127, 0, 0, 1], number));
        ServerEvent::SessionRefused { path: String::from("/"), remote, status: StatusCode::NOT_FOUND, reason: None }
    }

    /// What there is now.
    fn next(events: &Events) -> Poll<Option<ServerEvent>> {
        pin!(events.next()).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_is_slow_is_told_how_much_was_missed() {
        let events = Events::new(2);
        assert_eq!(next(&events), Poll::Pending, "a server is still to come");
        let source = events.source();
        for number in 1..=5 {
            source.push(refused(number));
        }
        assert_eq!(next(&events), Poll::Ready(Some(ServerEvent::Missed(3))));
        assert_eq!(next(&events), Poll::Ready(Some(refused(4))));
        drop(source);
        assert_eq!(next(&events), Poll::Ready(Some(refused(5))));
        assert_eq!(next(&events), Poll::Ready(None));
    }

    #[test]
    fn readers_that_went_are_not_kept() {
        let events = Events::new(2);
        for _ in 0..100 {
            assert_eq!(next(&events), Poll::Pending);
        }
        let mut kept = Vec::new();
        lock(&events.queue).readers.wake_all(&mut kept);
        assert!(kept.is_empty());
    }
}
