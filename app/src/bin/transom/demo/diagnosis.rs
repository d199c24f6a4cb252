//! What the page shows of the server's diagnostics, without naming anybody's address.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use transom::{Issue, ServerDiagnostics, ServerState, Thresholds};

/// Looks from which the rules judge: what happened since the earlier one, so that old trouble is forgotten.
#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    earlier: Option<ServerDiagnostics>,
    later: Option<ServerDiagnostics>,
}

impl Diagnosis {
    /// The diagnostics as JSON, with the issues of about the last minute.
    pub(super) fn of(&mut self, now: ServerDiagnostics) -> Value {
        let thresholds = Thresholds::default();
        let issues = match &self.earlier {
            Some(earlier) => now.issues_since(earlier, &thresholds),
            None => now.issues(&thresholds),
        };
        let sessions = || now.connections.iter().flat_map(|connection| &connection.sessions);
        let value = json!({
            "state": match now.state {
                ServerState::Serving => "serving",
                ServerState::Draining => "draining",
                _ => "stopped",
            },
            "taken_at": now.taken_at,
            "connections": {
                "open": now.counters.connections_open,
                "with_sessions": now.connections.len(),
                "limit": now.limits.max_connections,
            },
            "sessions": {
                "open": now.counters.sessions_open,
                "draining": sessions().filter(|session| session.draining).count(),
                "by_path": by_path(sessions().map(|session| session.path.as_str())),
            },
            "running_handlers": now.running_handlers,
            "certificate": { "valid_from": now.certificate.valid_from, "valid_until": now.certificate.valid_until },
            "issues": sentences(&issues),
        });
        self.remember(now);
        value
    }

    fn remember(&mut self, now: ServerDiagnostics) {
        if self.later.as_ref().is_none_or(|later| now.taken_at >= later.taken_at + HALF_A_MINUTE) {
            self.earlier = self.later.replace(now);
        }
    }
}

/// The paths with the most sessions, and how many all others have together.
fn by_path<'a>(paths: impl Iterator<Item = &'a str>) -> Value {
    let mut counts = BTreeMap::<&str, u64>::new();
    for path in paths {
        *counts.entry(path).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others: u64 = counts.iter().skip(PATHS).map(|(_, count)| count).sum();
    counts.truncate(PATHS);
    let listed = counts.iter().map(|(path, count)| json!({ "path": path, "open": count }));
    json!({ "listed": listed.collect::<Vec<_>>(), "others": others })
}

/// What to tell everybody: troubles of connections are counted, since their sentences have addresses in them.
fn sentences(issues: &[Issue]) -> Vec<String> {
    let (mut slow, mut lossy, mut unread, mut unsent) = (0, 0, 0, 0);
    let mut sentences = Vec::new();
    for issue in issues {
        match issue {
            Issue::SlowRoundTrips { .. } => slow += 1,
            Issue::PacketsLost { .. } => lossy += 1,
            Issue::DatagramsUnread { .. } => unread += 1,
            Issue::DatagramsUnsent { .. } => unsent += 1,
            other => sentences.push(other.to_string()),
        }
    }
    for (count, what, trouble) in [
        (slow, "connection", "slow round trips"),
        (lossy, "connection", "many lost packets"),
        (unread, "session", "many datagrams that were not read in time"),
        (unsent, "session", "many datagrams that did not leave in time"),
    ] {
        match count {
            0 => {}
            1 => sentences.push(format!("one {what} has {trouble}")),
            _ => sentences.push(format!("{count} {what}s have {trouble}")),
        }
    }
    sentences
}

/// Paths that are listed.
const PATHS: usize = 6;
/// The time between two looks that are kept, seconds.
const HALF_A_MINUTE: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_with_most_sessions_come_first_and_the_rest_is_one_number() {
        let paths = ["/h", "/a", "/b", "/b", "/c", "/d", "/e", "/f", "/g"];
        let value = by_path(paths.into_iter());
        assert_eq!(value["listed"][0], json!({ "path": "/b", "open": 2 }));
        assert_eq!((value["listed"].as_array().unwrap().len(), &value["others"]), (PATHS, &json!(2)));
        assert_eq!(by_path(std::iter::empty()), json!({ "listed": [], "others": 0 }));
    }

    #[test]
    fn nobody_s_address_is_told() {
        let remote = "192.0.2.7:1".parse().unwrap();
        let slow = Issue::SlowRoundTrips { remote, rtt_ms: 2_000.0 };
        let issues = [Issue::PacketsLost { remote, lost: 9, sent: 30 }, slow.clone(), slow];
        assert_eq!(sentences(&issues), ["2 connections have slow round trips", "one connection has many lost packets"]);
        let unread = Issue::DatagramsUnread { remote, path: String::from("/x"), lost: 9, received: 30 };
        assert_eq!(sentences(&[unread]), ["one session has many datagrams that were not read in time"]);
        let about_all = Issue::SessionsRefused { refused: 3, requests: 4 };
        assert_eq!(sentences(std::slice::from_ref(&about_all)), [about_all.to_string()]);
    }
}
