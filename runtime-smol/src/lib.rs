//! Transom on smol: sockets, timers and tasks, and nothing else.
//!
//! The `transom` crate uses this by itself where no other runtime is at hand. Name it yourself to choose the executor
//! that a server runs on:
//!
//! ```
//! use std::sync::Arc;
//!
//! use smol::Executor;
//! use transom_core::rt::Runtime;
//! use transom_smol::Smol;
//!
//! let executor = Arc::new(Executor::new());
//! let smol: Arc<dyn Runtime> = Arc::new(Smol::with_executor(&executor));
//! // … and `executor.run(…)` on as many threads as you like.
//! ```
//!
//! Sockets and timers are those of async-io, which starts a thread of its own where nobody is in `smol::block_on`. On the
//! thread of [`Smol::block_on`] the server's own are waited for directly, which saves four system calls for each wait, and its
//! tasks are run without smol's executor, which is made for many threads. What handlers have of async-io works there as everywhere.

#[cfg(unix)]
mod own;
#[cfg(unix)]
mod reactor;
#[cfg(unix)]
mod signal;
mod socket;
#[cfg(unix)]
mod tasks;
mod timer;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Instant;

use smol::Executor;
use transom_core::rt::{Runtime, Task, Timer, UdpSocket};
use transom_udp::Socket;

#[cfg(unix)]
use reactor::Waiting;
#[cfg(unix)]
use tasks::{Running, Tasks};

/// A smol executor, as Transom's [`Runtime`].
#[derive(Debug, Clone)]
pub struct Smol(Place);

/// Where tasks run.
#[derive(Debug, Clone)]
enum Place {
    Global,
    /// Weak, as the executor keeps tasks that keep this.
    Executor(Weak<Executor<'static>>),
    /// On the thread of [`Smol::block_on`].
    #[cfg(unix)]
    Thread(Arc<Tasks>),
}

impl Smol {
    /// Runs on smol's global executor, which has one thread unless the environment variable `SMOL_THREADS` says
    /// otherwise.
    pub fn global() -> Self {
        Self(Place::Global)
    }

    /// Runs on an executor of your own, which you run.
    ///
    /// It is not kept: when it is dropped, the servers and connections on it end.
    pub fn with_executor(executor: &Arc<Executor<'static>>) -> Self {
        Self(Place::Executor(Arc::downgrade(executor)))
    }

    /// The one that this thread is in [`block_on`](Self::block_on) with.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs a future to its end on this thread, in an executor made for it and given to `make`, which ends with it: tasks are
    /// dropped then, and timers of it that somebody kept never fire.
    ///
    /// # Errors
    ///
    /// What the system says when it has nothing left to wait with (too many open files).
    pub fn block_on<F: Future>(make: impl FnOnce(Self) -> F) -> io::Result<F::Output> {
        #[cfg(unix)]
        {
            let waiting = Waiting::new()?;
            let running = Running::new(waiting.reactor());
            let smol = Self(Place::Thread(running.tasks()));
            let _within = Within(CURRENT.replace(Some(smol.clone())));
            Ok(waiting.block_on(running, make(smol)))
        }
        #[cfg(not(unix))]
        {
            let executor = Arc::new(Executor::new());
            let smol = Self::with_executor(&executor);
            let _within = Within(CURRENT.replace(Some(smol.clone())));
            Ok(smol::block_on(executor.run(make(smol))))
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Smol>> = const { RefCell::new(None) };
}

/// Puts back what was current before.
struct Within(Option<Smol>);

impl Drop for Within {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Runtime for Smol {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn spawn(&self, task: Task) {
        match &self.0 {
            Place::Global => smol::spawn(task).detach(),
            // Without its executor a task is dropped, which tells those who wait for it.
            Place::Executor(executor) => {
                if let Some(executor) = executor.upgrade() {
                    executor.spawn(task).detach();
                }
            }
            #[cfg(unix)]
            Place::Thread(tasks) => tasks.spawn(task),
        }
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        #[cfg(unix)]
        if let Place::Thread(tasks) = &self.0 {
            return Box::pin(own::OwnTimer::new(deadline, tasks.reactor()));
        }
        Box::pin(timer::SmolTimer::new(deadline))
    }

    fn wrap(&self, socket: std::net::UdpSocket) -> io::Result<Box<dyn UdpSocket>> {
        #[cfg(unix)]
        if let Place::Thread(tasks) = &self.0 {
            return Ok(Box::new(Socket::new(own::OwnSocket::new(socket, tasks.reactor())?)?));
        }
        Ok(Box::new(Socket::new(socket::SmolSocket::new(socket)?)?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn tasks_run_on_the_executor_that_was_named() {
        let executor = Arc::new(Executor::new());
        let (sender, receiver) = mpsc::channel();
        Smol::with_executor(&executor).spawn(Box::pin(async move { sender.send(1).unwrap() }));
        assert!(receiver.try_recv().is_err(), "nobody runs it yet");
        assert!(executor.try_tick());
        assert_eq!(receiver.try_recv(), Ok(1));
    }

    #[test]
    fn tasks_end_with_their_executor() {
        let executor = Arc::new(Executor::new());
        let smol = Smol::with_executor(&executor);
        let (kept, token) = (Arc::new(()), Arc::new(()));
        let (first, second) = (Arc::clone(&kept), Arc::clone(&token));
        let keeps_its_runtime = smol.clone();
        smol.spawn(Box::pin(async move {
            let _both = (first, keeps_its_runtime);
            std::future::pending::<()>().await;
        }));
        assert!(executor.try_tick());
        drop(executor);
        smol.spawn(Box::pin(async move { drop(second) }));
        assert_eq!((Arc::strong_count(&kept), Arc::strong_count(&token)), (1, 1));
    }

    #[test]
    fn an_executor_for_one_future_runs_what_it_spawns() {
        let (sender, receiver) = smol::channel::bounded(1);
        let answers = Smol::block_on(async |smol: Smol| {
            smol.spawn(Box::pin(async move { sender.send(std::thread::current().id()).await.unwrap() }));
            receiver.recv().await
        });
        assert_eq!(answers.unwrap(), Ok(std::thread::current().id()));
    }

    #[test]
    fn a_thread_knows_what_it_is_in() {
        let known = || Smol::current().is_some();
        assert!(!known());
        Smol::block_on(async |_| {
            assert!(known() && !std::thread::spawn(known).join().unwrap());
            Smol::block_on(async |_| ()).unwrap();
            assert!(known(), "still, after one within");
        })
        .unwrap();
        assert!(!known());
    }

    #[test]
    fn the_global_executor_runs_by_itself() {
        let (sender, receiver) = mpsc::channel();
        Smol::global().spawn(Box::pin(async move { sender.send(1).unwrap() }));
        assert_eq!(receiver.recv(), Ok(1));
    }
}
