//! Counting, and telling what was counted.

use super::Connection;
use super::handles::{RecvStream, SendStream, Session};
use crate::{ConnectionStats, DatagramStats, RecvStreamStats, SendStreamStats, SessionId, SessionStats};

/// What happened since the endpoint last looked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) sessions_accepted: u64,
    pub(crate) sessions_ended: u64,
    pub(crate) sessions_refused: u64,
    pub(crate) streams_opened: u64,
    pub(crate) streams_opened_by_peer: u64,
    pub(crate) datagrams_received: u64,
    pub(crate) datagrams_sent: u64,
    pub(crate) datagrams_dropped: u64,
    pub(crate) datagrams_expired: u64,
    pub(crate) lost: u64,
}

impl Connection {
    /// Figures of the connection up to now.
    ///
    /// The [module of the figures](crate::stats) says how they relate to those of the W3C API.
    pub fn stats(&self) -> ConnectionStats {
        ConnectionStats { datagrams: self.datagram_stats, ..self.quic.stats() }
    }

    /// Counts what happened to datagrams of a session, whether it is there or not.
    pub(super) fn count_datagrams(&mut self, session: SessionId, stats: &DatagramStats) {
        self.datagram_stats.add(stats);
        if let Some(session) = self.sessions.get_mut(session) {
            session.stats.datagrams.add(stats);
        }
        self.counters.datagrams_sent += stats.sent;
        self.counters.datagrams_received += stats.received;
        self.counters.datagrams_dropped += stats.dropped_incoming + stats.dropped_outgoing;
        self.counters.datagrams_expired += stats.expired_incoming + stats.expired_outgoing;
    }
}

impl Session<'_> {
    /// Figures of the session up to now; all zero if the session ended through this proxy.
    pub fn stats(&self) -> SessionStats {
        self.connection.sessions.get(self.id).map(|session| session.stats).unwrap_or_default()
    }
}

impl SendStream<'_> {
    /// Figures of this half up to now; `None` once the stream is forgotten.
    pub fn stats(&mut self) -> Option<SendStreamStats> {
        let entry = self.connection.streams.webtransport(self.id).filter(|entry| !entry.held)?;
        Some(SendStreamStats::new(entry.bytes_written))
    }
}

impl RecvStream<'_> {
    /// Figures of this half up to now; `None` once the stream is forgotten.
    pub fn stats(&mut self) -> Option<RecvStreamStats> {
        let entry = self.connection.streams.webtransport(self.id).filter(|entry| !entry.held)?;
        Some(RecvStreamStats::new(entry.bytes_read))
    }
}
