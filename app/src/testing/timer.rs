//! A timer in virtual time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use transom_core::rt::{Runtime, Timer};

use super::executor::Executor;

/// Wakes who polled it last when the clock gets there.
#[derive(Debug)]
pub(super) struct VirtualTimer {
    executor: Arc<Executor>,
    deadline: Instant,
    /// The place among the executor's timers, and who is called.
    waiting: Option<(u64, Waker)>,
}

impl VirtualTimer {
    pub(super) fn new(executor: Arc<Executor>, deadline: Instant) -> Self {
        Self { executor, deadline, waiting: None }
    }

    fn leave(&mut self) {
        if let Some((number, _)) = self.waiting.take() {
            self.executor.forget(self.deadline, number);
        }
    }
}

impl Timer for VirtualTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        let waker = self.waiting.as_ref().map(|(_, waker)| waker.clone());
        self.leave();
        self.deadline = deadline;
        self.waiting = waker.map(|waker| (self.executor.remember(deadline, waker.clone()), waker));
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.deadline {
            self.leave();
            return Poll::Ready(());
        }
        if self.waiting.as_ref().is_none_or(|(_, waker)| !waker.will_wake(context.waker())) {
            self.leave();
            let waker = context.waker().clone();
            self.waiting = Some((self.executor.remember(self.deadline, waker.clone()), waker));
        }
        Poll::Pending
    }
}

impl Drop for VirtualTimer {
    fn drop(&mut self) {
        self.leave();
    }
}
