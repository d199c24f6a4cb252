//! Figures that applications may ask for, counted as things happen.
//!
//! They follow `getStats` of the W3C WebTransport API as far as quinn-proto 0.11.19 can tell. What it cannot tell is
//! left out, not guessed:
//!
//! | W3C | here |
//! |---|---|
//! | `bytesSent`, `bytesReceived` | [`ConnectionStats::udp_bytes_sent`], [`ConnectionStats::udp_bytes_received`]: whole UDP payloads, retransmissions and framing included |
//! | `packetsSent`, `packetsLost`, `bytesLost` | the same |
//! | `packetsReceived` | not known; [`ConnectionStats::udp_datagrams_received`] is lower where packets share a datagram |
//! | `smoothedRtt`, `rttVariation`, `minRtt` | [`ConnectionStats::rtt`], [`ConnectionStats::rtt_variation`], [`ConnectionStats::min_rtt`] |
//! | `estimatedSendRate`, `atSendCapacity` | the same |
//! | `datagrams.droppedIncoming`, `.expiredIncoming`, `.expiredOutgoing` | [`DatagramStats::dropped_incoming`], [`DatagramStats::expired_incoming`], [`DatagramStats::expired_outgoing`] |
//! | `datagrams.lostOutgoing` | not known: QUIC counts lost packets, not what was in them |
//! | `bytesWritten` of a send stream | [`SendStreamStats::bytes_written`] |
//! | `bytesSent`, `bytesAcknowledged` of a send stream | not known before [`Event::StreamFinished`](crate::Event::StreamFinished), when all of it is |
//! | `bytesRead` of a receive stream | [`RecvStreamStats::bytes_read`] |
//! | `bytesReceived` of a receive stream | not known |

use std::time::Duration;

use crate::Direction;

/// Figures of one connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Mean deviation of the round-trip time, delays of the peer's acknowledgements included; zero before the first
    /// acknowledgement.
    pub rtt_variation: Duration,
    /// Smallest round-trip time seen.
    pub min_rtt: Duration,
    /// Largest UDP payload the path is known to carry, bytes.
    pub mtu: u16,
    /// Congestion window, bytes.
    pub congestion_window: u64,
    /// Times the network was found congested.
    pub congestion_events: u64,
    /// Bits per second that the congestion window allows at the present round-trip time; `None` before the first
    /// acknowledgement.
    pub estimated_send_rate: Option<u64>,
    /// Whether the network held us back, and not a lack of data, when the last acknowledgement came.
    pub at_send_capacity: bool,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets declared lost.
    pub packets_lost: u64,
    /// Bytes in them.
    pub bytes_lost: u64,
    /// UDP datagrams sent.
    pub udp_datagrams_sent: u64,
    /// Bytes sent in UDP datagrams.
    pub udp_bytes_sent: u64,
    /// UDP datagrams received.
    pub udp_datagrams_received: u64,
    /// Bytes received in UDP datagrams.
    pub udp_bytes_received: u64,
    /// Datagrams of all its sessions, those that are over included.
    pub datagrams: DatagramStats,
}

/// Figures of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SessionStats {
    /// Bidirectional streams we opened.
    pub bidi_streams_opened: u64,
    /// Unidirectional streams we opened.
    pub uni_streams_opened: u64,
    /// Bidirectional streams the peer opened, accepted by the application or not.
    pub bidi_streams_opened_by_peer: u64,
    /// Unidirectional streams the peer opened, accepted by the application or not.
    pub uni_streams_opened_by_peer: u64,
    /// Bytes taken from the application for its streams.
    pub bytes_written: u64,
    /// Bytes given to the application from its streams.
    pub bytes_read: u64,
    /// Its datagrams.
    pub datagrams: DatagramStats,
}

/// Figures about datagrams. Bytes are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DatagramStats {
    /// Given to QUIC; whether they arrived nobody knows.
    pub sent: u64,
    /// Arrived for the session, those that were dropped afterwards included.
    pub received: u64,
    /// Dropped because they were not read in time for newer ones to have room.
    pub dropped_incoming: u64,
    /// Dropped because they were not read before they were too old.
    pub expired_incoming: u64,
    /// Dropped because they did not leave in time for newer ones to have room, or before the session ended or the path
    /// became too small for them.
    pub dropped_outgoing: u64,
    /// Dropped because they did not leave before they were too old.
    pub expired_outgoing: u64,
}

/// Figures of a sending half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendStreamStats {
    /// Bytes taken from the application.
    pub bytes_written: u64,
}

/// Figures of a receiving half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvStreamStats {
    /// Bytes given to the application.
    pub bytes_read: u64,
}

impl SendStreamStats {
    /// The figures of a stream that took this much.
    pub fn new(bytes_written: u64) -> Self {
        Self { bytes_written }
    }
}

impl RecvStreamStats {
    /// The figures of a stream that gave this much.
    pub fn new(bytes_read: u64) -> Self {
        Self { bytes_read }
    }
}

impl DatagramStats {
    pub(crate) fn add(&mut self, more: &Self) {
        self.sent += more.sent;
        self.received += more.received;
        self.dropped_incoming += more.dropped_incoming;
        self.expired_incoming += more.expired_incoming;
        self.dropped_outgoing += more.dropped_outgoing;
        self.expired_outgoing += more.expired_outgoing;
    }
}

impl SessionStats {
    pub(crate) fn opened(&mut self, direction: Direction) {
        match direction {
            Direction::Bidirectional => self.bidi_streams_opened += 1,
            Direction::Unidirectional => self.uni_streams_opened += 1,
        }
    }

    pub(crate) fn opened_by_peer(&mut self, direction: Direction) {
        match direction {
            Direction::Bidirectional => self.bidi_streams_opened_by_peer += 1,
            Direction::Unidirectional => self.uni_streams_opened_by_peer += 1,
        }
    }
}
