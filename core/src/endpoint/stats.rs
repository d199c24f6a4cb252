//! What an endpoint counts.

use crate::connection::Counters;

/// Figures of one endpoint since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct EndpointStats {
    /// Connections that are there now, those still in their handshake among them.
    pub connections_open: u64,
    /// Connections that began a handshake with us, or that we began.
    pub connections_accepted: u64,
    /// Attempts turned away: over a limit, or while shutting down.
    pub connections_refused: u64,
    /// Connections that ended, for whatever reason.
    pub connections_lost: u64,
    /// Sessions open now.
    pub sessions_open: u64,
    /// Sessions that were opened.
    pub sessions_accepted: u64,
    /// Requests for a session that were refused, by the application or a limit.
    pub sessions_refused: u64,
    /// WebTransport streams the peers opened.
    pub streams_opened_by_peer: u64,
    /// WebTransport streams we opened.
    pub streams_opened: u64,
    /// Datagrams that reached a session.
    pub datagrams_received: u64,
    /// Datagrams given to QUIC.
    pub datagrams_sent: u64,
    /// Datagrams dropped for want of room, either way: they were not read, or did not leave, in time for newer ones.
    pub datagrams_dropped: u64,
    /// Datagrams dropped because they had grown too old, either way.
    pub datagrams_expired: u64,
    /// UDP datagrams received.
    pub udp_datagrams_received: u64,
    /// Bytes in them.
    pub udp_bytes_received: u64,
    /// UDP datagrams sent.
    pub udp_datagrams_sent: u64,
    /// Bytes in them.
    pub udp_bytes_sent: u64,
    /// UDP datagrams that another worker's socket received and handed on to this one, see [`Worker`](crate::Worker). An
    /// endpoint does not know; whoever drives several counts.
    pub udp_datagrams_handed_on: u64,
}

impl EndpointStats {
    pub(super) fn add(&mut self, counters: Counters) {
        self.connections_lost += counters.lost;
        self.sessions_accepted += counters.sessions_accepted;
        self.sessions_open = (self.sessions_open + counters.sessions_accepted).saturating_sub(counters.sessions_ended);
        self.sessions_refused += counters.sessions_refused;
        self.streams_opened += counters.streams_opened;
        self.streams_opened_by_peer += counters.streams_opened_by_peer;
        self.datagrams_received += counters.datagrams_received;
        self.datagrams_sent += counters.datagrams_sent;
        self.datagrams_dropped += counters.datagrams_dropped;
        self.datagrams_expired += counters.datagrams_expired;
    }
}
