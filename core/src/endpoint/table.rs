//! The connections of an endpoint, and which of them have to be looked at.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use quinn_proto::ConnectionHandle;
use slab::Slab;

use crate::{Connection, ConnectionId};

/// Connections with their queues; nothing here walks all of them, except what the name says.
#[derive(Default)]
pub(super) struct Table {
    slots: Slab<Slot>,
    by_handle: rustc_hash::FxHashMap<ConnectionHandle, ConnectionId>,
    /// Those that may have something to send, and have not been settled since.
    ready: VecDeque<ConnectionId>,
    /// Those on which something happened that may have made events; `Slot::due` says what.
    unsettled: VecDeque<ConnectionId>,
    with_events: VecDeque<ConnectionId>,
    /// When to look at connections again, at most once for each: `Slot::noted`.
    deadlines: BTreeSet<(Instant, ConnectionId)>,
    generation: u64,
    handshakes: usize,
}

struct Slot {
    /// Boxed: it takes kilobytes, which would move whenever the table grows.
    connection: Box<Connection>,
    handle: ConnectionHandle,
    generation: u64,
    ready: bool,
    /// Whether it comes before the others, as it has just been served.
    again: bool,
    unsettled: bool,
    due: Due,
    has_events: bool,
    /// Its ConnectionLost was polled: the application is done with it.
    hidden: bool,
    drained: bool,
    handshaking: bool,
    /// What `deadlines` has of it: not after its deadline, but perhaps before.
    noted: Option<Instant>,
}

/// What has to be done before a connection's events are all known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Nothing,
    /// The application did something, whose events are there already; what QUIC makes of it shows when it is asked for transmits.
    Note,
    /// Something arrived, or time passed.
    Look,
}

impl Table {
    pub(super) fn insert(&mut self, handle: ConnectionHandle, connection: Connection) -> ConnectionId {
        self.generation += 1;
        self.handshakes += 1;
        let index = self.slots.insert(Slot {
            connection: Box::new(connection),
            handle,
            generation: self.generation,
            ready: false,
            again: false,
            unsettled: false,
            due: Due::Nothing,
            has_events: false,
            hidden: false,
            drained: false,
            handshaking: true,
            noted: None,
        });
        let id = ConnectionId { index: index as u32, generation: self.generation };
        self.by_handle.insert(handle, id);
        id
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.slot(id).is_none() {
            return;
        }
        let slot = self.slots.remove(id.index as usize);
        self.handshakes -= usize::from(slot.handshaking);
        if self.by_handle.get(&slot.handle) == Some(&id) {
            self.by_handle.remove(&slot.handle);
        }
        if let Some(noted) = slot.noted {
            self.deadlines.remove(&(noted, id));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn handshakes(&self) -> usize {
        self.handshakes
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        let id = |(index, slot): (usize, &Slot)| ConnectionId { index: index as u32, generation: slot.generation };
        self.slots.iter().map(id).collect()
    }

    pub(super) fn by_handle(&self, handle: ConnectionHandle) -> Option<ConnectionId> {
        self.by_handle.get(&handle).copied()
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.slot(id).map(|slot| &mut *slot.connection)
    }

    pub(super) fn handle(&mut self, id: ConnectionId) -> Option<ConnectionHandle> {
        self.slot(id).map(|slot| slot.handle)
    }

    /// Something happened on the connection: it must be settled and asked for transmits.
    pub(super) fn touch(&mut self, id: ConnectionId) {
        self.touched(id, Due::Look);
    }

    /// The same for what an application does, for which a connection is gone once its end was told.
    pub(super) fn for_application(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.touched(id, Due::Note).filter(|slot| !slot.hidden).map(|slot| &mut *slot.connection)
    }

    fn touched(&mut self, id: ConnectionId, due: Due) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        if !std::mem::replace(&mut slot.ready, true) {
            self.ready.push_back(id);
        }
        slot.due = slot.due.max(due);
        if !std::mem::replace(&mut slot.unsettled, true) {
            self.unsettled.push_back(id);
        }
        Some(slot)
    }

    /// The connection to ask for transmits next; they take turns, of two transmits each.
    pub(super) fn next_ready(&mut self) -> Option<ConnectionId> {
        loop {
            let id = self.ready.pop_front()?;
            if let Some(slot) = self.slot(id) {
                slot.ready = false;
                return Some(id);
            }
        }
    }

    pub(super) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Those on which something may have happened since they were last asked.
    pub(super) fn ready(&self) -> Vec<ConnectionId> {
        self.ready.iter().copied().collect()
    }

    /// The connection may have more to send. Most have not, and to find out is cheap now and dear later: among a thousand,
    /// all that it consists of has left the processor's caches when its turn comes again.
    pub(super) fn again(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        slot.again = !slot.again;
        let first = slot.again;
        if std::mem::replace(&mut slot.ready, true) {
            return;
        }
        if first { self.ready.push_front(id) } else { self.ready.push_back(id) }
    }

    /// The connection has nothing to send: its next deadline counts.
    ///
    /// Deadlines mostly move back, as whatever was waited for comes. That is only noticed when the old one has come, which
    /// costs a look in vain now and then, and saves two changes of an ordered set for each packet.
    pub(super) fn rest(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        slot.again = false;
        if slot.handshaking {
            slot.handshaking = slot.connection.quic().is_handshaking() && !slot.connection.quic().is_closed();
            let done = !slot.handshaking;
            self.handshakes -= usize::from(done);
        }
        self.note_deadline(id);
    }

    fn note_deadline(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        let Some(deadline) = slot.connection.poll_timeout() else { return };
        if slot.noted.is_some_and(|noted| noted <= deadline) {
            return;
        }
        if let Some(noted) = slot.noted.replace(deadline) {
            self.deadlines.remove(&(noted, id));
        }
        self.deadlines.insert((deadline, id));
    }

    /// Brings the events of one connection more up to date; whether there was one to do.
    pub(super) fn settle_next(&mut self) -> bool {
        let Some(id) = self.unsettled.pop_front() else { return false };
        if let Some(slot) = self.slot(id) {
            slot.unsettled = false;
        }
        self.settle_events(id);
        true
    }

    /// Brings the events of a connection up to date, if anything happened since.
    pub(super) fn settle_events(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        let due = std::mem::replace(&mut slot.due, Due::Nothing);
        if due == Due::Look {
            // No time is known here: what commands want timed waits for a call that brings it.
            slot.connection.look();
        }
        if due != Due::Nothing {
            self.note_events(id);
        }
    }

    pub(super) fn note_events(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        if slot.connection.has_events() && !std::mem::replace(&mut slot.has_events, true) {
            self.with_events.push_back(id);
        }
    }

    /// The connection whose events are taken next, until it has no more.
    pub(super) fn next_with_events(&mut self) -> Option<ConnectionId> {
        while let Some(id) = self.with_events.front().copied() {
            if self.slot(id).is_some() {
                return Some(id);
            }
            self.with_events.pop_front();
        }
        None
    }

    pub(super) fn no_events(&mut self, id: ConnectionId) {
        if self.with_events.front() == Some(&id) {
            self.with_events.pop_front();
        }
        if let Some(slot) = self.slot(id) {
            slot.has_events = false;
        }
    }

    pub(super) fn hide(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slot(id) {
            slot.hidden = true;
        }
    }

    pub(super) fn set_drained(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slot(id) {
            slot.drained = true;
            // quinn gives the handle to the next connection, from now on.
            let handle = slot.handle;
            self.by_handle.remove(&handle);
        }
    }

    /// Whether nothing is left of it, not even something to tell.
    pub(super) fn is_over(&mut self, id: ConnectionId) -> bool {
        self.slot(id).is_some_and(|slot| slot.drained && !slot.connection.has_events())
    }

    pub(super) fn is_busy(&self) -> bool {
        !(self.ready.is_empty() && self.unsettled.is_empty() && self.with_events.is_empty())
    }

    /// When to look for connections that are due; there may be none then.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<ConnectionId> {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.pop_first();
            let Some(slot) = self.slot(id) else { continue };
            slot.noted = None;
            if slot.connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
                return Some(id);
            }
            self.note_deadline(id);
        }
        None
    }

    fn slot(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
    }
}
