//! Several addresses, one connection: the next address is tried when the last one fails or takes its time.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use transom_core::ConnectionError;
use transom_core::rt::Runtime;

use crate::driver::Deadline;
use crate::error::ClientError;

/// One try.
pub(super) type Attempt<T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send>>;

/// Tries under way and to come.
struct Race<T> {
    runtime: Arc<dyn Runtime>,
    waiting: VecDeque<Attempt<T>>,
    running: Vec<Attempt<T>>,
    /// When the next one starts though the last has not failed.
    next: Option<Deadline>,
    error: Option<ClientError>,
}

/// Runs the attempts, each a moment after the one before, and returns what the first to succeed gives; the others are
/// dropped.
///
/// # Errors
///
/// When all fail, the error that says most.
pub(super) async fn race<T>(runtime: &Arc<dyn Runtime>, attempts: Vec<Attempt<T>>) -> Result<T, ClientError> {
    let mut race =
        Race { runtime: Arc::clone(runtime), waiting: attempts.into(), running: Vec::new(), next: None, error: None };
    poll_fn(|context| race.poll(context)).await
}

impl<T> Race<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, ClientError>> {
        loop {
            if let Some(result) = self.poll_running(context) {
                return Poll::Ready(Ok(result));
            }
            let time = self.next.as_mut().is_none_or(|deadline| deadline.poll(context).is_ready());
            match self.waiting.pop_front() {
                Some(attempt) if time || self.running.is_empty() => {
                    self.running.push(attempt);
                    self.next = Some(Deadline::after(&self.runtime, HEAD_START));
                }
                Some(attempt) => {
                    self.waiting.push_front(attempt);
                    return Poll::Pending;
                }
                None if self.running.is_empty() => {
                    return Poll::Ready(Err(self.error.take().unwrap_or(ClientError::TimedOut)));
                }
                None => return Poll::Pending,
            }
        }
    }

    fn poll_running(&mut self, context: &mut Context<'_>) -> Option<T> {
        let mut winner = None;
        self.running.retain_mut(|attempt| match attempt.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(result)) => {
                winner = Some(result);
                false
            }
            Poll::Ready(Err(error)) => {
                // An answer that we do not like says more than silence.
                if self.error.as_ref().is_none_or(is_silence) {
                    self.error = Some(error);
                }
                // The next one need not wait any longer.
                self.next = None;
                false
            }
        });
        winner
    }
}

fn is_silence(error: &ClientError) -> bool {
    matches!(error, ClientError::TimedOut | ClientError::Connection(ConnectionError::TimedOut))
}

/// How long an address has before the next one is tried as well (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::testing::World;

    /// Runs a race in virtual time.
    fn run<T>(attempts: Vec<Attempt<T>>) -> Result<T, ClientError> {
        let world = World::new(1);
        world.run(race(&world.runtime(), attempts))
    }

    fn silence() -> ClientError {
        ClientError::Connection(ConnectionError::TimedOut)
    }

    #[test]
    fn a_silent_address_does_not_hold_up_the_next() {
        let attempts: Vec<Attempt<u8>> = vec![Box::pin(pending()), Box::pin(ready(Ok(2)))];
        assert_eq!(run(attempts).unwrap(), 2);
    }

    #[test]
    fn the_first_success_wins() {
        let attempts: Vec<Attempt<u8>> =
            vec![Box::pin(ready(Err(silence()))), Box::pin(ready(Ok(2))), Box::pin(pending())];
        assert_eq!(run(attempts).unwrap(), 2);
    }

    #[test]
    fn the_most_telling_error_is_kept() {
        let attempts: Vec<Attempt<u8>> = vec![
            Box::pin(ready(Err(silence()))),
            Box::pin(ready(Err(ClientError::NotSupported))),
            Box::pin(ready(Err(silence()))),
        ];
        assert!(matches!(run(attempts), Err(ClientError::NotSupported)));
        assert!(matches!(run::<u8>(Vec::new()), Err(ClientError::TimedOut)));
    }
}
