//! What is wrong with a server, as far as its figures show it.

use std::fmt;
use std::net::SocketAddr;

use transom_core::EndpointStats;

use super::{ConnectionDiagnostics, ServerDiagnostics, ServerState};

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
    /// Share of datagrams that may be dropped for want of room.
    pub dropped_datagrams: f64,
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
            dropped_datagrams: 0.1,
            lost_packets: 0.1,
            rtt_ms: 1_000.0,
            certificate_seconds: 24 * 3600,
        }
    }
}

impl ServerDiagnostics {
    /// What is wrong, judged by all that happened since the server started.
    pub fn issues(&self, thresholds: &Thresholds) -> Vec<Issue> {
        self.judge(&EndpointStats::default(), thresholds)
    }

    /// What is wrong, judged by what happened since an earlier look: old trouble is forgotten, new trouble does not
    /// drown in a long good time.
    pub fn issues_since(&self, earlier: &Self, thresholds: &Thresholds) -> Vec<Issue> {
        self.judge(&earlier.counters, thresholds)
    }

    fn judge(&self, before: &EndpointStats, thresholds: &Thresholds) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.state != ServerState::Serving {
            issues.push(Issue::NotServing { state: self.state });
        }
        let now = &self.counters;
        // A counter that went back belongs to another server.
        let grown = |now: u64, before: u64| if now < before { now } else { now - before };
        let too_many = |part: u64, whole: u64, share: f64| whole > thresholds.attempts && is_above(part, whole, share);

        let refused = grown(now.connections_refused, before.connections_refused);
        let attempts = refused + grown(now.connections_accepted, before.connections_accepted);
        if too_many(refused, attempts, thresholds.refused_connections) {
            issues.push(Issue::ConnectionsRefused { refused, attempts });
        }
        let refused = grown(now.sessions_refused, before.sessions_refused);
        let requests = refused + grown(now.sessions_accepted, before.sessions_accepted);
        if too_many(refused, requests, thresholds.refused_sessions) {
            issues.push(Issue::SessionsRefused { refused, requests });
        }
        let (open, limit) = (now.connections_open, self.limits.max_connections * self.addresses.len().max(1) as u64);
        if is_above(open, limit, thresholds.connections_in_use) {
            issues.push(Issue::ConnectionsNearLimit { open, limit });
        }
        let dropped = grown(now.datagrams_dropped, before.datagrams_dropped);
        let datagrams = grown(now.datagrams_received, before.datagrams_received)
            + grown(now.datagrams_sent, before.datagrams_sent).max(dropped);
        if too_many(dropped, datagrams, thresholds.dropped_datagrams) {
            issues.push(Issue::DatagramsDropped { dropped, datagrams });
        }
        issues.extend(self.certificate_issue(thresholds));
        issues.extend(self.connections.iter().flat_map(|connection| connection.issues(thresholds)));
        issues
    }

    fn certificate_issue(&self, thresholds: &Thresholds) -> Option<Issue> {
        let (from, until) = (self.certificate.valid_from?, self.certificate.valid_until?);
        if self.taken_at < from {
            return Some(Issue::CertificateNotYetValid { seconds: from - self.taken_at });
        }
        let seconds = until.saturating_sub(self.taken_at);
        (seconds < thresholds.certificate_seconds).then_some(Issue::CertificateEnds { seconds })
    }
}

impl ConnectionDiagnostics {
    fn issues(&self, thresholds: &Thresholds) -> impl Iterator<Item = Issue> + use<> {
        let (remote, rtt_ms, lost, sent) = (self.remote, self.rtt_ms, self.packets_lost, self.packets_sent);
        let slow = (rtt_ms > thresholds.rtt_ms).then_some(Issue::SlowRoundTrips { remote, rtt_ms });
        let lossy = sent > thresholds.attempts && is_above(lost, sent, thresholds.lost_packets);
        slow.into_iter().chain(lossy.then_some(Issue::PacketsLost { remote, lost, sent }))
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

/// Whether a part is more than a share of the whole.
#[expect(clippy::cast_precision_loss, reason = "shares are rough")]
fn is_above(part: u64, whole: u64, share: f64) -> bool {
    part as f64 > share * whole as f64
}

#[cfg(test)]
pub(super) mod tests {
    use transom_core::DatagramStats;

    use super::*;
    use crate::diagnostics::{CertificateDiagnostics, LimitDiagnostics};

    const DAY: u64 = 24 * 3600;

    /// A server with which nothing is wrong.
    pub(in crate::diagnostics) fn quiet() -> ServerDiagnostics {
        ServerDiagnostics {
            state: ServerState::Serving,
            taken_at: 1_000_000,
            uptime_seconds: 60,
            addresses: vec!["127.0.0.1:4433".parse().unwrap()],
            counters: EndpointStats::default(),
            running_handlers: 0,
            certificate: CertificateDiagnostics {
                sha256: vec![String::from("00")],
                valid_from: Some(1_000_000),
                valid_until: Some(1_000_000 + DAY),
            },
            limits: LimitDiagnostics { max_connections: 100, max_handshakes: 10, max_sessions: 16 },
            connections: vec![ConnectionDiagnostics {
                remote: "127.0.0.1:1".parse().unwrap(),
                dialect: None,
                rtt_ms: 1_000.0,
                packets_sent: 100,
                packets_lost: 10,
                congestion_window: 12_000,
                datagrams: DatagramStats::default(),
                sessions: Vec::new(),
            }],
            sessions_left_out: 0,
        }
    }

    fn issues(change: impl FnOnce(&mut ServerDiagnostics)) -> Vec<Issue> {
        let mut diagnostics = quiet();
        change(&mut diagnostics);
        diagnostics.issues(&Thresholds::default())
    }

    /// At the threshold there is no issue, one above there is exactly this.
    fn only_above(at: impl FnOnce(&mut ServerDiagnostics), above: impl FnOnce(&mut ServerDiagnostics), issue: Issue) {
        assert_eq!(issues(at), []);
        assert_eq!(issues(above), [issue]);
    }

    #[test]
    fn each_rule_at_its_threshold_and_above() {
        let state = ServerState::Draining;
        only_above(|_| {}, |d| d.state = state, Issue::NotServing { state });
        only_above(
            |d| (d.counters.connections_accepted, d.counters.connections_refused) = (90, 10),
            |d| (d.counters.connections_accepted, d.counters.connections_refused) = (89, 11),
            Issue::ConnectionsRefused { refused: 11, attempts: 100 },
        );
        only_above(
            |d| (d.counters.sessions_accepted, d.counters.sessions_refused) = (0, 20),
            |d| (d.counters.sessions_accepted, d.counters.sessions_refused) = (0, 21),
            Issue::SessionsRefused { refused: 21, requests: 21 },
        );
        only_above(
            |d| d.counters.connections_open = 90,
            |d| d.counters.connections_open = 91,
            Issue::ConnectionsNearLimit { open: 91, limit: 100 },
        );
        only_above(
            |d| (d.counters.datagrams_received, d.counters.datagrams_dropped) = (90, 10),
            |d| (d.counters.datagrams_received, d.counters.datagrams_dropped) = (89, 11),
            Issue::DatagramsDropped { dropped: 11, datagrams: 100 },
        );
        only_above(|_| {}, |d| d.taken_at += 1, Issue::CertificateEnds { seconds: DAY - 1 });
        only_above(|_| {}, |d| d.taken_at -= 1, Issue::CertificateNotYetValid { seconds: 1 });
        only_above(|_| {}, |d| d.taken_at += 2 * DAY, Issue::CertificateEnds { seconds: 0 });
        let remote = quiet().connections[0].remote;
        let slow = Issue::SlowRoundTrips { remote, rtt_ms: 1_001.0 };
        only_above(|_| {}, |d| d.connections[0].rtt_ms = 1_001.0, slow);
        let lossy = Issue::PacketsLost { remote, lost: 11, sent: 100 };
        only_above(|_| {}, |d| d.connections[0].packets_lost = 11, lossy);
    }

    #[test]
    fn thresholds_can_be_others() {
        let thresholds = Thresholds { rtt_ms: 999.0, ..Thresholds::default() };
        assert_eq!(quiet().issues(&thresholds).len(), 1);
    }

    #[test]
    fn old_trouble_is_forgotten_and_new_trouble_seen() {
        let (mut before, mut after) = (quiet(), quiet());
        (before.counters.sessions_accepted, before.counters.sessions_refused) = (0, 1_000);
        (after.counters.sessions_accepted, after.counters.sessions_refused) = (1_000, 1_000);
        assert_eq!(after.issues(&Thresholds::default()).len(), 1);
        assert_eq!(after.issues_since(&before, &Thresholds::default()), []);
        let mut later = after.clone();
        later.counters.sessions_refused += 30;
        let refused = Issue::SessionsRefused { refused: 30, requests: 30 };
        assert_eq!(later.issues_since(&after, &Thresholds::default()), [refused]);
        assert_eq!(quiet().issues_since(&after, &Thresholds::default()), [], "counters of a new server");
    }

    #[test]
    fn every_issue_says_what_it_is_about() {
        let text = Issue::ConnectionsRefused { refused: 11, attempts: 100 }.to_string();
        assert_eq!(text, "11 of 100 attempts to connect were turned away");
        let text = Issue::NotServing { state: ServerState::Draining }.to_string();
        assert!(text.ends_with("draining"), "{text}");
    }
}
