//! HTTP/3 streams and frames: the opening of streams, and frames by themselves (2.2 of the catalogue).

use super::place::{authority, echo};
use super::script::{On, Script, script};
use super::{Case, Reaction, Scene};
use crate::raw::{DRAFT_02, Request, code, wire};
use Reaction::{Aborts, Answers, Closes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let scripts = [openings(), unknown_streams(), tolerated_frames(), malformed_frames(), long_forms()];
    let mut cases: Vec<Case> = scripts.into_iter().flatten().flat_map(Script::cases).collect();
    cases.extend(cut_streams());
    cases.extend(long_form_streams());
    cases
}

/// A reserved type: 0x21 + 0x1f·n.
pub(super) fn reserved(n: u64) -> u64 {
    0x21 + 0x1f * n
}

fn control(frame: &[u8]) -> Vec<u8> {
    [&[wire::CONTROL_STREAM as u8], frame].concat()
}

fn openings() -> Vec<Script> {
    let missing = &[Closes(code::H3_MISSING_SETTINGS)];
    let second = &[Closes(code::H3_STREAM_CREATION_ERROR)];
    let critical = &[Closes(code::H3_CLOSED_CRITICAL_STREAM)];
    let first = |rows, name: &str, kind, payload: &[u8]| {
        script(
            rows,
            format!("control stream opens with {name}"),
            On::Opening,
            control(&wire::frame(kind, payload)),
            missing,
        )
    };
    vec![
        first("56 h40", "MAX_PUSH_ID", wire::MAX_PUSH_ID, &[8]),
        first("56", "GOAWAY", wire::GOAWAY, &[0]),
        first("56", "DATA", wire::DATA, b"x"),
        first("56", "HEADERS", wire::HEADERS, &[0, 0]),
        first("56", "a reserved frame", reserved(2), b"x"),
        script("57", "a second control stream", On::Uni, control(&wire::settings(DRAFT_02)), second),
        script("58 h48", "FIN on the control stream", On::Control, [], critical).fin(),
        script("58 h48", "reset of the control stream", On::Control, [], critical).reset(code::H3_NO_ERROR),
        script("58", "FIN on the control stream before SETTINGS", On::Opening, [0], critical).fin(),
        script("60", "a push stream from the client", On::Uni, [wire::PUSH_STREAM as u8, 0], second),
    ]
}

fn unknown_streams() -> Vec<Script> {
    let discarded = &[GoesOn, Aborts(code::H3_STREAM_CREATION_ERROR)];
    let stream = |name: &str, kind: u64| {
        let bytes = [wire::varint(kind), b"whatever this means".to_vec()].concat();
        script("61", format!("unknown stream type {name}"), On::Uni, bytes, discarded)
    };
    vec![
        stream("0x21", reserved(0)),
        stream("0x21 + 0x1f·9", reserved(9)),
        stream("0x04", 0x04),
        stream("0x2843", 0x2843),
        stream("2^62-1", wire::VARINT_MAX),
        stream("0x22, then FIN", 0x22).fin(),
        script("62", "uni stream: FIN without a byte", On::Uni, [], &[GoesOn]).fin(),
        script("62", "uni stream: FIN inside the type", On::Uni, [0x40], &[GoesOn]).fin(),
        script("62", "uni stream: reset inside the type", On::Uni, [0xc0, 0, 0], &[GoesOn]).reset(code::H3_NO_ERROR),
    ]
}

fn tolerated_frames() -> Vec<Script> {
    let connect = Request::webtransport(authority(), echo()).frame();
    let long = wire::frame(reserved(5), &[0xab; 5000]);
    vec![
        script(
            "74",
            "reserved frame on the control stream, empty",
            On::Control,
            wire::frame(reserved(0), b""),
            &[GoesOn],
        ),
        script(
            "74",
            "reserved frame on the control stream, 3 bytes",
            On::Control,
            wire::frame(reserved(1), b"abc"),
            &[GoesOn],
        ),
        script("74", "reserved frame on the control stream, 5000 bytes", On::Control, long.clone(), &[GoesOn]),
        script("74", "reserved frame on a session, 3 bytes", On::Connect, wire::frame(reserved(1), b"abc"), &[GoesOn]),
        script("74", "reserved frame on a session, 5000 bytes", On::Connect, long, &[GoesOn]),
        script(
            "74",
            "unknown frame 0x4242 before the CONNECT",
            On::Request,
            [wire::frame(0x4242, b"abc"), connect].concat(),
            &[Answers(200)],
        ),
        script("85", "PRIORITY_UPDATE", On::Control, priority_update(0), &[GoesOn]),
        script("85", "PRIORITY_UPDATE for a stream not open yet", On::Control, priority_update(40), &[GoesOn]),
    ]
}

pub(super) fn priority_update(stream: u64) -> Vec<u8> {
    wire::frame(wire::PRIORITY_UPDATE, &[wire::varint(stream), b"u=1, i".to_vec()].concat())
}

fn malformed_frames() -> Vec<Script> {
    let error = &[Closes(code::H3_FRAME_ERROR)];
    // Two faults at once; the RFC does not say which comes first.
    let either = &[Closes(code::H3_FRAME_ERROR), Closes(code::H3_ID_ERROR)];
    // It may have become a frame or a WebTransport stream.
    let undecided = &[Closes(code::H3_FRAME_ERROR), Aborts(code::H3_REQUEST_INCOMPLETE)];
    let block = Request::webtransport(authority(), echo()).block();
    let cut_headers = wire::claim(wire::HEADERS, block.len() as u64 + 20, &block);
    let on_control = |name: &str, kind, payload: &[u8]| {
        script("76", format!("{name} on the control stream"), On::Control, wire::frame(kind, payload), error)
    };
    vec![
        on_control("GOAWAY of 9 bytes", wire::GOAWAY, &[0; 9]),
        on_control("GOAWAY, empty", wire::GOAWAY, b""),
        on_control("MAX_PUSH_ID, empty", wire::MAX_PUSH_ID, b""),
        on_control("MAX_PUSH_ID with a byte too many", wire::MAX_PUSH_ID, &[1, 0]),
        on_control("MAX_PUSH_ID with a cut varint", wire::MAX_PUSH_ID, &[0x40]),
        script(
            "70 76",
            "CANCEL_PUSH with a byte too many on the control stream",
            On::Control,
            wire::frame(wire::CANCEL_PUSH, &[0, 0]),
            either,
        ),
        script("77", "FIN inside HEADERS", On::Request, cut_headers, error).fin(),
        script("77 78", "FIN inside a frame type", On::Request, [0x40], undecided).fin(),
        script("77", "FIN inside a frame length", On::Request, [wire::HEADERS as u8, 0x40], error).fin(),
        script("77", "FIN between frame type and length", On::Request, [wire::HEADERS as u8], error).fin(),
        script("77", "FIN inside DATA of a session", On::Connect, wire::claim(wire::DATA, 10, b"\x21\x01"), error)
            .fin(),
        script("77", "FIN inside a frame header of a session", On::Connect, [wire::DATA as u8], error).fin(),
        script(
            "77",
            "FIN inside an unknown frame of a session",
            On::Connect,
            wire::claim(reserved(3), 9, b"abc"),
            error,
        )
        .fin(),
        script(
            "79",
            "0x41 as frame type on the control stream",
            On::Control,
            wire::varints(&[wire::WT_BIDI, 0]),
            error,
        ),
        script(
            "81",
            "reserved frame, then 0x41, on a request stream",
            On::Request,
            [wire::frame(reserved(4), b"x"), wire::bidi_header(0)].concat(),
            error,
        ),
        script("81", "0x41 as frame type on a session", On::Connect, wire::varints(&[wire::WT_BIDI, 0]), error),
    ]
}

fn long_forms() -> Vec<Script> {
    let settings: Vec<u8> = DRAFT_02
        .iter()
        .flat_map(|(id, value)| [wire::varint_of_width(*id, 8), wire::varint_of_width(*value, 8)].concat())
        .collect();
    let opening =
        [wire::varint_of_width(wire::CONTROL_STREAM, 8), wire::wide_frame(wire::SETTINGS, &settings)].concat();
    let connect = Request::webtransport(authority(), echo()).block();
    vec![
        script("82", "control stream and SETTINGS in 8-byte varints", On::Opening, opening, &[GoesOn]),
        script(
            "82",
            "HEADERS of a CONNECT in 8-byte varints",
            On::Request,
            wire::wide_frame(wire::HEADERS, &connect),
            &[Answers(200)],
        ),
    ]
}

/// More streams than may be open at a time: the credit of each must come back.
fn cut_streams() -> Vec<Case> {
    let many = |name: &str, bytes: &'static [u8]| {
        Case::new("62 184", format!("400 uni streams: {name}"), &[GoesOn], move |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            for _ in 0..400 {
                let stream = attacker.peer.client.open_uni()?;
                attacker.peer.client.write(stream, bytes)?;
                attacker.peer.client.finish(stream)?;
            }
            attacker.reaction_of_connection()
        })
    };
    vec![
        many("FIN without a byte", b""),
        many("FIN inside the type", b"\x40"),
        many("FIN inside the session id", b"\x40\x54\x40"),
        many("unknown type", b"\x21abc"),
    ]
}

fn long_form_streams() -> Vec<Case> {
    let uni =
        Case::new("82", "uni stream with type and session id in 8-byte varints", &[GoesOn], |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            let session = attacker.session()?;
            let stream = attacker.peer.client.open_uni()?;
            let header = [wire::varint_of_width(wire::WT_UNI, 8), wire::varint_of_width(session, 8)].concat();
            attacker.peer.client.write(stream, &[header, b"wide".to_vec()].concat())?;
            attacker.peer.client.finish(stream)?;
            attacker.peer.until("the echo of a uni stream", |seen| {
                seen.opened_by_server().any(|(_, stream)| stream.fin && stream.data.ends_with(b"wide")).then_some(())
            })?;
            attacker.reaction_of_connection()
        });
    let bidi =
        Case::new("82", "bidi stream with type and session id in 8-byte varints", &[GoesOn], |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            let session = attacker.session()?;
            let stream = attacker.peer.client.open_bidi()?;
            let header = [wire::varint_of_width(wire::WT_BIDI, 8), wire::varint_of_width(session, 8)].concat();
            attacker.peer.client.write(stream, &header)?;
            attacker.peer.say(stream, b"wide")?;
            attacker.reaction_of_connection()
        });
    vec![uni, bidi]
}
