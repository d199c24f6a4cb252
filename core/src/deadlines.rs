//! One ordered set of deadlines, at most one for each key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Deadlines by key; setting, clearing and finding the next cost O(log n).
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> Deadlines<K> {
    pub(crate) fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }

    /// Sets, moves or (with `None`) clears the deadline of a key.
    pub(crate) fn set(&mut self, key: K, deadline: Option<Instant>) {
        let old = match deadline {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if old == deadline {
            return;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = deadline {
            self.by_time.insert((at, key));
        } else if self.by_key.is_empty() {
            // An empty tree keeps a node, and a connection that rests has no deadline of ours.
            self.clear();
        }
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out one key whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }

    pub(crate) fn clear(&mut self) {
        self.by_time = BTreeSet::new();
        self.by_key = BTreeMap::new();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_list_searched_by_hand(script in prop::collection::vec((0u8..8, prop::option::of(0u64..50)), 0..100)) {
            #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
            let start = Instant::now();
            let mut deadlines = Deadlines::new();
            let mut model: BTreeMap<u8, Instant> = BTreeMap::new();
            for (key, after) in script {
                let at = after.map(|after| start + Duration::from_millis(after));
                deadlines.set(key, at);
                match at {
                    Some(at) => model.insert(key, at),
                    None => model.remove(&key),
                };
                prop_assert_eq!(deadlines.next(), model.values().min().copied());
                prop_assert_eq!(deadlines.by_time.len(), deadlines.by_key.len());
                prop_assert!((0..8).all(|key| deadlines.contains(key) == model.contains_key(&key)));
            }
            let noon = start + Duration::from_millis(25);
            deadlines.set(9, Some(noon));
            model.insert(9, noon);
            let mut due = Vec::new();
            while let Some(key) = deadlines.pop_due(noon) {
                due.push(key);
            }
            due.sort_unstable();
            let expected: Vec<u8> = model.iter().filter(|(_, at)| **at <= noon).map(|(key, _)| *key).collect();
            prop_assert_eq!(due, expected);
            deadlines.clear();
            prop_assert_eq!((deadlines.next(), deadlines.by_key.len()), (None, 0));
        }
    }
}
