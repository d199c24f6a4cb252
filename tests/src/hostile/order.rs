//! HTTP/3 frames in the wrong place or order, too much of them, and plain requests (2.2 of the catalogue).

use super::frames::{priority_update, reserved};
use super::place::{authority, echo};
use super::script::{On, Script, script};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{DRAFT_02, Failure, Peer, Request, StreamSeen, code, wire};
use Reaction::{Aborts, Answers, Closes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let scripts = [wrong_place(), http2_frames(), push_and_goaway(), floods(), incomplete_requests()];
    let mut cases: Vec<Case> = scripts.into_iter().flatten().flat_map(Script::cases).collect();
    cases.extend(plain_requests());
    cases
}

const UNEXPECTED: &[Reaction] = &[Closes(code::H3_FRAME_UNEXPECTED)];

fn wrong_place() -> Vec<Script> {
    let headers = Request::webtransport(authority(), echo()).frame();
    let settings = wire::settings(DRAFT_02);
    let mut scripts = vec![
        script("64 h35", "DATA before HEADERS", On::Request, wire::data(b"x"), UNEXPECTED),
        script("65", "HEADERS on an open session", On::Connect, headers.clone(), UNEXPECTED),
        script("67", "SETTINGS on a request stream", On::Request, settings.clone(), UNEXPECTED),
        script("67", "SETTINGS on a session", On::Connect, settings.clone(), UNEXPECTED),
        script("67 h43", "a second SETTINGS", On::Control, settings, UNEXPECTED),
        script("h41", "DATA on the control stream", On::Control, wire::data(b"x"), UNEXPECTED),
        script("h42", "HEADERS on the control stream", On::Control, headers, UNEXPECTED),
    ];
    let strays = [
        ("68", "GOAWAY", wire::GOAWAY),
        ("68", "MAX_PUSH_ID", wire::MAX_PUSH_ID),
        ("68 h45", "CANCEL_PUSH", wire::CANCEL_PUSH),
        ("69", "PUSH_PROMISE", wire::PUSH_PROMISE),
    ];
    for (rows, name, kind) in strays {
        let frame = wire::frame(kind, &[0]);
        scripts.push(script(rows, format!("{name} on a request stream"), On::Request, frame.clone(), UNEXPECTED));
        scripts.push(script(rows, format!("{name} on a session"), On::Connect, frame, UNEXPECTED));
    }
    let promise = wire::frame(wire::PUSH_PROMISE, &[0, 0, 0]);
    scripts.push(script("69", "PUSH_PROMISE on the control stream", On::Control, promise, UNEXPECTED));
    scripts
}

/// Frame types that HTTP/2 used for other things (RFC 9114, 7.2.8).
fn http2_frames() -> Vec<Script> {
    let mut scripts = Vec::new();
    for kind in [0x02, 0x06, 0x08, 0x09] {
        let frame = wire::frame(kind, b"abc");
        scripts.push(script(
            "67",
            format!("HTTP/2 frame {kind:#x} on the control stream"),
            On::Control,
            frame.clone(),
            UNEXPECTED,
        ));
        scripts.push(script(
            "67",
            format!("HTTP/2 frame {kind:#x} on a request stream"),
            On::Request,
            frame.clone(),
            UNEXPECTED,
        ));
        scripts.push(script("67", format!("HTTP/2 frame {kind:#x} on a session"), On::Connect, frame, UNEXPECTED));
    }
    scripts
}

fn push_and_goaway() -> Vec<Script> {
    let twice = |kind, first: u64, second: u64| {
        [wire::frame(kind, &wire::varint(first)), wire::frame(kind, &wire::varint(second))].concat()
    };
    let id_error = &[Closes(code::H3_ID_ERROR)];
    vec![
        script(
            "70",
            "CANCEL_PUSH for a push never promised",
            On::Control,
            wire::frame(wire::CANCEL_PUSH, &[3]),
            id_error,
        ),
        script("71", "MAX_PUSH_ID going down", On::Control, twice(wire::MAX_PUSH_ID, 8, 4), id_error),
        script("71", "MAX_PUSH_ID growing", On::Control, twice(wire::MAX_PUSH_ID, 4, 8), &[GoesOn]),
        script("72", "GOAWAY with a growing id", On::Control, twice(wire::GOAWAY, 4, 8), id_error),
        script("72", "GOAWAY with a falling id", On::Control, twice(wire::GOAWAY, 8, 4), &[GoesOn]),
    ]
}

fn floods() -> Vec<Script> {
    let load = &[Closes(code::H3_EXCESSIVE_LOAD)];
    let endless = wire::claim(reserved(3), wire::VARINT_MAX, &vec![0; 1_300_000]);
    let endless_capsule = wire::data(&wire::claim(0x17, wire::VARINT_MAX, &vec![0; 1_300_000]));
    let huge = wire::claim(wire::HEADERS, 1 << 20, &[0; 100]);
    let huge_reactions = &[Answers(431), Aborts(code::H3_EXCESSIVE_LOAD)];
    let own = [
        script("75", "unknown frame of length 2^62-1, 1.3 MB of it", On::Connect, endless, load),
        script("83", "20,000 empty DATA frames", On::Connect, [wire::DATA as u8, 0].repeat(20_000), load),
        script("74", "20,000 reserved frames", On::Connect, wire::frame(reserved(0), b"").repeat(20_000), load),
        script("155", "unknown capsule, 1.3 MB of it", On::Connect, endless_capsule, load),
        script("155", "20,000 empty unknown capsules", On::Connect, wire::data(&[0x17, 0].repeat(20_000)), load),
        script("84", "HEADERS that claim 1 MiB", On::Request, huge, huge_reactions),
    ];
    let priorities = priority_update(0).repeat(20_000);
    let mut scripts = Vec::from(own.map(|script| script.counts_for(Scope::OwnLimits)));
    scripts.push(script("85", "20,000 PRIORITY_UPDATE", On::Control, priorities, &[GoesOn, load[0]]));
    scripts
}

fn incomplete_requests() -> Vec<Script> {
    let incomplete = &[Aborts(code::H3_REQUEST_INCOMPLETE)];
    let reserved = wire::frame(reserved(1), b"abc");
    vec![
        script("78", "request stream: FIN without a byte", On::Request, [], incomplete).fin(),
        script("78", "request stream: reserved frame, FIN", On::Request, reserved, incomplete).fin(),
        script(
            "78",
            "request stream: reset without a byte",
            On::Request,
            [],
            &[GoesOn, Aborts(code::H3_REQUEST_INCOMPLETE), Aborts(code::H3_REQUEST_CANCELLED)],
        )
        .reset(code::H3_REQUEST_CANCELLED),
    ]
}

/// Plain HTTP/3 gets an answer and FIN; the body is not read, and stopped with H3_NO_ERROR if it is stopped.
fn plain_requests() -> Vec<Case> {
    let plain = |name: &str, method: &'static str, path: &'static str, body: Option<usize>| {
        Case::new("88", name, &[Answers(404), Answers(405)], move |scene: &Scene<'_>| {
            let mut attacker = scene.greeted()?;
            let stream = attacker.peer.send(&Request::plain(method, authority(), path))?;
            match body {
                Some(length) => attacker.peer.client.write(stream, &wire::data(&vec![0; length]))?,
                None => attacker.peer.client.finish(stream)?,
            }
            let seen = complete(&mut attacker.peer, stream)?;
            if seen.stop.is_some_and(|stop| stop != code::H3_NO_ERROR) {
                return Err(Failure::unexpected(format!("stopped with {:?}", seen.stop.map(code::name))));
            }
            attacker.reaction(stream)
        })
    };
    let mut cases = after_a_plain_request();
    cases.extend([
        plain("GET /", "GET", "/", None),
        plain("GET of a session's path", "GET", echo(), None),
        plain("HEAD /", "HEAD", "/", None),
        plain("POST with a body and without FIN", "POST", "/", Some(10_000)),
    ]);
    cases
}

/// What follows a request is its body and one section of trailers. All of it is sent at once: what comes after the answer
/// is not read.
fn after_a_plain_request() -> Vec<Case> {
    let post = Request::plain("POST", authority(), "/").frame();
    let trailers = wire::frame(wire::HEADERS, &crate::raw::qpack::block(&[("x", "y")]));
    let pseudo = wire::frame(wire::HEADERS, &crate::raw::qpack::block(&[(":path", "/")]));
    let body = wire::data(b"x");
    let answered = &[Answers(404), Answers(405)];
    let or_malformed = &[Answers(404), Answers(405), Aborts(code::H3_MESSAGE_ERROR)];
    let behind = |rows, name: &str, parts: &[&[u8]], expected: &[Reaction]| {
        let bytes = [&[post.as_slice()], parts].concat().concat();
        script(rows, name, On::Request, bytes, expected).fin().cases().remove(0)
    };
    vec![
        behind("H13", "a request with trailers", &[&body, &trailers], answered),
        behind("H13", "pseudo-header in trailers", &[&pseudo], or_malformed),
        behind("H2", "two requests on a stream", &[&trailers, &post], UNEXPECTED),
        behind("65", "DATA behind the trailers", &[&trailers, &body], UNEXPECTED),
    ]
}

fn complete(peer: &mut Peer, stream: u64) -> Result<StreamSeen, Failure> {
    peer.until("the end of a response", |seen| {
        let stream = seen.stream(stream);
        stream.ended().then(|| stream.clone())
    })
}
