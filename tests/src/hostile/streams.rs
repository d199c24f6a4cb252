//! WebTransport streams: their headers, their ends, and early ones (2.7 of the catalogue).

use super::attacker::Attacker;
use super::place::{authority, echo};
use super::script::{On, Script, script};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{Client, DRAFT_02, Failure, Options, Peer, Request, code, wire};
use Reaction::{Aborts, AbortsSomehow, Closes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let scripts = [bad_session_ids(), stalled_headers(), cut_headers()];
    let mut cases: Vec<Case> = scripts.into_iter().flatten().flat_map(Script::cases).collect();
    cases.push(many_stalled_headers());
    cases.extend(codes());
    cases.extend(foreign_codes());
    cases.extend(stops_and_ends());
    cases.extend([empty_streams(), slow_reader(), early_streams()]);
    cases.extend([held_streams(), streams_without_session()].map(|case| case.counts_for(Scope::OwnLimits)));
    cases.extend(streams_of_a_closed_session());
    cases
}

fn bad_session_ids() -> Vec<Script> {
    let error = &[Closes(code::H3_ID_ERROR)];
    let mut scripts = Vec::new();
    for id in [1, 2, 3, 5, wire::VARINT_MAX] {
        let uni = [wire::uni_header(id), b"x".to_vec()].concat();
        let bidi = [wire::bidi_header(id), b"x".to_vec()].concat();
        scripts.push(script("177 W26", format!("uni stream for session id {id}"), On::Uni, uni, error));
        scripts.push(script("177 W27", format!("bidi stream for session id {id}"), On::Bidi, bidi, error));
    }
    scripts
}

/// A header that stalls holds up nobody else. (Its own deadline is in `slow`.)
fn stalled_headers() -> Vec<Script> {
    let stall = |name: &str, on, bytes: &[u8]| script("63 86", format!("stalled header: {name}"), on, bytes, &[GoesOn]);
    vec![
        stall("one byte of a uni stream", On::Uni, &[0x40]),
        stall("the type of a uni stream", On::Uni, &[0x40, 0x54]),
        stall("half a session id on a uni stream", On::Uni, &[0x40, 0x54, 0x40]),
        stall("one byte of a bidi stream", On::Bidi, &[0x40]),
        stall("the signal of a bidi stream", On::Bidi, &[0x40, 0x41]),
        stall("half a session id on a bidi stream", On::Bidi, &[0x40, 0x41, 0x80, 0]),
        stall("half a HEADERS frame", On::Bidi, &[0x01, 0x40]),
    ]
}

fn cut_headers() -> Vec<Script> {
    // Our half is over; the server may end its own half as it likes.
    let bidi = &[GoesOn, AbortsSomehow];
    let cut = |name: &str, on, bytes: &[u8], expected: &[Reaction]| script("184", name, on, bytes, expected);
    vec![
        cut("uni stream: FIN behind the type", On::Uni, &[0x40, 0x54], &[GoesOn]).fin(),
        cut("uni stream: FIN inside the session id", On::Uni, &[0x40, 0x54, 0x40], &[GoesOn]).fin(),
        cut("uni stream: reset behind the type", On::Uni, &[0x40, 0x54], &[GoesOn]).reset(code::from_application(3)),
        cut("bidi stream: FIN behind the signal", On::Bidi, &[0x40, 0x41], bidi).fin(),
        cut("bidi stream: FIN inside the session id", On::Bidi, &[0x40, 0x41, 0x80], bidi).fin(),
        cut("bidi stream: reset behind the signal", On::Bidi, &[0x40, 0x41], bidi).reset(code::from_application(3)),
    ]
}

fn many_stalled_headers() -> Case {
    Case::new("63", "80 uni and 80 bidi streams that stall in their headers", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        for _ in 0..80 {
            let uni = attacker.peer.client.open_uni()?;
            attacker.peer.client.write(uni, &[0x40])?;
            let bidi = attacker.peer.client.open_bidi()?;
            attacker.peer.client.write(bidi, &[0x40, 0x41])?;
        }
        attacker.reaction_of_connection()
    })
}

/// An open echo stream with one message through it.
fn open_echo(attacker: &mut Attacker) -> Result<u64, Failure> {
    let session = attacker.session()?;
    let stream = attacker.peer.open_wt_bidi(session, b"")?;
    attacker.peer.say(stream, b"before")?;
    Ok(stream)
}

/// The server's half must be reset with the same code, or ours be stopped with it: `/echo` answers in kind.
fn codes() -> Vec<Case> {
    let mut cases = Vec::new();
    for application in [0, 1, 29, 30, 31, 255, u32::MAX] {
        let code = code::from_application(application);
        cases.push(Case::new(
            "187",
            format!("reset with application code {application}"),
            &[Aborts(code)],
            move |scene| {
                let mut attacker = scene.in_session()?;
                let stream = open_echo(&mut attacker)?;
                attacker.peer.client.reset(stream, code)?;
                attacker.reaction(stream)
            },
        ));
        let stopped =
            Case::new("187", format!("stop with application code {application}"), &[Aborts(code)], move |scene| {
                let mut attacker = scene.in_session()?;
                let stream = open_echo(&mut attacker)?;
                attacker.peer.client.stop(stream, code)?;
                attacker.reaction(stream)
            });
        // How an echo learns that it is stopped is up to the program behind the route.
        cases.push(stopped.counts_for(Scope::OwnRoutes));
    }
    cases
}

/// Codes outside of the range, on its reserved points, or of HTTP/3 itself: no application code, no harm.
fn foreign_codes() -> Vec<Case> {
    let foreign = [
        ("0", 0),
        ("H3_REQUEST_CANCELLED", code::H3_REQUEST_CANCELLED),
        ("one below the range", code::WT_APPLICATION_ERROR_FIRST - 1),
        ("one above the range", code::WT_APPLICATION_ERROR_LAST + 1),
        ("a reserved point of the range", code::WT_APPLICATION_ERROR_FIRST + 0x1e),
        ("2^62-1", wire::VARINT_MAX),
    ];
    let either = &[GoesOn, AbortsSomehow];
    let mut cases = Vec::new();
    for (name, code) in foreign {
        cases.push(Case::new("187", format!("reset with {name}"), either, move |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            let stream = open_echo(&mut attacker)?;
            attacker.peer.client.reset(stream, code)?;
            attacker.reaction(stream)
        }));
        cases.push(Case::new("187", format!("stop with {name}"), either, move |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            let stream = open_echo(&mut attacker)?;
            attacker.peer.client.stop(stream, code)?;
            attacker.reaction(stream)
        }));
    }
    cases
}

fn stops_and_ends() -> Vec<Case> {
    type Ending = fn(&mut Client, u64) -> Result<(), Failure>;
    let case = |name: &str, end: Ending| {
        Case::new("191", name, &[GoesOn, AbortsSomehow], move |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            for _ in 0..20 {
                let stream = open_echo(&mut attacker)?;
                end(&mut attacker.peer.client, stream)?;
            }
            let stream = open_echo(&mut attacker)?;
            end(&mut attacker.peer.client, stream)?;
            attacker.reaction(stream)
        })
    };
    vec![
        case("stop, then FIN", |client, stream| {
            client.stop(stream, code::from_application(1))?;
            client.finish(stream)
        }),
        case("stop, then reset with another code", |client, stream| {
            client.stop(stream, code::from_application(1))?;
            client.reset(stream, code::from_application(2))
        }),
        case("FIN, then stop", |client, stream| {
            client.finish(stream)?;
            client.stop(stream, code::from_application(1))
        }),
        case("FIN, then reset", |client, stream| {
            client.finish(stream)?;
            client.reset(stream, code::from_application(1))
        }),
    ]
}

fn empty_streams() -> Case {
    Case::new("195 188", "300 empty streams of each kind, one after the other", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let session = attacker.session()?;
        for _ in 0..300 {
            attacker.peer.echo_bidi(session, b"")?;
            attacker.peer.echo_uni(session, b"")?;
        }
        attacker.reaction_of_connection()
    })
}

/// One stream whose echo is not read; the others are not held up, and when it is read, nothing is missing.
fn slow_reader() -> Case {
    Case::new("193", "an echo of 200 KB that is not read", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.silent_with(&Options { stream_window: 16_384, ..Options::default() })?;
        attacker.peer.send_settings(DRAFT_02)?;
        let session = attacker.open_witness()?;
        let unread = attacker.peer.open_wt_bidi(session, b"")?;
        attacker.peer.client.leave_unread(unread);
        let message: Vec<u8> = (0..200_000u32).map(|index| (index % 251) as u8).collect();
        attacker.peer.client.write(unread, &message)?;
        attacker.peer.client.finish(unread)?;
        let reaction = attacker.reaction_of_connection()?;
        attacker.peer.client.read_again(unread);
        let echo = attacker
            .peer
            .until("the rest of the echo", |seen| Some(seen.stream(unread)).filter(|stream| stream.ended()).cloned())?;
        if echo.data != message || !echo.fin {
            return Err(Failure::unexpected(format!("{} of {} bytes came back", echo.data.len(), message.len())));
        }
        Ok(reaction)
    })
}

/// Streams that arrive before their CONNECT work once it is there.
fn early_streams() -> Case {
    Case::new("W45 199", "streams and a datagram before their CONNECT", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let connect = attacker.peer.client.open_bidi()?;
        let bidi = attacker.peer.open_wt_bidi(connect, b"early bidi")?;
        attacker.peer.client.finish(bidi)?;
        let uni = attacker.peer.open_wt_uni(connect, b"early uni")?;
        attacker.peer.client.finish(uni)?;
        attacker.peer.client.datagram(&wire::datagram(connect, b"early datagram"))?;
        attacker.peer.client.rest(std::time::Duration::from_millis(100));
        attacker.peer.client.write(connect, &Request::webtransport(authority(), echo()).frame())?;
        attacker.peer.response(connect)?;
        attacker.peer.until("the echo of the early bidi stream", |seen| {
            let stream = seen.stream(bidi);
            (stream.fin && stream.data == b"early bidi").then_some(())
        })?;
        attacker.peer.until("the echo of the early uni stream", |seen| {
            seen.opened_by_server().any(|(_, stream)| stream.fin && stream.data.ends_with(b"early uni")).then_some(())
        })?;
        attacker.adopt(connect)?;
        attacker.reaction_of_connection()
    })
}

/// 64 streams are held for a session that is not there yet, the 65th is rejected, and the 64 are not lost.
fn held_streams() -> Case {
    Case::new("179 W47", "65 streams before their CONNECT", &[Aborts(code::WT_BUFFERED_STREAM_REJECTED)], |scene| {
        let mut attacker = scene.greeted()?;
        let connect = attacker.peer.client.open_bidi()?;
        let mut held = Vec::new();
        for number in 0..64u8 {
            held.push(attacker.peer.open_wt_bidi(connect, &[number])?);
        }
        attacker.peer.client.rest(std::time::Duration::from_millis(100));
        let last = attacker.peer.open_wt_bidi(connect, b"one too many")?;
        attacker.peer.until("the 65th stream to be rejected", |seen| seen.stream(last).aborted().then_some(()))?;
        attacker.peer.client.write(connect, &Request::webtransport(authority(), echo()).frame())?;
        attacker.peer.response(connect)?;
        for (number, stream) in held.into_iter().enumerate() {
            attacker.peer.until("the echo of a held stream", |seen| {
                (seen.stream(stream).data == [number as u8]).then_some(())
            })?;
        }
        attacker.adopt(connect)?;
        attacker.reaction(last)
    })
}

/// What is not held is rejected, and who goes on like this is shown out.
fn streams_without_session() -> Case {
    let load = &[Closes(code::H3_EXCESSIVE_LOAD)];
    Case::new("179 W45", "streams for sessions that never come, up to 10,000", load, |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        for number in 0..10_000 {
            let opened = attacker.peer.open_wt_uni(400 + number % 40 * 4, b"x");
            match opened.and_then(|stream| attacker.peer.client.finish(stream)) {
                Ok(()) => {}
                Err(Failure::Closed(_)) => break,
                Err(failure) => return Err(failure),
            }
        }
        attacker.reaction_of_connection()
    })
}

fn streams_of_a_closed_session() -> Vec<Case> {
    type Open = fn(&mut Peer, u64) -> Result<u64, Failure>;
    let gone = &[Aborts(code::WT_SESSION_GONE)];
    let case = |name: &str, open: Open| {
        Case::new("180 N2", name, gone, move |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            let session = attacker.session()?;
            attacker.peer.client.write(session, &wire::data(&wire::close(0, b"")))?;
            attacker.peer.client.finish(session)?;
            attacker.peer.until("the end of the session", |seen| seen.stream(session).ended().then_some(()))?;
            attacker.give_up_session();
            let stream = open(&mut attacker.peer, session)?;
            attacker.reaction(stream)
        })
    };
    vec![
        case("uni stream for a closed session", |peer, session| peer.open_wt_uni(session, b"too late")),
        case("bidi stream for a closed session", |peer, session| peer.open_wt_bidi(session, b"too late")),
    ]
}
