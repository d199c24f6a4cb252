//! Datagrams waiting for the application: bounded by number, bytes and age, the oldest go first.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The receive queue of one session.
#[derive(Debug, Default)]
pub(crate) struct DatagramQueue {
    queue: VecDeque<(Bytes, Instant)>,
    bytes: usize,
}

/// Charged for each datagram beside its payload: what its place in the queue takes.
const OVERHEAD: usize = 48;
/// Datagrams that may keep their packets; a reader that keeps up never has more waiting.
const MAX_SLICES: usize = 16;
/// Payloads of this size are nearly a packet.
const MAX_COPIED: usize = 1_000;

impl DatagramQueue {
    /// Adds a datagram that arrived at `now`; returns how many had to be dropped for it, itself perhaps.
    pub(crate) fn push(&mut self, datagram: Bytes, now: Instant, max_count: usize, max_bytes: usize) -> u64 {
        let cost = datagram.len() + OVERHEAD;
        if max_count == 0 || cost > max_bytes {
            return 1;
        }
        let mut dropped = 0;
        while self.queue.len() >= max_count || self.bytes + cost > max_bytes {
            if self.take().is_none() {
                break;
            }
            dropped += 1;
        }
        self.bytes += cost;
        // A payload keeps the whole packet it came in. Where they pile up, that would be more than what is counted.
        let piles_up = self.queue.len() >= MAX_SLICES && datagram.len() < MAX_COPIED;
        self.queue.push_back((if piles_up { Bytes::copy_from_slice(&datagram) } else { datagram }, now));
        dropped
    }

    /// Takes the oldest datagram that is not too old, and how many were.
    pub(crate) fn pop(&mut self, now: Instant, max_age: Option<Duration>) -> (Option<Bytes>, u64) {
        let expired = self.expire(now, max_age);
        (self.take(), expired)
    }

    /// Drops what is too old; returns how many that were.
    pub(crate) fn expire(&mut self, now: Instant, max_age: Option<Duration>) -> u64 {
        let mut expired = 0;
        while self.queue.front().is_some_and(|(_, since)| is_over(*since, now, max_age)) {
            self.take();
            expired += 1;
        }
        expired
    }

    /// Whether [`pop`](Self::pop) would give one.
    pub(crate) fn has_any(&self, now: Instant, max_age: Option<Duration>) -> bool {
        self.queue.back().is_some_and(|(_, since)| !is_over(*since, now, max_age))
    }

    /// What is charged for all that waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest arrived.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.queue.front().map(|(_, since)| *since)
    }

    fn take(&mut self) -> Option<Bytes> {
        let (datagram, _) = self.queue.pop_front()?;
        self.bytes -= datagram.len() + OVERHEAD;
        Some(datagram)
    }
}

fn is_over(since: Instant, now: Instant, max_age: Option<Duration>) -> bool {
    max_age.is_some_and(|max_age| now.saturating_duration_since(since) > max_age)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
        Instant::now()
    }

    #[test]
    fn both_bounds_are_exact() {
        let (mut queue, now) = (DatagramQueue::default(), now());
        let payload = Bytes::from_static(&[7; 10]);
        assert_eq!(queue.push(payload.clone(), now, 0, 1_000), 1, "no room for any");
        assert_eq!(queue.push(payload.clone(), now, 5, 10 + OVERHEAD - 1), 1, "larger than the whole queue");
        assert_eq!(queue.bytes(), 0);
        assert_eq!(queue.push(payload.clone(), now, 5, 10 + OVERHEAD), 0, "exactly the whole queue");
        assert!(queue.has_any(now, None));
        assert_eq!(queue.push(payload.clone(), now, 5, 2 * (10 + OVERHEAD)), 0);
        assert_eq!(queue.push(payload.clone(), now, 5, 2 * (10 + OVERHEAD)), 1, "the oldest goes for its bytes");
        assert_eq!(queue.push(payload, now, 2, 1_000), 1, "and for its place");
        assert_eq!((queue.queue.len(), queue.bytes), (2, 2 * (10 + OVERHEAD)));
    }

    #[test]
    fn small_payloads_let_go_of_their_packets_when_they_pile_up() {
        let (mut queue, now) = (DatagramQueue::default(), now());
        let packet = Bytes::from(vec![1; 1_400]);
        let small = packet.slice(..MAX_COPIED - 1);
        let large = packet.slice(..MAX_COPIED);
        for _ in 0..=MAX_SLICES {
            queue.push(small.clone(), now, 100, usize::MAX);
        }
        queue.push(large, now, 100, usize::MAX);
        let shares =
            |queued: Option<&(Bytes, Instant)>| queued.map(|(datagram, _)| datagram.as_ptr() == packet.as_ptr());
        assert_eq!(shares(queue.queue.get(MAX_SLICES - 1)), Some(true));
        assert_eq!(shares(queue.queue.get(MAX_SLICES)), Some(false));
        assert_eq!(shares(queue.queue.get(MAX_SLICES + 1)), Some(true), "nearly a packet anyway");
    }

    proptest! {
        #[test]
        fn stays_within_both_bounds_and_keeps_the_newest(sizes in prop::collection::vec(0usize..400, 0..200)) {
            let now = now();
            let mut queue = DatagramQueue::default();
            let mut dropped = 0;
            for (index, size) in sizes.iter().enumerate() {
                let mut payload = vec![0; *size];
                payload.extend_from_slice(&(index as u32).to_be_bytes());
                dropped += queue.push(payload.into(), now, 16, 2_048);
                prop_assert!(queue.queue.len() <= 16 && queue.bytes <= 2_048);
            }
            let mut kept = Vec::new();
            while let (Some(datagram), 0) = queue.pop(now, None) {
                kept.push(u32::from_be_bytes(datagram[datagram.len() - 4..].try_into().expect("four bytes")));
            }
            prop_assert_eq!(queue.bytes, 0);
            let expected: Vec<u32> = (dropped as u32..sizes.len() as u32).collect();
            prop_assert_eq!(kept, expected, "the newest, in order");
        }

        #[test]
        fn what_is_too_old_is_never_given(
            pauses in prop::collection::vec(0u64..20, 0..60),
            max_age in (0u64..60).prop_map(Duration::from_millis),
        ) {
            #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
            let mut now = Instant::now();
            let (mut queue, mut arrived) = (DatagramQueue::default(), VecDeque::new());
            for pause in pauses {
                now += Duration::from_millis(pause);
                if pause % 2 == 0 {
                    queue.push(Bytes::new(), now, usize::MAX, usize::MAX);
                    arrived.push_back(now);
                    continue;
                }
                let before = arrived.len();
                arrived.retain(|since| now - *since <= max_age);
                let expired = (before - arrived.len()) as u64;
                prop_assert_eq!(queue.has_any(now, Some(max_age)), !arrived.is_empty());
                let given = arrived.pop_front().map(|_| Bytes::new());
                prop_assert_eq!(queue.pop(now, Some(max_age)), (given, expired));
                prop_assert_eq!(queue.oldest(), arrived.front().copied());
            }
        }
    }
}
