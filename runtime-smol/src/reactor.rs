//! How the thread of one executor waits: for its sockets, its timers, and whoever wakes it from elsewhere.
//!
//! async-io serves all threads of a process and arms a socket, a timer and a wake-up anew for each wait, in four system
//! calls more than the one that waits. A thread that serves sockets of its own needs none of them. Its timers go off up to a
//! millisecond late, the step in which mio waits, as tokio's do.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Registry, Token};

use transom_udp::Alarm;

use crate::signal::Signal;
use crate::tasks::Running;

/// What the thread waits for, and who is to be woken then. Once the thread has left `block_on` nothing comes any more.
#[derive(Debug)]
pub(crate) struct Reactor {
    registry: Registry,
    /// Ends a wait.
    bell: mio::Waker,
    /// Whether the future has been woken since it was polled last.
    woken: AtomicBool,
    /// Whether the thread waits, or is about to.
    waiting: AtomicBool,
    waits: Mutex<Waits>,
    /// What ends a wait at the next deadline; `None` where waits have timeouts instead.
    alarm: Option<Alarm>,
}

#[derive(Debug, Default)]
struct Waits {
    watched: BTreeMap<usize, Arc<Watched>>,
    alarms: BTreeMap<AlarmId, Waker>,
    /// What the system's alarm is set to, as long as it has not gone off.
    armed: Option<Instant>,
    next: u64,
}

/// When an alarm goes off, and a number to tell it from others.
pub(crate) type AlarmId = (Instant, u64);

/// One watched socket.
#[derive(Debug)]
pub(crate) struct Watched {
    socket: RawFd,
    token: Token,
    pub(crate) arrivals: Signal,
    pub(crate) room: Signal,
}

/// The thread's side of a reactor.
#[derive(Debug)]
pub(crate) struct Waiting {
    poll: mio::Poll,
    events: Events,
    reactor: Arc<Reactor>,
}

impl Waiting {
    /// For one thread.
    pub(crate) fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let alarm = Alarm::new().and_then(|alarm| {
            poll.registry().register(&mut SourceFd(&alarm.as_raw_fd()), ALARM, Interest::READABLE).map(|()| alarm)
        });
        let reactor = Arc::new(Reactor {
            registry: poll.registry().try_clone()?,
            alarm: alarm.inspect_err(|error| tracing::debug!(%error, "no alarm of the system's")).ok(),
            bell: mio::Waker::new(poll.registry(), BELL)?,
            woken: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            waits: Mutex::default(),
        });
        Ok(Self { poll, events: Events::with_capacity(EVENTS), reactor })
    }

    /// What sockets and timers register with.
    pub(crate) fn reactor(&self) -> Arc<Reactor> {
        Arc::clone(&self.reactor)
    }

    /// Runs `future` to its end, and tasks beside it.
    pub(crate) fn block_on<F: Future>(mut self, mut running: Running, future: F) -> F::Output {
        let waker = Waker::from(self.reactor());
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        self.reactor.wake_by_ref();
        loop {
            if self.reactor.woken.swap(false, Ordering::SeqCst)
                && let Poll::Ready(output) = future.as_mut().poll(&mut context)
            {
                return output;
            }
            running.run();
            self.wait(&running);
        }
    }

    /// Waits for something to do, or only looks whether there is something, if the future or a task has been woken.
    fn wait(&mut self, running: &Running) {
        let reactor = &self.reactor;
        // First this, then a look at who was woken; who wakes does it the other way round, and one of the two sees the other.
        reactor.waiting.store(true, Ordering::SeqCst);
        let next = reactor.until_next_alarm();
        let woken = reactor.woken.load(Ordering::SeqCst) || running.is_ready();
        let longest = if woken { Some(Duration::ZERO) } else { next };
        let result = self.poll.poll(&mut self.events, longest);
        reactor.waiting.store(false, Ordering::SeqCst);
        match result {
            Ok(()) => self.events.iter().for_each(|event| reactor.tell(event)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => tracing::error!(%error, "waiting for sockets failed"),
        }
        reactor.ring();
    }
}

impl Reactor {
    /// Watches a socket for arrivals, until [`forget`](Self::forget).
    pub(crate) fn watch(&self, socket: &impl AsRawFd) -> io::Result<Arc<Watched>> {
        let mut waits = self.waits();
        let token = Token(usize::try_from(waits.next()).unwrap_or(usize::MAX));
        let (arrivals, room) = (Signal::ready(), Signal::ready());
        let watched = Arc::new(Watched { socket: socket.as_raw_fd(), token, arrivals, room });
        waits.watched.insert(token.0, Arc::clone(&watched));
        drop(waits);
        let registered = self.registry.register(&mut SourceFd(&watched.socket), token, Interest::READABLE);
        registered.inspect_err(|_| self.forget(&watched))?;
        Ok(watched)
    }

    /// Watches it for room as well, until there is some: the system tells of room whenever a datagram has left, so that
    /// otherwise each one sent would end a wait.
    pub(crate) fn watch_for_room(&self, watched: &Watched) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.reregister(&mut SourceFd(&watched.socket), watched.token, both)
    }

    /// Watches a socket no more.
    pub(crate) fn forget(&self, watched: &Watched) {
        self.waits().watched.remove(&watched.token.0);
        if let Err(error) = self.registry.deregister(&mut SourceFd(&watched.socket)) {
            tracing::debug!(%error, "a socket was not watched");
        }
    }

    /// Has `waker` woken at `deadline`.
    pub(crate) fn set_alarm(&self, deadline: Instant, waker: Waker) -> AlarmId {
        let mut waits = self.waits();
        let alarm = (deadline, waits.next());
        waits.alarms.insert(alarm, waker);
        let is_next = waits.alarms.first_key_value().is_some_and(|(first, _)| *first == alarm);
        drop(waits);
        if is_next {
            // Another thread's alarm; this thread's own are set while it does not wait.
            self.end_wait();
        }
        alarm
    }

    /// Gives an alarm that has not gone off to another waker; whether there was one.
    pub(crate) fn keep_alarm(&self, alarm: &AlarmId, waker: &Waker) -> bool {
        let mut waits = self.waits();
        let Some(waiting) = waits.alarms.get_mut(alarm) else { return false };
        if !waiting.will_wake(waker) {
            let replaced = std::mem::replace(waiting, waker.clone());
            drop(waits);
            // Dropping a waker may run code of others.
            drop(replaced);
        }
        true
    }

    /// Takes an alarm back, if it has not gone off.
    pub(crate) fn cancel_alarm(&self, alarm: &AlarmId) {
        let cancelled = self.waits().alarms.remove(alarm);
        drop(cancelled);
    }

    /// How long to wait at most, for want of an alarm of the system's that ends the wait.
    fn until_next_alarm(&self) -> Option<Duration> {
        let mut waits = self.waits();
        let (deadline, _) = *waits.alarms.first_key_value()?.0;
        // One that goes off too early is left alone: that is rare, and to set it at each packet is not.
        if waits.armed.is_some_and(|armed| armed <= deadline) {
            return None;
        }
        let duration = deadline.saturating_duration_since(Instant::now());
        let set = self.alarm.as_ref().is_some_and(|alarm| alarm.set(duration).is_ok());
        waits.armed = set.then_some(deadline);
        (!set).then_some(duration)
    }

    /// Wakes whose time has come.
    fn ring(&self) {
        let waits = self.waits();
        let none = waits.alarms.is_empty() || waits.armed.is_some();
        drop(waits);
        if none {
            return;
        }
        let now = Instant::now();
        while let Some(alarm) = self.due(now) {
            alarm.wake();
        }
    }

    fn due(&self, now: Instant) -> Option<Waker> {
        let mut waits = self.waits();
        let first = waits.alarms.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Passes on what the system says of a socket or of its alarm.
    fn tell(&self, event: &mio::event::Event) {
        let mut waits = self.waits();
        if event.token() == ALARM {
            waits.armed = None;
            return;
        }
        let Some(watched) = waits.watched.get(&event.token().0).cloned() else { return };
        // Under the lock, in which a socket is forgotten before it is closed and another one gets its number.
        if event.is_writable()
            && let Err(error) =
                self.registry.reregister(&mut SourceFd(&watched.socket), watched.token, Interest::READABLE)
        {
            tracing::error!(%error, "a socket is watched no more");
        }
        drop(waits);
        if event.is_readable() || event.is_error() {
            watched.arrivals.raise();
        }
        if event.is_writable() || event.is_error() {
            watched.room.raise();
        }
    }

    /// For who gave the thread something to do.
    pub(crate) fn end_wait(&self) {
        // One of many rings for all: who comes after it sees that the wait is about to end.
        if self.waiting.load(Ordering::SeqCst)
            && self.waiting.swap(false, Ordering::SeqCst)
            && let Err(error) = self.bell.wake()
        {
            tracing::error!(%error, "a waiting thread could not be woken");
        }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Reactor {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.end_wait();
        }
    }
}

impl Waits {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Names the bell among the sockets, which are counted from one.
const BELL: Token = Token(0);

/// Names the system's alarm, beyond all that is counted.
const ALARM: Token = Token(usize::MAX);

/// Events taken in one call; the others are told of in the next.
const EVENTS: usize = 64;
