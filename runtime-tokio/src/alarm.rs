//! The driver's timer: an alarm of the system's, where it has them.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::unconstrained;
use transom_core::rt::Timer;
use transom_udp::Alarm;

use crate::socket::watch;
use crate::timer::TokioTimer;

/// An [`Alarm`], and tokio's own timer in its place while tokio's clock is not the system's.
///
/// tokio's timers make each wait of the thread one with a timeout, and an earlier deadline costs a wait in vain.
#[derive(Debug)]
pub(crate) struct AlarmTimer {
    alarm: AsyncFd<Alarm>,
    /// There when the alarm is not set: the clock is paused, or the system refused.
    instead: Option<Pin<Box<TokioTimer>>>,
    fired: bool,
    /// Who is woken when it fires.
    registered: Option<Waker>,
}

impl AlarmTimer {
    /// A timer set to `deadline`; call it inside the runtime.
    pub(crate) fn new(deadline: Instant) -> io::Result<Self> {
        let alarm = watch(Alarm::new()?, Interest::READABLE)?;
        let mut timer = Self { alarm, instead: None, fired: false, registered: None };
        timer.arm(deadline);
        Ok(timer)
    }

    fn arm(&mut self, deadline: Instant) {
        self.fired = false;
        let set = system_time().map(|now| self.alarm.get_ref().set(deadline.saturating_duration_since(now)));
        self.instead = if matches!(set, Some(Ok(()))) { None } else { Some(Box::pin(TokioTimer::new(deadline))) };
    }

    /// Whether the alarm has gone off since it was asked last.
    fn take_fired(&self) -> bool {
        let mut fired = false;
        // Nothing is read: the next edge comes without it, and setting the alarm empties the descriptor.
        let _ = self.alarm.try_io(Interest::READABLE, |_| -> io::Result<()> {
            fired = true;
            Err(ErrorKind::WouldBlock.into())
        });
        fired
    }
}

/// What time it is, if tokio's clock and the system's agree: tests pause it.
fn system_time() -> Option<Instant> {
    let before = Instant::now();
    let now = tokio::time::Instant::now().into_std();
    (before..=Instant::now()).contains(&now).then_some(now)
}

impl Timer for AlarmTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.arm(deadline);
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Some(instead) = &mut this.instead {
            return instead.as_mut().poll(context);
        }
        if this.fired {
            return Poll::Ready(());
        }
        if this.registered.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            if !this.take_fired() {
                return Poll::Pending;
            }
        } else {
            // Without a budget, as in `TokioTimer`.
            let ready = poll_fn(|context| this.alarm.poll_read_ready(context).map_ok(|_| ()));
            match pin!(unconstrained(ready)).poll(context) {
                Poll::Ready(Ok(())) => _ = this.take_fired(),
                // The runtime shuts down, and its tasks are dropped.
                Poll::Ready(Err(_)) => return Poll::Pending,
                Poll::Pending => {
                    this.registered = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
        (this.fired, this.registered) = (true, None);
        Poll::Ready(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timer::checks;

    fn after(duration: Duration) -> Pin<Box<AlarmTimer>> {
        Box::pin(AlarmTimer::new(tokio::time::Instant::now().into_std() + duration).unwrap())
    }

    #[tokio::test]
    async fn wakes_who_polled_it_last() {
        let timer = after(Duration::from_millis(20));
        assert!(timer.instead.is_none(), "the system's alarm");
        checks::wakes_who_polled_it_last(timer).await;
    }

    #[tokio::test]
    async fn wakes_a_task_that_had_used_up_its_budget() {
        checks::wakes_a_task_that_had_used_up_its_budget(after(Duration::from_millis(20))).await;
    }

    #[tokio::test]
    async fn a_deadline_that_was_moved_is_not_told_of() {
        let mut timer = after(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(20));
        timer.as_mut().reset(Instant::now() + Duration::from_secs(3600));
        assert!(tokio::time::timeout(Duration::from_millis(50), fired(timer)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn goes_with_the_clock_of_tests() {
        // An hour that the system does not wait for.
        let (start, hour) = (Instant::now(), Duration::from_secs(3600));
        tokio::time::advance(Duration::from_secs(60)).await;
        let before = tokio::time::Instant::now();
        tokio::time::timeout(2 * hour, fired(after(hour))).await.unwrap();
        assert!(before.elapsed() >= hour && start.elapsed() < hour);
    }

    #[tokio::test(start_paused = true)]
    async fn follows_the_clock_when_it_is_resumed() {
        let mut timer = after(Duration::from_secs(3600));
        assert!(timer.instead.is_some());
        tokio::time::resume();
        timer.as_mut().reset(tokio::time::Instant::now().into_std() + Duration::from_millis(20));
        tokio::time::timeout(Duration::from_secs(20), fired(timer)).await.unwrap();
    }

    async fn fired(mut timer: Pin<Box<AlarmTimer>>) {
        poll_fn(|context| timer.as_mut().poll(context)).await;
    }
}
