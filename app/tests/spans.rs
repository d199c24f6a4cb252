//! The tracing span of each request. One test, since the subscriber is the whole process's.

#![cfg(feature = "tokio")]

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Running, within};
use tracing_subscriber::fmt::format::FmtSpan;
use transom::{AllowOrigins, ServerApp, Session, SessionRequest, StatusCode};

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn all(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }

    /// Waits for a line with all these words.
    async fn with(&self, words: &[&str]) -> String {
        within(async {
            loop {
                if let Some(line) = self.all().into_iter().find(|line| words.iter().all(|word| line.contains(word))) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn requests_leave_their_traces() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_env_filter("transom=debug")
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .init();
    let app = ServerApp::new()
        .protocols(["v1"])
        .middleware(AllowOrigins::any())
        .authenticate("/private", async |_, ()| Err::<(), _>(StatusCode::UNAUTHORIZED))
        .route("/rooms/{room}", async |session: Session| session.close(0, ""))
        .route("/private", async |_: Session| {})
        .route("/asks", async |request: SessionRequest| request.reject(StatusCode::GONE));
    let running = Running::start(app);
    let client = running.client().header("origin", "https://a.example").protocol("v1");
    let session = within(client.connect(&running.url("/rooms/a%0ab"))).await.unwrap();
    within(session.closed()).await;
    let line = lines.with(&["close", "/rooms/"]).await;
    for field in [
        "session{peer=127.0.0.1:",
        "path=\"/rooms/a%0ab\"",
        "origin=\"https://a.example\"",
        "route=\"/rooms/{room}\"",
        "status=200",
        "subprotocol=\"v1\"",
        "duration_ms=",
    ] {
        assert!(line.contains(field), "{field} in {line}");
    }
    for (path, status) in [("/none", 404), ("/private", 401), ("/asks", 410)] {
        assert!(within(running.client().connect(&running.url(path))).await.is_err());
        let line = lines.with(&["close", &format!("path=\"{path}\"")]).await;
        assert!(line.contains(&format!("status={status}")), "{line}");
        assert_eq!(line.contains("route="), status != 404, "{line}");
        let event = lines.with(&["session refused", &format!("path=\"{path}\"")]).await;
        assert!(event.contains("session{peer="), "events stand in the span: {event}");
    }
}
