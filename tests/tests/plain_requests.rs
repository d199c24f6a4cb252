//! Plain HTTP/3 requests to a server that answers them, from a client that writes its bytes by hand, beside a session
//! that must not notice.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;
use transom::{Config, HttpRequest, HttpResponse, Server, ServerApp, Session, SessionError, StatusCode, Tls};
use transom_tests::raw::{DRAFT_02, Options, Peer, Request, Response, code, wire};

const MEBIBYTE: usize = 1 << 20;
const AUTHORITY: &str = "localhost";

/// A client leaves a request alone.
type Leaves = dyn Fn(&mut Peer, u64);

/// A server, its runtime, and where it is.
struct Running {
    server: Server,
    _runtime: Runtime,
    address: SocketAddr,
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// `/bytes/{n}` answers with so many bytes, `/never` never, `/late` after a while, `/panic` panics, all else `here`.
async fn answer(request: HttpRequest) -> HttpResponse {
    if let Some(length) = request.path().strip_prefix("/bytes/").and_then(|text| text.parse().ok()) {
        return HttpResponse::from(Bytes::from(pattern(length)));
    }
    match request.path() {
        "/never" => std::future::pending().await,
        "/late" => tokio::time::sleep(Duration::from_millis(300)).await,
        "/panic" => panic!("as it should"),
        "/status/204" => return HttpResponse::new(StatusCode::NO_CONTENT, "none of this"),
        _ => {}
    }
    HttpResponse::from("here")
}

async fn echo(session: Session) -> Result<(), SessionError> {
    while let Some(mut stream) = session.accept_bi().await? {
        tokio::spawn(async move {
            while let Ok(Some(bytes)) = stream.recv.read_bytes(1 << 16).await {
                if stream.send.write_bytes(bytes).await.is_err() {
                    return;
                }
            }
            let _ = stream.send.finish();
        });
    }
    Ok(())
}

fn serve(change: impl FnOnce(&mut Config)) -> Running {
    let runtime = Runtime::new().unwrap();
    let inside = runtime.enter();
    let mut config = Config::default();
    change(&mut config);
    let app = ServerApp::new().route("/echo", echo).http_fallback(answer).config(config);
    let server = app.bind("127.0.0.1:0", Tls::self_signed([AUTHORITY]).unwrap()).start().unwrap();
    drop(inside);
    Running { address: server.local_addrs()[0], server, _runtime: runtime }
}

/// A client with an echo session.
fn client(running: &Running, options: &Options) -> (Peer, u64) {
    let mut peer = Peer::connect(running.address, options).unwrap();
    peer.send_settings(DRAFT_02).unwrap();
    let session = peer.open_session("/echo").unwrap();
    (peer, session)
}

fn small_window() -> Options {
    Options { stream_window: 16 * 1024, ..Options::default() }
}

fn get(peer: &mut Peer, path: &str) -> u64 {
    let stream = peer.send(&Request::plain("GET", AUTHORITY, path)).unwrap();
    peer.client.finish(stream).unwrap();
    stream
}

/// The whole answer on a stream, which must end with FIN.
fn whole(peer: &mut Peer, stream: u64) -> Response {
    peer.until("the end of an answer", |seen| seen.stream(stream).ended().then_some(())).unwrap();
    let seen = peer.client.seen().stream(stream);
    assert!(seen.fin, "not cut: {:?} {:?}", seen.reset, seen.stop);
    Response::parse(&seen.data).unwrap().unwrap()
}

/// The code with which the server resets or stops a stream; a half that we stopped shows no reset.
fn aborted(peer: &mut Peer, stream: u64) -> u64 {
    peer.until("a reset", |seen| seen.stream(stream).reset.or(seen.stream(stream).stop)).unwrap()
}

#[test]
fn answers_have_a_length_and_come_whole() {
    let running = serve(|_| {});
    let (mut peer, session) = client(&running, &Options::default());
    for length in [0, 1, 5_000, 8 * MEBIBYTE] {
        let stream = get(&mut peer, &format!("/bytes/{length}"));
        let response = whole(&mut peer, stream);
        assert_eq!((response.status, response.field("content-length")), (200, Some(&*length.to_string())));
        assert!(response.body == pattern(length), "{length} bytes");
    }
    let stream = get(&mut peer, "/status/204");
    let response = whole(&mut peer, stream);
    assert_eq!((response.status, response.field("content-length"), response.body.len()), (204, None, 0));
    let stream = get(&mut peer, "/panic");
    assert_eq!(whole(&mut peer, stream).status, 500);
    peer.echo_bidi(session, b"undisturbed").unwrap();
}

#[test]
fn a_client_that_does_not_read_gets_no_more_answers_and_later_all_of_them() {
    let running = serve(|_| {});
    let (mut peer, session) = client(&running, &small_window());
    let mut streams = Vec::new();
    for _ in 0..16 {
        let stream = peer.client.open_bidi().unwrap();
        peer.client.leave_unread(stream);
        peer.client.write(stream, &Request::plain("GET", AUTHORITY, "/bytes/1000000").frame()).unwrap();
        peer.client.finish(stream).unwrap();
        streams.push(stream);
    }
    peer.echo_bidi(session, &pattern(MEBIBYTE)).unwrap();
    let surplus = get(&mut peer, "/");
    assert_eq!(aborted(&mut peer, surplus), code::H3_REQUEST_REJECTED);
    peer.echo_bidi(session, b"undisturbed").unwrap();
    for stream in &streams {
        peer.client.read_again(*stream);
    }
    for stream in streams {
        assert!(whole(&mut peer, stream).body == pattern(1_000_000), "stream {stream}");
    }
    let stream = get(&mut peer, "/");
    assert_eq!(whole(&mut peer, stream).body, b"here");
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let running = serve(|config| config.accept_timeout = Duration::from_millis(300));
    let (mut peer, session) = client(&running, &small_window());
    let stream = peer.client.open_bidi().unwrap();
    peer.client.leave_unread(stream);
    peer.client.write(stream, &Request::plain("GET", AUTHORITY, "/bytes/1000000").frame()).unwrap();
    peer.client.finish(stream).unwrap();
    peer.client.rest(Duration::from_secs(2));
    peer.client.read_again(stream);
    assert_eq!(aborted(&mut peer, stream), code::H3_REQUEST_CANCELLED);
    peer.echo_bidi(session, b"undisturbed").unwrap();
}

#[test]
fn a_request_that_nobody_answers_gets_503() {
    let running = serve(|config| config.accept_timeout = Duration::from_millis(300));
    let (mut peer, session) = client(&running, &Options::default());
    let stream = get(&mut peer, "/never");
    assert_eq!(whole(&mut peer, stream).status, 503);
    peer.echo_bidi(session, b"undisturbed").unwrap();
}

#[test]
fn clients_that_go_away_make_room() {
    let running = serve(|_| {});
    let (mut peer, session) = client(&running, &Options::default());
    let reset = |peer: &mut Peer, stream| peer.client.reset(stream, code::H3_REQUEST_CANCELLED).unwrap();
    let stop = |peer: &mut Peer, stream| peer.client.stop(stream, code::H3_REQUEST_CANCELLED).unwrap();
    let datagram = |peer: &mut Peer, stream| {
        peer.client.datagram(&wire::datagram(stream, b"what for?")).unwrap();
    };
    let ways: [(&Leaves, u64); 3] = [
        (&reset, code::H3_REQUEST_CANCELLED),
        (&stop, code::H3_REQUEST_CANCELLED),
        (&datagram, code::H3_DATAGRAM_ERROR),
    ];
    // More of each than may wait at a time.
    for round in 0..60 {
        let stream = peer.send(&Request::plain("GET", AUTHORITY, "/never")).unwrap();
        // A round trip, so that the server has seen the request.
        peer.echo_bidi(session, b"meanwhile").unwrap();
        let (go_away, answer) = ways[round % ways.len()];
        go_away(&mut peer, stream);
        assert_eq!(aborted(&mut peer, stream), answer, "round {round}");
    }
    let stream = get(&mut peer, "/");
    assert_eq!(whole(&mut peer, stream).body, b"here");
    peer.echo_bidi(session, b"undisturbed").unwrap();
}

#[test]
fn a_body_is_thrown_away_and_soon_not_wanted() {
    let running = serve(|_| {});
    let (mut peer, session) = client(&running, &Options::default());
    let mut streams = Vec::new();
    for _ in 0..8 {
        let stream = peer.send(&Request::plain("POST", AUTHORITY, "/never")).unwrap();
        peer.client.write(stream, &wire::data(&vec![7; 300_000])).unwrap();
        streams.push(stream);
    }
    for stream in streams {
        let stop = peer.until("the body to be stopped", |seen| seen.stream(stream).stop).unwrap();
        assert_eq!(stop, code::H3_NO_ERROR);
    }
    // Nothing of 2.4 MB is left in the window of 1 MiB.
    peer.echo_bidi(session, &pattern(2 * MEBIBYTE)).unwrap();
    let late = peer.send(&Request::plain("POST", AUTHORITY, "/late")).unwrap();
    peer.client.write(late, &wire::data(&vec![7; 300_000])).unwrap();
    assert_eq!(whole(&mut peer, late).body, b"here");
    let small = peer.send(&Request::plain("POST", AUTHORITY, "/late")).unwrap();
    peer.client.write(small, &wire::data(b"little")).unwrap();
    peer.client.finish(small).unwrap();
    assert_eq!(whole(&mut peer, small).body, b"here");
    assert_eq!(peer.client.seen().stream(small).stop, None, "all of it was read");
}

#[test]
fn frames_out_of_order_are_still_an_error() {
    let running = serve(|_| {});
    let (mut peer, _) = client(&running, &Options::default());
    let stream = peer.send(&Request::plain("GET", AUTHORITY, "/never")).unwrap();
    peer.client.write(stream, &wire::frame(wire::GOAWAY, &[0])).unwrap();
    let close = peer.until("CONNECTION_CLOSE", |seen| seen.close.clone()).unwrap();
    assert!(close.to_string().contains("H3_FRAME_UNEXPECTED"), "{close}");
}

#[test]
fn shutting_down_waits_for_answers() {
    let running = serve(|_| {});
    let mut peer = Peer::greet(running.address, DRAFT_02).unwrap();
    let stream = get(&mut peer, "/late");
    peer.client.rest(Duration::from_millis(50));
    running.server.handle().shutdown(Duration::from_secs(10));
    assert_eq!(whole(&mut peer, stream).body, b"here");
}

/// Who operates a server asks it over HTTP/3, and everybody else still reaches the application.
#[test]
fn operators_are_answered() {
    let runtime = Runtime::new().unwrap();
    let inside = runtime.enter();
    let app = ServerApp::new().route("/echo", echo).http_fallback(answer).operations();
    let server = app.bind("127.0.0.1:0", Tls::self_signed([AUTHORITY]).unwrap()).start().unwrap();
    drop(inside);
    let running = Running { address: server.local_addrs()[0], server, _runtime: runtime };
    let (mut peer, _) = client(&running, &Options::default());
    let mut ask = |method: &str, path: &str| {
        let stream = peer.send(&Request::plain(method, AUTHORITY, path)).unwrap();
        peer.client.finish(stream).unwrap();
        let response = whole(&mut peer, stream);
        (response.status, String::from_utf8(response.body).unwrap())
    };
    assert_eq!(ask("GET", "/healthz"), (200, "ok\n".into()));
    assert_eq!(ask("GET", "/readyz"), (200, "ready\n".into()));
    assert_eq!(ask("GET", "/elsewhere"), (200, "here".into()));
    assert_eq!(ask("POST", "/metrics").0, 405);
    let (status, text) = ask("GET", "/metrics");
    assert!(status == 200 && text.contains("\ntransom_sessions 1\n"), "{text}");
}
