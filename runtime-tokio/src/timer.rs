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
    use crate::Tokio;

    #[tokio::test]
    async fn fires_and_can_be_set_again() {
        transom_udp::checks::timer_fires_and_can_be_set_again(&Tokio::current().unwrap()).await;
    }
}
