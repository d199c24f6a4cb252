//! Waiting for a time, for those who are not the driver: only the driver asks the runtime what time it is.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use transom_core::rt::{Runtime, Timer};

use super::phase::later;

/// A point in time to wait for.
pub(crate) struct Deadline {
    runtime: Arc<dyn Runtime>,
    at: Instant,
    timer: Pin<Box<dyn Timer>>,
}

impl Deadline {
    /// The time `duration` from now.
    pub(crate) fn after(runtime: &Arc<dyn Runtime>, duration: Duration) -> Self {
        let at = later(runtime.now(), duration);
        Self { runtime: Arc::clone(runtime), at, timer: runtime.timer(at) }
    }

    /// Ready once the time has come.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        if self.runtime.now() >= self.at {
            return Poll::Ready(());
        }
        // An early timer; if the second try is early as well, we are asked again at once.
        self.timer.as_mut().reset(self.at);
        if self.timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Waits until the time has come.
    pub(crate) async fn wait(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    /// Runs `future` until the time has come; `None` if it did not make it.
    pub(crate) async fn bound<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            self.poll(context).map(|()| None)
        })
        .await
    }
}
