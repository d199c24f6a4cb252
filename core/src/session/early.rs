//! Streams and datagrams that arrived before their session: held within fixed bounds and for a fixed time
//! (draft-ietf-webtrans-http3-16, section 4.6).

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::{SessionId, StreamId};

/// What one connection holds.
#[derive(Debug)]
pub(crate) struct Early {
    streams: VecDeque<(SessionId, Instant, StreamId)>,
    datagrams: VecDeque<(SessionId, Instant, Bytes)>,
    max_streams: usize,
    max_datagrams: usize,
    /// Bytes of all datagrams together.
    max_bytes: usize,
}

impl Early {
    pub(crate) fn new(max_streams: usize, max_datagrams: usize, max_bytes: usize) -> Self {
        Self { streams: VecDeque::new(), datagrams: VecDeque::new(), max_streams, max_datagrams, max_bytes }
    }

    /// Holds a stream until `deadline`; false when there is no room for it.
    pub(crate) fn hold_stream(&mut self, session: SessionId, deadline: Instant, stream: StreamId) -> bool {
        let room = self.streams.len() < self.max_streams;
        if room {
            self.streams.push_back((session, deadline, stream));
        }
        room
    }

    /// Holds a datagram until `deadline`; false when there is no room for it.
    pub(crate) fn hold_datagram(&mut self, session: SessionId, deadline: Instant, datagram: Bytes) -> bool {
        // Few enough to be added up.
        let held: usize = self.datagrams.iter().map(|(_, _, datagram)| datagram.len()).sum();
        let room = self.datagrams.len() < self.max_datagrams && held + datagram.len() <= self.max_bytes;
        if room {
            self.datagrams.push_back((session, deadline, datagram));
        }
        room
    }

    /// Takes out what was held for a session, in order of arrival.
    pub(crate) fn take(&mut self, session: SessionId) -> (Vec<StreamId>, Vec<Bytes>) {
        let mut streams = Vec::new();
        self.streams.retain(|(of, _, stream)| {
            let keep = *of != session;
            if !keep {
                streams.push(*stream);
            }
            keep
        });
        let mut datagrams = Vec::new();
        self.datagrams.retain(|(of, _, datagram)| {
            let keep = *of != session;
            if !keep {
                datagrams.push(datagram.clone());
            }
            keep
        });
        (streams, datagrams)
    }

    /// Forgets a stream that ended while it was held.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.streams.retain(|(_, _, held)| *held != stream);
    }

    /// The session was asked for: what is held for it waits for the answer.
    pub(crate) fn extend(&mut self, session: SessionId, until: Instant) {
        self.streams.iter_mut().filter(|(of, ..)| *of == session).for_each(|(_, deadline, _)| *deadline = until);
        self.datagrams.iter_mut().filter(|(of, ..)| *of == session).for_each(|(_, deadline, _)| *deadline = until);
    }

    /// Takes out the streams whose time is over and drops such datagrams; returns the streams and how many datagrams.
    pub(crate) fn expire(&mut self, now: Instant) -> (Vec<StreamId>, u64) {
        let mut expired = Vec::new();
        self.streams.retain(|(_, deadline, stream)| {
            let keep = *deadline > now;
            if !keep {
                expired.push(*stream);
            }
            keep
        });
        let before = self.datagrams.len();
        self.datagrams.retain(|(_, deadline, _)| *deadline > now);
        (expired, (before - self.datagrams.len()) as u64)
    }

    /// When the next thing held has to go.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let streams = self.streams.iter().map(|(_, deadline, _)| *deadline);
        let datagrams = self.datagrams.iter().map(|(_, deadline, _)| *deadline);
        streams.chain(datagrams).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Instant {
        crate::fuzzing::start() + Duration::from_secs(seconds)
    }

    fn payload(byte: u8) -> Bytes {
        Bytes::copy_from_slice(&[byte])
    }

    const ONE: SessionId = SessionId(0);
    const TWO: SessionId = SessionId(4);

    /// Two streams and two datagrams for each of two sessions; those of the second wait longer.
    fn filled() -> Early {
        let mut early = Early::new(4, 4, 10);
        for (session, deadline, id) in [(ONE, at(5), 2), (TWO, at(9), 6), (ONE, at(6), 10), (TWO, at(9), 14)] {
            assert!(early.hold_stream(session, deadline, StreamId(id)));
            assert!(early.hold_datagram(session, deadline, payload(id as u8)));
        }
        early
    }

    #[test]
    fn what_is_too_much_is_not_held() {
        let mut early = filled();
        assert!(!early.hold_stream(ONE, at(1), StreamId(18)) && !early.hold_datagram(ONE, at(1), payload(18)));
        assert_eq!(early.deadline(), Some(at(5)), "what was turned away has no deadline");
        early.forget(StreamId(2));
        assert!(early.hold_stream(ONE, at(1), StreamId(18)), "one that ended makes room");
        assert_eq!(early.take(ONE).0, [StreamId(10), StreamId(18)]);
        assert_eq!(early.take(TWO).0, [StreamId(6), StreamId(14)]);
        assert!(!Early::new(0, 0, 10).hold_stream(ONE, at(1), StreamId(2)));
        let mut short = Early::new(0, 4, 3);
        let held = [2, 2, 1].map(|length| short.hold_datagram(ONE, at(1), vec![0; length].into()));
        assert_eq!(held, [true, false, true]);
    }

    #[test]
    fn a_session_gets_its_own_in_order_of_arrival() {
        let mut early = filled();
        assert_eq!(early.take(ONE), (vec![StreamId(2), StreamId(10)], vec![payload(2), payload(10)]));
        assert_eq!(early.take(ONE), (vec![], vec![]));
        assert_eq!(early.deadline(), Some(at(9)));
        assert_eq!(early.take(TWO), (vec![StreamId(6), StreamId(14)], vec![payload(6), payload(14)]));
        assert_eq!(early.deadline(), None);
    }

    #[test]
    fn time_takes_out_what_is_due_and_nothing_else() {
        let mut early = filled();
        assert_eq!(early.expire(at(4)), (vec![], 0));
        assert_eq!(early.expire(at(5)), (vec![StreamId(2)], 1), "due at its deadline, not after");
        assert_eq!(early.expire(at(8)), (vec![StreamId(10)], 1));
        assert_eq!(early.take(TWO).0.len(), 2);
    }

    #[test]
    fn a_request_makes_its_own_wait_for_the_answer() {
        let mut early = filled();
        early.extend(ONE, at(30));
        assert_eq!(early.deadline(), Some(at(9)));
        assert_eq!(early.expire(at(29)), (vec![StreamId(6), StreamId(14)], 2));
        assert_eq!(early.expire(at(30)), (vec![StreamId(2), StreamId(10)], 2));
    }
}
