//! Events waiting for the application: hints at most once, facts always.

use rustc_hash::FxHashSet;

use crate::session::queue::Queue;
use crate::{Direction, Event};

/// The event queue of one connection.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    queue: Queue<Event>,
    /// The hints in the queue, once it has become too long to be searched. Boxed: few ever have.
    pending: Option<Box<FxHashSet<(Kind, u64)>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Readable,
    Writable,
    OpenedBidi,
    OpenedUni,
    Datagram,
    Draining,
    DatagramsUnblocked,
    GoingAway,
    BidiAvailable,
    UniAvailable,
}

impl Hints {
    /// Queues an event; a hint that is pending already is not queued again (contract C5).
    pub(crate) fn push(&mut self, event: Event) {
        if key(&event).is_none_or(|key| self.is_new(key, &event)) {
            self.queue.push(event);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop()?;
        if let Some(pending) = &mut self.pending
            && let Some(key) = key(&event)
        {
            pending.remove(&key);
        }
        if self.queue.is_empty() {
            self.pending = None;
        }
        Some(event)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a hint is not pending yet; from now on it is.
    fn is_new(&mut self, key_of_it: (Kind, u64), hint: &Event) -> bool {
        // Streams come in rows, and are one hint.
        if self.queue.last() == Some(hint) {
            return false;
        }
        if self.pending.is_none() && self.queue.len() <= SEARCHED {
            return self.queue.iter().all(|queued| queued != hint);
        }
        let pending = self.pending.get_or_insert_with(|| Box::new(self.queue.iter().filter_map(key).collect()));
        pending.insert(key_of_it)
    }
}

/// Events in a queue that is searched from end to end.
const SEARCHED: usize = 16;

fn key(event: &Event) -> Option<(Kind, u64)> {
    Some(match event {
        Event::StreamReadable { stream } => (Kind::Readable, stream.0),
        Event::StreamWritable { stream } => (Kind::Writable, stream.0),
        Event::StreamOpened { session, direction: Direction::Bidirectional } => (Kind::OpenedBidi, session.0),
        Event::StreamOpened { session, direction: Direction::Unidirectional } => (Kind::OpenedUni, session.0),
        Event::DatagramReceived { session } => (Kind::Datagram, session.0),
        Event::SessionDraining { session } => (Kind::Draining, session.0),
        Event::DatagramsUnblocked => (Kind::DatagramsUnblocked, 0),
        Event::GoingAway => (Kind::GoingAway, 0),
        Event::StreamsAvailable { direction: Direction::Bidirectional } => (Kind::BidiAvailable, 0),
        Event::StreamsAvailable { direction: Direction::Unidirectional } => (Kind::UniAvailable, 0),
        Event::Connected
        | Event::SessionRequested { .. }
        | Event::HttpRequest { .. }
        | Event::SessionEstablished { .. }
        | Event::SessionRefused { .. }
        | Event::SessionEnded { .. }
        | Event::StreamFinished { .. }
        | Event::StreamStopped { .. }
        | Event::ConnectionLost { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SessionId, StreamId};

    #[test]
    fn a_hint_is_pending_once_and_comes_again_after_it_was_taken() {
        let mut hints = Hints::default();
        let hint = Event::StreamReadable { stream: StreamId(4) };
        hints.push(hint.clone());
        hints.push(hint.clone());
        assert_eq!(hints.pop(), Some(hint.clone()));
        assert_eq!(hints.pop(), None);
        hints.push(hint.clone());
        assert_eq!(hints.pop(), Some(hint));
    }

    #[test]
    fn a_long_queue_has_each_hint_once_too() {
        let mut hints = Hints::default();
        let hint = |number: u64| Event::StreamReadable { stream: StreamId(number % 50) };
        let mut pushed = 0;
        for round in 0..20 {
            for number in 0..100 {
                hints.push(hint(number));
                hints.push(hint(number * 7));
            }
            assert_eq!(hints.queue.len(), 50, "in round {round}");
            let taken: Vec<Event> = std::iter::from_fn(|| hints.pop()).take(20 + round).collect();
            pushed += taken.len() as u64;
            assert!(taken.iter().all(|event| !hints.queue.iter().any(|queued| queued == event)));
        }
        assert_eq!(pushed, (0..20).map(|round| 20 + round).sum::<u64>());
        while hints.pop().is_some() {}
        assert!(hints.pending.is_none(), "nothing is kept for an empty queue");
    }

    #[test]
    fn facts_are_never_merged() {
        let mut hints = Hints::default();
        let fact = Event::SessionRequested { session: SessionId(0) };
        hints.push(fact.clone());
        hints.push(fact.clone());
        assert_eq!([hints.pop(), hints.pop(), hints.pop()], [Some(fact.clone()), Some(fact), None]);
    }
}
