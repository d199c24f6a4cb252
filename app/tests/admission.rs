//! Who gets in: limits, authentication, nested routes, and what handlers learn of it.

#[macro_use]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Running, echo, sleep, within, yield_now};
use tokio::sync::watch;
use transom::{
    AllowOrigins, ClientBuilder, ClientError, Decision, HeaderMap, HeaderName, HeaderRules, HeaderValue, Identity,
    Origin, Params, Path, PeerAddress, RateLimit, Request, ServerApp, Session, SessionError, SessionLimit,
    SessionRequest, State, StatusCode, Subprotocol,
};

async fn status(client: ClientBuilder, url: &str) -> (u16, HeaderMap) {
    match within(client.connect(url)).await {
        Ok(session) => (200, session.response_headers().clone()),
        Err(ClientError::Refused { status, headers }) => (status.as_u16(), headers),
        Err(other) => panic!("neither accepted nor refused: {other:?}"),
    }
}

async fn refused(running: &Running, path: &str) -> u16 {
    status(running.client(), &running.url(path)).await.0
}

/// Sends what it has to say and waits for the end.
async fn say(session: Session, text: String) -> Result<(), SessionError> {
    let mut stream = session.open_uni().await?;
    stream.write_all(text.as_bytes()).await?;
    stream.finish()?;
    session.closed().await;
    Ok(())
}

async fn heard(session: &Session) -> String {
    let mut stream = within(session.accept_uni()).await.unwrap().unwrap();
    String::from_utf8(within(stream.read_to_end(1000)).await.unwrap().to_vec()).unwrap()
}

async fn a_rate_limit_says_how_long_to_wait() {
    let limit = RateLimit::fixed_window(2, Duration::from_secs(3600));
    let running = Running::start(ServerApp::new().middleware(limit.clone()).route("/", echo));
    for _ in 0..2 {
        drop(running.session("/").await);
    }
    let (status, headers) = status(running.client(), &running.url("/")).await;
    let seconds: u64 = headers.get("retry-after").unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!((status, seconds > 3500 && seconds <= 3600), (429, true), "{seconds}");
    assert_eq!(limit.addresses(), 1);
}

async fn a_session_counts_until_it_is_over_though_its_handler_goes_on() {
    async fn stubborn(_: Session, State(mut gate): State<watch::Receiver<bool>>) {
        gate.wait_for(|open| *open).await.unwrap();
    }
    let (open, gate) = watch::channel(false);
    let limit = SessionLimit::per_address(1);
    let app = ServerApp::with_state(gate).middleware(limit.clone()).route("/", stubborn);
    let running = Running::start(app.default_route(async |request: SessionRequest| request.reject(StatusCode::GONE)));
    let first = running.session("/").await;
    assert_eq!(refused(&running, "/").await, 429);
    first.close(0, "");
    within(async {
        while limit.open() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(refused(&running, "/refused-by-its-handler").await, 410);
    within(async {
        while limit.open() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let second = running.session("/").await;
    assert_eq!(limit.open(), 1);
    open.send(true).unwrap();
    within(second.closed()).await;
    drop(running);
}

async fn a_panicking_handler_gives_its_permit_back() {
    async fn panics(_: Session) {
        panic!("expected by the test");
    }
    let limit = SessionLimit::total(1);
    let running = Running::start(ServerApp::new().middleware(limit.clone()).route("/", panics));
    for _ in 0..3 {
        let session = running.session("/").await;
        within(session.closed()).await;
        within(async {
            while limit.open() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

async fn apps_below_a_prefix_have_middleware_of_their_own() {
    async fn room(session: Session, params: Params) -> Result<(), SessionError> {
        let text: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        say(session, text.join(" ")).await
    }
    let teapot = |request: &Request, _: std::time::Instant| match request.query() {
        Some("tea") => Decision::Reject(StatusCode::IM_A_TEAPOT.into()),
        _ => Decision::Continue,
    };
    let rooms = ServerApp::new()
        .middleware(teapot)
        .route("/", room)
        .route("/{room}", room)
        .pattern_route(r"/x(?P<n>\d)/", room);
    let app = ServerApp::new().route("/", echo).nest("/{tenant}/rooms", rooms).default_route(room);
    assert_eq!(app.routes().len(), 5);
    let running = Running::start(app);
    for (path, params) in [
        ("/me/rooms", "tenant=me"),
        ("/me/rooms/1", "tenant=me room=1"),
        ("/me/rooms/x7/", "tenant=me n=7"),
        ("/else/where?tea", ""),
    ] {
        assert_eq!(heard(&running.session(path).await).await, params, "{path}");
    }
    assert_eq!(refused(&running, "/me/rooms/1?tea").await, 418);
    assert_eq!(status(running.client(), &running.url("/?tea")).await.0, 200);
}

#[derive(Clone)]
struct User(String);

/// Knows whoever says a name, after a while, and misbehaves when told to.
async fn check(request: Arc<Request>, (): ()) -> Result<User, StatusCode> {
    yield_now().await;
    match request.headers().get("x-user").map(|name| name.to_str().unwrap()) {
        None => Err(StatusCode::UNAUTHORIZED),
        Some("panic") => panic!("expected by the test"),
        Some("silence") => std::future::pending().await,
        Some(name) => Ok(User(name.to_owned())),
    }
}

async fn authentication_comes_before_the_session() {
    async fn greet(session: Session, Identity(User(name)): Identity<User>) -> Result<(), SessionError> {
        say(session, name).await
    }
    let never = async |_: Session| assert!(std::hint::black_box(false), "nobody gets here");
    let limit = SessionLimit::total(1);
    let app = ServerApp::new()
        .middleware(limit.clone())
        .authenticate("/rooms/*", check)
        // Some paths of its route and not all, which shows only when somebody asks.
        .authenticate("/open/known", check)
        .authenticate_timeout(Duration::from_millis(50))
        .route("/rooms/{room}", greet)
        .route("/rooms/7/nobody", never)
        .route("/open/{x}", greet)
        .route("/rooms", echo);
    let running = Running::start(app);
    let by = |name: &'static str| running.client().header("x-user", name);
    for (path, name, expected) in [
        ("/rooms/1", None, 401),
        ("/r%6Foms/1", None, 401),
        ("/rooms/7/nobody", None, 401),
        ("/rooms/1", Some("panic"), 500),
        ("/rooms/1", Some("silence"), 503),
        ("/rooms/none/at/all", None, 404),
        ("/open/other", Some("me"), 500),
    ] {
        let client = name.map_or_else(|| running.client(), by);
        assert_eq!(status(client, &running.url(path)).await.0, expected, "{path} {name:?}");
        within(async {
            while limit.open() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    let session = within(by("me").connect(&running.url("/rooms/1"))).await.unwrap();
    assert_eq!(heard(&session).await, "me");
    assert_eq!(refused(&running, "/rooms/1").await, 503, "limits come first");
}

async fn identities_of_outer_and_inner_apps() {
    #[derive(Clone)]
    struct Tenant(u8);
    async fn both(
        session: Session,
        Identity(User(name)): Identity<User>,
        Identity(Tenant(number)): Identity<Tenant>,
        Path(room): Path<u8>,
    ) -> Result<(), SessionError> {
        say(session, format!("{name} {number} {room}")).await
    }
    let inner =
        ServerApp::new().authenticate("/*", async |_, ()| Ok::<_, StatusCode>(Tenant(3))).route("/{room}", both);
    let inner = inner.route("/", async |session: Session, Identity(Tenant(number)): Identity<Tenant>| {
        let _ = say(session, number.to_string()).await;
    });
    let running = Running::start(ServerApp::new().nest("/in", inner).authenticate("/in/*", check));
    let client = running.client().header("x-user", "me");
    let session = within(client.connect(&running.url("/in/9"))).await.unwrap();
    assert_eq!(heard(&session).await, "me 3 9");
    assert_eq!(heard(&running.session("/in").await).await, "3", "the root of the inner app is below nothing");
    assert_eq!(refused(&running, "/in/9").await, 401);
}

async fn facts_about_the_request() {
    async fn tell(
        session: Session,
        PeerAddress(peer): PeerAddress,
        Origin(origin): Origin,
        Subprotocol(protocol): Subprotocol,
    ) -> Result<(), SessionError> {
        assert_eq!(peer, session.remote_address());
        say(session, format!("{origin:?} {protocol:?}")).await
    }
    async fn fields(session: Session, headers: HeaderMap) -> Result<(), SessionError> {
        say(session, headers.get("x-user").unwrap().to_str().unwrap().to_owned()).await
    }
    let app = ServerApp::new()
        .middleware(AllowOrigins::only(["https://a.example"]))
        .middleware(HeaderRules::new().single("x-user"))
        .protocols(["v1"])
        .accept_header(HeaderName::from_static("x-server"), HeaderValue::from_static("here"))
        .route("/", tell)
        .route("/fields", fields)
        .route("/more", async |request: SessionRequest| {
            let more = (HeaderName::from_static("x-more"), HeaderValue::from_static("there"));
            if let Ok(session) = request.with_header(more.0, more.1).accept() {
                session.closed().await;
            }
        });
    let running = Running::start(app);
    let session = running.session("/").await;
    assert_eq!(heard(&session).await, "None None");
    assert_eq!(session.response_headers().get("x-server").unwrap(), "here");
    let client = running.client().header("origin", "https://a.example").protocol("v2").protocol("v1");
    let session = within(client.connect(&running.url("/"))).await.unwrap();
    assert_eq!(heard(&session).await, "Some(\"https://a.example\") Some(\"v1\")");
    let client = running.client().header("x-user", "me");
    assert_eq!(heard(&within(client.connect(&running.url("/fields"))).await.unwrap()).await, "me");
    let twice = running.client().header("x-user", "me").header("x-user", "you");
    assert_eq!(status(twice, &running.url("/fields")).await.0, 400);
    let (status, headers) = status(running.client(), &running.url("/more")).await;
    assert_eq!(status, 200, "{headers:?}");
    assert!(headers.get("x-server").unwrap() == "here" && headers.get("x-more").unwrap() == "there");
}

#[test]
#[should_panic(expected = "needs exactly one {parameter} in the pattern, and there are 2")]
fn a_prefix_may_take_away_what_a_handler_needs() {
    async fn room(_: Session, _: Path<u8>) {}
    let _ = ServerApp::new().nest("/{tenant}", ServerApp::new().route("/{room}", room));
}

#[test]
#[should_panic(expected = "registered already")]
fn conflicts_below_a_prefix_panic() {
    let _ = ServerApp::new().route("/a/b", echo).nest("/a", ServerApp::new().route("/b", echo));
}

#[test]
#[should_panic(expected = "a default route is registered already")]
fn there_is_one_default() {
    let _ = ServerApp::new().default_route(echo).default_route(echo);
}

#[test]
#[should_panic(expected = "authentication: the segment \"rooms*\"")]
fn an_authentication_that_nobody_would_meet_panics() {
    let _ = ServerApp::new().authenticate("/rooms*", check);
}

on_each_runtime! {
    a_rate_limit_says_how_long_to_wait,
    a_session_counts_until_it_is_over_though_its_handler_goes_on,
    a_panicking_handler_gives_its_permit_back,
    apps_below_a_prefix_have_middleware_of_their_own,
    authentication_comes_before_the_session,
    identities_of_outer_and_inner_apps,
    facts_about_the_request,
}
