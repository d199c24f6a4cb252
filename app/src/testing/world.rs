//! A world of its own: clock, scheduler, network.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use transom_core::rt::Runtime;

use super::executor::Executor;
use super::network::Network;
use super::random::Random;

/// Where a test runs: one thread, a clock that jumps, a network in memory, and chance from a seed.
///
/// Clones are the same world; with the last of them its tasks end. (A task that has one itself keeps them all.)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use transom::testing::World;
///
/// let world = World::new(1);
/// world.run(async {
///     let task = world.spawn(world.sleep(Duration::from_secs(3000)));
///     world.sleep(Duration::from_secs(600)).await;
///     task.await;
/// });
/// assert_eq!(world.elapsed(), Duration::from_secs(3000));
/// ```
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    executor: Arc<Executor>,
    network: Network,
    here: Arc<dyn Runtime>,
    start: Instant,
    limit: Duration,
}

impl World {
    /// A world in which chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut seeds = Random::new(seed);
        let executor = Executor::new(seeds.number());
        let network = Network::new(seeds.number());
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let here = network.machine(Arc::clone(&executor) as Arc<dyn Runtime>, loopback);
        let start = executor.now();
        Self { inner: Arc::new(Inner { seed, executor, network, here, start, limit: DEFAULT_LIMIT }) }
    }

    /// Lets each [`run`](Self::run) take this long, in the world's own time; an hour to begin with.
    ///
    /// # Panics
    ///
    /// When the world has clones already.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        Arc::get_mut(&mut self.inner).expect("set the limit before cloning the world").limit = limit;
        self
    }

    /// The world we are called in, if we are.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs everything in this world until `future` is done.
    ///
    /// Meanwhile it is the runtime of servers and clients that name none. Tasks that are left stay, and go on in the next
    /// `run`.
    ///
    /// # Panics
    ///
    /// When `future` can never be done, when it takes longer than the [limit](Self::time_limit), when a spawned task
    /// panics, and inside another `run`. The seed is printed then.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let _here = Entered::new(self);
        self.inner.executor.run(future, self.inner.limit)
    }

    /// Runs a task beside others; it goes on when the [`Joined`] is dropped.
    pub fn spawn<F>(&self, future: F) -> Joined<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
        let joined = Joined { slot: Arc::clone(&slot) };
        self.inner.executor.spawn(Box::pin(async move {
            let result = future.await;
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.result = Some(result);
            let waker = slot.waker.take();
            drop(slot);
            if let Some(waker) = waker {
                waker.wake();
            }
        }));
        joined
    }

    /// Waits, in the world's own time.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let mut timer = self.inner.executor.timer(self.now() + duration);
        poll_fn(move |context| timer.as_mut().poll(context))
    }

    /// The world's time.
    pub fn now(&self) -> Instant {
        self.inner.executor.now()
    }

    /// Time since the world began.
    pub fn elapsed(&self) -> Duration {
        self.now() - self.inner.start
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.inner.network
    }

    /// The machine that those run on who name none: `127.0.0.1`, `::1`, and whatever a server is bound to.
    pub fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.inner.here)
    }

    /// Another machine, with one address: for clients that come from elsewhere, over links of their own.
    pub fn machine(&self, address: impl Into<IpAddr>) -> Arc<dyn Runtime> {
        self.inner.network.machine(Arc::clone(&self.inner.executor) as Arc<dyn Runtime>, [address])
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.inner.seed)
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Tasks keep the executor, which keeps them.
        self.executor.close();
    }
}

/// The result of a task to come.
#[derive(Debug)]
pub struct Joined<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

#[derive(Debug)]
struct Slot<T> {
    result: Option<T>,
    waker: Option<Waker>,
}

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = slot.result.take() {
            return Poll::Ready(result);
        }
        let replaced = slot.waker.replace(context.waker().clone());
        drop(slot);
        drop(replaced);
        Poll::Pending
    }
}

thread_local! {
    static CURRENT: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Being in a world.
struct Entered {
    seed: u64,
}

impl Entered {
    fn new(world: &World) -> Self {
        let before = CURRENT.replace(Some(world.clone()));
        assert!(before.is_none(), "a world is run inside another one");
        Self { seed: world.inner.seed }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
        if std::thread::panicking() {
            eprintln!("this was World::new({})", self.seed);
        }
    }
}

/// Time for one run unless somebody sets another.
const DEFAULT_LIMIT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_passes_only_in_sleep_and_all_at_once() {
        let world = World::new(1);
        let real = Instant::now();
        world.run(async {
            world.sleep(1_000 * SECOND).await;
            assert_eq!(world.elapsed(), 1_000 * SECOND);
            let tasks: Vec<_> = (1..=3)
                .map(|seconds| {
                    let sleep = World::current().unwrap().sleep(seconds * SECOND);
                    world.spawn(sleep)
                })
                .collect();
            for task in tasks {
                task.await;
            }
        });
        assert_eq!(world.elapsed(), 1_003 * SECOND);
        assert!(real.elapsed() < 100 * SECOND);
        assert!(World::current().is_none());
    }

    #[test]
    fn the_seed_decides_who_is_next() {
        let order = |seed| {
            let (world, order) = (World::new(seed), Arc::new(Mutex::new(Vec::new())));
            world.run(async {
                let tasks: Vec<_> = (0..10)
                    .map(|number| {
                        let order = Arc::clone(&order);
                        world.spawn(async move { order.lock().unwrap().push(number) })
                    })
                    .collect();
                for task in tasks {
                    task.await;
                }
            });
            Arc::into_inner(order).unwrap().into_inner().unwrap()
        };
        assert_eq!(order(5), order(5));
        assert!((0..10).any(|seed| order(seed) != order(5)));
    }

    #[test]
    fn who_asks_again_and_again_does_not_stop_the_clock() {
        let (world, done) = (World::new(1), Arc::new(AtomicBool::new(false)));
        let (sleep, set) = (world.sleep(SECOND), Arc::clone(&done));
        world.run(async {
            world.spawn(async move {
                sleep.await;
                set.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                yield_now().await;
            }
        });
        assert_eq!(world.elapsed(), SECOND);
    }

    #[test]
    #[should_panic(expected = "wake each other without end")]
    fn who_asks_for_ever_is_stopped() {
        World::new(1).run(async {
            loop {
                yield_now().await;
            }
        });
    }

    async fn yield_now() {
        let mut yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    #[should_panic(expected = "waits for something that nobody does")]
    fn a_world_in_which_nothing_can_happen_ends_the_test() {
        World::new(1).run(std::future::pending::<()>());
    }

    #[test]
    #[should_panic(expected = "1s of this world are over")]
    fn a_world_has_its_time() {
        let world = World::new(1).time_limit(SECOND);
        world.run(world.sleep(2 * SECOND));
    }

    #[test]
    #[should_panic(expected = "the test sees this")]
    fn a_panic_of_a_task_is_one_of_the_test() {
        let world = World::new(1);
        world.run(world.spawn(async { panic!("the test sees this") }));
    }

    #[test]
    #[should_panic(expected = "inside another one")]
    fn worlds_are_not_nested() {
        World::new(1).run(async { World::new(2).run(std::future::ready(())) });
    }

    #[test]
    fn tasks_go_on_in_the_next_run_and_end_with_the_world() {
        let (world, token) = (World::new(1), Arc::new(()));
        let task = |time| {
            let (sleep, kept) = (world.sleep(time), Arc::clone(&token));
            world.spawn(async move {
                sleep.await;
                drop(kept);
            })
        };
        let (short, _long) = (task(2 * SECOND), task(10 * SECOND));
        world.run(world.sleep(SECOND));
        assert_eq!(Arc::strong_count(&token), 3);
        world.run(short);
        assert_eq!(Arc::strong_count(&token), 2);
        let executor = Arc::clone(&world.inner.executor);
        drop(world);
        assert_eq!(Arc::strong_count(&token), 1);
        drop(executor);
    }
}
