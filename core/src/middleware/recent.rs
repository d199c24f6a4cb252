//! A table that remembers those who came last, and is never larger than it may be.

use std::collections::BTreeMap;

use super::address::AddressKey;

/// Values by address. When it is full, the address that was silent for longest makes room for a new one; all others stay.
///
/// A search tree and no hash table: addresses are of the peers' choosing, and a tree has no bad ones.
#[derive(Debug)]
pub(super) struct Recent<V> {
    places: BTreeMap<AddressKey, u32>,
    entries: Vec<Entry<V>>,
    capacity: u32,
    newest: u32,
    oldest: u32,
}

/// An address in the list from the newest to the oldest.
#[derive(Debug)]
struct Entry<V> {
    key: AddressKey,
    newer: u32,
    older: u32,
    value: V,
}

impl<V> Recent<V> {
    /// A table of so many addresses, at least one.
    pub(super) fn new(capacity: u32) -> Self {
        // The last index means nobody.
        let capacity = capacity.clamp(1, NOBODY - 1);
        Self { places: BTreeMap::new(), entries: Vec::new(), capacity, newest: NOBODY, oldest: NOBODY }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value of an address, which is now the one that came last; `None` never, but that is known to no compiler.
    pub(super) fn touch(&mut self, key: AddressKey, fresh: impl FnOnce() -> V) -> Option<&mut V> {
        let place = if let Some(&place) = self.places.get(&key) {
            self.unlink(place);
            place
        } else {
            let place = self.add(key, fresh());
            self.places.insert(key, place);
            place
        };
        self.link_as_newest(place);
        self.entry(place).map(|entry| &mut entry.value)
    }

    /// Puts an address at a place that nobody has, or not any more.
    fn add(&mut self, key: AddressKey, value: V) -> u32 {
        let entry = Entry { key, newer: NOBODY, older: NOBODY, value };
        let length = self.entries.len() as u32;
        if length < self.capacity {
            self.entries.push(entry);
            return length;
        }
        let place = self.oldest;
        self.unlink(place);
        if let Some(there) = self.entries.get_mut(place as usize) {
            let gone = std::mem::replace(there, entry);
            self.places.remove(&gone.key);
        }
        place
    }

    fn unlink(&mut self, place: u32) {
        let Some(&mut Entry { newer, older, .. }) = self.entry(place) else { return };
        match self.entry(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entry(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_as_newest(&mut self, place: u32) {
        let before = std::mem::replace(&mut self.newest, place);
        if let Some(entry) = self.entry(place) {
            (entry.newer, entry.older) = (NOBODY, before);
        }
        match self.entry(before) {
            Some(entry) => entry.newer = place,
            None => self.oldest = place,
        }
    }

    fn entry(&mut self, place: u32) -> Option<&mut Entry<V>> {
        self.entries.get_mut(place as usize)
    }
}

const NOBODY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    fn key(number: u32) -> AddressKey {
        AddressKey::new(IpAddr::V4(Ipv4Addr::from(number)), 64)
    }

    proptest! {
        #[test]
        fn the_longest_silent_one_makes_room(capacity in 0_u32..8, visits in prop::collection::vec(0_u32..12, 0..200)) {
            let mut table = Recent::new(capacity);
            // From the oldest to the newest, with how often each came since it is there.
            let mut list: Vec<(u32, u32)> = Vec::new();
            for visitor in visits {
                let count = table.touch(key(visitor), || 0).expect("a value");
                *count += 1;
                let before = list.iter().position(|(known, _)| *known == visitor).map(|at| list.remove(at));
                list.push((visitor, before.map_or(0, |(_, count)| count) + 1));
                if list.len() > capacity.max(1) as usize {
                    list.remove(0);
                }
                prop_assert_eq!(*count, list.last().expect("just added").1);
                prop_assert_eq!((table.len(), table.places.len()), (list.len(), list.len()));
            }
        }
    }
}
