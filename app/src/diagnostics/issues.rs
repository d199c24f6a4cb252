//! What is wrong with a server, as far as its figures show it.

use std::fmt;
use std::net::SocketAddr;

use super::ServerState;

/// What a figure has to be for an [`Issue`]. Shares are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Thresholds {
    /// Attempts below which shares of them say nothing.
    pub attempts: u64,
    /// Share of connections that may be refused.
    pub refused_connections: f64,
    /// Share of requests for sessions that may be refused.
    pub refused_sessions: f64,
    /// Share of the limit of connections that may be in use.
    pub connections_in_use: f64,
    /// Share of sessions whose handler may fail.
    pub failed_handlers: f64,
    /// Share of datagrams that may be dropped for want of room.
    pub dropped_datagrams: f64,
    /// Share of datagrams that may be dropped because they have grown too old.
    pub expired_datagrams: f64,
    /// Share of one session's datagrams that may be lost on our side, for whatever reason, each way.
    pub session_datagrams: f64,
    /// Share of a connection's packets that may be lost.
    pub lost_packets: f64,
    /// Round-trip time of a connection, milliseconds.
    pub rtt_ms: f64,
    /// What a certificate should still be valid, seconds.
    pub certificate_seconds: u64,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "issue", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Issue {
    /// No new sessions are taken.
    NotServing {
        /// Where the server stands.
        state: ServerState,
    },
    /// Many attempts to connect are turned away.
    ConnectionsRefused {
        /// How many.
        refused: u64,
        /// Of how many.
        attempts: u64,
    },
    /// Many requests for sessions are refused.
    SessionsRefused {
        /// How many.
        refused: u64,
        /// Of how many.
        requests: u64,
    },
    /// There is hardly room for more connections.
    ConnectionsNearLimit {
        /// How many there are.
        open: u64,
        /// How many there may be.
        limit: u64,
    },
    /// Many datagrams are dropped since they are not read or do not leave fast enough.
    DatagramsDropped {
        /// How many.
        dropped: u64,
        /// Of how many.
        datagrams: u64,
    },
    /// Many datagrams grow too old before they are read or leave: a handler is too slow for them, or a path.
    DatagramsExpired {
        /// How many.
        expired: u64,
        /// Of how many.
        datagrams: u64,
    },
    /// Many handlers panic or return errors; [`ServerEvent::HandlerFailed`](crate::ServerEvent) says which.
    HandlersFailed {
        /// How many.
        failed: u64,
        /// Of how many sessions.
        sessions: u64,
    },
    /// A session does not read its datagrams as fast as they come.
    DatagramsUnread {
        /// The client.
        remote: SocketAddr,
        /// What the session is for, without the query.
        path: String,
        /// How many were dropped or grew too old.
        lost: u64,
        /// Of how many.
        received: u64,
    },
    /// A session sends more datagrams than its path takes.
    DatagramsUnsent {
        /// The client.
        remote: SocketAddr,
        /// What the session is for, without the query.
        path: String,
        /// How many were dropped or grew too old.
        lost: u64,
        /// Of how many.
        given: u64,
    },
    /// The certificate is not valid yet, or the clock is wrong.
    CertificateNotYetValid {
        /// In how many seconds it will be.
        seconds: u64,
    },
    /// The certificate is valid for a short time only, or not any more.
    CertificateEnds {
        /// For how many seconds; 0 for not any more.
        seconds: u64,
    },
    /// A connection's round trips take long.
    SlowRoundTrips {
        /// The client.
        remote: SocketAddr,
        /// Smoothed round-trip time.
        rtt_ms: f64,
    },
    /// A connection loses many packets.
    PacketsLost {
        /// The client.
        remote: SocketAddr,
        /// How many.
        lost: u64,
        /// Of how many.
        sent: u64,
    },
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            attempts: 20,
            refused_connections: 0.1,
            refused_sessions: 0.1,
            connections_in_use: 0.9,
            failed_handlers: 0.1,
            dropped_datagrams: 0.1,
            expired_datagrams: 0.1,
            session_datagrams: 0.1,
            lost_packets: 0.1,
            rtt_ms: 1_000.0,
            certificate_seconds: 24 * 3600,
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotServing { state } => {
                write!(f, "the server takes no new sessions: it is {}", format!("{state:?}").to_lowercase())
            }
            Self::ConnectionsRefused { refused, attempts } => {
                write!(f, "{refused} of {attempts} attempts to connect were turned away")
            }
            Self::SessionsRefused { refused, requests } => {
                write!(f, "{refused} of {requests} requests for a session were refused")
            }
            Self::ConnectionsNearLimit { open, limit } => {
                write!(f, "{open} of at most {limit} connections are open")
            }
            Self::DatagramsDropped { dropped, datagrams } => {
                write!(f, "{dropped} of {datagrams} datagrams were dropped for want of room")
            }
            Self::DatagramsExpired { expired, datagrams } => {
                write!(f, "{expired} of {datagrams} datagrams grew too old before they were read or sent")
            }
            Self::HandlersFailed { failed, sessions } => {
                write!(f, "the handlers of {failed} of {sessions} sessions failed")
            }
            Self::DatagramsUnread { remote, path, lost, received } => {
                write!(
                    f,
                    "{lost} of {received} datagrams from {remote} were not read in time by the session for {path:?}"
                )
            }
            Self::DatagramsUnsent { remote, path, lost, given } => {
                write!(f, "{lost} of {given} datagrams to {remote} did not leave in time from the session for {path:?}")
            }
            Self::CertificateNotYetValid { seconds } => {
                write!(f, "the certificate will be valid in {seconds} s; is the clock right?")
            }
            Self::CertificateEnds { seconds: 0 } => write!(f, "the certificate is not valid any more"),
            Self::CertificateEnds { seconds } => write!(f, "the certificate is valid for {} h only", seconds / 3600),
            Self::SlowRoundTrips { remote, rtt_ms } => write!(f, "round trips to {remote} take {rtt_ms:.0} ms"),
            Self::PacketsLost { remote, lost, sent } => write!(f, "{lost} of {sent} packets to {remote} were lost"),
        }
    }
}
