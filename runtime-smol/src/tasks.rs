//! The tasks of a thread that waits by itself.
//!
//! smol's executor serves many threads: for each task it looks into the queues of all, and wakes another thread for the next
//! one. For a datagram with one in flight that was 2,000 of 21,000 instructions. One thread needs one list.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_task::{Builder, Runnable};
use slab::Slab;
use transom_core::rt::Task;

use crate::reactor::Reactor;

/// Tasks that run on one thread, spawned and woken from any.
pub(crate) struct Tasks {
    ready: Mutex<VecDeque<Runnable>>,
    alive: Mutex<Alive>,
    reactor: Arc<Reactor>,
}

/// The tasks that have not ended.
#[derive(Default)]
struct Alive {
    /// To wake a task once more is how to have it in the list and drop it, wherever it waits.
    wakers: Slab<Waker>,
    /// No task runs any more.
    ended: bool,
}

/// The thread's side of its tasks: they end with it.
#[derive(Debug)]
pub(crate) struct Running {
    tasks: Arc<Tasks>,
    /// Taken out of the list together, to be run.
    batch: VecDeque<Runnable>,
}

/// One task.
struct Member {
    task: Task,
    place: usize,
    tasks: Arc<Tasks>,
}

impl Tasks {
    /// Runs a task to its end, or drops it if the thread is through.
    pub(crate) fn spawn(self: &Arc<Self>, task: Task) {
        let mut alive = self.alive();
        if alive.ended {
            // Outside of the lock: what a task keeps may spawn others when it is dropped.
            drop(alive);
            return drop(task);
        }
        let entry = alive.wakers.vacant_entry();
        let member = Member { task, place: entry.key(), tasks: Arc::clone(self) };
        let tasks = Arc::clone(self);
        // A panic ends its task and no other, as on other runtimes.
        let builder = Builder::new().propagate_panic(true);
        let (runnable, handle) = builder.spawn(|()| member, move |runnable| tasks.push(runnable));
        entry.insert(runnable.waker());
        drop(alive);
        handle.detach();
        runnable.schedule();
    }

    /// What the thread waits with.
    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// Puts a task into the list, and never drops it: who wakes it may hold a lock that it takes when it is dropped.
    fn push(&self, runnable: Runnable) {
        self.ready().push_back(runnable);
        self.reactor.end_wait();
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<Runnable>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> MutexGuard<'_, Alive> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// For one thread, which waits with `reactor`.
    pub(crate) fn new(reactor: Arc<Reactor>) -> Self {
        let tasks = Tasks { ready: Mutex::default(), alive: Mutex::default(), reactor };
        Self { tasks: Arc::new(tasks), batch: VecDeque::new() }
    }

    /// Where to spawn tasks.
    pub(crate) fn tasks(&self) -> Arc<Tasks> {
        Arc::clone(&self.tasks)
    }

    /// Runs tasks until none is ready, or until others should have their turn.
    pub(crate) fn run(&mut self) {
        for _ in 0..MAX_RUNS {
            if self.batch.is_empty() {
                std::mem::swap(&mut *self.tasks.ready(), &mut self.batch);
            }
            let Some(runnable) = self.batch.pop_front() else { return };
            runnable.run();
        }
    }

    /// Whether there is a task to run.
    pub(crate) fn is_ready(&self) -> bool {
        !self.batch.is_empty() || !self.tasks.ready().is_empty()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.alive().ended = true;
        loop {
            self.batch.append(&mut self.tasks.ready());
            while let Some(runnable) = self.batch.pop_front() {
                // It may wake others, which come into the list.
                drop(runnable);
            }
            let alive = self.tasks.alive();
            if alive.wakers.is_empty() {
                return;
            }
            alive.wakers.iter().for_each(|(_, waker)| waker.wake_by_ref());
            drop(alive);
            if !self.is_ready() {
                // One that another thread spawns or wakes at this moment is on its way into the list.
                std::thread::yield_now();
            }
        }
    }
}

impl Future for Member {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.task.as_mut().poll(context)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let waker = self.tasks.alive().wakers.try_remove(self.place);
        drop(waker);
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("alive", &self.alive().wakers.len()).finish_non_exhaustive()
    }
}

/// Tasks run in a row before the thread looks for what the system has to tell.
const MAX_RUNS: usize = 200;

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use transom_core::rt::Runtime;

    use crate::{Place, Smol};

    use super::*;

    /// Adds one when it is dropped, and wakes whom it was given, which is what closing a session does.
    struct Dropped(Arc<AtomicUsize>, Option<Waker>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            if let Some(waker) = self.1.take() {
                waker.wake();
            }
        }
    }

    #[test]
    fn they_end_with_the_thread_s_future_wherever_they_are() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let kept = Smol::block_on(async |smol: Smol| {
            for _ in 0..10 {
                let (guard, wakers, keeps_its_runtime) =
                    (Dropped(Arc::clone(&dropped), None), Arc::clone(&wakers), smol.clone());
                smol.spawn(Box::pin(async move {
                    let mut both = (guard, keeps_its_runtime);
                    poll_fn(|context| {
                        wakers.lock().unwrap().push(context.waker().clone());
                        Poll::Ready(())
                    })
                    .await;
                    both.0.1 = wakers.lock().unwrap().first().cloned();
                    pending::<()>().await;
                }));
            }
            smol::future::yield_now().await;
            assert_eq!(wakers.lock().unwrap().len(), 10);
            // Some wait, some are about to run, and some have never run.
            wakers.lock().unwrap()[..5].iter().for_each(Waker::wake_by_ref);
            for _ in 0..10 {
                let guard = Dropped(Arc::clone(&dropped), None);
                smol.spawn(Box::pin(async move { drop(guard) }));
            }
            assert_eq!(dropped.load(Ordering::SeqCst), 0);
            smol
        })
        .unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 20);
        let guard = Dropped(Arc::clone(&dropped), None);
        kept.spawn(Box::pin(async move { drop(guard) }));
        assert_eq!(dropped.load(Ordering::SeqCst), 21, "nobody runs it any more");
        wakers.lock().unwrap().iter().for_each(Waker::wake_by_ref);
        let Place::Thread(tasks) = &kept.0 else { unreachable!() };
        assert_eq!((tasks.alive().wakers.len(), tasks.ready().len()), (0, 0));
    }

    #[test]
    fn nothing_is_left_of_sockets_and_timers_that_tasks_waited_for() {
        let left = Smol::block_on(async |smol: Smol| {
            let Place::Thread(tasks) = &smol.0 else { unreachable!() };
            let left = Arc::downgrade(tasks);
            let (waits, go_on) = smol::channel::bounded(1);
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let (mut socket, mut timer) =
                (smol.wrap(socket).unwrap(), smol.timer(smol.now() + std::time::Duration::from_secs(60)));
            smol.spawn(Box::pin(async move {
                poll_fn(|context| {
                    let arrived = socket.poll_recv(context, &mut |_| {});
                    assert!(arrived.is_pending() && timer.as_mut().poll(context).is_pending());
                    let _ = waits.try_send(());
                    Poll::<()>::Pending
                })
                .await;
            }));
            go_on.recv().await.unwrap();
            left
        });
        assert!(left.unwrap().upgrade().is_none());
    }

    #[test]
    fn who_has_ended_is_forgotten() {
        Smol::block_on(async |smol: Smol| {
            let Place::Thread(tasks) = &smol.0 else { unreachable!() };
            for _ in 0..100 {
                smol.spawn(Box::pin(async { smol::future::yield_now().await }));
            }
            assert_eq!(tasks.alive().wakers.len(), 100);
            while !tasks.alive().wakers.is_empty() {
                smol::future::yield_now().await;
            }
        })
        .unwrap();
    }

    #[test]
    fn they_run_in_the_order_in_which_they_were_woken() {
        let order = Arc::new(Mutex::new(Vec::new()));
        Smol::block_on(async |smol: Smol| {
            for number in 0..5 {
                let order = Arc::clone(&order);
                smol.spawn(Box::pin(async move {
                    for round in 0..3 {
                        order.lock().unwrap().push((round, number));
                        smol::future::yield_now().await;
                    }
                }));
            }
            while order.lock().unwrap().len() < 15 {
                smol::future::yield_now().await;
            }
        })
        .unwrap();
        let expected: Vec<(i32, i32)> = (0..3).flat_map(|round| (0..5).map(move |number| (round, number))).collect();
        assert_eq!(*order.lock().unwrap(), expected);
    }

    #[test]
    fn what_one_turn_leaves_the_next_one_runs() {
        let heard = Smol::block_on(async |smol: Smol| {
            let (sender, receiver) = smol::channel::bounded(1);
            for _ in 0..2 * MAX_RUNS {
                smol.spawn(Box::pin(async {}));
            }
            smol.spawn(Box::pin(async move { sender.send(7).await.unwrap() }));
            receiver.recv().await
        });
        assert_eq!(heard.unwrap(), Ok(7));
    }

    #[test]
    fn threads_elsewhere_spawn_and_wake_them() {
        let heard = Smol::block_on(async |smol: Smol| {
            let (sender, receiver) = smol::channel::unbounded();
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (smol, sender) = (smol.clone(), sender.clone());
                    std::thread::spawn(move || {
                        for number in 0..250 {
                            let sender = sender.clone();
                            let (go, wait) = smol::channel::bounded(1);
                            smol.spawn(Box::pin(async move {
                                wait.recv().await.unwrap();
                                sender.send(number).await.unwrap();
                            }));
                            if number % 50 == 0 {
                                // Long enough for the thread to go to sleep.
                                std::thread::sleep(std::time::Duration::from_millis(2));
                            }
                            go.send_blocking(()).unwrap();
                        }
                    })
                })
                .collect();
            let mut sum = 0;
            for _ in 0..1000 {
                sum += receiver.recv().await.unwrap();
            }
            for thread in threads {
                thread.join().unwrap();
            }
            sum
        });
        assert_eq!(heard.unwrap(), 4 * (0..250).sum::<i32>());
    }

    /// Who is waited for here wakes under a lock, and who waits takes that lock to leave.
    #[test]
    fn they_end_also_where_the_end_of_one_wakes_another() {
        let heard = Smol::block_on(async |smol: Smol| {
            let (sender, receiver) = smol::channel::bounded::<()>(1);
            let lock = Arc::new(smol::lock::Mutex::new(()));
            let keeps = Arc::clone(&lock);
            smol.spawn(Box::pin(async move {
                let _kept = (keeps.lock().await, sender);
                pending::<()>().await;
            }));
            for _ in 0..10 {
                let (receiver, lock) = (receiver.clone(), Arc::clone(&lock));
                smol.spawn(Box::pin(async move {
                    receiver.recv().await.unwrap_err();
                }));
                smol.spawn(Box::pin(async move { drop(lock.lock().await) }));
            }
            smol::future::yield_now().await;
            smol::future::yield_now().await;
            (Arc::downgrade(&lock), receiver)
        });
        let (lock, receiver) = heard.unwrap();
        assert!(lock.upgrade().is_none() && receiver.is_closed());
    }

    #[test]
    fn a_panic_of_one_harms_no_other() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let guard = Dropped(Arc::clone(&dropped), None);
        let heard = Smol::block_on(async |smol: Smol| {
            let (sender, receiver) = smol::channel::bounded(1);
            smol.spawn(Box::pin(async move {
                let _guard = guard;
                panic!("on purpose")
            }));
            smol.spawn(Box::pin(async move { sender.send(7).await.unwrap() }));
            receiver.recv().await
        });
        assert_eq!(heard.unwrap(), Ok(7));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_panic_of_the_thread_s_future_ends_all() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let guard = Dropped(Arc::clone(&dropped), None);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Smol::block_on(async |smol: Smol| {
                smol.spawn(Box::pin(async move {
                    let _guard = guard;
                    pending::<()>().await;
                }));
                panic!("on purpose")
            })
        }));
        assert!(result.is_err());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert!(Smol::current().is_none());
    }
}
