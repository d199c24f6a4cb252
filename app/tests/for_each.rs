//! Streams that are served side by side in the session's own task.

#[macro_use]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Running, spawn, within};
use transom::{BiStream, ReadError, RecvStream, SendStream, ServerApp, Session, SessionError, State};

/// What the server has seen.
#[derive(Clone, Default)]
struct Seen {
    served: Arc<AtomicUsize>,
    returned: Arc<AtomicUsize>,
}

async fn serve(session: Session, State(seen): State<Seen>) -> Result<(), SessionError> {
    let both = session.for_each_bi(|stream| echo(stream, &seen));
    let one_way = session.for_each_uni(|stream| count(stream, &seen));
    tokio::try_join!(both, one_way)?;
    seen.returned.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Echoes a stream; gives up on those that begin with an exclamation mark.
async fn echo(BiStream { mut send, mut recv }: BiStream, seen: &Seen) -> Result<(), Box<dyn std::error::Error>> {
    while let Some(bytes) = recv.read_bytes(64 * 1024).await? {
        if bytes.starts_with(b"!") {
            return Err("that is no way to begin".into());
        }
        send.write_bytes(bytes).await?;
    }
    send.finish()?;
    seen.served.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn count(mut stream: RecvStream, seen: &Seen) {
    while let Ok(Some(_)) = stream.read_bytes(64 * 1024).await {}
    seen.served.fetch_add(1, Ordering::Relaxed);
}

fn start() -> (Running, Seen) {
    let seen = Seen::default();
    (Running::start(ServerApp::with_state(seen.clone()).route("/", serve)), seen)
}

async fn answer_of(session: &Session, message: &[u8]) -> Result<Vec<u8>, ReadError> {
    let (mut send, mut recv) = session.open_bi().await.unwrap().split();
    // The server may have given up by then.
    let _ = send.write_all(message).await;
    let _ = send.finish();
    match recv.read_to_end(1 << 20).await {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(transom::ReadToEndError::Read(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

async fn streams_are_served_at_the_same_time() {
    let (running, seen) = start();
    let session = running.session("/").await;
    // Begun first, and not finished until all others are through.
    let mut slow = within(session.open_bi()).await.unwrap();
    within(slow.send.write_all(b"slow")).await.unwrap();
    let tasks: Vec<_> = (0..200_usize)
        .map(|number| {
            let session = session.clone();
            spawn(async move {
                let message = vec![b'a'; number * 101];
                assert_eq!(answer_of(&session, &message).await.unwrap(), message);
                let mut one_way = session.open_uni().await.unwrap();
                one_way.write_all(&message).await.unwrap();
                one_way.acknowledged().await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        within(task).await.unwrap();
    }
    assert!(seen.served.load(Ordering::Relaxed) >= 200, "the slow one holds up others");
    slow.send.finish().unwrap();
    assert_eq!(within(slow.recv.read_to_end(10)).await.unwrap(), b"slow"[..]);
}

async fn a_stream_that_fails_harms_no_other() {
    let (running, _) = start();
    let session = running.session("/").await;
    for round in 0..20 {
        let failed = within(answer_of(&session, b"! and more")).await;
        assert_eq!(failed, Err(ReadError::Reset(Some(0))), "round {round}");
        assert_eq!(within(answer_of(&session, b"fine")).await, Ok(b"fine".to_vec()));
    }
    assert!(session.end().is_none());
}

async fn it_returns_when_the_session_is_closed_and_no_stream_is_served() {
    let (running, seen) = start();
    let session = running.session("/").await;
    let mut open: Vec<SendStream> = Vec::new();
    for _ in 0..5 {
        let (mut send, mut recv) = within(session.open_bi()).await.unwrap().split();
        within(send.write_all(b"x")).await.unwrap();
        assert_eq!(within(recv.read_bytes(10)).await.unwrap().unwrap(), b"x"[..], "it is being served");
        open.push(send);
    }
    assert_eq!(seen.returned.load(Ordering::Relaxed), 0);
    within(session.shutdown(0, "enough")).await;
    within(async {
        while seen.returned.load(Ordering::Relaxed) == 0 {
            common::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(open);
}

async fn dropped_it_stops_what_it_served_and_loses_no_other_stream() {
    async fn serve_until_told(session: Session) -> Result<(), SessionError> {
        let seen = Seen::default();
        let serving = session.for_each_bi(|stream| echo(stream, &seen));
        let told = session.recv_datagram();
        tokio::select! {
            result = serving => result?,
            told = told => assert!(told?.is_some()),
        }
        // What comes later is still there to be accepted.
        if let Some(mut stream) = session.accept_bi().await? {
            stream.send.write_all(b"later").await?;
            stream.send.finish()?;
        }
        session.closed().await;
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/", serve_until_told));
    let session = running.session("/").await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap().split();
    within(send.write_all(b"x")).await.unwrap();
    assert_eq!(within(recv.read_bytes(10)).await.unwrap().unwrap(), b"x"[..]);
    within(async {
        // Datagrams may get lost.
        loop {
            session.send_datagram(b"enough".to_vec()).unwrap();
            if let Some(code) = common::timeout(std::time::Duration::from_millis(50), send.stopped()).await {
                return assert_eq!(code, Some(0), "stopped");
            }
        }
    })
    .await;
    assert_eq!(within(recv.read_bytes(10)).await, Err(ReadError::Reset(Some(0))));
    assert_eq!(within(answer_of(&session, b"y")).await, Ok(b"later".to_vec()));
}

on_each_runtime! {
    a_stream_that_fails_harms_no_other,
    it_returns_when_the_session_is_closed_and_no_stream_is_served,
    dropped_it_stops_what_it_served_and_loses_no_other_stream,
    ; threads:
    streams_are_served_at_the_same_time,
}
