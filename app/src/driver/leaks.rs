//! Tests: who does not wait is not remembered, and who has something to hear is.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use transom_core::ErrorCode;

use super::shared::State;
use crate::testing::World;
use crate::{Client, ServerApp, Session, SessionError, Tls, WriteError};

async fn echo(session: Session) -> Result<(), SessionError> {
    while let Some(mut stream) = session.accept_bi().await? {
        let message = stream.recv.read_to_end(1000).await?;
        stream.send.write_all(&message).await?;
        stream.send.finish()?;
    }
    Ok(())
}

/// Streams and session waiters that somebody is remembered to wait on.
fn remembered(session: &Session) -> (usize, usize) {
    session.shared().act(|state| {
        let streams = state.connections.values().map(|entry| entry.streams.len()).sum();
        let sessions = state.connections.values_mut().flat_map(|entry| entry.sessions.values_mut());
        (streams, sessions.map(|session| session.waiters.len()).sum())
    })
}

#[test]
fn nobody_is_remembered_who_does_not_wait() {
    World::new(1).run(wait_and_give_up());
}

async fn wait_and_give_up() {
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    let client = Client::builder().certificate_hash(tls.certificate_sha256());
    let server = ServerApp::new().route("/", echo).bind("127.0.0.1:0", tls).start().unwrap();
    let session = client.connect(&format!("https://{}/", server.local_addrs()[0])).await.unwrap();
    for round in 0..50_u8 {
        let mut stream = session.open_bi().await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(stream.recv.read_bytes(1)).poll(&mut context).is_pending());
        assert!(pin!(stream.send.stopped()).poll(&mut context).is_pending());
        assert_eq!(remembered(&session), (1, 0));
        if round % 3 == 0 {
            drop(stream);
            continue;
        }
        stream.send.write_all(&[round]).await.unwrap();
        stream.send.finish().unwrap();
        if round % 3 == 1 {
            stream.send.acknowledged().await.unwrap();
        }
        assert_eq!(stream.recv.read_to_end(1).await.unwrap(), [round][..]);
        drop(stream);
        assert_eq!(remembered(&session), (0, 0));
    }
    {
        let mut context = Context::from_waker(Waker::noop());
        let (mut accept, mut closed) = (pin!(session.accept_uni()), pin!(session.closed()));
        assert!(accept.as_mut().poll(&mut context).is_pending());
        assert!(closed.as_mut().poll(&mut context).is_pending());
        assert_eq!(remembered(&session), (0, 2));
    }
    assert_eq!(remembered(&session), (0, 0));
}

/// What a handler heard of its stream, and its session.
type Heard = (Result<(), WriteError>, Session);

#[test]
fn who_was_acknowledged_hears_so_though_the_connection_went_with_it() {
    World::new(1).run(acknowledge_and_go());
}

/// QUIC sends its last acknowledgements with the packet that closes.
async fn acknowledge_and_go() {
    async fn send(session: Session, crate::State(heard): crate::State<UnboundedSender<Heard>>) {
        let mut stream = session.open_uni().await.unwrap();
        stream.write_all(b"all of it").await.unwrap();
        let delivered = stream.acknowledged().await;
        assert_eq!(kept(&session), 1, "until the handle goes");
        drop(stream);
        heard.send((delivered, session)).unwrap();
    }
    let (sender, mut heard): (_, UnboundedReceiver<Heard>) = unbounded_channel();
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    let client = Client::builder().certificate_hash(tls.certificate_sha256());
    let server = ServerApp::with_state(sender).route("/", send).bind("127.0.0.1:0", tls).start().unwrap();
    let session = client.connect(&format!("https://{}/", server.local_addrs()[0])).await.unwrap();
    let mut stream = session.accept_uni().await.unwrap().unwrap();
    assert_eq!(stream.read_to_end(100).await.unwrap(), "all of it");
    session.shared().act(|state| {
        state.endpoint.close(state.now, ErrorCode::H3_NO_ERROR, "");
        state.wake_driver();
    });
    let (delivered, session) = heard.recv().await.unwrap();
    assert_eq!(delivered, Ok(()));
    assert!(session.end().is_some(), "it came with the end");
    assert_eq!(kept(&session), 0);
}

/// Connections that something is known of beside the core.
fn kept(session: &Session) -> usize {
    session.shared().act(|state: &mut State| state.connections.len())
}
