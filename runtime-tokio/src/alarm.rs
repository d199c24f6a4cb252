//! The driver's timer: an alarm of the system's, where it has them.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
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
    /// What is woken when it fires, while it waits.
    bell: Option<Arc<Bell>>,
}

/// A task's waker that remembers whether it was called. Until then it stands where tokio will find it, and the driver, which polls
/// its timer whenever it goes to sleep, need not take tokio's lock to put it there.
///
/// That nothing has fired would not tell: the thread that waits for the system notes first that the alarm went off, and only then
/// wakes who waits. Who has seen the note, and waits for the next alarm already, is woken for the last one.
#[derive(Debug)]
struct Bell {
    task: Waker,
    rung: AtomicBool,
}

impl Bell {
    /// One that stands nowhere yet, as after it was rung.
    fn new(task: &Waker) -> Self {
        Self { task: task.clone(), rung: AtomicBool::new(true) }
    }

    /// Whether it was rung, and stands nowhere until it is put somewhere again.
    fn takes_ring(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::Acquire)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl AlarmTimer {
    /// A timer set to `deadline`; call it inside the runtime.
    pub(crate) fn new(deadline: Instant) -> io::Result<Self> {
        let alarm = watch(Alarm::new()?, Interest::READABLE)?;
        let mut timer = Self { alarm, instead: None, fired: false, bell: None };
        timer.arm(deadline);
        Ok(timer)
    }

    fn arm(&mut self, deadline: Instant) {
        self.fired = false;
        let set = system_time().map(|now| self.alarm.get_ref().set(deadline.saturating_duration_since(now)));
        self.instead = if matches!(set, Some(Ok(()))) { None } else { Some(Box::pin(TokioTimer::new(deadline))) };
    }

    /// Whether the alarm has gone off; if not, the bell stands where tokio will find it.
    fn poll_alarm(&self, bell: &Arc<Bell>) -> Poll<io::Result<()>> {
        // Without a budget, as in `TokioTimer`.
        let ready = poll_fn(|context| self.alarm.poll_read_ready(context));
        let polled = pin!(unconstrained(ready)).poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))));
        // Nothing is read: the next edge comes without it, and setting the alarm empties the descriptor.
        polled.map_ok(|mut guard| guard.clear_ready())
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
        let known = this.bell.take().filter(|bell| bell.task.will_wake(context.waker()));
        let bell = known.unwrap_or_else(|| Arc::new(Bell::new(context.waker())));
        let polled = if bell.takes_ring() { this.poll_alarm(&bell) } else { Poll::Pending };
        // An error: the runtime shuts down, and its tasks are dropped.
        this.fired = matches!(polled, Poll::Ready(Ok(())));
        // Who is told without waiting stands nowhere.
        this.bell = polled.is_pending().then_some(bell);
        if this.fired { Poll::Ready(()) } else { Poll::Pending }
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

    /// The thread that waits for the system may be late to wake who has seen already that the alarm went off, and waits for the next.
    #[tokio::test]
    async fn who_is_woken_for_the_last_alarm_hears_of_the_next() {
        let mut timer = after(Duration::from_millis(20));
        assert!(poll_fn(|context| Poll::Ready(timer.as_mut().poll(context))).await.is_pending());
        // It takes the waker out and calls it.
        assert!(timer.alarm.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        timer.bell.as_ref().unwrap().wake_by_ref();
        tokio::time::timeout(Duration::from_secs(20), fired(timer)).await.unwrap();
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
