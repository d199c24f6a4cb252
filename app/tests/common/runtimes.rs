//! Each test on each runtime: tokio, smol, and a world in memory.
//!
//! A test is an `async fn` that takes what it needs of a runtime from here: [`spawn`], [`sleep`], [`timeout`],
//! [`yield_now`]. Which one it is on follows from where it is called, as it does for servers and clients.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
#[cfg(feature = "testing")]
use transom::testing::World;

/// Makes tests of functions: `on_tokio::name`, `on_smol::name`, `on_a_thread_of_smol::name`, `in_memory::name`.
///
/// Those after `threads:` have four threads on tokio instead of one; those after `sockets:` are about what only the system
/// has, and do not run in memory; those after `one_thread:` need client and server to take turns, which on smol they do in
/// a thread of their own.
macro_rules! on_each_runtime {
    (
        $($name:ident),* $(,)?
        $(; threads: $($threads:ident),+ $(,)?)?
        $(; sockets: $($sockets:ident),+ $(,)?)?
        $(; one_thread: $($one_thread:ident),+ $(,)?)?
    ) => {
        #[cfg(feature = "tokio")]
        mod on_tokio {
            use crate::common::runtimes::on_tokio;
            $(#[test] fn $name() { on_tokio(1, super::$name()); })*
            $($(#[test] fn $threads() { on_tokio(4, super::$threads()); })+)?
            $($(#[test] fn $sockets() { on_tokio(1, super::$sockets()); })+)?
            $($(#[test] fn $one_thread() { on_tokio(1, super::$one_thread()); })+)?
        }
        #[cfg(feature = "smol")]
        mod on_smol {
            use crate::common::runtimes::on_smol;
            $(#[test] fn $name() { on_smol(super::$name()); })*
            $($(#[test] fn $threads() { on_smol(super::$threads()); })+)?
            $($(#[test] fn $sockets() { on_smol(super::$sockets()); })+)?
        }
        #[cfg(feature = "smol")]
        mod on_a_thread_of_smol {
            use crate::common::runtimes::on_a_thread_of_smol;
            $(#[test] fn $name() { on_a_thread_of_smol(super::$name()); })*
            $($(#[test] fn $sockets() { on_a_thread_of_smol(super::$sockets()); })+)?
            $($(#[test] fn $one_thread() { on_a_thread_of_smol(super::$one_thread()); })+)?
        }
        #[cfg(feature = "testing")]
        mod in_memory {
            use crate::common::runtimes::in_memory;
            $(#[test] fn $name() { in_memory(3, super::$name); })*
            $($(#[test] fn $threads() { in_memory(1, super::$threads); })+)?
            $($(#[test] fn $one_thread() { in_memory(3, super::$one_thread); })+)?
        }
    };
}

/// Runs a test on tokio.
pub fn on_tokio(threads: usize, test: impl Future<Output = ()>) {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build().unwrap().block_on(test);
}

/// Runs a test on smol: its tasks on the thread of the global executor, itself on this one.
pub fn on_smol(test: impl Future<Output = ()>) {
    smol::block_on(test);
}

/// Runs a test on smol: it and its tasks on this thread, which waits by itself, as a worker's does.
pub fn on_a_thread_of_smol(test: impl Future<Output = ()>) {
    transom::Smol::block_on(|_| test).unwrap();
}

/// Runs a test in several worlds, in which tasks take different turns; in as many as `TRANSOM_WORLDS` says, if it does.
#[cfg(feature = "testing")]
pub fn in_memory<F: Future<Output = ()>>(worlds: u64, test: impl Fn() -> F) {
    let worlds = std::env::var("TRANSOM_WORLDS").map_or(worlds, |number| number.parse().unwrap());
    for seed in 1..=worlds {
        World::new(seed).run(test());
    }
}

/// Runs a task beside the test; it goes on if nobody waits for it, and a panic of it is an error of who does.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    let task = async move { drop(sender.send(future.await)) };
    #[cfg(feature = "testing")]
    if let Some(world) = World::current() {
        drop(world.spawn(task));
        return receiver;
    }
    if let Ok(tokio) = tokio::runtime::Handle::try_current() {
        drop(tokio.spawn(task));
        return receiver;
    }
    #[cfg(feature = "smol")]
    if let Some(smol) = transom::Smol::current() {
        transom::rt::Runtime::spawn(&smol, Box::pin(task));
        return receiver;
    }
    smol::spawn(task).detach();
    receiver
}

/// Waits.
pub async fn sleep(duration: Duration) {
    #[cfg(feature = "testing")]
    if let Some(sleep) = World::current().map(|world| world.sleep(duration)) {
        return sleep.await;
    }
    if tokio::runtime::Handle::try_current().is_ok() {
        tokio::time::sleep(duration).await;
    } else {
        smol::Timer::after(duration).await;
    }
}

/// Waits for a future, but no longer than this; `None` if that was not enough.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut end) = (pin!(future), pin!(sleep(duration)));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        end.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Lets other tasks run.
pub async fn yield_now() {
    smol::future::yield_now().await;
}
