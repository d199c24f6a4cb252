//! What the server's deadlines must end: each case waits for one.

use std::time::Duration;

use super::place::{authority, echo};
use super::script::{On, Script, script};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{DRAFT_02, Failure, Request, code, wire};
use Reaction::{Aborts, AbortsSomehow, Closes, ClosesSomehow};

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = held_for_nobody().into_iter().flat_map(Script::cases).collect();
    cases.extend(stalls().into_iter().flat_map(Script::cases));
    cases.extend(streams_of_requests());
    cases.extend([dripping_held_stream(), dripping_request(), unfinished_requests()]);
    cases.extend([dripping_settings(), no_settings()]);
    cases.into_iter().map(|case| case.slow().counts_for(Scope::OwnLimits)).collect()
}

const REJECTED: &[Reaction] = &[Aborts(code::WT_BUFFERED_STREAM_REJECTED)];

/// Streams for a session that never comes: held, then rejected at a fixed deadline.
fn held_for_nobody() -> Vec<Script> {
    let beyond = &[Aborts(code::WT_BUFFERED_STREAM_REJECTED), Closes(code::H3_ID_ERROR)];
    let body = |header: Vec<u8>| [header, b"held".to_vec()].concat();
    vec![
        script("178 W45", "uni stream for a session that never comes", On::Uni, body(wire::uni_header(80)), REJECTED),
        script(
            "178 W45",
            "bidi stream for a session that never comes",
            On::Bidi,
            body(wire::bidi_header(80)),
            REJECTED,
        ),
        script(
            "178",
            "finished uni stream for a session that never comes",
            On::Uni,
            body(wire::uni_header(80)),
            &[Aborts(code::WT_BUFFERED_STREAM_REJECTED), Reaction::GoesOn],
        )
        .fin(),
        script(
            "178",
            "finished bidi stream for a session that never comes",
            On::Bidi,
            body(wire::bidi_header(80)),
            REJECTED,
        )
        .fin(),
        script("182", "uni stream for session id 2^60", On::Uni, body(wire::uni_header(1 << 60)), beyond),
        script("182", "bidi stream for session id 2^60", On::Bidi, body(wire::bidi_header(1 << 60)), beyond),
    ]
}

fn stalls() -> Vec<Script> {
    let half = &Request::webtransport(authority(), echo()).frame()[..40];
    let deadline = &[Aborts(code::H3_REQUEST_REJECTED)];
    vec![
        script("63", "uni stream that stays inside its type", On::Uni, [0x40], &[AbortsSomehow]),
        script("63", "uni stream that stays inside its session id", On::Uni, [0x40, 0x54, 0x40], &[AbortsSomehow]),
        script("63", "bidi stream that stays inside its session id", On::Bidi, [0x40, 0x41, 0x40], &[AbortsSomehow]),
        script("107 139", "HEADERS that stay half", On::Request, half, deadline),
        script("107", "request stream that stays inside its first frame type", On::Request, [0x40], &[AbortsSomehow]),
    ]
}

/// Ids of streams that are there but are no sessions, and of a session that was refused.
fn streams_of_requests() -> Vec<Case> {
    let case = |rows: &'static str, name: &str, request: fn(&str) -> Request, early: bool| {
        Case::new(rows, name, REJECTED, move |scene: &Scene<'_>| {
            let mut attacker = scene.greeted()?;
            let id = attacker.peer.client.open_bidi()?;
            let open = |attacker: &mut super::attacker::Attacker| attacker.peer.open_wt_bidi(id, b"whose?");
            let before = if early { Some(open(&mut attacker)?) } else { None };
            attacker.peer.client.write(id, &request(authority()).frame())?;
            attacker.peer.response(id)?;
            let stream = match before {
                Some(stream) => stream,
                None => open(&mut attacker)?,
            };
            attacker.reaction(stream)
        })
    };
    let get = |authority: &str| Request::plain("GET", authority, "/");
    let refused = |authority: &str| Request::webtransport(authority, "/status/403");
    let own_id = Case::new("181", "bidi stream for its own id", REJECTED, |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let stream = attacker.peer.client.open_bidi()?;
        attacker.peer.client.write(stream, &[wire::bidi_header(stream), b"me".to_vec()].concat())?;
        attacker.reaction(stream)
    });
    let data_stream = Case::new("181", "bidi stream for the id of another stream", REJECTED, |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let witness = attacker.witness()?;
        let stream = attacker.peer.open_wt_bidi(witness, b"whose?")?;
        attacker.reaction(stream)
    });
    vec![
        case("181", "bidi stream for the id of a plain request", get, false),
        case("183", "bidi stream for a refused session", refused, false),
        case("183 142", "bidi stream sent before a session is refused", refused, true),
        own_id,
        data_stream,
    ]
}

/// The deadline of a held stream is fixed: more data does not move it.
fn dripping_held_stream() -> Case {
    Case::new("178", "held stream that goes on sending", REJECTED, |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let stream = attacker.peer.open_wt_uni(80, b"held")?;
        drip(4 * SECONDS, |_| {
            attacker.peer.client.write(stream, b"more")?;
            attacker.peer.client.rest(Duration::from_millis(250));
            Ok(attacker.peer.client.seen().stream(stream).aborted())
        })?;
        attacker.reaction(stream)
    })
}

fn dripping_request() -> Case {
    Case::new("107", "HEADERS at one byte a second", &[Aborts(code::H3_REQUEST_REJECTED)], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let stream = attacker.peer.client.open_bidi()?;
        let frame = Request::webtransport(authority(), echo()).frame();
        drip(SECONDS, |second| {
            attacker.peer.client.write(stream, &frame[second..=second])?;
            attacker.peer.client.rest(Duration::from_secs(1));
            Ok(attacker.peer.client.seen().stream(stream).aborted())
        })?;
        attacker.reaction(stream)
    })
}

fn unfinished_requests() -> Case {
    Case::new(
        "139",
        "90 CONNECTs whose HEADERS stay half",
        &[Aborts(code::H3_REQUEST_REJECTED)],
        |scene: &Scene<'_>| {
            let mut attacker = scene.greeted()?;
            let half = &Request::webtransport(authority(), echo()).frame()[..40];
            let mut streams = Vec::new();
            for _ in 0..90 {
                let stream = attacker.peer.client.open_bidi()?;
                attacker.peer.client.write(stream, half)?;
                streams.push(stream);
            }
            for stream in &streams {
                attacker.peer.until("an unfinished request to be rejected", |seen| {
                    seen.stream(*stream).aborted().then_some(())
                })?;
            }
            attacker.reaction(streams[89])
        },
    )
}

fn dripping_settings() -> Case {
    Case::new("102", "SETTINGS at one byte a second", &[ClosesSomehow], |scene: &Scene<'_>| {
        let mut attacker = scene.silent()?;
        let control = attacker.peer.client.open_uni()?;
        let unknown: Vec<(u64, u64)> = (0..100).map(|n| (0x1021 + 0x1f * n, n)).collect();
        let bytes = [vec![0], wire::settings(&[DRAFT_02, &unknown].concat())].concat();
        let dripped = drip(SECONDS, |second| {
            attacker.peer.client.write(control, &bytes[second..=second])?;
            attacker.peer.client.rest(Duration::from_secs(1));
            Ok(false)
        });
        match dripped {
            Ok(()) | Err(Failure::Closed(_)) => attacker.reaction_of_connection(),
            Err(failure) => Err(failure),
        }
    })
}

fn no_settings() -> Case {
    Case::new("102", "a CONNECT and never SETTINGS", &[ClosesSomehow], |scene: &Scene<'_>| {
        let mut attacker = scene.silent()?;
        attacker.request(echo())?;
        attacker.reaction_of_connection()
    })
}

/// Takes steps until one says that it is over.
fn drip(steps: u64, mut step: impl FnMut(usize) -> Result<bool, Failure>) -> Result<(), Failure> {
    for number in 0..steps {
        if step(number as usize)? {
            break;
        }
    }
    Ok(())
}

/// Longer than any deadline of the server.
const SECONDS: u64 = 25;
