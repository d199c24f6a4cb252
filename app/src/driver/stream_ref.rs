//! One stream as its handle sees it.

use std::sync::Arc;
use std::task::{Context, Poll};

use transom_core::{Connection, StreamId};

use super::entry::StreamEntry;
use super::session_cell::SessionCell;
use super::shared::State;
use super::waiters::{Delivery, Slot, StreamWaiters};

/// Names a stream and leads to the core's half of it.
#[derive(Debug, Clone)]
pub(crate) struct StreamRef {
    pub(crate) cell: Arc<SessionCell>,
    pub(crate) id: StreamId,
}

impl StreamRef {
    /// Acts on the connection for this stream and wakes the driver; `None` when the connection is gone.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut Connection, StreamId) -> R) -> Option<R> {
        self.cell.shared.act(|state| {
            let result = state.endpoint.connection(self.cell.connection).map(|connection| act(connection, self.id));
            state.wake_driver();
            result
        })
    }

    /// Ready with what `attempt` gives, or with `None` when the connection is gone.
    ///
    /// While `attempt` gives nothing, the task waits in `slot`; `registered` remembers that, so that a success can
    /// empty it. The lock is held from the attempt to the registration, so that no change between them is missed.
    pub(crate) fn poll<T>(
        &self,
        context: &Context<'_>,
        slot: Slot,
        registered: &mut bool,
        attempt: impl FnOnce(&mut Connection, StreamId) -> Option<T>,
    ) -> Poll<Option<T>> {
        self.cell.shared.act(|state| {
            let Some(connection) = state.endpoint.connection(self.cell.connection) else { return Poll::Ready(None) };
            if let Some(result) = attempt(connection, self.id) {
                if *registered {
                    *registered = self.empty(state, slot);
                }
                state.wake_driver();
                return Poll::Ready(Some(result));
            }
            self.register(state, context, slot, registered)
        })
    }

    /// Ready once it is known what became of what was written on a finished stream, or that an open one was stopped.
    pub(crate) fn poll_delivery(&self, context: &Context<'_>, slot: Slot, registered: &mut bool) -> Poll<Delivery> {
        self.cell.shared.act(|state| {
            if let Some(delivery) = self.recorded(state) {
                return Poll::Ready(delivery);
            }
            let Some(connection) = state.endpoint.connection(self.cell.connection) else {
                return Poll::Ready(Delivery::Over);
            };
            // At the end of a session the core forgets its streams, which must not look like an acknowledgement.
            if self.cell.end().is_some() || connection.session(self.cell.id).is_none() {
                return Poll::Ready(Delivery::Over);
            }
            let mut stream = connection.send_stream(self.id);
            if let Some(code) = stream.stopped() {
                return Poll::Ready(Delivery::Stopped(code));
            }
            if stream.is_done() {
                return Poll::Ready(Delivery::Acknowledged);
            }
            self.register(state, context, slot, registered).map(|_: Option<()>| Delivery::Over)
        })
    }

    /// For a handle that goes: forgets who waited in `slots`, and what became of the data if one of them was for that.
    pub(crate) fn forget(&self, slots: &[Slot]) {
        self.cell.shared.act(|state| {
            if slots.contains(&Slot::Finished)
                && let Some(connection) = state.connections.get_mut(&self.cell.connection)
                && let Some(entry) = connection.streams.get_mut(&self.id)
            {
                entry.waiters.delivery = None;
            }
            for slot in slots {
                self.empty(state, *slot);
            }
        });
    }

    fn recorded(&self, state: &State) -> Option<Delivery> {
        let connection = state.connections.get(&self.cell.connection)?;
        connection.streams.get(&self.id)?.waiters.delivery
    }

    fn register<T>(
        &self,
        state: &mut State,
        context: &Context<'_>,
        slot: Slot,
        registered: &mut bool,
    ) -> Poll<Option<T>> {
        // No entry: the session is over, and nobody would wake us.
        let Some(entry) = self.entry(state) else { return Poll::Ready(None) };
        let replaced = entry.waiters.register(slot, context.waker());
        state.discard(replaced);
        *registered = true;
        Poll::Pending
    }

    /// The entry of the stream, made if need be; `None` when the session is over.
    fn entry<'a>(&self, state: &'a mut State) -> Option<&'a mut StreamEntry> {
        let connection = state.connections.get_mut(&self.cell.connection)?;
        if !connection.sessions.contains_key(&self.cell.id) {
            return None;
        }
        let new = || StreamEntry { session: self.cell.id, waiters: StreamWaiters::default() };
        Some(connection.streams.entry(self.id).or_insert_with(new))
    }

    /// Empties a slot; whether anything else keeps the entry of the stream.
    fn empty(&self, state: &mut State, slot: Slot) -> bool {
        let Some(connection) = state.connections.get_mut(&self.cell.connection) else { return false };
        let Some(entry) = connection.streams.get_mut(&self.id) else { return false };
        let removed = entry.waiters.take(slot);
        let idle = entry.waiters.is_idle();
        if idle {
            connection.streams.remove(&self.id);
            state.forget_if_over(self.cell.connection);
        }
        state.discard(removed);
        !idle
    }
}
