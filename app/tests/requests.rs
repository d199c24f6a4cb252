//! Handlers that answer their requests themselves.

#[macro_use]
mod common;

use common::{Running, sleep, within, yield_now};
use transom::{
    ClientError, HeaderName, HeaderValue, Path, Rejection, ServerApp, SessionEnd, SessionError, SessionRequest,
    StatusCode,
};

async fn refused(running: &Running, path: &str) -> u16 {
    match within(running.client().connect(&running.url(path))).await {
        Err(ClientError::Refused { status, .. }) => status.as_u16(),
        other => panic!("not refused: {other:?}"),
    }
}

async fn a_request_dropped_unanswered_is_500() {
    async fn panics(request: SessionRequest) {
        assert!(request.request().path().is_empty(), "not so");
    }
    let app = ServerApp::new().route("/drop", async |request: SessionRequest| drop(request)).route("/panic", panics);
    let running = Running::start(app);
    assert_eq!(refused(&running, "/drop").await, 500);
    assert_eq!(refused(&running, "/panic").await, 500);
}

async fn a_request_is_answered_when_its_handler_is_ready() {
    async fn decide(request: SessionRequest, Path(answer): Path<u16>) -> Result<(), SessionError> {
        yield_now().await;
        let status = StatusCode::from_u16(answer).unwrap();
        if !status.is_success() {
            request.reject(Rejection::new(status));
            return Ok(());
        }
        let greeting = (HeaderName::from_static("x-greeting"), HeaderValue::from_static("hello"));
        let session = request.with_header(greeting.0, greeting.1).with_protocol("b").accept()?;
        session.send_datagram("welcome")?;
        session.closed().await;
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/{answer}", decide));
    assert_eq!(refused(&running, "/403").await, 403);
    let client = running.client().protocol("a").protocol("b");
    let session = within(client.connect(&running.url("/200"))).await.unwrap();
    assert_eq!(session.response_headers().get("x-greeting").unwrap(), "hello");
    assert_eq!(session.protocol(), Some("b"));
    assert_eq!(within(session.recv_datagram()).await.unwrap().unwrap(), "welcome");
}

async fn the_handler_s_outcome_closes_the_session() {
    async fn fails(request: SessionRequest) -> Result<(), String> {
        let _session = request.accept().map_err(|error| error.to_string())?;
        Err(String::from("no luck"))
    }
    let running = Running::start(ServerApp::new().route("/", fails));
    let session = within(running.client().connect(&running.url("/"))).await.unwrap();
    let end = within(session.closed()).await;
    assert_eq!(end, SessionEnd::ClosedByPeer { code: 1, reason: String::from("no luck") });
}

async fn an_error_from_another_session_closes_this_one() {
    async fn foreign(_session: transom::Session) -> Result<(), SessionError> {
        let end = SessionEnd::ClosedByPeer { code: 9, reason: String::from("upstream") };
        Err(SessionError::from(end))
    }
    let running = Running::start(ServerApp::new().route("/", foreign));
    let session = within(running.client().connect(&running.url("/"))).await.unwrap();
    let end = within(session.closed()).await;
    assert!(matches!(end, SessionEnd::ClosedByPeer { code: 1, .. }), "{end:?}");
}

async fn a_client_s_connection_ends_with_its_session() {
    let running = Running::start(ServerApp::new().route("/", async |session: transom::Session| {
        session.close(3, "enough");
    }));
    let session = within(running.client().connect(&running.url("/"))).await.unwrap();
    within(session.closed()).await;
    let stats = || running.server.stats();
    within(async {
        while stats().connections_open > 0 {
            sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    drop(session);
}

on_each_runtime! {
    a_request_dropped_unanswered_is_500,
    a_request_is_answered_when_its_handler_is_ready,
    the_handler_s_outcome_closes_the_session,
    an_error_from_another_session_closes_this_one,
    a_client_s_connection_ends_with_its_session,
}
