//! DATAGRAM frames (2.8 of the catalogue).

use super::place::authority;
use super::{Case, Reaction, Scene};
use crate::raw::{DRAFT_02, Request, code, wire};
use Reaction::{Aborts, Closes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let error = &[Closes(code::H3_DATAGRAM_ERROR)];
    let beyond = &[GoesOn, Closes(code::H3_ID_ERROR)];
    let nobody = wire::datagram(80, b"for nobody");
    vec![
        one("197 D4", "empty datagram", b"", error),
        one("197 D4", "datagram with a cut id of two bytes", &[0x40], error),
        one("197 D4", "datagram with a cut id of four bytes", &[0x80, 0, 0], error),
        one("198 D3", "datagram for quarter stream id 2^60", &wire::varint(1 << 60), error),
        one("198 D3", "datagram for quarter stream id 2^62-1", &wire::varint(wire::VARINT_MAX), error),
        one("199", "datagram for quarter stream id 2^60-1", &wire::varint((1 << 60) - 1), beyond),
        one("199 D7", "datagram for a session that does not exist", &nobody, &[GoesOn]),
        one("199", "datagram id in 8 bytes, of an open session", &wire::varint_of_width(0, 8), &[GoesOn]),
        flood("199 W48", "1000 datagrams for sessions that do not exist", 1000, |n| {
            wire::datagram(40 + n % 40 * 4, b"x")
        }),
        flood("203", "20,000 datagrams for an open session", 20_000, |_| wire::datagram(0, b"flood")),
        zero_length(),
        of_a_closed_session(),
        of_a_plain_request(),
        before_settings(),
    ]
}

fn one(rows: &'static str, name: &str, payload: &[u8], expected: &[Reaction]) -> Case {
    let payload = payload.to_vec();
    Case::new(rows, name, expected, move |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        attacker.peer.client.datagram(&payload)?;
        attacker.reaction_of_connection()
    })
}

fn flood(rows: &'static str, name: &str, count: u64, payload: fn(u64) -> Vec<u8>) -> Case {
    Case::new(rows, name, &[GoesOn], move |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        for number in 0..count {
            attacker.peer.client.datagram(&payload(number))?;
        }
        attacker.reaction_of_connection()
    })
}

fn zero_length() -> Case {
    Case::new("207", "datagram without a payload comes back", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let session = attacker.session()?;
        attacker.peer.echo_datagram(session, b"")?;
        attacker.reaction_of_connection()
    })
}

fn of_a_closed_session() -> Case {
    Case::new("200 D6", "datagram for a closed session", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let session = attacker.session()?;
        attacker.peer.client.write(session, &wire::data(&wire::close(0, b"")))?;
        attacker.peer.client.finish(session)?;
        attacker.peer.until("the end of the session", |seen| seen.stream(session).ended().then_some(()))?;
        attacker.give_up_session();
        attacker.peer.client.datagram(&wire::datagram(session, b"too late"))?;
        attacker.reaction_of_connection()
    })
}

/// The request may be reset for it; by then it may also be over.
fn of_a_plain_request() -> Case {
    let expected = &[GoesOn, Aborts(code::H3_DATAGRAM_ERROR), Reaction::Answers(404), Reaction::Answers(405)];
    Case::new("201 D2", "datagram for a plain request", expected, |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let stream = attacker.peer.send(&Request::plain("POST", authority(), "/"))?;
        attacker.peer.client.datagram(&wire::datagram(stream, b"not for a request"))?;
        attacker.reaction(stream)
    })
}

fn before_settings() -> Case {
    Case::new("202", "datagram before SETTINGS", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.silent()?;
        attacker.peer.client.datagram(&wire::datagram(0, b"early"))?;
        attacker.peer.client.rest(std::time::Duration::from_millis(50));
        attacker.peer.send_settings(DRAFT_02)?;
        attacker.reaction_of_connection()
    })
}
