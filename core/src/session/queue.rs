//! A queue that lies where its owner does while it is short.

use std::collections::VecDeque;

/// First in, first out. The first place is in the queue itself: where one waits at a time, as mostly, no other memory is
/// taken, and none is waited for when it has left the processor's caches.
#[derive(Debug, Clone)]
pub(crate) struct Queue<T> {
    /// Empty only if `rest` is.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Queue<T> {
    pub(crate) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.push_back(item);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }

    /// Moves the first to the end.
    pub(crate) fn rotate(&mut self) {
        if let Some(first) = self.pop() {
            self.push(first);
        }
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.rest.back().or(self.first.as_ref())
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    /// From the last to the first.
    pub(crate) fn newest_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rest.iter_mut().rev().chain(&mut self.first)
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_plain_queue(script in prop::collection::vec(0u8..5, 0..100)) {
            let (mut queue, mut model) = (Queue::default(), VecDeque::new());
            for (number, step) in script.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        queue.push(number);
                        model.push_back(number);
                    }
                    2 | 3 => prop_assert_eq!(queue.pop(), model.pop_front()),
                    _ => {
                        queue.rotate();
                        model.rotate_left(1.min(model.len()));
                    }
                }
                prop_assert!(queue.iter().eq(&model));
                prop_assert!(queue.newest_mut().eq(model.iter_mut().rev()));
                prop_assert_eq!((queue.first(), queue.last()), (model.front(), model.back()));
                prop_assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }
}
