//! A timer that can be set again.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};
use transom_core::rt::Timer;

/// tokio's `Sleep`, which keeps its place in the timer wheel when it is set again.
#[derive(Debug)]
pub(crate) struct TokioTimer {
    sleep: Pin<Box<Sleep>>,
    /// Who is woken when it fires. To register it anew takes two locked instructions, and the driver polls its timer
    /// whenever it goes to sleep.
    registered: Option<Waker>,
}

impl TokioTimer {
    /// A timer set to `deadline`; call it inside the runtime.
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline.into())), registered: None }
    }
}

impl Timer for TokioTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.registered = None;
        self.sleep.as_mut().reset(deadline.into());
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let registered = self.registered.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if registered && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        // Without a budget: a task that has used up its own would be put off, and its waker not be registered.
        let polled = pin!(unconstrained(self.sleep.as_mut())).poll(context);
        self.registered = polled.is_pending().then(|| context.waker().clone());
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Tokio;

    #[tokio::test]
    async fn fires_and_can_be_set_again() {
        transom_udp::checks::timer_fires_and_can_be_set_again(&Tokio::current().unwrap()).await;
    }

    #[tokio::test]
    async fn wakes_who_polled_it_last() {
        checks::wakes_who_polled_it_last(soon()).await;
    }

    #[tokio::test]
    async fn wakes_a_task_that_had_used_up_its_budget() {
        checks::wakes_a_task_that_had_used_up_its_budget(soon()).await;
    }

    fn soon() -> Pin<Box<TokioTimer>> {
        Box::pin(TokioTimer::new(Instant::now() + Duration::from_millis(20)))
    }
}

/// What holds for each timer here.
#[cfg(test)]
pub(crate) mod checks {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    pub(crate) async fn wakes_who_polled_it_last(mut timer: Pin<Box<impl Timer>>) {
        assert!(timer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        fires(poll_fn(|context| timer.as_mut().poll(context))).await;
    }

    pub(crate) async fn wakes_a_task_that_had_used_up_its_budget(mut timer: Pin<Box<impl Timer>>) {
        let mut polled = false;
        let fired = poll_fn(|context| {
            if !std::mem::replace(&mut polled, true) {
                while tokio::task::coop::has_budget_remaining() {
                    let _ = pin!(tokio::task::coop::consume_budget()).poll(context);
                }
            }
            timer.as_mut().poll(context)
        });
        fires(fired).await;
    }

    /// A timer that woke somebody else would never be ready.
    async fn fires(fired: impl Future<Output = ()>) {
        tokio::time::timeout(Duration::from_secs(20), fired).await.expect("somebody was woken");
    }
}
