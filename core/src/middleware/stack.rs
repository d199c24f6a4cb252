//! Several opinions in order.

use std::fmt;
use std::sync::Arc;

use super::{Arrival, Decision, Middleware, Permits, Rejection};

/// Middleware in the order in which it is asked; clones share it.
#[derive(Clone, Default)]
pub struct Stack {
    middleware: Vec<Arc<dyn Middleware>>,
}

impl Stack {
    /// Adds a middleware; it is asked after those added before.
    pub fn push(&mut self, middleware: impl Middleware) {
        self.push_shared(Arc::new(middleware));
    }

    /// Adds a middleware that others know, too.
    pub fn push_shared(&mut self, middleware: Arc<dyn Middleware>) {
        self.middleware.push(middleware);
    }

    /// Number of middleware.
    pub fn len(&self) -> usize {
        self.middleware.len()
    }

    /// Whether nobody is asked.
    pub fn is_empty(&self) -> bool {
        self.middleware.is_empty()
    }

    /// Whether one of them judges origins.
    pub fn judges_origin(&self) -> bool {
        self.middleware.iter().any(|middleware| middleware.judges_origin())
    }

    /// Asks all in order until one refuses.
    ///
    /// # Errors
    ///
    /// The first refusal; permits given before are given back.
    pub fn decide(&self, arrival: &Arrival<'_>) -> Result<Permits, Rejection> {
        let mut permits = Permits::default();
        for middleware in &self.middleware {
            match middleware.decide(arrival) {
                Decision::Continue => {}
                Decision::Hold(permit) => permits.push(permit),
                Decision::Reject(rejection) => return Err(rejection),
            }
        }
        Ok(permits)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;
    use crate::Request;
    use crate::middleware::Permit;

    /// Counts what it gave out, and notes that it was asked.
    struct Counts {
        name: usize,
        decides: u8,
        asked: Arc<Mutex<Vec<usize>>>,
        out: Arc<AtomicUsize>,
    }

    struct Guard(Arc<AtomicUsize>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Middleware for Counts {
        fn decide(&self, _: &Arrival<'_>) -> Decision {
            self.asked.lock().expect("no panics").push(self.name);
            match self.decides {
                0 => Decision::Continue,
                1 => {
                    self.out.fetch_add(1, Ordering::Relaxed);
                    Decision::Hold(Permit::new(Guard(Arc::clone(&self.out))))
                }
                status => Decision::Reject(StatusCode::from_u16(400 + u16::from(status)).expect("a status").into()),
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_rejection_wins_and_gives_all_permits_back(decisions in prop::collection::vec(0_u8..4, 0..8)) {
            let (asked, out) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
            let mut stack = Stack::default();
            for (name, &decides) in decisions.iter().enumerate() {
                stack.push(Counts { name, decides, asked: Arc::clone(&asked), out: Arc::clone(&out) });
            }
            let request = Request::new("h", "/");
            #[expect(clippy::disallowed_methods, reason = "nobody asked here looks at the time")]
            let now = Instant::now();
            let decided = stack.decide(&Arrival::new(&request, None, now));
            let first = decisions.iter().position(|&decides| decides > 1);
            let reached = first.map_or(decisions.len(), |at| at + 1);
            prop_assert_eq!(&*asked.lock().expect("no panics"), &(0..reached).collect::<Vec<_>>());
            match (decided, first) {
                (Ok(permits), None) => {
                    let held = decisions.iter().map(|&decides| usize::from(decides == 1)).sum::<usize>();
                    prop_assert_eq!((permits.len(), permits.is_empty()), (held, held == 0));
                    prop_assert_eq!(out.load(Ordering::Relaxed), held);
                    let copy = permits.clone();
                    drop(permits);
                    prop_assert_eq!(out.load(Ordering::Relaxed), held, "a copy is the same permit");
                    drop(copy);
                }
                (Err(rejection), Some(at)) => prop_assert_eq!(rejection.status.as_u16(), 400 + u16::from(decisions[at])),
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert_eq!(out.load(Ordering::Relaxed), 0);
            prop_assert_eq!((stack.len(), stack.is_empty()), (decisions.len(), decisions.is_empty()));
        }
    }
}
