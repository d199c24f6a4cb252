//! The sessions of one connection, living and remembered.

use std::collections::VecDeque;

use super::SessionState;
use crate::SessionId;

/// All sessions of a connection, in the order of their ids; first in memory what every datagram has to do with.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Registry {
    /// In the order of ids, which is nearly that in which they come. Most connections have one, which lies closer at hand here
    /// than in a map.
    sessions: Vec<(SessionId, Box<SessionState>)>,
    gone: VecDeque<(SessionId, Past)>,
    /// Sessions that are gone and are no longer in the list had ids up to this one.
    forgotten: Option<SessionId>,
    flow_control: bool,
}

/// What became of a session that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// It was open once.
    Closed,
    /// It never was.
    Refused,
}

/// Ids of sessions that are gone kept exactly; older ones are known by the highest among them.
///
/// A peer cannot have more sessions in flight than bidirectional streams, so streams of an older one are stragglers.
const MAX_GONE: usize = 256;

impl Registry {
    pub(crate) fn insert(&mut self, session: SessionState) {
        self.flow_control |= session.flow.is_some();
        let index = self.find(session.id).inspect(|index| drop(self.sessions.remove(*index)));
        if self.sessions.is_empty() {
            // Most stay alone, and the smallest step of a growing list is four.
            self.sessions.reserve_exact(1);
        }
        self.sessions.insert(index.unwrap_or_else(|index| index), (session.id, Box::new(session)));
    }

    /// Where a session is, or would be.
    fn find(&self, id: SessionId) -> Result<usize, usize> {
        self.sessions.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// Whether any session has been under flow control.
    pub(crate) fn have_flow_control(&self) -> bool {
        self.flow_control
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&SessionState> {
        let (_, session) = self.sessions.get(self.find(id).ok()?)?;
        Some(session)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut SessionState> {
        let index = self.find(id).ok()?;
        let (_, session) = self.sessions.get_mut(index)?;
        Some(session)
    }

    /// Sessions that are not over for the application.
    pub(crate) fn live(&self) -> usize {
        self.sessions.iter().filter(|(_, session)| session.is_live()).count()
    }

    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.sessions.iter().map(|(id, _)| *id).collect()
    }

    /// Removes a session and remembers what became of it.
    pub(crate) fn remove(&mut self, id: SessionId, past: Past) {
        if let Ok(index) = self.find(id) {
            self.sessions.remove(index);
            if self.sessions.is_empty() {
                self.sessions = Vec::new();
            }
            self.remember(id, past);
        }
    }

    /// Remembers an id that is no session.
    pub(crate) fn remember(&mut self, id: SessionId, past: Past) {
        self.gone.push_back((id, past));
        if self.gone.len() > MAX_GONE {
            let oldest = self.gone.pop_front().map(|(id, _)| id);
            self.forgotten = self.forgotten.max(oldest);
        }
    }

    /// What became of a session that is gone; `None` for an id that never was asked for.
    pub(crate) fn past(&self, id: SessionId) -> Option<Past> {
        let kept = self.gone.iter().find(|(gone, _)| *gone == id).map(|(_, past)| *past);
        kept.or_else(|| self.forgotten.filter(|last| id <= *last).map(|_| Past::Closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;
    use crate::session::flow::{Flow, SessionLimits};
    use crate::session::transition::Input;

    fn session(id: u64) -> SessionState {
        SessionState::new(SessionId(id), Request::new("h", "/"), None)
    }

    #[test]
    fn what_became_of_the_last_sessions_is_known_exactly() {
        let mut registry = Registry::default();
        registry.insert(session(0));
        registry.insert(session(4));
        assert_eq!((registry.live(), registry.ids()), (2, vec![SessionId(0), SessionId(4)]));
        if let Some(session) = registry.get_mut(SessionId(4)) {
            session.apply(Input::Refuse);
        }
        assert_eq!(registry.live(), 1, "one is over and still there");
        registry.remove(SessionId(4), Past::Refused);
        registry.remove(SessionId(8), Past::Closed);
        assert!(registry.get(SessionId(4)).is_none() && registry.get(SessionId(0)).is_some());
        assert_eq!(registry.past(SessionId(4)), Some(Past::Refused));
        assert_eq!(registry.past(SessionId(8)), None, "there was no such session");
        assert_eq!(registry.past(SessionId(0)), None, "it lives");
    }

    #[test]
    fn older_ones_are_known_by_the_highest_id() {
        let mut registry = Registry::default();
        let id = |index: usize| SessionId(index as u64 * 4);
        for index in 0..MAX_GONE {
            registry.remember(id(index), Past::Refused);
        }
        assert_eq!((registry.past(id(0)), registry.past(id(MAX_GONE))), (Some(Past::Refused), None));
        registry.remember(id(MAX_GONE), Past::Refused);
        registry.remember(id(MAX_GONE + 1), Past::Refused);
        assert_eq!(registry.gone.len(), MAX_GONE);
        assert_eq!(
            [0, 1, 2].map(|index| registry.past(id(index))),
            [Some(Past::Closed), Some(Past::Closed), Some(Past::Refused)]
        );
        assert_eq!(registry.past(id(MAX_GONE + 2)), None);
    }

    #[test]
    fn one_session_under_flow_control_is_enough() {
        let limits = SessionLimits { data: 1, bidi: 1, uni: 1 };
        let limited = SessionState::new(SessionId(4), Request::new("h", "/"), Some(Flow::new(limits, limits)));
        let mut registry = Registry::default();
        registry.insert(session(0));
        assert!(!registry.have_flow_control());
        registry.insert(limited);
        assert!(registry.have_flow_control());
        registry.insert(session(8));
        assert!(registry.have_flow_control());
    }
}
