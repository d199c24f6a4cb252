//! How servers end.

#[macro_use]
mod common;

use std::time::Duration;

use common::{Running, echo, spawn, within, yield_now};
use tokio::sync::{mpsc, oneshot};
use transom::{ClientError, ServerApp, Session, SessionEnd, SessionError, State, StatusCode, Tls};

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);

fn shutting_down() -> SessionEnd {
    SessionEnd::ClosedByPeer { code: 0, reason: String::from("server shutting down") }
}

async fn an_idle_server_stops_at_once() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    running.server.handle().shutdown(LONG);
    within(running.server.wait()).await.unwrap();
    within(running.server.wait()).await.unwrap();
}

async fn open_sessions_may_finish_and_new_ones_are_refused() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let handle = running.server.handle();
    assert_eq!(handle.sessions(), 1);
    handle.shutdown(LONG);
    within(session.draining()).await;

    let late = within(running.client().connect(&running.url("/echo"))).await.unwrap_err();
    let refused = matches!(&late, ClientError::Refused { status: StatusCode::SERVICE_UNAVAILABLE, .. });
    assert!(refused || matches!(late, ClientError::Connection(_)), "{late:?}");

    let mut stream = within(session.open_bi()).await.unwrap();
    within(stream.send.write_all(b"last words")).await.unwrap();
    stream.send.finish().unwrap();
    assert_eq!(within(stream.recv.read_to_end(100)).await.unwrap(), "last words");
    assert_eq!(handle.sessions(), 1);
    drop((session, stream));
    within(running.server.wait()).await.unwrap();
    assert_eq!(handle.sessions(), 0);
    assert_eq!(handle.stats().sessions_accepted, 1);
}

async fn when_grace_is_over_the_rest_is_closed() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    running.server.handle().shutdown(Duration::from_millis(50));
    assert_eq!(within(session.closed()).await, shutting_down());
    within(running.server.wait()).await.unwrap();
}

async fn a_second_request_may_have_less_patience() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let handle = running.server.handle();
    handle.shutdown(LONG);
    within(session.draining()).await;
    handle.shutdown(Duration::from_millis(50));
    handle.shutdown(2 * LONG);
    assert_eq!(within(session.closed()).await, shutting_down());
    within(running.server.wait()).await.unwrap();
}

async fn the_second_request_does_not_wait() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    running.server.handle().shutdown(LONG);
    within(session.draining()).await;
    running.server.handle().close_now();
    assert_eq!(within(session.closed()).await, shutting_down());
    within(running.server.wait()).await.unwrap();
}

async fn handlers_may_clean_up() {
    async fn cleans_up(session: Session, State(sender): State<mpsc::UnboundedSender<&'static str>>) {
        session.closed().await;
        for _ in 0..20 {
            yield_now().await;
        }
        sender.send("cleaned up").unwrap();
    }
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let running = Running::start(ServerApp::with_state(sender).route("/", cleans_up));
    let session = running.session("/").await;
    running.server.handle().shutdown(LONG);
    within(session.draining()).await;
    drop(session);
    within(running.server.wait()).await.unwrap();
    assert_eq!(receiver.try_recv(), Ok("cleaned up"), "the server waits for its handlers");
}

async fn a_signal_shuts_down() {
    let (ready, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    let client = transom::Client::builder().certificate_hash(tls.certificate_sha256());
    let server = ServerApp::new()
        .route("/echo", echo)
        .bind("127.0.0.1:0", tls)
        .with_graceful_shutdown(async move { drop(stopped.await) }, Duration::ZERO)
        .start()
        .unwrap();
    ready.send(server.local_addrs()[0]).unwrap();
    let serving = spawn(server.wait());
    let session = within(client.connect(&format!("https://{}/echo", address.await.unwrap()))).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(within(session.closed()).await, shutting_down());
    within(serving).await.unwrap().unwrap();
}

async fn serve_can_be_awaited() {
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    let serve = ServerApp::new()
        .route("/echo", echo)
        .bind("127.0.0.1:0", tls)
        .also_bind("127.0.0.2:0")
        .with_graceful_shutdown(std::future::ready(()), LONG);
    within(async { serve.await }).await.unwrap();
}

async fn a_server_on_several_addresses() {
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    let client = transom::Client::builder().certificate_hash(tls.certificate_sha256());
    let server =
        ServerApp::new().route("/echo", echo).bind("127.0.0.1:0", tls).also_bind("127.0.0.2:0").start().unwrap();
    let addresses = server.local_addrs();
    assert_eq!(addresses.len(), 2);
    let mut sessions = Vec::new();
    for address in addresses {
        sessions.push(within(client.connect(&format!("https://{address}/echo"))).await.unwrap());
    }
    assert_eq!(server.handle().sessions(), 2);
    assert_eq!(server.stats().sessions_accepted, 2);
}

async fn dual_stack() {
    async fn tell_address(session: Session) -> Result<(), SessionError> {
        let mut stream = session.open_uni().await?;
        stream.write_all(session.remote_address().ip().to_string().as_bytes()).await?;
        stream.finish()?;
        session.closed().await;
        Ok(())
    }
    let tls = Tls::self_signed(["localhost"]).unwrap();
    let client = transom::Client::builder().certificate_hash(tls.certificate_sha256());
    let Ok(server) = ServerApp::new().route("/", tell_address).bind("[::]:0", tls).start() else {
        return; // A machine without IPv6.
    };
    let port = server.local_addrs()[0].port();
    for (host, seen) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
        let session = within(client.connect(&format!("https://{host}:{port}/"))).await.unwrap();
        let mut stream = within(session.accept_uni()).await.unwrap().unwrap();
        assert_eq!(within(stream.read_to_end(100)).await.unwrap(), seen);
    }
}

async fn another_certificate_while_running() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let old = running.session("/echo").await;
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    running.server.handle().set_tls(&tls).unwrap();
    let client = transom::Client::builder().certificate_hash(tls.certificate_sha256());
    drop(within(client.connect(&running.url("/echo"))).await.unwrap());
    assert!(within(running.client().connect(&running.url("/echo"))).await.is_err());
    old.send_datagram("works").unwrap();
    assert_eq!(within(old.recv_datagram()).await.unwrap().unwrap(), "works");
}

on_each_runtime! {
    an_idle_server_stops_at_once,
    open_sessions_may_finish_and_new_ones_are_refused,
    when_grace_is_over_the_rest_is_closed,
    a_second_request_may_have_less_patience,
    the_second_request_does_not_wait,
    handlers_may_clean_up,
    a_signal_shuts_down,
    serve_can_be_awaited,
    a_server_on_several_addresses,
    dual_stack,
    another_certificate_while_running,
}
