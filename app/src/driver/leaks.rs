//! Tests: nobody is remembered who does not wait.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use crate::testing::World;
use crate::{Client, ServerApp, Session, SessionError, Tls};

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
