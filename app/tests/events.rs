//! What a server tells of handlers that fail and of its certificate, what it counts for its routes, and what keeps it from
//! starting.

#[macro_use]
mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{Running, within};
use transom::{
    CloseCode, Events, FromRequest, HandlerFailure, Identity, IdentityType, Params, Parts, Rejection, Request,
    ServeError, ServerApp, ServerEvent, Session, SessionRequest, StatusCode, Tls,
};

/// The next event that is about a handler: its route, path and failure.
async fn next_failure(events: &Events) -> (String, String, HandlerFailure) {
    loop {
        match within(events.next()).await.expect("the server is there") {
            ServerEvent::HandlerFailed { route, path, remote, failure } => {
                assert!(remote.ip().is_loopback());
                return (route, path, failure);
            }
            ServerEvent::Missed(count) => panic!("{count} events too many"),
            _ => {}
        }
    }
}

async fn handlers_that_fail_are_told() {
    async fn code(_: Session) -> Result<(), CloseCode> {
        Err(CloseCode::new(42, "the room is full"))
    }
    async fn panics(_: Session) {
        std::panic::resume_unwind(Box::new("expected by the test"));
    }
    async fn asks(_: SessionRequest) {
        std::panic::resume_unwind(Box::new("expected before an answer"));
    }
    async fn until_it_ends(session: Session) -> Result<(), transom::SessionError> {
        while session.accept_bi().await?.is_some() {}
        Err(session.closed().await.into())
    }
    let events = Events::new(100);
    let app = ServerApp::new()
        .events(&events)
        .route("/code/{number}", code)
        .route("/panics", panics)
        .route("/asks", asks)
        .route("/well", until_it_ends);
    let running = Running::start(app);
    // One whose session ended under it has not failed.
    let session = running.session("/well").await;
    session.close(3, "enough");
    let session = running.session("/code/7?query").await;
    within(session.closed()).await;
    let failure = HandlerFailure::Error { code: 42, reason: String::from("the room is full") };
    let expected = (String::from("/code/{number}"), String::from("/code/7"), failure);
    assert_eq!(next_failure(&events).await, expected);
    let session = running.session("/panics").await;
    within(session.closed()).await;
    let failure = HandlerFailure::Panic(String::from("expected by the test"));
    assert_eq!(next_failure(&events).await, (String::from("/panics"), String::from("/panics"), failure));
    within(running.client().connect(&running.url("/asks"))).await.unwrap_err();
    let failure = HandlerFailure::Panic(String::from("expected before an answer"));
    assert_eq!(next_failure(&events).await.2, failure);
    assert_eq!(running.server.handle().diagnostics().failed_handlers, 3);
}

async fn certificate_events(events: &Events) -> ServerEvent {
    let event = within(events.next()).await.expect("the server is there");
    assert!(matches!(event, ServerEvent::CertificateChanged(_) | ServerEvent::CertificateFailed(_)), "{event:?}");
    event
}

async fn another_certificate_is_told_whoever_changes_it() {
    let fresh = || Tls::self_signed(["localhost"]).unwrap();
    let (tls, events) = (fresh(), Events::new(10));
    let start = |events: &Events| ServerApp::new().events(events).bind("127.0.0.1:0", tls.clone()).start().unwrap();
    let other_events = Events::new(10);
    let (server, other) = (start(&events), start(&other_events));
    let (second, third, fourth) = (fresh(), fresh(), fresh());
    tls.replace(&second);
    // The same again is no change.
    tls.replace(&second);
    assert_eq!(certificate_events(&events).await, ServerEvent::CertificateChanged(second.certificate_sha256()));
    assert_eq!(certificate_events(&other_events).await, ServerEvent::CertificateChanged(second.certificate_sha256()));
    server.handle().set_tls(&third).unwrap();
    assert_eq!(certificate_events(&events).await, ServerEvent::CertificateChanged(third.certificate_sha256()));
    let fifth = fresh();
    tls.replace(&fifth);
    // That is the other server's only.
    assert_eq!(certificate_events(&other_events).await, ServerEvent::CertificateChanged(fifth.certificate_sha256()));
    third.replace(&fourth);
    assert_eq!(certificate_events(&events).await, ServerEvent::CertificateChanged(fourth.certificate_sha256()));
    other.handle().close_now();
    drop(other);
    assert_eq!(within(other_events.next()).await, None, "a certificate keeps no server");
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn files_that_cannot_be_used_are_told_once() {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("transom-events-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let folder = Folder(folder);
    let (cert, key) = (folder.0.join("cert.pem"), folder.0.join("key.pem"));
    let write = |tls: &Tls| {
        std::fs::write(&cert, tls.certificate_pem()).unwrap();
        std::fs::write(&key, tls.key_pem()).unwrap();
    };
    let (other_cert, other_key) = (folder.0.join("other-cert.pem"), folder.0.join("other-key.pem"));
    write(&Tls::self_signed(["localhost"]).unwrap());
    std::fs::copy(&cert, &other_cert).unwrap();
    std::fs::copy(&key, &other_key).unwrap();
    let tls = Tls::from_pem(&cert, &key).unwrap().watch(Duration::from_millis(5));
    let events = Events::new(10);
    let server = ServerApp::new().events(&events).bind("127.0.0.1:0", tls).start().unwrap();
    std::fs::write(&key, "nonsense").unwrap();
    let ServerEvent::CertificateFailed(problem) = certificate_events(&events).await else { panic!("no failure") };
    assert!(problem.contains("key.pem"), "{problem}");
    common::sleep(Duration::from_millis(50)).await;
    std::fs::remove_file(&key).unwrap();
    let ServerEvent::CertificateFailed(other) = certificate_events(&events).await else { panic!("no failure") };
    assert_ne!(other, problem, "the same is told once");
    // One that is used later is watched as well, and this one no more.
    let tls = Tls::from_pem(&other_cert, &other_key).unwrap().watch(Duration::from_millis(5));
    server.handle().set_tls(&tls).unwrap();
    assert_eq!(certificate_events(&events).await, ServerEvent::CertificateChanged(tls.certificate_sha256()));
    write(&Tls::self_signed(["localhost"]).unwrap());
    std::fs::write(&other_key, "nonsense").unwrap();
    let ServerEvent::CertificateFailed(problem) = certificate_events(&events).await else { panic!("no failure") };
    assert!(problem.contains("other-key.pem"), "{problem}");
}

async fn routes_are_counted() {
    let rooms = ServerApp::new().route("/{room}", async |session: Session| session.close(0, ""));
    let app = ServerApp::new()
        .middleware(|request: &Request, _: std::time::Instant| match request.query() {
            Some("no") => transom::Decision::Reject(StatusCode::CONFLICT.into()),
            _ => transom::Decision::Continue,
        })
        .nest("/rooms", rooms)
        .pattern_route(r"/\d+", async |_: Session| {})
        .route("/never", async |_: Session| {});
    let running = Running::start(app);
    for (path, good) in [("/rooms/1", true), ("/rooms/2", true), ("/rooms/2?no", false), ("/7", true), ("/x", false)] {
        assert_eq!(within(running.client().connect(&running.url(path))).await.is_ok(), good, "{path}");
    }
    let handle = running.server.handle();
    let now = handle.diagnostics();
    let routes: Vec<_> = now.routes.iter().map(|route| (route.pattern.as_str(), route.hits)).collect();
    assert_eq!(routes, [("/\\d+", 1), ("/never", 0), ("/rooms/{room}", 3)]);
    assert_eq!(now.routes_missed, 1);
}

/// An argument of one's own that needs an identity.
struct Admin;

impl<S> FromRequest<S> for Admin {
    fn from_request(_: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        Err(StatusCode::FORBIDDEN.into())
    }

    fn from_parts(parts: &Parts<'_>, _: &S) -> Result<Self, Rejection> {
        parts.identity::<bool>().filter(|is_admin| **is_admin).map(|_| Self).ok_or(StatusCode::FORBIDDEN.into())
    }

    fn identity() -> Option<IdentityType> {
        Some(IdentityType::of::<bool>())
    }
}

async fn identities_that_nobody_gives_keep_a_server_from_starting() {
    async fn number(_: Arc<Request>, (): ()) -> Result<u8, StatusCode> {
        Ok(7)
    }
    async fn truth(_: Arc<Request>, (): ()) -> Result<bool, StatusCode> {
        Ok(true)
    }
    async fn wants(_: Session, _: Identity<u8>) {}
    async fn admin(_: Session, _: Params, _: Admin) {}
    let app = || ServerApp::new().route("/a/{x}", wants);
    for (name, app, starts) in [
        ("nobody", app(), false),
        ("elsewhere", app().authenticate("/b/*", number), false),
        ("another type", app().authenticate("/a/*", truth), false),
        ("below", app().authenticate("/a/*", number), true),
        ("some paths", app().authenticate("/a/1", number), true),
        ("two, one without", app().authenticate("/a/*", number).route("/b", wants), false),
        ("an argument of one's own", ServerApp::new().route("/", admin), false),
        ("and with it", ServerApp::new().route("/", admin).authenticate("/*", truth), true),
        ("by expression", ServerApp::new().pattern_route("/.", wants).authenticate("/x", number), true),
        ("by expression, nobody", ServerApp::new().pattern_route("/.", wants).authenticate("/x", truth), false),
        ("the rest", ServerApp::new().default_route(wants), false),
        ("nested", ServerApp::new().nest("/in", app().authenticate("/*", number)), true),
        ("nested elsewhere", ServerApp::new().nest("/in", app()).authenticate("/a/*", number), false),
    ] {
        let tls = Tls::self_signed(["localhost"]).unwrap();
        match within(app.bind("127.0.0.1:0", tls).launch()).await {
            Ok(_server) => assert!(starts, "{name}"),
            Err(error) => {
                assert!(!starts && matches!(error, ServeError::NoIdentity { .. }), "{name}: {error}");
                assert!(error.to_string().contains("ServerApp::authenticate"), "{error}");
            }
        }
    }
}

on_each_runtime! {
    handlers_that_fail_are_told,
    another_certificate_is_told_whoever_changes_it,
    files_that_cannot_be_used_are_told_once,
    routes_are_counted,
    identities_that_nobody_gives_keep_a_server_from_starting,
}
