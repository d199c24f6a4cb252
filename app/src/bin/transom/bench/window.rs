//! Datagrams under way: which are back, and which will not come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Numbered datagrams under way.
#[derive(Debug, Default)]
pub(super) struct Window {
    next: u64,
    sent: BTreeMap<u64, Instant>,
}

impl Window {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// The next one, of at least 8 bytes.
    pub(super) fn send(&mut self, size: usize, now: Instant) -> Bytes {
        let mut bytes = vec![0x5a; size.max(8)];
        bytes[..8].copy_from_slice(&self.next.to_be_bytes());
        self.sent.insert(self.next, now);
        self.next += 1;
        bytes.into()
    }

    /// How long one that came back was away, unless it was given up.
    pub(super) fn back(&mut self, datagram: &[u8], now: Instant) -> Option<Duration> {
        let number = u64::from_be_bytes(*datagram.first_chunk()?);
        self.sent.remove(&number).map(|sent| now.saturating_duration_since(sent))
    }

    /// Gives up what is too old or was overtaken by too many, and says how many those were.
    pub(super) fn give_up(&mut self, now: Instant) -> u64 {
        let mut lost = 0;
        while let Some(oldest) = self.sent.first_entry() {
            let overtaken = self.next - *oldest.key() > OVERTAKEN;
            if !overtaken && now.saturating_duration_since(*oldest.get()) < PATIENCE {
                break;
            }
            oldest.remove();
            lost += 1;
        }
        lost
    }
}

/// How much younger than the oldest one the newest may be, in datagrams: more than ever are under way at a time.
const OVERTAKEN: u64 = 4_000;

/// How long a datagram may be away.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_comes_back_once() {
        let (mut window, now) = (Window::default(), Instant::now());
        let [first, second] = [window.send(32, now), window.send(1, now)];
        assert_eq!((first.len(), second.len(), window.len()), (32, 8, 2));
        let later = now + Duration::from_millis(3);
        assert_eq!(window.back(&second, later), Some(Duration::from_millis(3)));
        assert_eq!(window.back(&second, later), None);
        assert_eq!(window.back(b"short", later), None);
        assert_eq!(window.len(), 1);
    }

    #[test]
    fn what_is_too_old_is_lost() {
        let (mut window, now) = (Window::default(), Instant::now());
        let late = window.send(8, now);
        window.send(8, now + PATIENCE / 2);
        assert_eq!(window.give_up(now + PATIENCE / 2), 0);
        assert_eq!(window.give_up(now + PATIENCE), 1);
        assert_eq!(window.back(&late, now + PATIENCE), None);
        assert_eq!(window.len(), 1);
    }

    #[test]
    fn what_many_have_overtaken_is_lost() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.send(8, now);
        for _ in 1..OVERTAKEN {
            let sent = window.send(8, now);
            assert!(window.back(&sent, now).is_some());
        }
        assert_eq!((window.give_up(now), window.len()), (0, 1));
        window.send(8, now);
        assert_eq!((window.give_up(now), window.len()), (1, 1));
    }
}
