//! Datagrams between QUIC and the queues of sessions.

use bytes::Bytes;

use super::Connection;
use crate::{Event, SessionId};

impl Connection {
    /// Queues a datagram for an open session.
    pub(super) fn queue_datagram(&mut self, id: SessionId, payload: Bytes) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let dropped = session.datagrams.push(payload, self.config.datagram_queue, self.config.datagram_queue_bytes);
        self.counters.datagrams_received += 1;
        self.counters.datagrams_dropped += dropped;
        self.count_datagrams(id, |stats| {
            stats.received += 1;
            stats.dropped_incoming += dropped;
        });
        self.hints.push(Event::DatagramReceived { session: id });
    }
}
