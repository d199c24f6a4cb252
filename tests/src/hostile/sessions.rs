//! Several sessions on a connection, and requests that come and go (2.9, parts of 2.1 and 2.5 of the catalogue).

use super::place::{authority, echo};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{Close, Failure, Options, Request, code};
use Reaction::{Aborts, Answers, Closes, ClosesTransport, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    vec![
        second_connect().counts_for(Scope::OwnLimits),
        ten_connects().counts_for(Scope::OwnLimits),
        one_after_the_other(),
        refusal().counts_for(Scope::OwnRoutes),
        not_found(),
        connect_rate().counts_for(Scope::OwnLimits),
        cancelled_connects().counts_for(Scope::OwnLimits),
        malformed_connects().counts_for(Scope::OwnLimits),
        stopped_before_asked(),
        alpn("15 h30", "application protocol \"dummy\"", &[b"dummy"]),
        alpn("15", "no application protocol", &[]),
    ]
}

fn second_connect() -> Case {
    Case::new(
        "209 W53",
        "a second CONNECT on the connection",
        &[Aborts(code::H3_REQUEST_REJECTED)],
        |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            let second = attacker.request(echo())?;
            attacker.reaction(second)
        },
    )
}

fn ten_connects() -> Case {
    Case::new("209 W53", "ten CONNECTs at once", &[Aborts(code::H3_REQUEST_REJECTED)], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let first = attacker.request(echo())?;
        let mut others = Vec::new();
        for _ in 1..10 {
            others.push(attacker.request(echo())?);
        }
        attacker.peer.response(first)?;
        attacker.adopt(first)?;
        let mut reaction = GoesOn;
        for other in others {
            reaction = attacker.reaction(other)?;
            if reaction != Aborts(code::H3_REQUEST_REJECTED) {
                break;
            }
        }
        Ok(reaction)
    })
}

/// Closing a session leaves the connection alive: ten sessions on one connection, one after the other.
fn one_after_the_other() -> Case {
    Case::new("219", "ten sessions one after the other", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        for _ in 0..10 {
            let session = attacker.open_witness()?;
            attacker.others_go_on()?;
            attacker.peer.client.finish(session)?;
            attacker.peer.until("the end of the session", |seen| seen.stream(session).ended().then_some(()))?;
            attacker.give_up_session();
        }
        attacker.reaction_of_connection()
    })
}

fn refusal() -> Case {
    Case::new("154", "a CONNECT that the handler refuses", &[Answers(429)], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let stream = attacker.request("/status/429")?;
        let response = attacker.peer.response(stream)?;
        if response.field("x-refused") != Some("yes") {
            return Err(Failure::unexpected(format!("fields {:?}", response.fields)));
        }
        attacker.reaction(stream)
    })
}

fn not_found() -> Case {
    Case::new("W-404", "a CONNECT for a path without a session", &[Answers(404)], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let stream = attacker.request("/nowhere")?;
        attacker.reaction(stream)
    })
}

/// Of a burst, what is over the limit (20 a second, bursts of 40) is refused; the connection goes on.
fn connect_rate() -> Case {
    let limited = &[Answers(429), Aborts(code::H3_REQUEST_REJECTED)];
    Case::new("211", "90 CONNECTs at once", limited, |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let mut streams = Vec::new();
        for _ in 0..90 {
            streams.push(attacker.request("/nowhere")?);
        }
        let mut refused = Vec::new();
        for stream in streams {
            let response = attacker.wait_for_reaction(stream);
            match attacker.reaction_alone(stream)? {
                Answers(404) => {}
                Answers(429) if response.is_some_and(|response| response.field("retry-after").is_none()) => {
                    return Err(Failure::unexpected("429 without Retry-After"));
                }
                reaction => refused.push(reaction),
            }
        }
        let life = attacker.peer.send(&Request::plain("GET", authority(), "/"))?;
        attacker.peer.response(life)?;
        // All ninety came within a moment, so that about fifty are over the limit.
        match refused.iter().find(|reaction| !limited.contains(reaction)).or(refused.first()) {
            Some(reaction) if refused.len() >= 20 => Ok(*reaction),
            _ => Err(Failure::unexpected(format!("{} of 90 were refused", refused.len()))),
        }
    })
}

fn cancelled_connects() -> Case {
    Case::new("138", "CONNECTs that are reset at once, up to 3000", &[Closes(code::H3_EXCESSIVE_LOAD)], |scene| {
        let mut attacker = scene.greeted()?;
        let connect = Request::webtransport(authority(), echo()).frame();
        for _ in 0..3000 {
            let client = &mut attacker.peer.client;
            let cancelled = client.open_bidi().and_then(|stream| {
                client.write(stream, &connect)?;
                client.rest(std::time::Duration::from_micros(200));
                client.reset(stream, code::H3_REQUEST_CANCELLED)?;
                client.stop(stream, code::H3_REQUEST_CANCELLED)
            });
            if let Err(Failure::Closed(_)) = cancelled {
                break;
            }
            cancelled?;
        }
        attacker.reaction_of_connection()
    })
}

/// Who does not want the answer does not want the session, and takes the place of no other.
fn stopped_before_asked() -> Case {
    let aborts = &[Aborts(code::H3_REQUEST_CANCELLED)];
    Case::new("191", "STOP_SENDING on the CONNECT stream before the CONNECT", aborts, |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let client = &mut attacker.peer.client;
        let stream = client.open_bidi()?;
        client.stop(stream, code::H3_REQUEST_CANCELLED)?;
        client.rest(std::time::Duration::from_millis(20));
        client.write(stream, &Request::webtransport(authority(), echo()).frame())?;
        attacker.reaction(stream)
    })
}

fn malformed_connects() -> Case {
    Case::new("123 H52", "malformed CONNECTs, up to 400", &[Closes(code::H3_EXCESSIVE_LOAD)], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let malformed = Request::webtransport(authority(), echo()).without(":scheme");
        for _ in 0..400 {
            match attacker.peer.send(&malformed) {
                Ok(_) => {}
                Err(Failure::Closed(_)) => break,
                Err(failure) => return Err(failure),
            }
        }
        attacker.reaction_of_connection()
    })
}

fn alpn(rows: &'static str, name: &str, offered: &[&[u8]]) -> Case {
    let alpn: Vec<Vec<u8>> = offered.iter().map(|name| name.to_vec()).collect();
    Case::new(rows, name, &[ClosesTransport(0x178)], move |scene: &Scene<'_>| {
        let options = Options { alpn: alpn.clone(), ..Options::default() };
        match scene.silent_with(&options) {
            Err(Failure::Closed(Close::Transport { code, .. })) => Ok(ClosesTransport(code)),
            Err(failure) => Err(failure),
            Ok(_) => Ok(GoesOn),
        }
    })
}
