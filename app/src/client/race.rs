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
struct Race<'a, T> {
    runtime: Arc<dyn Runtime>,
    /// When all have had their time.
    until: &'a mut Deadline,
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
pub(super) async fn race<T>(
    runtime: &Arc<dyn Runtime>,
    attempts: Vec<Attempt<T>>,
    until: &mut Deadline,
) -> Result<T, ClientError> {
    let (runtime, waiting) = (Arc::clone(runtime), attempts.into());
    let mut race = Race { runtime, until, waiting, running: Vec::new(), next: None, error: None };
    poll_fn(|context| race.poll(context)).await
}

impl<T> Race<'_, T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, ClientError>> {
        if let Poll::Ready(result) = self.poll_attempts(context) {
            return Poll::Ready(result);
        }
        self.until.poll(context).map(|()| Err(self.failure()))
    }

    /// What is to be told when nobody has succeeded.
    fn failure(&mut self) -> ClientError {
        self.error.take().unwrap_or(ClientError::TimedOut)
    }

    fn poll_attempts(&mut self, context: &mut Context<'_>) -> Poll<Result<T, ClientError>> {
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
                    return Poll::Ready(Err(self.failure()));
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
                if self.error.as_ref().is_none_or(|known| says(known) < says(&error)) {
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

/// How much an error says: nothing was sent, nothing came back, or an answer that we do not like.
fn says(error: &ClientError) -> u8 {
    match error {
        // As where there is no IPv6 for the first of the addresses.
        ClientError::Socket(_) | ClientError::Connect(_) => 0,
        ClientError::TimedOut | ClientError::Connection(ConnectionError::TimedOut) => 1,
        _ => 2,
    }
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
        let runtime = world.runtime();
        world.run(async { race(&runtime, attempts, &mut Deadline::after(&runtime, Duration::from_secs(10))).await })
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
        let no_socket = || ClientError::Socket(std::io::ErrorKind::AddrNotAvailable.into());
        let attempts: Vec<Attempt<u8>> = vec![Box::pin(ready(Err(no_socket()))), Box::pin(ready(Err(silence())))];
        assert!(matches!(run(attempts), Err(ClientError::Connection(ConnectionError::TimedOut))));
    }

    #[test]
    fn the_most_telling_error_is_told_though_another_address_is_silent_for_too_long() {
        let attempts: Vec<Attempt<u8>> = vec![Box::pin(pending()), Box::pin(ready(Err(ClientError::NotSupported)))];
        assert!(matches!(run(attempts), Err(ClientError::NotSupported)));
        assert!(matches!(run::<u8>(vec![Box::pin(pending())]), Err(ClientError::TimedOut)));
    }
}
