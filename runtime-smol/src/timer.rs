//! A timer that can be set again.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use smol::Timer as SystemTimer;
use transom_core::rt::Timer;

/// async-io's timer, which stays ready once it has fired until it is set again.
#[derive(Debug)]
pub(crate) struct SmolTimer {
    timer: SystemTimer,
    fired: bool,
}

impl SmolTimer {
    /// A timer set to `deadline`.
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { timer: SystemTimer::at(deadline), fired: false }
    }
}

impl Timer for SmolTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.fired = false;
        self.timer.set_at(deadline);
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.fired {
            ready!(Pin::new(&mut self.timer).poll(context));
            self.fired = true;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Smol;

    #[test]
    fn fires_and_can_be_set_again() {
        smol::block_on(transom_udp::checks::timer_fires_and_can_be_set_again(&Smol::global()));
    }
}
