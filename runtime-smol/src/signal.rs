//! One direction of a socket.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Whether a socket may be ready in one direction, and who waits for that.
#[derive(Debug)]
pub(crate) struct Signal {
    ready: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Signal {
    /// Not asked yet: who tries finds out.
    pub(crate) fn ready() -> Self {
        Self { ready: AtomicBool::new(true), waker: Mutex::new(None) }
    }

    /// Ready while the direction may be; else the task is woken when it is.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.ready.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = match &*waker {
            Some(waiting) if waiting.will_wake(context.waker()) => None,
            _ => waker.replace(context.waker().clone()),
        };
        drop(waker);
        drop(replaced);
        // What was raised before the waker was there has woken nobody.
        if self.ready.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Tries; it may be ready from now on only if that worked, or if an event comes meanwhile.
    pub(crate) fn attempt(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.ready.store(false, Ordering::Release);
        let result = attempt();
        if result.as_ref().err().map(io::Error::kind) != Some(ErrorKind::WouldBlock) {
            self.ready.store(true, Ordering::Release);
        }
        result
    }

    /// It is ready: wakes who waits for it.
    pub(crate) fn raise(&self) {
        self.ready.store(true, Ordering::Release);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_event_during_an_attempt_is_not_forgotten() {
        let (signal, bell) = (Signal::ready(), Arc::new(Bell::default()));
        let waker = Waker::from(Arc::clone(&bell));
        let mut context = Context::from_waker(&waker);
        let blocked = || Err(ErrorKind::WouldBlock.into());
        assert!(signal.attempt(blocked).is_err());
        assert!(signal.poll(&mut context).is_pending());
        signal.raise();
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
        assert!(signal.poll(&mut context).is_ready());
        let result = signal.attempt(|| {
            signal.raise();
            blocked()
        });
        assert!(result.is_err() && signal.poll(&mut context).is_ready());
    }

    #[test]
    fn other_errors_leave_it_ready() {
        let signal = Signal::ready();
        assert!(signal.attempt(|| Err(ErrorKind::ConnectionRefused.into())).is_err());
        assert!(signal.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
