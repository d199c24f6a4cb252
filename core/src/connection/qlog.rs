//! What a connection writes to its log, beside QUIC's own events.

#[cfg(feature = "qlog")]
use std::fmt::Write as _;
#[cfg(feature = "qlog")]
use std::io::Write as _;
use std::time::Instant;

use crate::{Request, Response, SessionEnd, SessionId, StreamId};

/// The log of one connection; without the feature, or where nobody wants one, it writes nothing.
#[derive(Default)]
pub(crate) struct Qlog {
    #[cfg(feature = "qlog")]
    log: Option<Log>,
}

/// Something worth a line.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "qlog"), expect(dead_code, reason = "nobody reads it without the feature"))]
pub(crate) enum Entry<'a> {
    Requested(&'a Request),
    Established(Option<&'a Response>),
    Refused(&'a Response),
    Ended(&'a SessionEnd),
    Opened(StreamId),
}

#[cfg(feature = "qlog")]
struct Log {
    writer: crate::qlog::SharedWriter,
    began: Instant,
}

impl Qlog {
    /// A log that QUIC writes to as well, with times counted from `began`.
    #[cfg(feature = "qlog")]
    pub(crate) fn new(writer: crate::qlog::SharedWriter, began: Instant) -> Self {
        Self { log: Some(Log { writer, began }) }
    }

    /// Writes what happens to a session. What commands do has the newest time that is known.
    #[cfg_attr(not(feature = "qlog"), expect(clippy::unused_self, reason = "it has no log without the feature"))]
    pub(crate) fn write(&mut self, now: Instant, session: SessionId, entry: Entry<'_>) {
        #[cfg(feature = "qlog")]
        if let Some(log) = &mut self.log {
            let line = line(now.saturating_duration_since(log.began), session, entry);
            // A log that cannot be written is not worth a connection.
            let _ = log.writer.write_all(line.as_bytes());
        }
        #[cfg(not(feature = "qlog"))]
        let _ = (now, session, entry);
    }
}

/// One record of a JSON text sequence (RFC 7464).
#[cfg(feature = "qlog")]
fn line(after: std::time::Duration, session: SessionId, entry: Entry<'_>) -> String {
    let milliseconds = after.as_secs_f64() * 1_000.0;
    let mut line = format!("\u{1e}{{\"time\":{milliseconds},\"name\":\"webtransport:{}\",\"data\":{{", entry.name());
    // Writing to a text does not fail.
    let _ = write!(line, "\"session_id\":{}", session.0);
    let mut field = |name: &str, value: &str| {
        let _ = write!(line, ",\"{name}\":");
        quote(value, &mut line);
    };
    match entry {
        Entry::Requested(request) => {
            field("authority", request.authority());
            field("path", request.path());
            field("dialect", &format!("{:?}", request.dialect()));
        }
        Entry::Established(response) => {
            if let Some(protocol) = response.and_then(Response::protocol) {
                field("subprotocol", protocol);
            }
        }
        Entry::Refused(response) => {
            let _ = write!(line, ",\"status\":{}", response.status().as_u16());
        }
        Entry::Ended(end) => {
            if let SessionEnd::ClosedByPeer { code, reason } | SessionEnd::ClosedLocally { code, reason } = end {
                field("reason", reason);
                let _ = write!(line, ",\"code\":{code}");
            }
            let by = match end {
                SessionEnd::ClosedByPeer { .. } | SessionEnd::Aborted { .. } => "remote",
                SessionEnd::ConnectionLost(_) => "connection",
                _ => "local",
            };
            let _ = write!(line, ",\"owner\":\"{by}\"");
            if !matches!(end, SessionEnd::ClosedByPeer { .. } | SessionEnd::ClosedLocally { .. }) {
                let _ = write!(line, ",\"error\":");
                quote(&end.to_string(), &mut line);
            }
        }
        Entry::Opened(stream) => {
            let _ = write!(line, ",\"stream_id\":{}", stream.0);
        }
    }
    line += "}}\n";
    line
}

#[cfg(feature = "qlog")]
impl Entry<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Requested(_) => "session_requested",
            Self::Established(_) => "session_established",
            Self::Refused(_) => "session_refused",
            Self::Ended(_) => "session_ended",
            Self::Opened(_) => "stream_opened",
        }
    }
}

/// Text as JSON has it (RFC 8259, section 7).
#[cfg(feature = "qlog")]
fn quote(text: &str, line: &mut String) {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => line.extend(['\\', letter]),
            letter if letter < ' ' => _ = write!(line, "\\u{:04x}", u32::from(letter)),
            letter => line.push(letter),
        }
    }
    line.push('"');
}

#[cfg(all(test, feature = "qlog"))]
mod tests {
    use super::*;
    use std::time::Duration;

    fn record(entry: Entry<'_>) -> String {
        let line = line(Duration::from_micros(1_500), SessionId(4), entry);
        let inside = line.strip_prefix('\u{1e}').and_then(|line| line.strip_suffix('\n')).expect("one record");
        assert!(!inside.contains(['\u{1e}', '\n']), "{inside}");
        inside.to_owned()
    }

    #[test]
    fn records() {
        let request = Request::new("h:1", "/a\"b?query");
        assert_eq!(
            record(Entry::Requested(&request)),
            "{\"time\":1.5,\"name\":\"webtransport:session_requested\",\"data\":{\"session_id\":4,\"authority\":\"h:1\",\
             \"path\":\"/a\\\"b\",\"dialect\":\"Draft15\"}}"
                .replace("Draft15", &format!("{:?}", request.dialect()))
        );
        assert!(record(Entry::Opened(StreamId(8))).ends_with("{\"session_id\":4,\"stream_id\":8}}"));
        let end = SessionEnd::ClosedByPeer { code: 7, reason: String::from("line\nbreak \\ \u{1e}") };
        assert!(
            record(Entry::Ended(&end))
                .ends_with("\"reason\":\"line\\u000abreak \\\\ \\u001e\",\"code\":7,\"owner\":\"remote\"}}")
        );
        let refused = record(Entry::Refused(&Response::new(http::StatusCode::FORBIDDEN)));
        assert!(refused.ends_with("\"status\":403}}"), "{refused}");
        assert!(record(Entry::Ended(&SessionEnd::NotProcessed)).contains("\"error\":\"the server did not"));
    }
}
