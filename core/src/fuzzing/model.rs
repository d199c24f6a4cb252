//! What events an application may see, in which order.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Event, Role, SessionId, StreamId};

/// How far a session is for the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Requested,
    Open,
    Over,
}

/// One connection as its application knows it.
#[derive(Debug)]
pub(super) struct Model {
    role: Role,
    pub(super) sessions: BTreeMap<SessionId, Known>,
    pub(super) max_sessions: usize,
    pub(super) connected: bool,
    pub(super) lost: bool,
    /// Streams of plain requests.
    requests: BTreeSet<StreamId>,
}

impl Model {
    pub(super) fn new(role: Role, max_sessions: usize) -> Self {
        Self { role, sessions: BTreeMap::new(), max_sessions, connected: false, lost: false, requests: BTreeSet::new() }
    }

    /// The session that an input means, and how far it is.
    pub(super) fn choose(&self, index: usize) -> Option<(SessionId, Known)> {
        self.sessions.iter().nth(index % self.sessions.len().max(1)).map(|(id, known)| (*id, *known))
    }

    /// Checks an event against all before it.
    pub(super) fn event(&mut self, event: &Event) {
        assert!(!self.lost, "{event:?} after the end");
        match event {
            Event::Connected => assert!(!std::mem::replace(&mut self.connected, true), "connected twice"),
            Event::SessionRequested { session } => {
                assert_eq!(self.role, Role::Server);
                self.asked(*session);
            }
            Event::HttpRequest { stream } => {
                assert!(self.role == Role::Server && self.requests.insert(*stream), "{stream} asks twice");
            }
            Event::SessionEstablished { session, .. } => self.changes(*session, &[Known::Requested], Known::Open),
            Event::SessionRefused { session, .. } => self.changes(*session, &[Known::Requested], Known::Over),
            Event::SessionEnded { session, .. } => {
                self.changes(*session, &[Known::Requested, Known::Open], Known::Over);
            }
            Event::ConnectionLost { .. } => {
                assert!(self.sessions.values().all(|known| *known == Known::Over), "{:?}", self.sessions);
                self.lost = true;
            }
            _ => {}
        }
    }

    /// A request arrived, or we made one.
    pub(super) fn asked(&mut self, session: SessionId) {
        assert_eq!(self.sessions.insert(session, Known::Requested), None, "{session} asked for twice");
        let live = self.sessions.values().filter(|known| **known != Known::Over).count();
        assert!(live <= self.max_sessions, "{live} sessions");
    }

    pub(super) fn changes(&mut self, session: SessionId, from: &[Known], to: Known) {
        let before = self.sessions.insert(session, to);
        assert!(before.is_some_and(|before| from.contains(&before)), "{session}: {before:?} becomes {to:?}");
    }
}
