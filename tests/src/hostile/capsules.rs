//! Capsules on the CONNECT stream, and the end of sessions (2.6 and 2.10 of the catalogue).

use super::script::{On, Script, script};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{Client, Failure, code, wire};
use Reaction::{Aborts, Answers, Finishes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let scripts = [tolerated(), closing(), malformed()];
    let mut cases: Vec<Case> = scripts.into_iter().flatten().flat_map(Script::cases).collect();
    cases.push(split_close());
    cases.extend(end_of_streams());
    cases.push(early_capsules_of_a_refused_session().counts_for(Scope::OwnRoutes));
    cases.push(both_close().counts_for(Scope::OwnRoutes));
    cases
}

const MALFORMED: &[Reaction] = &[Aborts(code::H3_MESSAGE_ERROR)];

/// Capsules, all in one DATA frame.
fn one_frame(capsules: &[Vec<u8>]) -> Vec<u8> {
    wire::data(&capsules.concat())
}

fn capsule(kind: u64, payload: &[u8]) -> Vec<u8> {
    one_frame(&[wire::frame(kind, payload)])
}

fn tolerated() -> Vec<Script> {
    let unknown =
        |name: &str, bytes: Vec<u8>| script("155", format!("unknown capsule: {name}"), On::Connect, bytes, &[GoesOn]);
    let several = one_frame(&[wire::frame(0x17, b"a"), wire::frame(0x17, b""), wire::frame(0x7f_ffff, b"bcd")]);
    let mut scripts = vec![
        unknown("empty", capsule(0x17, b"")),
        unknown("of a browser (reserved type), 9 bytes", capsule(0x29 * 5 + 0x17, b"whatever.")),
        unknown("5000 bytes", capsule(0x2844, &[0xee; 5000])),
        unknown("three in one DATA frame", several),
        unknown("claims 2^62-1 bytes, ten of them here", wire::data(&wire::claim(0x17, wire::VARINT_MAX, &[0; 10]))),
        unknown("type and length in 8-byte varints", wire::data(&wire::wide_frame(0x17, b"abc"))),
        script("74", "an empty DATA frame", On::Connect, wire::data(b""), &[GoesOn]),
        script(
            "173",
            "DATAGRAM capsule, small",
            On::Connect,
            capsule(wire::CAPSULE_DATAGRAM, b"in a capsule"),
            &[GoesOn],
        ),
        script(
            "173",
            "DATAGRAM capsule that claims 2^40 bytes",
            On::Connect,
            wire::data(&wire::claim(wire::CAPSULE_DATAGRAM, 1 << 40, &[0; 100])),
            &[GoesOn],
        ),
        script("N13", "drain capsule", On::Connect, capsule(wire::CAPSULE_DRAIN, b""), &[GoesOn]),
    ];
    let flow_control = [
        (0x190b_4d3d, "WT_MAX_DATA"),
        (0x190b_4d3f, "WT_MAX_STREAMS bidi"),
        (0x190b_4d40, "WT_MAX_STREAMS uni"),
        (0x190b_4d41, "WT_DATA_BLOCKED"),
        (0x190b_4d43, "WT_STREAMS_BLOCKED bidi"),
        (0x190b_4d44, "WT_STREAMS_BLOCKED uni"),
    ];
    for (kind, name) in flow_control {
        let bytes = one_frame(&[wire::frame(kind, &wire::varint(9)), wire::frame(kind, &wire::varint(3))]);
        scripts.push(script("170", format!("{name} without flow control"), On::Connect, bytes, &[GoesOn]));
    }
    scripts
}

fn closing() -> Vec<Script> {
    let ends = &[Finishes];
    let close = |code, reason: &[u8]| wire::data(&wire::close(code, reason));
    let capsule = wire::close(7, b"split");
    let in_two = [wire::data(&capsule[..5]), wire::data(&capsule[5..])].concat();
    let in_bytes: Vec<u8> = capsule.chunks(1).flat_map(wire::data).collect();
    let after_unknown = one_frame(&[wire::frame(0x17, b"abc"), capsule.clone()]);
    vec![
        script("159", "close capsule, empty reason, FIN", On::Connect, close(0, b""), ends).fin(),
        script("159", "close capsule, reason of 1024 bytes, FIN", On::Connect, close(u32::MAX, &[b'r'; 1024]), ends)
            .fin(),
        script("159", "close capsule, reason in UTF-8, FIN", On::Connect, close(30, "grüße 🚪".as_bytes()), ends).fin(),
        script("163", "close capsule without FIN", On::Connect, close(1, b"bye"), ends),
        script("156", "close capsule over two DATA frames", On::Connect, in_two, ends),
        script("156", "close capsule, one DATA frame a byte", On::Connect, in_bytes, ends),
        script("156", "unknown and close capsule in one DATA frame", On::Connect, after_unknown, ends).fin(),
        script(
            "175",
            "close capsule with 8-byte varints",
            On::Connect,
            wire::data(&wire::wide_frame(wire::CAPSULE_CLOSE, &wire::close_payload(3, b"wide"))),
            ends,
        )
        .fin(),
        script("221", "FIN without a capsule", On::Connect, [], ends).fin(),
    ]
}

fn malformed() -> Vec<Script> {
    let reason = |rows, name: &str, reason: &[u8]| {
        script(rows, format!("close capsule: {name}"), On::Connect, wire::data(&wire::close(1, reason)), MALFORMED)
    };
    let cut = |name: &str, payload: &[u8]| {
        script("158", format!("FIN inside a capsule: {name}"), On::Connect, wire::data(payload), MALFORMED).fin()
    };
    let short = |length: usize| {
        let bytes = capsule(wire::CAPSULE_CLOSE, &[0; 4][..length]);
        script("D15", format!("close capsule of {length} bytes"), On::Connect, bytes, MALFORMED)
    };
    let close = wire::close(1, b"bye");
    let huge = wire::data(&wire::claim(wire::CAPSULE_CLOSE, 1 << 30, &[0; 100]));
    vec![
        reason("160", "reason of 1025 bytes", &[b'r'; 1025]),
        reason("160", "reason of 8192 bytes", &[b'r'; 8192]),
        script("160", "close capsule that claims 2^30 bytes", On::Connect, huge, MALFORMED),
        reason("161", "a cut character", &[b'a', 0xc3]),
        reason("161", "a surrogate", &[0xed, 0xa0, 0x80]),
        reason("161", "an overlong form", &[0xc0, 0x80]),
        reason("161", "a byte that UTF-8 never has", &[0xff]),
        short(0),
        short(3),
        cut("in its type", &[0x68]),
        cut("in its length", &wire::varints(&[wire::CAPSULE_CLOSE])),
        cut("in its payload", &close[..6]),
        cut("unknown type", &wire::claim(0x17, 100, b"abc")),
        script("162", "a byte after the close capsule", On::Connect, one_frame(&[close.clone(), vec![0]]), MALFORMED),
        script(
            "162",
            "a second close capsule",
            On::Connect,
            [wire::data(&close), wire::data(&close)].concat(),
            MALFORMED,
        ),
    ]
}

/// The capsule in two DATA frames with an unknown frame and a pause between them; before the second, all goes on.
fn split_close() -> Case {
    Case::new("156", "close capsule over two DATA frames, with echoes between", &[Finishes], |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let connect = attacker.session()?;
        let capsule = wire::close(7, b"in two parts");
        attacker.peer.client.write(connect, &wire::data(&capsule[..3]))?;
        attacker.others_go_on()?;
        attacker.peer.client.write(connect, &wire::frame(0x21, b"between"))?;
        attacker.others_go_on()?;
        attacker.peer.client.write(connect, &wire::data(&capsule[3..]))?;
        attacker.reaction_of_session()
    })
}

/// However a session ends, its streams are reset and stopped with WT_SESSION_GONE.
fn end_of_streams() -> Vec<Case> {
    type Ending = fn(&mut Client, u64) -> Result<(), Failure>;
    let gone = &[Aborts(code::WT_SESSION_GONE)];
    let ending = |name: &str, end: Ending| {
        Case::new("W73 W74", format!("open streams when the session ends by {name}"), gone, move |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            let (connect, witness) = (attacker.session()?, attacker.witness()?);
            end(&mut attacker.peer.client, connect)?;
            attacker.peer.until("both halves of an open stream to end", |seen| {
                let stream = seen.stream(witness);
                (stream.reset.is_some() && stream.stop.is_some()).then_some(())
            })?;
            attacker.give_up_session();
            attacker.others_go_on()?;
            attacker.reaction_alone(witness)
        })
    };
    vec![
        ending("a close capsule", |client, connect| client.write(connect, &wire::data(&wire::close(1, b"")))),
        ending("FIN", Client::finish),
        ending("a reset", |client, connect| client.reset(connect, code::H3_REQUEST_CANCELLED)),
        ending("a malformed capsule", |client, connect| client.write(connect, &capsule(wire::CAPSULE_CLOSE, &[0]))),
    ]
}

fn early_capsules_of_a_refused_session() -> Case {
    Case::new("142", "close capsule sent with a CONNECT that is refused", &[Answers(403)], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let stream = attacker.request("/status/403")?;
        attacker.peer.client.write(stream, &wire::data(&wire::close(9, b"early")))?;
        attacker.reaction(stream)
    })
}

/// The server closes at once after its 200; our own capsule crosses it.
fn both_close() -> Case {
    Case::new("224", "both sides close at the same time", &[Finishes], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let stream = attacker.request("/close/5?reason=ours")?;
        attacker.peer.client.write(stream, &wire::data(&wire::close(6, b"theirs")))?;
        attacker.peer.client.finish(stream)?;
        let seen = attacker.peer.until("the end of the session", |seen| {
            let stream = seen.stream(stream);
            stream.ended().then(|| stream.clone())
        })?;
        attacker.others_go_on()?;
        if seen.fin { Ok(Finishes) } else { Ok(Aborts(seen.reset.unwrap_or_default())) }
    })
}
