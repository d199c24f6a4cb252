//! Events waiting for the application: hints at most once, facts always.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use crate::{Direction, Event};

/// The event queue of one connection.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    queue: VecDeque<Event>,
    pending: FxHashSet<(Kind, u64)>,
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
        if key(&event).is_none_or(|key| self.pending.insert(key)) {
            self.queue.push_back(event);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        if let Some(key) = key(&event) {
            self.pending.remove(&key);
        }
        Some(event)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

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
    fn facts_are_never_merged() {
        let mut hints = Hints::default();
        let fact = Event::SessionRequested { session: SessionId(0) };
        hints.push(fact.clone());
        hints.push(fact.clone());
        assert_eq!([hints.pop(), hints.pop(), hints.pop()], [Some(fact.clone()), Some(fact), None]);
    }
}
