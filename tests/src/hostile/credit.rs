//! Credit that must come back, whatever becomes of a stream (2.9 of the catalogue).
//!
//! Each case uses up many times what the server allows at once: streams (100 of each kind) or bytes (1 MiB in all
//! streams together). If a path forgets to return credit, the attacker itself is stuck, and says so.

use super::attacker::Attacker;
use super::place::{authority, echo};
use super::{Case, Reaction, Scene};
use crate::raw::{Client, Failure, Request, code, wire};
use Reaction::GoesOn;

pub(super) fn cases() -> Vec<Case> {
    [stream_credit(), byte_credit()].into_iter().flatten().collect()
}

/// One use of credit on a session.
type Use = fn(&mut Client, u64) -> Result<(), Failure>;

/// Four hundred streams, used like this.
fn streams(name: &str, each: Use) -> Case {
    Case::new("215 184", format!("400 streams: {name}"), &[GoesOn], move |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let session = attacker.session()?;
        for _ in 0..400 {
            each(&mut attacker.peer.client, session)?;
        }
        all_credit_is_there(&mut attacker)
    })
}

/// Eighty streams with 100 KB each, used like this.
fn bytes(name: &str, each: Use) -> Case {
    Case::new("215", format!("8 MB on streams: {name}"), &[GoesOn], move |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let session = attacker.session()?;
        for _ in 0..80 {
            each(&mut attacker.peer.client, session)?;
        }
        all_credit_is_there(&mut attacker)
    })
}

/// The session still carries as many bytes and streams as ever.
fn all_credit_is_there(attacker: &mut Attacker) -> Result<Reaction, Failure> {
    let session = attacker.session()?;
    attacker.peer.echo_bidi(session, &vec![1; 2 << 20])?;
    attacker.peer.echo_uni(session, &vec![2; 2 << 20])?;
    attacker.reaction_of_connection()
}

fn open(client: &mut Client, bidi: bool, header: &[u8]) -> Result<u64, Failure> {
    let stream = if bidi { client.open_bidi()? } else { client.open_uni()? };
    client.write(stream, header)?;
    Ok(stream)
}

fn stream_credit() -> Vec<Case> {
    vec![
        streams("bidi, FIN inside the header", |client, _| {
            let stream = open(client, true, &[0x40, 0x41])?;
            client.finish(stream)
        }),
        streams("bidi, reset inside the header", |client, _| {
            let stream = open(client, true, &[0x40, 0x41])?;
            client.reset(stream, code::H3_REQUEST_CANCELLED)
        }),
        streams("uni, reset inside the header", |client, _| {
            let stream = open(client, false, &[0x40, 0x54])?;
            client.reset(stream, code::H3_REQUEST_CANCELLED)
        }),
        streams("bidi, echo reset", |client, session| {
            let stream = open(client, true, &wire::bidi_header(session))?;
            client.reset(stream, code::from_application(1))
        }),
        streams("bidi, echo stopped and finished", |client, session| {
            let stream = open(client, true, &wire::bidi_header(session))?;
            client.stop(stream, code::from_application(1))?;
            client.finish(stream)
        }),
        streams("bidi, echo stopped and reset", |client, session| {
            let stream = open(client, true, &wire::bidi_header(session))?;
            client.stop(stream, code::from_application(1))?;
            client.reset(stream, code::from_application(1))
        }),
        streams("uni, echo reset", |client, session| {
            let stream = open(client, false, &wire::uni_header(session))?;
            client.reset(stream, code::from_application(1))
        }),
        streams("GET", |client, _| {
            let stream = open(client, true, &Request::plain("GET", authority(), "/").frame())?;
            client.finish(stream)
        }),
    ]
}

fn byte_credit() -> Vec<Case> {
    vec![
        bytes("unknown type, left open until stopped", |client, _| {
            let stream = open(client, false, &[0x21])?;
            client.write(stream, &BODY)?;
            client.finish(stream)
        }),
        bytes("uni, reset behind the body", |client, session| {
            let stream = open(client, false, &wire::uni_header(session))?;
            client.write(stream, &BODY)?;
            client.reset(stream, code::from_application(1))
        }),
        bytes("bidi, reset behind the body", |client, session| {
            let stream = open(client, true, &wire::bidi_header(session))?;
            client.write(stream, &BODY)?;
            client.reset(stream, code::from_application(1))
        }),
        bytes("bidi, stopped behind the body", |client, session| {
            let stream = open(client, true, &wire::bidi_header(session))?;
            client.write(stream, &BODY)?;
            client.stop(stream, code::from_application(1))?;
            client.finish(stream)
        }),
        bytes("POST", |client, _| {
            let stream = open(client, true, &Request::plain("POST", authority(), "/").frame())?;
            client.write(stream, &wire::data(&BODY))?;
            client.finish(stream)
        }),
        bytes("a second CONNECT with a body", |client, _| {
            let stream = open(client, true, &Request::webtransport(authority(), echo()).frame())?;
            client.write(stream, &wire::data(&BODY))?;
            client.finish(stream)
        }),
        bytes("bidi, reset inside the header of an unfinished HEADERS frame", |client, _| {
            let stream = open(client, true, &wire::claim(wire::HEADERS, 16_000, &BODY[..15_000]))?;
            client.reset(stream, code::H3_REQUEST_CANCELLED)
        }),
    ]
}

static BODY: [u8; 100_000] = [0x21; 100_000];
