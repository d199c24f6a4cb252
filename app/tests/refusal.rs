//! Requests that do not become sessions, and what handlers get from those that do.

#[macro_use]
mod common;

use std::time::Duration;

use common::{Running, echo, sleep, within, yield_now};
use tokio::sync::watch;
use transom::{
    AllowOrigins, Arrival, Client, ClientError, ConnectionError, Decision, ErrorCode, Events, FromRequest, HeaderName,
    HeaderValue, Middleware, Params, Path, Query, Rejection, Request, ServerApp, ServerEvent, Session, SessionEnd,
    SessionError, SessionRequest, State, StatefulMiddleware, StatusCode, Tls,
};

/// The status of a refusal, and one of its header fields.
async fn refused(running: &Running, path: &str) -> (u16, Option<String>) {
    match within(running.client().connect(&running.url(path))).await {
        Err(ClientError::Refused { status, headers }) => {
            let detail = headers.get("x-detail").map(|value| value.to_str().unwrap().to_owned());
            (status.as_u16(), detail)
        }
        other => panic!("not refused: {other:?}"),
    }
}

async fn what_is_not_there() {
    async fn room(_: Session, _: Path<u8>) {}
    let running = Running::start(ServerApp::new().route("/echo", echo).route("/rooms/{room}", room));
    for path in ["/", "/elsewhere", "/echo/", "/rooms/blue", "/rooms/256", "/rooms"] {
        assert_eq!(refused(&running, path).await, (404, None), "{path}");
    }
    let session = running.session("/echo?query").await;
    drop(session);
}

async fn expressions_are_routes_too() {
    async fn year(session: Session, Path(year): Path<u16>) {
        session.close(u32::from(year), "");
    }
    let running = Running::start(ServerApp::new().route("/1999", echo).pattern_route(r"/(?P<year>\d{4})", year));
    let session = within(running.client().connect(&running.url("/2026"))).await.unwrap();
    let end = within(session.closed()).await;
    assert!(matches!(end, transom::SessionEnd::ClosedByPeer { code: 2026, .. }), "{end:?}");
    assert_eq!(refused(&running, "/20266").await.0, 404);
}

async fn middleware_refuses_with_status_and_headers() {
    let quota = |request: &Request, _: std::time::Instant| {
        if request.headers().contains_key("x-paid") {
            return Decision::Continue;
        }
        let detail = (HeaderName::from_static("x-detail"), HeaderValue::from_static("no money"));
        Decision::Reject(Rejection::new(StatusCode::PAYMENT_REQUIRED).header(detail.0, detail.1))
    };
    let running = Running::start(ServerApp::new().middleware(quota).route("/echo", echo));
    assert_eq!(refused(&running, "/echo").await, (402, Some(String::from("no money"))));
    assert_eq!(refused(&running, "/elsewhere").await.0, 402, "middleware comes first");
    let paid = running.client().header("x-paid", "yes");
    drop(within(paid.connect(&running.url("/echo"))).await.unwrap());
}

async fn origins() {
    let app = ServerApp::new().middleware(AllowOrigins::only(["https://chat.example"])).route("/echo", echo);
    let running = Running::start(app);
    let with = |origin: &'static str| running.client().header("origin", origin);
    drop(within(with("https://chat.example").connect(&running.url("/echo"))).await.unwrap());
    let denied = within(with("https://evil.example").connect(&running.url("/echo"))).await;
    assert!(matches!(denied, Err(ClientError::Refused { status: StatusCode::FORBIDDEN, .. })), "{denied:?}");
}

async fn pages_are_refused_unless_somebody_judges_them() {
    let events = Events::new(10);
    let pages = ServerApp::new().middleware(AllowOrigins::only(["https://chat.example"])).route("/chat", echo);
    let everybody = ServerApp::new().stateful_middleware(AnyPage).route("/public", echo);
    let app = ServerApp::new().events(&events).route("/native", echo).nest("/pages", pages).nest("/any", everybody);
    let running = Running::launch(app).await;
    let connect = async |path: &str, origin: Option<&'static str>| {
        let client = origin.into_iter().fold(running.client(), |client, origin| client.header("origin", origin));
        match within(client.connect(&running.url(path))).await {
            Ok(session) => {
                session.close(0, "");
                200
            }
            Err(ClientError::Refused { status, .. }) => status.as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(connect("/native", Some("https://chat.example")).await, 403);
    let Some(ServerEvent::SessionRefused { reason: Some(reason), .. }) = within(events.next()).await else {
        panic!("nothing is said")
    };
    assert!(reason.contains("AllowOrigins::only"), "{reason}");
    let own = running.url("");
    let own = running.client().header("origin", own.as_str());
    assert!(
        within(own.connect(&running.url("/native"))).await.is_err(),
        "the server's own name is an origin like others"
    );
    for (path, origin, status) in [
        ("/native", None, 200),
        ("/pages/chat", None, 200),
        ("/pages/chat", Some("https://chat.example"), 200),
        ("/pages/chat", Some("https://evil.example"), 403),
        ("/any/public", Some("https://evil.example"), 200),
        ("/any/public", Some("null"), 200),
        ("/nowhere", Some("https://chat.example"), 403),
        ("/nowhere", None, 404),
    ] {
        assert_eq!(connect(path, origin).await, status, "{path} {origin:?}");
    }
}

/// Says that it has looked at the page, and lets it in.
struct AnyPage;

impl Middleware for AnyPage {
    fn decide(&self, _: &Arrival<'_>) -> Decision {
        Decision::Continue
    }

    fn judges_origin(&self) -> bool {
        true
    }
}

impl StatefulMiddleware for AnyPage {}

async fn a_panic_while_deciding_is_a_500_and_no_more() {
    struct Panics;
    impl<S> FromRequest<S> for Panics {
        fn from_request(_: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
            std::panic::resume_unwind(Box::new("expected by the test"))
        }
    }
    async fn never(_: Session, _: Panics) {}
    let running = Running::start(ServerApp::new().route("/panic", never).route("/echo", echo));
    assert_eq!(refused(&running, "/panic").await.0, 500);
    drop(running.session("/echo").await);
}

async fn handlers_get_what_they_ask_for() {
    async fn tell(
        session: Session,
        Path(room): Path<String>,
        query: Query,
        State(motd): State<String>,
    ) -> Result<(), SessionError> {
        let header = session.request().headers().get("x-name").unwrap().to_str().unwrap().to_owned();
        let text = format!("{room} {} {motd} {header}", query.get("a").unwrap_or("-"));
        let mut stream = session.open_uni().await?;
        stream.write_all(text.as_bytes()).await?;
        stream.finish()?;
        session.closed().await;
        Ok(())
    }
    let running = Running::start(ServerApp::with_state(String::from("motd")).route("/rooms/{room}", tell));
    let client = running.client().header("x-name", "me");
    let session = within(client.connect(&running.url("/rooms/caf%C3%A9?a=b%20c"))).await.unwrap();
    let mut stream = within(session.accept_uni()).await.unwrap().unwrap();
    assert_eq!(within(stream.read_to_end(100)).await.unwrap(), "café b c motd me");
}

async fn a_subprotocol_is_chosen() {
    async fn tell(session: Session) -> Result<(), SessionError> {
        let mut stream = session.open_uni().await?;
        stream.write_all(session.protocol().unwrap_or("none").as_bytes()).await?;
        stream.finish()?;
        session.closed().await;
        Ok(())
    }
    let running = Running::start(ServerApp::new().protocols(["v1", "v2"]).route("/", tell));
    for (offered, chosen) in [(vec!["v3", "v2", "v1"], Some("v2")), (vec!["v9"], None), (vec![], None)] {
        let client = offered.iter().fold(running.client(), |client, name| client.protocol(*name));
        let session = within(client.connect(&running.url("/"))).await.unwrap();
        assert_eq!(session.protocol(), chosen, "{offered:?}");
        let mut stream = within(session.accept_uni()).await.unwrap().unwrap();
        assert_eq!(within(stream.read_to_end(10)).await.unwrap(), chosen.unwrap_or("none"), "{offered:?}");
    }
    let needs = |protocol| running.client().protocol(protocol).require_protocol();
    let session = within(needs("v1").connect(&running.url("/"))).await.unwrap();
    assert_eq!(session.protocol(), Some("v1"));
    let error = within(needs("v9").connect(&running.url("/"))).await.unwrap_err();
    let without = SessionEnd::PeerMisbehaved { code: ErrorCode::WT_ALPN_ERROR };
    assert!(matches!(&error, ClientError::Session(end) if *end == without), "{error:?}");
}

async fn a_server_that_is_not_trusted() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let wrong = Client::builder().certificate_hash([0; 32]);
    let error = within(wrong.connect(&running.url("/echo"))).await.unwrap_err();
    assert!(matches!(error, ClientError::Connection(ConnectionError::Transport { .. })), "{error:?}");
    let anybody = Client::builder().danger_accept_any_certificate();
    drop(within(anybody.connect(&running.url("/echo"))).await.unwrap());
}

async fn a_server_known_by_its_authority() {
    let tls = Tls::self_signed(["localhost", "127.0.0.1"]).unwrap();
    let pem = tls.certificate_pem();
    let server = ServerApp::new().route("/echo", echo).bind("127.0.0.1:0", tls).start().unwrap();
    let port = server.local_addrs()[0].port();
    let client = Client::builder().certificate_authority_pem(pem);
    // rustls takes an authority's own certificate for a server's only with care; what counts is that names are looked at.
    let by_other_name = client.clone().address(server.local_addrs()[0]);
    let error = within(by_other_name.connect(&format!("https://other.example:{port}/echo"))).await.unwrap_err();
    assert!(matches!(error, ClientError::Connection(ConnectionError::Transport { .. })), "{error:?}");
}

async fn names_are_resolved_and_all_addresses_tried() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    // The server has no IPv6 address, and the name may mean one first.
    let url = format!("https://localhost:{}/echo", running.address.port());
    drop(within(running.client().connect(&url)).await.unwrap());
    let nowhere = within(running.client().connect("https://no-such-name.invalid/")).await;
    assert!(matches!(nowhere, Err(ClientError::Resolve(_))), "{nowhere:?}");
}

async fn nobody_answers() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let client = Client::builder().danger_accept_any_certificate().timeout(Duration::from_millis(200));
    assert!(matches!(within(client.connect(&url)).await, Err(ClientError::TimedOut)));
}

async fn a_connect_that_is_given_up_leaves_nothing_behind() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let url = running.url("/echo");
    for polls in 0..20 {
        let client = running.client();
        let mut connecting = Box::pin(client.connect(&url));
        for _ in 0..polls {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            if std::future::Future::poll(connecting.as_mut(), &mut context).is_ready() {
                break;
            }
            yield_now().await;
        }
        drop(connecting);
    }
    within(async {
        while running.server.stats().connections_open > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn a_request_may_be_gone_before_it_is_answered() {
    async fn late(request: SessionRequest, State(mut gate): State<watch::Receiver<bool>>) {
        gate.wait_for(|open| *open).await.unwrap();
        assert!(request.accept().is_err(), "the client has left");
    }
    let (open, gate) = watch::channel(false);
    let running = Running::start(ServerApp::with_state(gate).route("/", late));
    let client = running.client().timeout(Duration::from_millis(300));
    assert!(matches!(within(client.connect(&running.url("/"))).await, Err(ClientError::TimedOut)));
    within(async {
        while running.server.stats().connections_open > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    open.send(true).unwrap();
    // The server is there for the next one.
    running.server.handle().shutdown(Duration::from_secs(3600));
    within(running.server.wait()).await.unwrap();
}

on_each_runtime! {
    what_is_not_there,
    expressions_are_routes_too,
    middleware_refuses_with_status_and_headers,
    origins,
    pages_are_refused_unless_somebody_judges_them,
    a_panic_while_deciding_is_a_500_and_no_more,
    handlers_get_what_they_ask_for,
    a_subprotocol_is_chosen,
    a_server_that_is_not_trusted,
    a_server_known_by_its_authority,
    names_are_resolved_and_all_addresses_tried,
    nobody_answers,
    a_connect_that_is_given_up_leaves_nothing_behind,
    a_request_may_be_gone_before_it_is_answered,
}
