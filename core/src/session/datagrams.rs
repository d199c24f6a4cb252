//! Datagrams waiting for the application: bounded by number and bytes, the oldest go first.

use std::collections::VecDeque;

use bytes::Bytes;

/// The receive queue of one session.
#[derive(Debug, Default)]
pub(crate) struct DatagramQueue {
    queue: VecDeque<Bytes>,
    bytes: usize,
}

/// Charged for each datagram beside its payload, so that empty ones are not free.
const OVERHEAD: usize = 32;
/// Datagrams that may keep their packets; a reader that keeps up never has more waiting.
const MAX_SLICES: usize = 16;
/// Payloads of this size are nearly a packet.
const MAX_COPIED: usize = 1_000;

impl DatagramQueue {
    /// Adds a datagram; returns how many had to be dropped for it.
    pub(crate) fn push(&mut self, datagram: Bytes, max_count: usize, max_bytes: usize) -> u64 {
        let cost = datagram.len() + OVERHEAD;
        if max_count == 0 || cost > max_bytes {
            return 1;
        }
        let mut dropped = 0;
        while self.queue.len() >= max_count || self.bytes + cost > max_bytes {
            if self.pop().is_none() {
                break;
            }
            dropped += 1;
        }
        self.bytes += cost;
        // A payload keeps the whole packet it came in. Where they pile up, that would be more than what is counted.
        let piles_up = self.queue.len() >= MAX_SLICES && datagram.len() < MAX_COPIED;
        self.queue.push_back(if piles_up { Bytes::copy_from_slice(&datagram) } else { datagram });
        dropped
    }

    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let datagram = self.queue.pop_front()?;
        self.bytes -= datagram.len() + OVERHEAD;
        Some(datagram)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stays_within_both_bounds_and_keeps_the_newest(sizes in prop::collection::vec(0usize..400, 0..200)) {
            let mut queue = DatagramQueue::default();
            let mut dropped = 0;
            for (index, size) in sizes.iter().enumerate() {
                let mut payload = vec![0; *size];
                payload.extend_from_slice(&(index as u32).to_be_bytes());
                dropped += queue.push(payload.into(), 16, 2_048);
                prop_assert!(queue.queue.len() <= 16 && queue.bytes <= 2_048);
            }
            let mut kept = Vec::new();
            while let Some(datagram) = queue.pop() {
                kept.push(u32::from_be_bytes(datagram[datagram.len() - 4..].try_into().expect("four bytes")));
            }
            prop_assert_eq!(queue.bytes, 0);
            let expected: Vec<u32> = (dropped as u32..sizes.len() as u32).collect();
            prop_assert_eq!(kept, expected, "the newest, in order");
        }
    }
}
