//! What a server tells about itself: snapshots, events, and answers to probes and scrapers.

#![cfg(feature = "tokio")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::{Running, echo, within};
use transom::{
    Events, Issue, ServeError, Server, ServerApp, ServerEvent, ServerState, Session, SessionEnd, StatusCode,
    Thresholds, Tls,
};

async fn stay(session: Session) {
    session.closed().await;
}

/// Status line and body of an answer to raw bytes.
async fn ask(address: SocketAddr, request: &'static [u8]) -> (String, String) {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = within(asked).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    assert!(head.to_lowercase().contains(&format!("content-length: {}", body.len())), "{head}");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

fn with_desk() -> (Server, SocketAddr, Tls) {
    let tls = Tls::self_signed(["localhost"]).unwrap();
    let app = ServerApp::new().route("/echo", echo).route("/stay", stay);
    let server = app.bind("127.0.0.1:0", tls.clone()).operations_on("127.0.0.1:0").start().unwrap();
    let desk = server.operations_addrs()[0];
    (server, desk, tls)
}

async fn connect(server: &Server, tls: &Tls, path: &str) -> Session {
    let client = transom::Client::builder().certificate_hash(tls.certificate_sha256());
    within(client.connect(&format!("https://{}{path}", server.local_addrs()[0]))).await.unwrap()
}

#[tokio::test]
async fn a_snapshot_shows_connections_and_sessions() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    within(stream.send.write_all(b"hello")).await.unwrap();
    stream.send.finish().unwrap();
    within(stream.recv.read_to_end(10)).await.unwrap();

    let shown = running.server.handle().diagnostics();
    assert_eq!(shown.state, ServerState::Serving);
    assert_eq!(shown.addresses, running.server.local_addrs());
    assert_eq!((shown.counters.sessions_open, shown.running_handlers, shown.sessions_left_out), (1, 1, 0));
    let connection = &shown.connections[0];
    assert!(connection.packets_sent > 0 && connection.rtt_ms > 0.0);
    assert!(connection.dialect.is_some());
    let session = &connection.sessions[0];
    assert_eq!((session.path.as_str(), session.stats.bytes_read, session.stats.bytes_written), ("/echo", 5, 5));
    assert_eq!(shown.certificate.sha256[0].len(), 64);
    assert!(shown.certificate.valid_from.unwrap() < shown.taken_at);
    assert_eq!(shown.issues(&Thresholds::default()), []);

    running.server.handle().shutdown(Duration::from_secs(10));
    let shown = running.server.handle().diagnostics();
    assert_eq!(shown.issues(&Thresholds::default()), [Issue::NotServing { state: ServerState::Draining }]);
    running.server.handle().close_now();
    within(running.server.wait()).await.unwrap();
    assert_eq!(running.server.handle().diagnostics().state, ServerState::Stopped);
}

#[tokio::test]
async fn probes_and_scrapers_are_answered_over_tcp() {
    let (server, desk, tls) = with_desk();
    let session = connect(&server, &tls, "/stay").await;
    assert_eq!(ask(desk, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await, ("HTTP/1.1 200 OK".into(), "ok\n".into()));
    assert_eq!(ask(desk, b"GET /readyz?a HTTP/1.0\r\n\r\n").await.0, "HTTP/1.1 200 OK");
    let (status, metrics) = ask(desk, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(metrics.contains("\ntransom_sessions 1\n") && metrics.contains("\ntransom_ready 1\n"), "{metrics}");
    for (request, status) in [
        (&b"GET /elsewhere HTTP/1.1\r\n\r\n"[..], "404 Not Found"),
        (b"POST /healthz HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"nonsense\r\n\r\n", "400 Bad Request"),
        (b"\xff\xff\r\n\r\n", "400 Bad Request"),
    ] {
        assert_eq!(ask(desk, request).await.0, format!("HTTP/1.1 {status}"));
    }
    // Readiness is false as soon as draining begins, while the session goes on and the server lives.
    assert!(server.handle().is_ready());
    server.handle().shutdown(Duration::from_secs(30));
    assert!(!server.handle().is_ready());
    assert_eq!(ask(desk, b"GET /readyz HTTP/1.1\r\n\r\n").await.0, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(ask(desk, b"GET /healthz HTTP/1.1\r\n\r\n").await.0, "HTTP/1.1 200 OK");
    assert!(session.end().is_none());
    session.close(0, "");
    within(server.wait()).await.unwrap();
    drop(server);
    within(async {
        while TcpStream::connect(desk).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_says_nothing_does_not_hold_up_others_for_long() {
    let (_server, desk, _) = with_desk();
    let _silent = TcpStream::connect(desk).unwrap();
    assert_eq!(ask(desk, b"GET /healthz HTTP/1.1\r\n\r\n").await.0, "HTTP/1.1 200 OK");
    let mut endless = TcpStream::connect(desk).unwrap();
    let _ = endless.write_all(&vec![b'a'; 64 * 1024]);
    assert_eq!(ask(desk, b"GET /healthz HTTP/1.1\r\n\r\n").await.0, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_tcp_port_in_use_is_said_with_its_address() {
    let (_server, desk, tls) = with_desk();
    let error = ServerApp::new().bind("127.0.0.1:0", tls).operations_on(desk).start().unwrap_err();
    assert!(matches!(&error, ServeError::Bind { address, .. } if *address == desk), "{error}");
}

#[tokio::test]
async fn events_tell_what_happens() {
    let events = Events::new(10);
    let running = Running::start(ServerApp::new().route("/stay", stay).events(&events));
    let session = running.session("/stay").await;
    let Some(ServerEvent::SessionOpened(opened)) = within(events.next()).await else { panic!("no session") };
    assert_eq!(opened.request().path(), "/stay");
    within(running.client().connect(&running.url("/elsewhere"))).await.unwrap_err();
    let Some(ServerEvent::SessionRefused { path, remote, status, .. }) = within(events.next()).await else {
        panic!("nobody was refused")
    };
    assert_eq!((path.as_str(), status), ("/elsewhere", StatusCode::NOT_FOUND));
    assert!(remote.ip().is_loopback());
    session.close(9, "done");
    let end = SessionEnd::ClosedByPeer { code: 9, reason: String::from("done") };
    assert_eq!(within(events.next()).await, Some(ServerEvent::SessionEnded(opened, end)));
    running.server.handle().close_now();
    drop(running);
    assert_eq!(within(events.next()).await, None, "the server is gone");
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn a_snapshot_can_be_serialised() {
    let running = Running::start(ServerApp::new().route("/stay", stay));
    let _session = running.session("/stay").await;
    let shown = running.server.handle().diagnostics();
    let json = serde_json::to_value(&shown).unwrap();
    assert_eq!(json["state"], "serving");
    assert_eq!(json["counters"]["sessions_open"], 1);
    assert_eq!(json["connections"][0]["sessions"][0]["path"], "/stay");
    let issue = Issue::ConnectionsNearLimit { open: 1, limit: 1 };
    let issue = serde_json::to_value(issue).unwrap();
    assert_eq!(issue["issue"], "connections_near_limit");
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn the_metrics_facade_is_told() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let running = Running::start(ServerApp::new().route("/stay", stay));
    let _session = running.session("/stay").await;
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        running.server.handle().diagnostics().record_metrics(&[("server", "public")]);
    });
    let figures = snapshots.snapshot().into_vec();
    let value = |name: &str| {
        let found = figures.iter().find(|(key, ..)| key.key().name() == name);
        let (key, _, _, value) = found.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(key.key().labels().next().map(metrics::Label::value), Some("public"));
        value
    };
    assert_eq!(*value("transom_sessions_accepted_total"), DebugValue::Counter(1));
    assert_eq!(*value("transom_sessions"), DebugValue::Gauge(1.0.into()));
    assert_eq!(*value("transom_route_requests_total"), DebugValue::Counter(1));
}
