//! SIGTERM, seen from a client: told to leave, then closed in good order, and nothing lost that was on its way.

use std::thread;
use std::time::Duration;

use transom_tests::demo::{Demo, Stopped};
use transom_tests::raw::{Close, DRAFT_02, Peer, Response, code, wire};

/// A client with a session on `path` and an open stream, and the server on its way out.
fn leaving(path: &str) -> (Peer, u64, thread::JoinHandle<Stopped>) {
    let demo = Demo::start().unwrap();
    let mut peer = Peer::greet(demo.address(), DRAFT_02).unwrap();
    peer.patience = Duration::from_secs(25);
    let session = peer.open_session(path).unwrap();
    let stopping = thread::spawn(move || demo.stop().unwrap());
    (peer, session, stopping)
}

fn response(peer: &Peer, session: u64) -> Response {
    Response::parse(&peer.client.seen().stream(session).data).unwrap().unwrap()
}

fn wait_for_drain(peer: &mut Peer, session: u64) {
    peer.until("the drain capsule", |seen| {
        let response = Response::parse(&seen.stream(session).data).unwrap()?;
        response.capsules().iter().any(|(kind, _)| *kind == wire::CAPSULE_DRAIN).then_some(())
    })
    .unwrap();
}

/// What the server's control stream has carried.
fn server_control(peer: &Peer) -> Vec<u8> {
    let mut streams = peer.client.seen().opened_by_server();
    streams.find(|(_, stream)| stream.data.starts_with(&[0])).unwrap().1.data.clone()
}

fn assert_clean(stopped: &Stopped) {
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(!stopped.complaints.contains("panicked"), "{stopped:?}");
}

#[test]
fn sessions_are_told_to_leave_then_closed_in_good_order() {
    let (mut peer, session, stopping) = leaving("/echo");
    wait_for_drain(&mut peer, session);
    // The session is still good: what is drained may finish its work.
    peer.echo_bidi(session, b"the last words").unwrap();
    let open = peer.open_wt_bidi(session, b"open").unwrap();
    let close = peer.until("CONNECTION_CLOSE", |seen| seen.close.clone()).unwrap();
    assert!(matches!(close, Close::Application { code: code::H3_NO_ERROR, .. }), "{close}");
    let response = response(&peer, session);
    assert_eq!(response.close().map(|(code, _)| code), Some(0), "a close capsule came before it");
    assert_eq!(response.capsules().last().map(|(kind, _)| *kind), Some(wire::CAPSULE_CLOSE), "and nothing after that");
    assert!(peer.client.seen().stream(session).fin, "the CONNECT stream ended with FIN");
    let open = peer.client.seen().stream(open);
    assert_eq!((open.reset, open.stop), (Some(code::WT_SESSION_GONE), Some(code::WT_SESSION_GONE)));
    assert_clean(&stopping.join().unwrap());
}

#[test]
fn a_client_that_leaves_when_told_ends_the_wait() {
    let (mut peer, session, stopping) = leaving("/echo");
    wait_for_drain(&mut peer, session);
    peer.client.write(session, &wire::data(&wire::close(0, b""))).unwrap();
    peer.client.finish(session).unwrap();
    peer.until("the end of the session", |seen| (seen.stream(session).fin || seen.close.is_some()).then_some(()))
        .unwrap();
    assert!(peer.client.seen().stream(session).fin, "{:?}", peer.client.seen().close);
    let close = peer.until("CONNECTION_CLOSE", |seen| seen.close.clone()).unwrap();
    assert!(matches!(close, Close::Application { code: code::H3_NO_ERROR, .. }), "{close}");
    let goaway = wire::frame(wire::GOAWAY, &wire::varint(4));
    assert!(server_control(&peer).ends_with(&goaway), "the next request would have been on stream 4");
    assert_clean(&stopping.join().unwrap());
}

#[test]
fn goaway_does_not_come_while_a_session_is_open() {
    let (mut peer, session, stopping) = leaving("/echo");
    wait_for_drain(&mut peer, session);
    let settings = server_control(&peer);
    peer.echo_bidi(session, b"a new stream").unwrap();
    assert_eq!(server_control(&peer), settings);
    drop(peer);
    assert_clean(&stopping.join().unwrap());
}

#[test]
fn a_client_that_downloads_gets_the_close_as_well() {
    let (mut peer, session, stopping) = leaving("/source/100000000000");
    let close = peer.until("CONNECTION_CLOSE", |seen| seen.close.clone()).unwrap();
    assert!(matches!(close, Close::Application { code: code::H3_NO_ERROR, .. }), "{close}");
    assert_eq!(response(&peer, session).close().map(|(code, _)| code), Some(0));
    assert_clean(&stopping.join().unwrap());
}

#[test]
fn no_new_session_opens_while_it_leaves() {
    let (mut peer, session, stopping) = leaving("/echo");
    wait_for_drain(&mut peer, session);
    let late = peer.send(&peer.webtransport("/echo")).unwrap();
    peer.until("an answer to the late CONNECT", |seen| {
        let stream = seen.stream(late);
        (stream.ended() || stream.aborted() || seen.close.is_some()).then_some(())
    })
    .unwrap();
    let seen = peer.client.seen().stream(late);
    let status = Response::parse(&seen.data).unwrap().map(|response| response.status);
    assert!(status == Some(503) || seen.reset == Some(code::H3_REQUEST_REJECTED), "status {status:?}, {seen:?}");
    assert_clean(&stopping.join().unwrap());
}
