//! One thread, one clock: runs tasks in an order that follows from a seed.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use transom_core::rt::{Runtime, Task, Timer, UdpSocket};

use super::random::Random;
use super::timer::VirtualTimer;

/// Tasks, timers, and the time.
pub(super) struct Executor {
    state: Mutex<State>,
    this: Weak<Self>,
}

struct State {
    now: Instant,
    random: Random,
    tasks: BTreeMap<u64, Slot>,
    /// Tasks to run, each once.
    ready: Vec<u64>,
    /// What is due when.
    timers: BTreeMap<(Instant, u64), Waker>,
    /// The newest number of a task or a timer.
    last: u64,
    /// Tasks run since the clock was moved.
    polls: usize,
    /// Whether no more tasks are taken.
    closed: bool,
}

/// One task.
struct Slot {
    /// Absent while it runs, and for the future given to `run`, which is not ours.
    future: Option<Task>,
    waker: Waker,
    queued: bool,
}

/// Wakes one task.
struct Wakeup {
    executor: Weak<Executor>,
    task: u64,
}

impl Executor {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let state = State {
            now: Instant::now(),
            random: Random::new(seed),
            tasks: BTreeMap::new(),
            ready: Vec::new(),
            timers: BTreeMap::new(),
            last: 0,
            polls: 0,
            closed: false,
        };
        Arc::new_cyclic(|this| Self { state: Mutex::new(state), this: Weak::clone(this) })
    }

    /// Runs tasks and moves the clock until `future` is done.
    ///
    /// # Panics
    ///
    /// When that cannot be or takes longer than `limit`, and when a task panics.
    pub(super) fn run<F: Future>(&self, future: F, limit: Duration) -> F::Output {
        let mut future = pin!(future);
        let main = Main::new(self);
        let end = self.lock().now + limit;
        loop {
            while let Some((task, taken, waker)) = self.next() {
                let mut context = Context::from_waker(&waker);
                if task == main.task {
                    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                        return output;
                    }
                } else if let Some(taken) = taken {
                    self.poll(task, taken, &mut context);
                }
            }
            self.advance();
            assert!(self.lock().now <= end, "{limit:?} of this world are over, and what it runs is not: {LONGER}");
        }
    }

    /// Removes all tasks.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let gone = (std::mem::take(&mut state.tasks), std::mem::take(&mut state.timers));
        drop(state);
        // Their ends run code of others.
        drop(gone);
    }

    /// The task to run now; `None` when it is time to move the clock.
    fn next(&self) -> Option<(u64, Option<Task>, Waker)> {
        let state = &mut *self.lock();
        let more = state.polls < MAX_POLLS || (state.timers.is_empty() && state.polls < MAX_LAST_POLLS);
        while more && !state.ready.is_empty() {
            let index = state.random.below(state.ready.len() as u64) as usize;
            let task = state.ready.swap_remove(index);
            // A task may have ended after it was woken.
            let Some(slot) = state.tasks.get_mut(&task) else { continue };
            slot.queued = false;
            state.polls += 1;
            return Some((task, slot.future.take(), slot.waker.clone()));
        }
        None
    }

    fn poll(&self, task: u64, mut future: Task, context: &mut Context<'_>) {
        let pending = future.as_mut().poll(context).is_pending();
        let mut state = self.lock();
        match state.tasks.get_mut(&task) {
            Some(slot) if pending => slot.future = Some(future),
            _ => {
                let gone = (state.tasks.remove(&task), future);
                drop(state);
                drop(gone);
            }
        }
    }

    /// Moves the clock to the next timer and wakes what is due then.
    fn advance(&self) {
        let mut state = self.lock();
        let next = state.timers.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = next else {
            let why = if state.ready.is_empty() { NOTHING } else { NO_END };
            drop(state);
            panic!("{why}");
        };
        state.now = state.now.max(next);
        state.polls = 0;
        let now = state.now;
        let mut due = Vec::new();
        while let Some(timer) = state.timers.first_entry().filter(|timer| timer.key().0 <= now) {
            due.push(timer.remove());
        }
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Has `waker` called at `at`; returns a number to [forget](Self::forget) it by.
    pub(super) fn remember(&self, at: Instant, waker: Waker) -> u64 {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        if !state.closed {
            state.timers.insert((at, number), waker);
        }
        number
    }

    /// Undoes [`remember`](Self::remember).
    pub(super) fn forget(&self, at: Instant, number: u64) {
        let removed = self.lock().timers.remove(&(at, number));
        drop(removed);
    }

    /// Takes a task in, to be run soon.
    fn add(&self, future: Option<Task>) -> u64 {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            drop(future);
            return 0;
        }
        state.last += 1;
        let task = state.last;
        let waker = Waker::from(Arc::new(Wakeup { executor: Weak::clone(&self.this), task }));
        state.tasks.insert(task, Slot { future, waker, queued: true });
        state.ready.push(task);
        task
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing of others runs under the lock, so that a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime for Executor {
    fn now(&self) -> Instant {
        self.lock().now
    }

    fn spawn(&self, task: Task) {
        self.add(Some(task));
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        // Somebody called us, so that there is one.
        let this = self.this.upgrade().expect("an executor in use");
        Box::pin(VirtualTimer::new(this, deadline))
    }

    fn wrap(&self, _: std::net::UdpSocket) -> io::Result<Box<dyn UdpSocket>> {
        Err(io::Error::new(ErrorKind::Unsupported, "a world in virtual time has no sockets of the system"))
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

/// The place of the future given to `run` among the tasks; given up on drop.
struct Main<'a> {
    executor: &'a Executor,
    task: u64,
}

impl<'a> Main<'a> {
    fn new(executor: &'a Executor) -> Self {
        Self { executor, task: executor.add(None) }
    }
}

impl Drop for Main<'_> {
    fn drop(&mut self) {
        let removed = self.executor.lock().tasks.remove(&self.task);
        drop(removed);
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        let Some(executor) = self.executor.upgrade() else { return };
        let state = &mut *executor.lock();
        if let Some(slot) = state.tasks.get_mut(&self.task).filter(|slot| !slot.queued) {
            slot.queued = true;
            state.ready.push(self.task);
        }
    }
}

/// Tasks run before the clock is moved though there are more: whoever waits by asking again and again must not stop it.
const MAX_POLLS: usize = 1_000;

/// Tasks run when there is no timer to move the clock to.
const MAX_LAST_POLLS: usize = 1_000_000;

/// What a test reads that hangs.
const NOTHING: &str = "nothing can happen in this world any more: what it runs waits for something that nobody does";

/// What a test reads that spins.
const NO_END: &str = "the tasks of this world wake each other without end, and there is nothing else to happen";

/// What to do about it.
const LONGER: &str = "it may wait for something that nobody does; World::time_limit gives it longer";
