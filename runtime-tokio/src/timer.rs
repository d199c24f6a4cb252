//! A timer that can be set again.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};
use transom_core::rt::Timer;

/// tokio's `Sleep`, which keeps its place in the timer wheel when it is set again.
#[derive(Debug)]
pub(crate) struct TokioTimer {
    sleep: Pin<Box<Sleep>>,
}

impl TokioTimer {
    /// A timer set to `deadline`; call it inside the runtime.
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline.into())) }
    }
}

impl Timer for TokioTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.sleep.as_mut().reset(deadline.into());
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn fires_and_can_be_set_again() {
        let start = tokio::time::Instant::now().into_std();
        let mut timer = Box::pin(TokioTimer::new(start + Duration::from_secs(3600)));
        timer.as_mut().reset(start);
        poll_fn(|context| timer.as_mut().poll(context)).await;
        timer.as_mut().reset(start + Duration::from_millis(1));
        poll_fn(|context| timer.as_mut().poll(context)).await;
    }
}
