//! The raw client and the peer servers against each other: each shows that the other one works.

use transom_tests::peers::{CLOSE_REASON, Implementation, PeerServer};
use transom_tests::raw::{Close, DRAFT_02, Failure, Peer};

fn greeted(server: &PeerServer) -> Peer {
    Peer::greet(server.address(), DRAFT_02).unwrap()
}

fn echoes(implementation: Implementation) {
    let server = PeerServer::start(implementation).unwrap();
    let mut peer = greeted(&server);
    let session = peer.open_session("/echo").unwrap();
    peer.echo_bidi(session, b"small").unwrap();
    peer.echo_bidi(session, &vec![7; 1 << 20]).unwrap();
    peer.echo_uni(session, b"one way and back").unwrap();
    peer.echo_datagram(session, b"datagram").unwrap();
    let open = peer.open_wt_bidi(session, b"").unwrap();
    peer.say(open, b"first").unwrap();
    peer.say(open, b"second").unwrap();
}

#[test]
fn wtransport_echoes() {
    echoes(Implementation::Wtransport);
}

#[test]
fn web_transport_quinn_echoes() {
    echoes(Implementation::WebTransportQuinn);
}

#[test]
fn h3_echoes() {
    echoes(Implementation::H3);
}

/// The code and the reason with which `/close/{code}` ended, and whether it was a capsule.
fn close_of(implementation: Implementation, path: &str) -> (u64, String, bool) {
    let server = PeerServer::start(implementation).unwrap();
    let mut peer = greeted(&server);
    let session = peer.send(&peer.webtransport(path)).unwrap();
    let outcome = peer.until("a close", |seen| {
        let answer = transom_tests::raw::Response::parse(&seen.stream(session).data).unwrap();
        let capsule = answer.and_then(|response| response.close());
        let capsule = capsule.map(|(code, reason)| (u64::from(code), reason, true));
        capsule.or_else(|| match &seen.close {
            Some(Close::Application { code, reason }) => Some((*code, reason.clone(), false)),
            _ => None,
        })
    });
    outcome.unwrap()
}

#[test]
fn closing_without_capsules_closes_the_connection() {
    for implementation in [Implementation::Wtransport, Implementation::H3] {
        assert_eq!(close_of(implementation, "/close/42"), (42, CLOSE_REASON.to_owned(), false));
    }
}

#[test]
fn web_transport_quinn_closes_with_a_capsule() {
    assert_eq!(close_of(Implementation::WebTransportQuinn, "/close/42"), (42, CLOSE_REASON.to_owned(), true));
}

#[test]
fn unknown_routes_are_refused() {
    for implementation in Implementation::ALL {
        let server = PeerServer::start(implementation).unwrap();
        let mut peer = greeted(&server);
        let request = peer.send(&peer.webtransport("/nowhere")).unwrap();
        match peer.response(request) {
            Ok(response) => assert_eq!(response.status, 404, "{implementation:?}"),
            Err(failure) => panic!("{implementation:?}: {failure}"),
        }
    }
}

#[test]
fn a_wrong_application_protocol_is_refused_in_the_handshake() {
    let server = PeerServer::start(Implementation::H3).unwrap();
    let options = transom_tests::raw::Options { alpn: vec![b"dummy".to_vec()], ..Default::default() };
    match Peer::connect(server.address(), &options).map(|_| ()) {
        Err(Failure::Closed(Close::Transport { code, .. })) => assert_eq!(code, 0x178),
        other => panic!("{other:?}"),
    }
}
