//! Datagrams waiting for the application: bounded by number, bytes and age, the oldest go first.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::queue::Queue;

/// The receive queue of one session.
#[derive(Debug, Default)]
pub(crate) struct DatagramQueue {
    queue: Queue<Waiting>,
    bytes: usize,
    /// Packets that the payloads in the queue keep.
    packets: usize,
}

#[derive(Debug)]
struct Waiting {
    payload: Bytes,
    since: Instant,
    memory: Memory,
}

/// Whose memory a payload is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// Its own.
    Copied,
    /// That of the packet it came in.
    Packet,
    /// That of the packet of the one before it.
    SamePacket,
}

/// Charged for each datagram beside its payload: what its place in the queue takes.
const OVERHEAD: usize = 48;
/// Packets that may be kept by the payloads that came in them; a reader that keeps up never has more waiting.
const MAX_PACKETS: usize = 16;
/// Bytes between the payloads of two datagrams that follow each other in a packet, at most: frame type, length, prefix.
/// Between those of two packets there are an authentication tag of 16 bytes and a packet header as well.
const MAX_BETWEEN: usize = 1 + 8 + 8;
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
        // A payload keeps the whole packet it came in. Where packets pile up, that would be more than what is counted.
        let follows = self.queue.last().is_some_and(|last| last.is_followed_by(&datagram));
        let waiting = if follows {
            Waiting { payload: datagram, since: now, memory: Memory::SamePacket }
        } else if self.packets >= MAX_PACKETS && datagram.len() < MAX_COPIED {
            Waiting { payload: Bytes::copy_from_slice(&datagram), since: now, memory: Memory::Copied }
        } else {
            self.packets += 1;
            Waiting { payload: datagram, since: now, memory: Memory::Packet }
        };
        self.queue.push(waiting);
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
        while self.queue.first().is_some_and(|oldest| is_over(oldest.since, now, max_age)) {
            self.take();
            expired += 1;
        }
        expired
    }

    /// Whether [`pop`](Self::pop) would give one.
    pub(crate) fn has_any(&self, now: Instant, max_age: Option<Duration>) -> bool {
        self.queue.last().is_some_and(|last| !is_over(last.since, now, max_age))
    }

    /// What is charged for all that waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest arrived.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.queue.first().map(|oldest| oldest.since)
    }

    fn take(&mut self) -> Option<Bytes> {
        let Waiting { payload, memory, .. } = self.queue.pop()?;
        self.bytes -= payload.len() + OVERHEAD;
        let was_last = self.queue.first().is_none_or(|next| next.memory != Memory::SamePacket);
        if memory != Memory::Copied && was_last {
            self.packets -= 1;
        }
        Some(payload)
    }
}

impl Waiting {
    /// Whether the payload of another datagram lies behind ours in the same packet.
    fn is_followed_by(&self, next: &Bytes) -> bool {
        let end = self.payload.as_ptr().addr() + self.payload.len();
        let between = next.as_ptr().addr().wrapping_sub(end);
        self.memory != Memory::Copied && (1..=MAX_BETWEEN).contains(&between)
    }
}

fn is_over(since: Instant, now: Instant, max_age: Option<Duration>) -> bool {
    max_age.is_some_and(|max_age| now.saturating_duration_since(since) > max_age)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

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
        assert_eq!(queue.bytes(), 10 + OVERHEAD);
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
        for _ in 0..=MAX_PACKETS {
            queue.push(small.clone(), now, 100, usize::MAX);
        }
        queue.push(large, now, 100, usize::MAX);
        let shares = |queued: Option<&Waiting>| queued.map(|queued| queued.payload.as_ptr() == packet.as_ptr());
        assert_eq!(shares(queue.queue.iter().nth(MAX_PACKETS - 1)), Some(true));
        assert_eq!(shares(queue.queue.iter().nth(MAX_PACKETS)), Some(false));
        assert_eq!(shares(queue.queue.iter().nth(MAX_PACKETS + 1)), Some(true), "nearly a packet anyway");
    }

    #[test]
    fn the_payloads_of_one_packet_keep_it_together() {
        let (mut queue, now) = (DatagramQueue::default(), now());
        let packets: Vec<Bytes> = (0..=MAX_PACKETS).map(|_| Bytes::from(vec![1; 1_400])).collect();
        for packet in &packets {
            for index in 0..30 {
                // With a frame header of three bytes and a prefix of one before each.
                queue.push(packet.slice(index * 36 + 4..(index + 1) * 36), now, 1_000, usize::MAX);
            }
        }
        assert_eq!(queue.packets, MAX_PACKETS);
        let copied = queue.queue.iter().filter(|waiting| waiting.memory == Memory::Copied).count();
        assert_eq!(copied, 30, "those of the packet that was one too many");
        for _ in 0..30 {
            assert_eq!(queue.packets, MAX_PACKETS);
            queue.pop(now, None);
        }
        assert_eq!(queue.packets, MAX_PACKETS - 1, "the last of a packet lets go of it");
        while queue.pop(now, None).0.is_some() {}
        assert_eq!((queue.packets, queue.bytes), (0, 0));
    }

    #[test]
    fn payloads_of_two_packets_are_further_apart_than_those_of_one() {
        // The longest frame header and prefix; a tag with the shortest packet header, frame header and prefix.
        for (between, packets) in [(0, 2), (1, 1), (1 + 8 + 8, 1), (1 + 8 + 8 + 1, 2), (16 + 2 + 1 + 1, 2)] {
            let (mut queue, now) = (DatagramQueue::default(), now());
            let received = Bytes::from(vec![1; 100]);
            queue.push(received.slice(..10), now, 10, usize::MAX);
            queue.push(received.slice(10 + between..50), now, 10, usize::MAX);
            assert_eq!(queue.packets, packets, "{between} bytes between");
        }
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
