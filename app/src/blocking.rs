//! Work that blocks (name resolution, reading certificates), on a thread of its own: every runtime has threads.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Where the result is left.
struct Slot<T> {
    result: Option<T>,
    finished: bool,
    waker: Option<Waker>,
}

/// Runs `work` on a new thread and waits for it.
///
/// When the future is dropped the thread goes on to the end of its work, for nobody.
pub(crate) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
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

    #[tokio::test]
    async fn the_result_comes_back() {
        assert_eq!(on_thread(|| 1 + 1).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let result = on_thread(|| -> u8 { std::panic::resume_unwind(Box::new("expected")) }).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Other);
    }
}
