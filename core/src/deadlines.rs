//! One ordered set of deadlines, at most one for each key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Deadlines by key. A few stand in a list, which is what nearly every connection has; for more than [`FEW`], setting,
/// clearing and finding the next cost O(log n).
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    /// All, unless there are trees.
    few: Vec<(Instant, K)>,
    trees: Option<Box<Trees<K>>>,
}

#[derive(Debug)]
struct Trees<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

/// What is searched from one end to the other.
const FEW: usize = 8;

impl<K: Ord + Copy> Deadlines<K> {
    pub(crate) fn new() -> Self {
        Self { few: Vec::new(), trees: None }
    }

    /// Sets, moves or (with `None`) clears the deadline of a key.
    pub(crate) fn set(&mut self, key: K, deadline: Option<Instant>) {
        if let Some(trees) = &mut self.trees {
            trees.set(key, deadline);
            if trees.by_key.is_empty() {
                self.clear();
            }
            return;
        }
        let Some(at) = deadline else {
            self.few.retain(|(_, of)| *of != key);
            if self.few.is_empty() {
                // A connection that rests has no deadline of ours, and shall keep no memory for them.
                self.clear();
            }
            return;
        };
        if let Some(old) = self.few.iter_mut().find(|(_, of)| *of == key) {
            old.0 = at;
        } else if self.few.len() < FEW {
            self.few.push((at, key));
        } else {
            let mut trees = Trees { by_time: BTreeSet::new(), by_key: BTreeMap::new() };
            for (at, key) in std::mem::take(&mut self.few).into_iter().chain([(at, key)]) {
                trees.set(key, Some(at));
            }
            self.trees = Some(Box::new(trees));
        }
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        match &self.trees {
            Some(trees) => trees.by_key.contains_key(&key),
            None => self.few.iter().any(|(_, of)| *of == key),
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.first().map(|(at, _)| at)
    }

    /// Takes out one key whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (_, key) = self.first().filter(|(at, _)| *at <= now)?;
        self.set(key, None);
        Some(key)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    fn first(&self) -> Option<(Instant, K)> {
        match &self.trees {
            Some(trees) => trees.by_time.first().copied(),
            None => self.few.iter().min().copied(),
        }
    }
}

impl<K: Ord + Copy> Trees<K> {
    fn set(&mut self, key: K, deadline: Option<Instant>) {
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
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_list_searched_by_hand(keys in 1u8..24, script in prop::collection::vec((0u8..24, prop::option::weighted(0.7, 0u64..50)), 0..100)) {
            #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
            let start = Instant::now();
            let mut deadlines = Deadlines::new();
            let mut model: BTreeMap<u8, Instant> = BTreeMap::new();
            for (key, after) in script {
                let key = key % keys;
                let at = after.map(|after| start + Duration::from_millis(after));
                deadlines.set(key, at);
                match at {
                    Some(at) => model.insert(key, at),
                    None => model.remove(&key),
                };
                prop_assert_eq!(deadlines.next(), model.values().min().copied());
                if let Some(trees) = &deadlines.trees {
                    prop_assert_eq!((trees.by_time.len(), deadlines.few.len()), (trees.by_key.len(), 0));
                }
                prop_assert!(!model.is_empty() || (deadlines.trees.is_none() && deadlines.few.capacity() == 0));
                prop_assert!((0..24).all(|key| deadlines.contains(key) == model.contains_key(&key)));
            }
            let noon = start + Duration::from_millis(25);
            deadlines.set(24, Some(noon));
            model.insert(24, noon);
            let mut due = Vec::new();
            while let Some(key) = deadlines.pop_due(noon) {
                due.push(key);
            }
            due.sort_unstable();
            let expected: Vec<u8> = model.iter().filter(|(_, at)| **at <= noon).map(|(key, _)| *key).collect();
            prop_assert_eq!(due, expected);
            deadlines.clear();
            prop_assert!(deadlines.next().is_none() && !(0..=24).any(|key| deadlines.contains(key)));
        }
    }
}
