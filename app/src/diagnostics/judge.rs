//! The rules: from figures to what is wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use transom_core::{ConnectionStats, DatagramStats, EndpointStats, SessionStats};

use super::{ConnectionDiagnostics, Issue, ServerDiagnostics, ServerState, Thresholds};

impl ServerDiagnostics {
    /// What is wrong, judged by all that happened since the server started.
    pub fn issues(&self, thresholds: &Thresholds) -> Vec<Issue> {
        self.judge(None, thresholds)
    }

    /// What is wrong, judged by what happened since an earlier look: old trouble is forgotten, new trouble does not
    /// drown in a long good time.
    pub fn issues_since(&self, earlier: &Self, thresholds: &Thresholds) -> Vec<Issue> {
        self.judge(Some(earlier), thresholds)
    }

    fn judge(&self, earlier: Option<&Self>, thresholds: &Thresholds) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.state != ServerState::Serving {
            issues.push(Issue::NotServing { state: self.state });
        }
        let before = earlier.map(|earlier| earlier.counters).unwrap_or_default();
        self.judge_admission(&before, thresholds, &mut issues);
        self.judge_datagrams(&before, thresholds, &mut issues);
        let failed = grown(self.failed_handlers, earlier.map_or(0, |earlier| earlier.failed_handlers));
        let sessions = grown(self.counters.sessions_accepted, before.sessions_accepted).max(failed);
        if thresholds.exceeded(failed, sessions, thresholds.failed_handlers) {
            issues.push(Issue::HandlersFailed { failed, sessions });
        }
        issues.extend(self.certificate_issue(thresholds));
        let earlier: BTreeMap<_, _> = earlier.into_iter().flat_map(Self::session_figures).collect();
        for connection in &self.connections {
            issues.extend(connection.issues(thresholds));
            for session in &connection.sessions {
                let before = earlier.get(&(connection.remote, session.id)).copied().unwrap_or_default();
                judge_session(
                    connection.remote,
                    &session.path,
                    &before,
                    &session.stats.datagrams,
                    thresholds,
                    &mut issues,
                );
            }
        }
        issues
    }

    fn session_figures(&self) -> impl Iterator<Item = ((SocketAddr, u64), DatagramStats)> {
        let sessions = |connection: &ConnectionDiagnostics| {
            let remote = connection.remote;
            connection
                .sessions
                .iter()
                .map(move |session| ((remote, session.id), session.stats.datagrams))
                .collect::<Vec<_>>()
        };
        self.connections.iter().flat_map(sessions)
    }

    fn judge_admission(&self, before: &EndpointStats, thresholds: &Thresholds, issues: &mut Vec<Issue>) {
        let now = &self.counters;
        let refused = grown(now.connections_refused, before.connections_refused);
        let attempts = refused + grown(now.connections_accepted, before.connections_accepted);
        if thresholds.exceeded(refused, attempts, thresholds.refused_connections) {
            issues.push(Issue::ConnectionsRefused { refused, attempts });
        }
        let refused = grown(now.sessions_refused, before.sessions_refused);
        let requests = refused + grown(now.sessions_accepted, before.sessions_accepted);
        if thresholds.exceeded(refused, requests, thresholds.refused_sessions) {
            issues.push(Issue::SessionsRefused { refused, requests });
        }
        let (open, limit) = (now.connections_open, self.limits.max_connections * self.addresses.len().max(1) as u64);
        if is_above(open, limit, thresholds.connections_in_use) {
            issues.push(Issue::ConnectionsNearLimit { open, limit });
        }
    }

    fn judge_datagrams(&self, before: &EndpointStats, thresholds: &Thresholds, issues: &mut Vec<Issue>) {
        let now = &self.counters;
        let (received, sent) = (
            grown(now.datagrams_received, before.datagrams_received),
            grown(now.datagrams_sent, before.datagrams_sent),
        );
        // What did not leave is not among those that were sent.
        let dropped = grown(now.datagrams_dropped, before.datagrams_dropped);
        let datagrams = received + sent.max(dropped);
        if thresholds.exceeded(dropped, datagrams, thresholds.dropped_datagrams) {
            issues.push(Issue::DatagramsDropped { dropped, datagrams });
        }
        let expired = grown(now.datagrams_expired, before.datagrams_expired);
        let datagrams = received + sent.max(expired);
        if thresholds.exceeded(expired, datagrams, thresholds.expired_datagrams) {
            issues.push(Issue::DatagramsExpired { expired, datagrams });
        }
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
        judge_path(self.remote, self.rtt_ms, self.packets_lost, self.packets_sent, thresholds)
    }
}

impl Thresholds {
    /// Whether there are too many of something, and enough of all to say so.
    fn exceeded(&self, part: u64, whole: u64, share: f64) -> bool {
        whole > self.attempts && is_above(part, whole, share)
    }
}

/// What is wrong with a session and its path, judged by all that happened to it: for clients, who have no server to ask.
pub(crate) fn judge_alone(
    remote: SocketAddr,
    path: &str,
    connection: &ConnectionStats,
    session: &SessionStats,
    thresholds: &Thresholds,
) -> Vec<Issue> {
    let rtt_ms = connection.rtt.as_secs_f64() * 1_000.0;
    let mut issues: Vec<Issue> =
        judge_path(remote, rtt_ms, connection.packets_lost, connection.packets_sent, thresholds).collect();
    judge_session(remote, path, &DatagramStats::default(), &session.datagrams, thresholds, &mut issues);
    issues
}

fn judge_path(
    remote: SocketAddr,
    rtt_ms: f64,
    lost: u64,
    sent: u64,
    thresholds: &Thresholds,
) -> impl Iterator<Item = Issue> + use<> {
    let slow = (rtt_ms > thresholds.rtt_ms).then_some(Issue::SlowRoundTrips { remote, rtt_ms });
    let lossy = thresholds.exceeded(lost, sent, thresholds.lost_packets);
    slow.into_iter().chain(lossy.then_some(Issue::PacketsLost { remote, lost, sent }))
}

fn judge_session(
    remote: SocketAddr,
    path: &str,
    before: &DatagramStats,
    now: &DatagramStats,
    thresholds: &Thresholds,
    issues: &mut Vec<Issue>,
) {
    let lost =
        grown(now.dropped_incoming, before.dropped_incoming) + grown(now.expired_incoming, before.expired_incoming);
    let received = grown(now.received, before.received);
    if thresholds.exceeded(lost, received, thresholds.session_datagrams) {
        issues.push(Issue::DatagramsUnread { remote, path: path.to_owned(), lost, received });
    }
    let lost =
        grown(now.dropped_outgoing, before.dropped_outgoing) + grown(now.expired_outgoing, before.expired_outgoing);
    let given = grown(now.sent, before.sent) + lost;
    if thresholds.exceeded(lost, given, thresholds.session_datagrams) {
        issues.push(Issue::DatagramsUnsent { remote, path: path.to_owned(), lost, given });
    }
}

/// What came on top; a counter that went back belongs to another server, or session.
fn grown(now: u64, before: u64) -> u64 {
    if now < before { now } else { now - before }
}

/// Whether a part is more than a share of the whole.
#[expect(clippy::cast_precision_loss, reason = "shares are rough")]
fn is_above(part: u64, whole: u64, share: f64) -> bool {
    part as f64 > share * whole as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnostics::{CertificateDiagnostics, LimitDiagnostics, SessionDiagnostics};

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
            failed_handlers: 0,
            routes: Vec::new(),
            routes_missed: 0,
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
                sessions: vec![SessionDiagnostics {
                    id: 4,
                    path: String::from("/feed"),
                    protocol: None,
                    draining: false,
                    stats: SessionStats::default(),
                }],
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
        only_above(
            |d| (d.counters.datagrams_sent, d.counters.datagrams_expired) = (100, 10),
            |d| (d.counters.datagrams_sent, d.counters.datagrams_expired) = (100, 11),
            Issue::DatagramsExpired { expired: 11, datagrams: 100 },
        );
        only_above(
            |d| (d.counters.sessions_accepted, d.failed_handlers) = (100, 10),
            |d| (d.counters.sessions_accepted, d.failed_handlers) = (100, 11),
            Issue::HandlersFailed { failed: 11, sessions: 100 },
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
    fn each_rule_about_a_session() {
        let datagrams = |d: &mut ServerDiagnostics, change: fn(&mut DatagramStats)| {
            change(&mut d.connections[0].sessions[0].stats.datagrams);
        };
        let (remote, path) = (quiet().connections[0].remote, String::from("/feed"));
        only_above(
            |d| datagrams(d, |s| (s.received, s.dropped_incoming, s.expired_incoming) = (100, 4, 6)),
            |d| datagrams(d, |s| (s.received, s.dropped_incoming, s.expired_incoming) = (100, 5, 6)),
            Issue::DatagramsUnread { remote, path: path.clone(), lost: 11, received: 100 },
        );
        only_above(
            |d| datagrams(d, |s| (s.sent, s.dropped_outgoing, s.expired_outgoing) = (90, 4, 6)),
            |d| datagrams(d, |s| (s.sent, s.dropped_outgoing, s.expired_outgoing) = (89, 5, 6)),
            Issue::DatagramsUnsent { remote, path, lost: 11, given: 100 },
        );
        // Few say nothing.
        assert_eq!(issues(|d| datagrams(d, |s| (s.received, s.dropped_incoming) = (20, 20))), []);
    }

    #[test]
    fn a_session_is_judged_by_what_came_since() {
        let with = |received, dropped| {
            let mut diagnostics = quiet();
            let stats = &mut diagnostics.connections[0].sessions[0].stats.datagrams;
            (stats.received, stats.dropped_incoming) = (received, dropped);
            diagnostics
        };
        let thresholds = Thresholds::default();
        let bad = with(1_000, 900);
        assert_eq!(bad.issues(&thresholds).len(), 1);
        assert_eq!(with(2_000, 900).issues_since(&bad, &thresholds), []);
        assert_eq!(with(1_100, 911).issues_since(&bad, &thresholds).len(), 1);
        // The same id elsewhere is another session.
        let mut moved = with(1_000, 900);
        moved.connections[0].remote.set_port(2);
        assert_eq!(moved.issues_since(&bad, &thresholds).len(), 1);
    }

    #[test]
    fn a_session_alone() {
        let remote = quiet().connections[0].remote;
        let (mut connection, mut session) = (ConnectionStats::default(), SessionStats::default());
        let judge = |connection: &ConnectionStats, session: &SessionStats| {
            judge_alone(remote, "/feed", connection, session, &Thresholds::default())
        };
        assert_eq!(judge(&connection, &session), []);
        connection.rtt = std::time::Duration::from_secs(2);
        (connection.packets_sent, connection.packets_lost) = (100, 11);
        (session.datagrams.received, session.datagrams.dropped_incoming) = (100, 11);
        let issues = judge(&connection, &session);
        let expected = [
            Issue::SlowRoundTrips { remote, rtt_ms: 2_000.0 },
            Issue::PacketsLost { remote, lost: 11, sent: 100 },
            Issue::DatagramsUnread { remote, path: String::from("/feed"), lost: 11, received: 100 },
        ];
        assert_eq!(issues, expected);
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
