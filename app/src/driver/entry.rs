//! What is remembered about connections, sessions and streams beside the core: who waits, and how it ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use rustc_hash::FxHashMap;
use transom_core::{ConnectionError, SessionEnd, SessionId, StreamId};

use super::session_cell::SessionCell;
use super::waiters::{Delivery, Kind, SessionWaiters, Slot, StreamWaiters, WaitList};

/// One connection that has sessions or is being set up by a client.
#[derive(Debug, Default)]
pub(crate) struct ConnectionEntry {
    /// What outlives the connection.
    pub(crate) cell: Arc<ConnectionCell>,
    /// A client that waits for the connection to be usable.
    pub(crate) setup: WaitList,
    /// The sessions that are open or asked for by us. Boxed: the map's nodes have room for eleven, and most connections
    /// have one.
    pub(crate) sessions: BTreeMap<SessionId, Box<SessionEntry>>,
    /// The streams somebody waits on.
    pub(crate) streams: FxHashMap<StreamId, StreamEntry>,
}

/// How a client's connection is doing.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCell {
    /// Whether sessions can be asked for.
    pub(crate) connected: AtomicBool,
    /// Why it ended, once it has.
    pub(crate) lost: OnceLock<ConnectionError>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct SessionEntry {
    /// What the handles hold.
    pub(crate) cell: Arc<SessionCell>,
    /// Who waits for something of this session.
    pub(crate) waiters: SessionWaiters,
}

/// One stream that somebody waits on.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    /// The session it belongs to.
    pub(crate) session: SessionId,
    /// Who waits for something of this stream.
    pub(crate) waiters: StreamWaiters,
}

impl ConnectionEntry {
    /// Wakes who waits for `kind`, in all sessions: for hints that the core gives per connection.
    pub(crate) fn wake_sessions(&mut self, kind: Kind, wakes: &mut Vec<Waker>) {
        for session in self.sessions.values_mut() {
            session.waiters.wake(kind, wakes);
        }
    }

    /// Wakes who waits for `kind` in one session.
    pub(crate) fn wake_session(&mut self, session: SessionId, kind: Kind, wakes: &mut Vec<Waker>) {
        if let Some(entry) = self.sessions.get_mut(&session) {
            entry.waiters.wake(kind, wakes);
        }
    }

    /// Wakes who waits on some slots of a stream, and forgets the stream if nobody is left.
    pub(crate) fn wake_stream(&mut self, stream: StreamId, slots: &[Slot], wakes: &mut Vec<Waker>) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        wakes.extend(slots.iter().filter_map(|slot| entry.waiters.take(*slot)));
        if entry.waiters.is_idle() {
            self.streams.remove(&stream);
        }
    }

    /// Whether a task waits to hear what becomes of a stream's data.
    pub(crate) fn awaits_delivery(&self, stream: StreamId) -> bool {
        let entry = self.streams.get(&stream);
        entry.is_some_and(|entry| entry.waiters.waits(Slot::Finished) || entry.waiters.waits(Slot::Stopped))
    }

    /// Records what became of a stream's data and wakes the task that waits to hear it.
    pub(crate) fn delivered(&mut self, stream: StreamId, delivery: Delivery, wakes: &mut Vec<Waker>) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.waiters.delivery = Some(delivery);
            self.wake_stream(stream, &[Slot::Finished, Slot::Stopped], wakes);
        }
    }

    /// Forgets a session and its streams and wakes everybody who waits on them; whether there was such a session.
    pub(crate) fn end_session(&mut self, session: SessionId, end: SessionEnd, wakes: &mut Vec<Waker>) -> bool {
        let Some(mut entry) = self.sessions.remove(&session) else { return false };
        entry.cell.ended(end);
        entry.waiters.wake_all(wakes);
        // There may be room for another session now.
        self.setup.wake_all(wakes);
        self.streams.retain(|_, stream| {
            if stream.session != session {
                return true;
            }
            stream.waiters.wake_everybody(wakes);
            // What became of the data is still to be told, and goes with the handle.
            stream.waiters.delivery.is_some()
        });
        true
    }

    /// Ends all sessions with the connection and wakes everybody; returns how many sessions there were.
    pub(crate) fn lose(&mut self, error: &ConnectionError, wakes: &mut Vec<Waker>) -> usize {
        // The first reason stands.
        let _ = self.cell.lost.set(error.clone());
        self.setup.wake_all(wakes);
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in &sessions {
            self.end_session(*session, SessionEnd::ConnectionLost(error.clone()), wakes);
        }
        sessions.len()
    }

    /// Whether the connection is lost and nobody has anything to hear of it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.streams.is_empty() && self.cell.lost.get().is_some()
    }

    /// Notes that sessions can be asked for.
    pub(crate) fn connected(&mut self, wakes: &mut Vec<Waker>) {
        self.cell.connected.store(true, Ordering::Release);
        self.setup.wake_all(wakes);
    }
}
