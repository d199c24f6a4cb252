//! Keying material exported for a session: between our cores, and against a peer that asks TLS itself.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use transom::{ServerApp, Session, SessionError, Tls};
use transom_core::{ExportError, Request, SessionId};
use transom_tests::raw::{DRAFT_02, Peer, Request as RawRequest};
use transom_tests::simulation::{Pair, Side};

fn export(side: &mut Side, session: SessionId, label: &[u8], context: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    side.connection().session(session).unwrap().export_keying_material(label, context, &mut output).unwrap();
    output
}

/// Everything the two ends can derive that must differ from one another.
fn keys(pair: &mut Pair, session: SessionId) -> Vec<[u8; 32]> {
    let inputs: [(&[u8], &[u8]); 5] =
        [(b"", b""), (b"label", b""), (b"label", b"context"), (b"labelcontext", b""), (b"other", b"context")];
    let derive = |(label, context): (&[u8], &[u8])| {
        let ours = export(&mut pair.client, session, label, context);
        assert_eq!(ours, export(&mut pair.server, session, label, context), "both ends");
        assert_eq!(ours, export(&mut pair.client, session, label, context), "again");
        ours
    };
    inputs.into_iter().map(derive).collect()
}

#[test]
fn both_ends_derive_the_same_and_nobody_else_does() {
    let mut pair = Pair::connected();
    let first = pair.session("/");
    let mut all = keys(&mut pair, first);
    pair.client.connection().session(first).unwrap().close(0, "");
    pair.run_for(Duration::from_secs(1));
    let second = pair.session("/");
    assert_ne!(first, second);
    all.extend(keys(&mut pair, second));
    let mut elsewhere = Pair::connected();
    let session = elsewhere.session("/");
    all.extend(keys(&mut elsewhere, session));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "sessions, labels, contexts and connections differ");
}

#[test]
fn only_an_open_session_exports() {
    let mut pair = Pair::connected();
    let session = pair.client.connection().request_session(Request::new("localhost", "/")).unwrap();
    let export = |side: &mut Side, output: &mut [u8]| {
        side.connection().session(session).unwrap().export_keying_material(b"", b"", output)
    };
    assert_eq!(export(&mut pair.client, &mut [0; 32]), Err(ExportError::NotEstablished));
    pair.run_until(|pair| pair.server.saw(&transom_core::Event::SessionRequested { session }));
    assert_eq!(export(&mut pair.server, &mut [0; 32]), Err(ExportError::NotEstablished));
    pair.server.connection().accept(session, transom_core::Response::accept()).unwrap();
    assert_eq!(export(&mut pair.server, &mut [0; 32]), Ok(()));
    assert_eq!(export(&mut pair.client, &mut [0; 32]), Err(ExportError::NotEstablished), "the answer is under way");
}

#[test]
fn what_is_too_long_is_told() {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let mut export = |label: usize, context: usize, output: usize| {
        let session = pair.client.connection().session(session).unwrap();
        session.export_keying_material(&vec![1; label], &vec![2; context], &mut vec![0; output])
    };
    assert_eq!(export(255, 255, 32), Ok(()));
    assert_eq!(export(256, 0, 32), Err(ExportError::LabelTooLong));
    assert_eq!(export(0, 256, 32), Err(ExportError::ContextTooLong));
    assert_eq!(export(0, 0, 0), Ok(()));
    assert_eq!(export(0, 0, 255 * 32), Ok(()));
    assert_eq!(export(0, 0, 255 * 48 + 1), Err(ExportError::OutputTooLong), "more than SHA-384 gives");
}

/// Sends what it exported on a stream of its own.
async fn exporting(session: Session) -> Result<(), SessionError> {
    let mut key = [0; 48];
    session.export_keying_material(b"our label", b"\x00ctx", &mut key).unwrap();
    let mut stream = session.open_uni().await?;
    stream.write_all(&key).await?;
    stream.finish()?;
    session.closed().await;
    Ok(())
}

/// The key a server sends, and what the peer's own TLS gives for the bytes of draft-16, section 4.8.
fn sent_and_derived(address: std::net::SocketAddr) -> (Vec<u8>, Vec<u8>) {
    let mut peer = Peer::greet(address, DRAFT_02).unwrap();
    // A plain request first, so that the session id is not zero.
    let plain = RawRequest::plain("GET", peer.authority(), "/");
    let plain = peer.send(&plain).unwrap();
    assert_eq!((plain, peer.response(plain).unwrap().status), (0, 404));
    let session = peer.open_session("/key").unwrap();
    assert_eq!(session, 4);
    let sent = peer.until("the key", |seen| {
        let (_, stream) = seen.opened_by_server().find(|(_, stream)| stream.fin)?;
        stream.data.strip_prefix(&[0x40, 0x54, 0x04]).map(<[u8]>::to_vec)
    });
    let mut derived = vec![0; 48];
    let context = b"\x00\x00\x00\x00\x00\x00\x00\x04\x09our label\x04\x00ctx";
    peer.client.export_keying_material(b"EXPORTER-WebTransport", context, &mut derived).unwrap();
    (sent.unwrap(), derived)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_peer_that_asks_tls_itself_gets_the_same() {
    let tls = Tls::self_signed(["localhost"]).unwrap();
    let server = ServerApp::new().route("/key", exporting).bind("127.0.0.1:0", tls).start().unwrap();
    let address = server.local_addrs()[0];
    let (sent, derived) = tokio::task::spawn_blocking(move || sent_and_derived(address)).await.unwrap();
    assert_eq!(sent, derived);
}
