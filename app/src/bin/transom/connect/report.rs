//! What `transom connect` says about the session on standard error.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use transom::{Session, SessionEnd};

use crate::failure::Failure;
use crate::json;
use crate::output::note;

/// Writes for people or, with `--json`, for programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    json: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// There is a session. People are not told: they see what comes in.
    pub(super) fn connected(self, session: &Session) {
        if self.json {
            let line = json!({
                "event": "connected",
                "protocol": session.protocol(),
                "headers": json::headers(session.response_headers()),
                "max_datagram_size": session.max_datagram_size(),
            });
            note(&line.to_string());
        }
    }

    /// The server refused.
    pub(super) fn refused(self, status: StatusCode, headers: &HeaderMap) {
        if self.json {
            note(&refused(status, headers).to_string());
        } else {
            note(&format!("refused: status {}", status.as_u16()));
            for (name, value) in headers {
                note(&format!("  {name}: {}", String::from_utf8_lossy(value.as_bytes())));
            }
        }
    }

    /// There is no session.
    pub(super) fn failed(self, error: &str) {
        if self.json {
            note(&json!({ "event": "failed", "error": error }).to_string());
        } else {
            note(&format!("transom: {error}"));
        }
    }

    /// The session is over; `failure` is what made us end it.
    pub(super) fn ended(self, end: &SessionEnd, failure: Option<&Failure>) {
        if self.json {
            note(&ended(end, failure).to_string());
            return;
        }
        if let Some(failure) = failure {
            note(&format!("transom: {failure}"));
        }
        match end {
            SessionEnd::ClosedByPeer { code, reason } => note(&format!("closed by peer: code {code} {reason:?}")),
            SessionEnd::ClosedLocally { code, reason } => note(&format!("closed by us: code {code} {reason:?}")),
            end => note(&format!("session lost: {end}")),
        }
    }
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Value {
    json!({ "event": "refused", "status": status.as_u16(), "headers": json::headers(headers) })
}

fn ended(end: &SessionEnd, failure: Option<&Failure>) -> Value {
    let mut line = match end {
        SessionEnd::ClosedByPeer { code, reason } => {
            json!({ "event": "closed", "by": "peer", "code": code, "reason": reason })
        }
        SessionEnd::ClosedLocally { code, reason } => {
            json!({ "event": "closed", "by": "us", "code": code, "reason": reason })
        }
        end => json!({ "event": "failed", "error": end.to_string() }),
    };
    if let (Some(failure), Some(object)) = (failure, line.as_object_mut()) {
        object.insert("error".into(), failure.to_string().into());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_who_ended_the_session() {
        let by_peer = SessionEnd::ClosedByPeer { code: 7, reason: "bye".into() };
        assert_eq!(ended(&by_peer, None), json!({ "event": "closed", "by": "peer", "code": 7, "reason": "bye" }));
        let by_us = SessionEnd::ClosedLocally { code: 0, reason: String::new() };
        let failure = Failure::new("the peer reset the stream");
        let line = ended(&by_us, Some(&failure));
        assert_eq!((&line["by"], &line["error"]), (&json!("us"), &json!("the peer reset the stream")));
        assert_eq!(ended(&SessionEnd::AnswerTimedOut, None)["event"], "failed");
    }

    #[test]
    fn a_refusal_has_status_and_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-refused", http::HeaderValue::from_static("yes"));
        let expected = json!({ "event": "refused", "status": 403, "headers": { "x-refused": "yes" } });
        assert_eq!(refused(StatusCode::FORBIDDEN, &headers), expected);
    }
}
