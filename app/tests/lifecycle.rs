//! How sessions end.

#[macro_use]
mod common;

use common::{Running, echo, within, yield_now};
use http::{HeaderName, HeaderValue};
use tokio::sync::mpsc;
use transom::{CloseCode, ReadError, SendDatagramError, ServerApp, Session, SessionEnd, SessionError, WriteError};

fn closed_by_peer(code: u32, reason: &str) -> SessionEnd {
    SessionEnd::ClosedByPeer { code, reason: reason.to_owned() }
}

fn closed_locally(code: u32, reason: &str) -> SessionEnd {
    SessionEnd::ClosedLocally { code, reason: reason.to_owned() }
}

/// Reports how its sessions end.
fn watcher() -> (ServerApp<mpsc::UnboundedSender<SessionEnd>>, mpsc::UnboundedReceiver<SessionEnd>) {
    async fn watch(session: Session, ends: transom::State<mpsc::UnboundedSender<SessionEnd>>) {
        ends.0.send(session.closed().await).unwrap();
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    (ServerApp::with_state(sender).route("/", watch), receiver)
}

async fn a_client_closes_with_code_and_reason() {
    let (app, mut ends) = watcher();
    let running = Running::start(app);
    let session = running.session("/").await;
    session.close(4_294_967_295, "so long, Jürgen");
    session.close(1, "too late");
    assert_eq!(within(session.closed()).await, closed_locally(4_294_967_295, "so long, Jürgen"));
    assert_eq!(within(ends.recv()).await, Some(closed_by_peer(4_294_967_295, "so long, Jürgen")));
}

async fn a_server_closes_with_code_and_reason() {
    async fn close(session: Session) {
        session.close(17, "enough");
    }
    let running = Running::start(ServerApp::new().route("/", close));
    let session = running.session("/").await;
    assert_eq!(within(session.closed()).await, closed_by_peer(17, "enough"));
    assert_eq!(within(session.closed()).await, closed_by_peer(17, "enough"), "it is remembered");
    assert_eq!(session.end(), Some(&closed_by_peer(17, "enough")));
}

async fn an_answer_is_read_though_the_session_is_over() {
    let app = ServerApp::new()
        .protocols(["v1"])
        .accept_header(HeaderName::from_static("x-server"), HeaderValue::from_static("here"))
        .route("/", async |session: Session| session.close(17, "enough"));
    let running = Running::start(app);
    let session = within(running.client().protocol("v1").connect(&running.url("/"))).await.unwrap();
    assert_eq!(within(session.closed()).await, closed_by_peer(17, "enough"));
    assert_eq!(session.protocol(), Some("v1"));
    assert_eq!(session.response_headers().get("x-server").unwrap(), "here");
}

async fn finish_is_a_close_without_words() {
    let (app, mut ends) = watcher();
    let running = Running::start(app);
    let session = running.session("/").await;
    session.finish();
    assert_eq!(within(ends.recv()).await, Some(closed_by_peer(0, "")));
}

async fn dropping_the_last_clone_closes_with_code_0() {
    let (app, mut ends) = watcher();
    let running = Running::start(app);
    let session = running.session("/").await;
    let clone = session.clone();
    drop(session);
    assert!(clone.end().is_none());
    drop(clone);
    assert_eq!(within(ends.recv()).await, Some(closed_by_peer(0, "")));
}

async fn a_client_that_shuts_down_leaves_nothing_behind() {
    let (app, mut ends) = watcher();
    let running = Running::start(app);
    let session = running.session("/").await;
    within(session.shutdown(3, "bye")).await;
    assert_eq!(within(ends.recv()).await, Some(closed_by_peer(3, "bye")));
    within(async {
        while running.server.stats().connections_open > 0 {
            yield_now().await;
        }
    })
    .await;
}

async fn a_handler_s_return_value_closes() {
    async fn good(_: Session) {}
    async fn bad(_: Session) -> Result<(), String> {
        Err(String::from("no more milk"))
    }
    async fn own(_: Session) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err(CloseCode::new(99, "own words"))?;
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/good", good).route("/bad", bad).route("/own", own));
    for (path, end) in [
        ("/good", closed_by_peer(0, "")),
        ("/bad", closed_by_peer(1, "no more milk")),
        ("/own", closed_by_peer(99, "own words")),
    ] {
        let session = running.session(path).await;
        assert_eq!(within(session.closed()).await, end, "{path}");
    }
}

async fn what_a_handler_finished_arrives_before_its_close() {
    async fn answer(session: Session) -> Result<(), SessionError> {
        let mut stream = session.open_uni().await?;
        stream.write_all(&vec![5; 200_000]).await?;
        stream.finish()?;
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/", answer));
    let session = running.session("/").await;
    let mut stream = within(session.accept_uni()).await.unwrap().unwrap();
    assert_eq!(within(stream.read_to_end(200_000)).await.unwrap().len(), 200_000);
    assert_eq!(within(session.closed()).await, closed_by_peer(0, ""));
}

async fn a_panic_harms_no_other_session() {
    async fn panics(session: Session) {
        let _ = session.recv_datagram().await;
        std::panic::resume_unwind(Box::new("expected by the test"));
    }
    let running = Running::start(ServerApp::new().route("/panic", panics).route("/echo", echo));
    let healthy = running.session("/echo").await;
    let doomed = running.session("/panic").await;
    doomed.send_datagram("now").unwrap();
    assert_eq!(within(doomed.closed()).await, closed_by_peer(1, "internal error"));
    let mut stream = within(healthy.open_bi()).await.unwrap();
    within(stream.send.write_all(b"still here")).await.unwrap();
    stream.send.finish().unwrap();
    assert_eq!(within(stream.recv.read_to_end(100)).await.unwrap(), "still here");
    assert!(healthy.end().is_none());
}

async fn the_end_reaches_everybody_who_waits() {
    async fn close_on_datagram(session: Session) {
        let _ = session.recv_datagram().await;
        session.close(5, "five");
    }
    let running = Running::start(ServerApp::new().route("/", close_on_datagram));
    let session = running.session("/").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    let end = closed_by_peer(5, "five");
    let waiters = async {
        tokio::join!(
            session.accept_bi(),
            session.accept_uni(),
            session.recv_datagram(),
            session.closed(),
            session.draining(),
            stream.recv.read_bytes(1),
            stream.send.stopped(),
            async { session.send_datagram("now") },
        )
    };
    let (bi, uni, datagram, closed, (), read, stopped, sent) = within(waiters).await;
    sent.unwrap();
    assert!(bi.unwrap().is_none());
    assert!(uni.unwrap().is_none());
    assert!(datagram.unwrap().is_none());
    assert_eq!(closed, end);
    assert_eq!(read, Err(ReadError::SessionEnded(end.clone())));
    assert_eq!(stopped, None);

    // And late ones.
    assert_eq!(within(session.open_uni()).await.unwrap_err(), SessionError::Ended(end.clone()));
    assert_eq!(within(stream.send.write(b"late")).await, Err(WriteError::SessionEnded(end.clone())));
    assert_eq!(stream.send.finish(), Err(WriteError::SessionEnded(end)));
    assert_eq!(session.send_datagram("late"), Err(SendDatagramError::Closed));
    assert_eq!(within(session.send_datagram_wait("late")).await, Err(SendDatagramError::Closed));
    assert_eq!(session.max_datagram_size(), 0);
    within(session.draining()).await;
}

async fn draining_is_heard_and_closes_nothing() {
    async fn drain(session: Session) -> Result<(), SessionError> {
        session.drain();
        echo(session).await
    }
    let running = Running::start(ServerApp::new().route("/", drain));
    let session = running.session("/").await;
    within(session.draining()).await;
    within(session.draining()).await;
    assert!(session.end().is_none());
    session.send_datagram("works").unwrap();
    assert_eq!(within(session.recv_datagram()).await.unwrap().unwrap(), "works");
}

async fn streams_outlive_their_session_without_harm() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    drop(session);
    let end = closed_locally(0, "");
    // Once the driver has run, the reason is known.
    for _ in 0..2 {
        let late = within(stream.recv.read_bytes(1)).await;
        assert!(late == Err(ReadError::Closed) || late == Err(ReadError::SessionEnded(end.clone())), "{late:?}");
        yield_now().await;
    }
    assert!(matches!(within(stream.send.write(b"late")).await, Err(WriteError::Closed | WriteError::SessionEnded(_))));
}

async fn a_server_that_vanishes_is_noticed() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    // All sessions get their close, then the connections theirs.
    drop(running);
    assert_eq!(within(session.closed()).await, closed_by_peer(0, "server shutting down"));
}

/// What a peer sends before its close, and nobody reads before it, is gone; handlers' documentation says so.
async fn a_close_takes_what_was_not_read_with_it() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = std::sync::Arc::new(std::sync::Mutex::new(Some(tell)));
    let app = ServerApp::new().route("/", move |session: Session| {
        let tell = tell.lock().unwrap().take();
        async move {
            let mut stream = session.accept_uni().await.unwrap().unwrap();
            session.closed().await;
            let read = stream.read_to_end(1_000).await;
            let datagram = session.recv_datagram().await;
            let _ = tell.unwrap().send((read.is_ok(), datagram.is_ok_and(|datagram| datagram.is_some())));
        }
    });
    let running = Running::start(app);
    let session = running.session("/").await;
    let mut stream = within(session.open_uni()).await.unwrap();
    within(stream.write_all(b"all of it")).await.unwrap();
    stream.finish().unwrap();
    session.send_datagram("and this").unwrap();
    within(stream.acknowledged()).await.unwrap();
    session.close(0, "");
    assert_eq!(within(told).await.unwrap(), (false, false));
}

on_each_runtime! {
    a_client_closes_with_code_and_reason,
    a_server_closes_with_code_and_reason,
    an_answer_is_read_though_the_session_is_over,
    finish_is_a_close_without_words,
    dropping_the_last_clone_closes_with_code_0,
    a_client_that_shuts_down_leaves_nothing_behind,
    a_handler_s_return_value_closes,
    a_panic_harms_no_other_session,
    the_end_reaches_everybody_who_waits,
    a_close_takes_what_was_not_read_with_it,
    draining_is_heard_and_closes_nothing,
    streams_outlive_their_session_without_harm,
    a_server_that_vanishes_is_noticed,
    ; one_thread:
    // With more, the close can overtake the reader: what has arrived and was not read goes with the session.
    what_a_handler_finished_arrives_before_its_close,
}
