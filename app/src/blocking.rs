//! Work that blocks (name resolution, reading certificates), on a thread of its own: every runtime has threads.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use transom_core::rt::Runtime;

/// Where the result is left.
struct Slot<T> {
    result: Option<T>,
    finished: bool,
    waker: Option<Waker>,
}

/// Runs `work` on a new thread and waits for it.
///
/// When the future is dropped the thread goes on to the end of its work, for nobody.
pub(crate) async fn on_thread<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    // A simulation waits for nobody: its time would run on meanwhile.
    if runtime.simulation().is_some() {
        return Ok(work());
    }
    let slot = Arc::new(Mutex::new(Slot { result: None, finished: false, waker: None }));
    let finisher = Finisher(Arc::clone(&slot));
    std::thread::Builder::new().name(String::from("transom-blocking")).spawn(move || {
        let result = work();
        lock(&finisher.0).result = Some(result);
    })?;
    poll_fn(|context| {
        let mut slot = lock(&slot);
        if slot.finished {
            return Poll::Ready(slot.result.take().ok_or_else(|| io::Error::other("the helper thread panicked")));
        }
        let replaced = slot.waker.replace(context.waker().clone());
        drop(slot);
        drop(replaced);
        Poll::Pending
    })
    .await
}

/// Says that the thread is done, also when it panics.
struct Finisher<T>(Arc<Mutex<Slot<T>>>);

impl<T> Drop for Finisher<T> {
    fn drop(&mut self) {
        let mut slot = lock(&self.0);
        slot.finished = true;
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    fn on_smol<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        smol::block_on(async { on_thread(&transom_smol::Smol::global(), work).await })
    }

    #[test]
    fn the_result_comes_back() {
        let here = std::thread::current().id();
        assert_ne!(on_smol(move || std::thread::current().id()).unwrap(), here);
        let world = World::new(1);
        let there = world.run(on_thread(&*world.runtime(), || std::thread::current().id()));
        assert_eq!(there.unwrap(), here);
    }

    #[test]
    fn a_panic_is_an_error() {
        let result = on_smol(|| -> u8 { std::panic::resume_unwind(Box::new("expected")) });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Other);
    }
}
