//! SETTINGS and the choice of the draft (2.3 of the catalogue).

use super::place::{authority, echo};
use super::script::{On, Script, script};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{DRAFT_02, DRAFT_15, Failure, Request, code, wire};
use Reaction::{Aborts, Answers, Closes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let scripts = [refused(), sizes()];
    let mut cases: Vec<Case> = scripts.into_iter().flatten().flat_map(Script::cases).collect();
    cases.extend(dialects());
    cases.extend(flow_control());
    cases.push(settings_after_connect());
    cases
}

/// A control stream that opens with this SETTINGS payload.
fn opening(payload: &[u8]) -> Vec<u8> {
    [&[wire::CONTROL_STREAM as u8], wire::frame(wire::SETTINGS, payload).as_slice()].concat()
}

fn refused() -> Vec<Script> {
    let error = &[Closes(code::H3_SETTINGS_ERROR)];
    let cut = &[Closes(code::H3_FRAME_ERROR)];
    let with = |rows, name: &str, extra: &[u64]| {
        let base: Vec<u64> = DRAFT_02.iter().flat_map(|(id, value)| [*id, *value]).collect();
        let payload = wire::varints(&[base.as_slice(), extra].concat());
        script(rows, name, On::Opening, opening(&payload), error)
    };
    let mut scripts = vec![
        with("89", "the same setting twice", &[0x33, 1]),
        with("89", "the same setting twice with another value", &[0x2b60_3742, 0]),
        script("95", "ENABLE_CONNECT_PROTOCOL = 2", On::Opening, opening(&wire::varints(&[0x08, 2])), error),
        script("95", "H3_DATAGRAM = 2", On::Opening, opening(&wire::varints(&[0x33, 2])), error),
        script("93", "SETTINGS with an id and no value", On::Opening, opening(&[0x33]), cut),
        script("93", "SETTINGS with a cut value", On::Opening, opening(&[0x33, 0x40]), cut),
        script("93", "SETTINGS with a cut id", On::Opening, opening(&[0x33, 1, 0x80, 0]), cut),
    ];
    for id in [0x00, 0x02, 0x03, 0x04, 0x05] {
        let rows = if id == 2 { "90 h44" } else { "90" };
        scripts.push(with(rows, &format!("HTTP/2 setting {id:#x}"), &[id, 1]));
    }
    scripts
}

fn sizes() -> Vec<Script> {
    let load = &[Closes(code::H3_EXCESSIVE_LOAD)];
    // Ids of four bytes and values of one: 5 bytes each.
    let unknown = |count: u64| -> Vec<u8> {
        let base = DRAFT_02.iter().flat_map(|(id, value)| wire::varints(&[*id, *value]));
        base.chain((0..count).flat_map(|n| wire::varints(&[0x10_0021 + 0x1f * n, n % 60]))).collect()
    };
    let huge = [vec![wire::CONTROL_STREAM as u8], wire::claim(wire::SETTINGS, 1 << 30, b"")].concat();
    let own = [
        script("91", "1000 unknown settings, 5 KB", On::Opening, opening(&unknown(1000)), &[GoesOn]),
        script("91", "2000 unknown settings, 10 KB", On::Opening, opening(&unknown(2000)), load),
        script("92", "SETTINGS that claim 2^30 bytes", On::Opening, huge, load),
    ];
    let mut scripts = Vec::from(own.map(|script| script.counts_for(Scope::OwnLimits)));
    scripts.push(script("91", "60 unknown settings", On::Opening, opening(&unknown(60)), &[GoesOn]));
    scripts
}

/// A CONNECT with this token after these settings.
fn connect(
    rows: &'static str,
    name: &str,
    settings: &[(u64, u64)],
    token: &'static str,
    expected: &[Reaction],
) -> Case {
    let settings = settings.to_vec();
    Case::new(rows, name, expected, move |scene: &Scene<'_>| {
        let mut attacker = scene.greeted_with(&settings)?;
        let stream = attacker.peer.send(&Request::webtransport(authority(), echo()).with(":protocol", token))?;
        let response = attacker.wait_for_reaction(stream);
        if response.is_some_and(|response| response.status == 200) {
            attacker.adopt(stream)?;
            return attacker.reaction(stream);
        }
        // With these settings no session can open, so that the connection shows its life with a plain request.
        let life = attacker.peer.send(&Request::plain("GET", authority(), "/"))?;
        attacker.peer.response(life)?;
        attacker.reaction_alone(stream)
    })
}

const OLD: &str = "webtransport";
const NEW: &str = "webtransport-h3";

fn dialects() -> Vec<Case> {
    let malformed = &[Aborts(code::H3_MESSAGE_ERROR)];
    let unknown = &[Answers(501)];
    let neither = &[Answers(501), Aborts(code::H3_MESSAGE_ERROR)];
    let accepted = &[Answers(200)];
    let draft_07 = &[(0x08, 1), (0x33, 1), (0xc671_706a, 1)];
    let all = [DRAFT_02, &[(0xc671_706a, 1), (0x14e9_cd29, 1), (0x2c7c_f000, 1)]].concat();
    vec![
        connect("96", "CONNECT without H3_DATAGRAM", &[(0x08, 1), (0x2b60_3742, 1)], OLD, malformed),
        connect("96", "CONNECT with H3_DATAGRAM = 0", &[(0x08, 1), (0x33, 0), (0x2b60_3742, 1)], OLD, malformed),
        connect("96", "draft-15 CONNECT without H3_DATAGRAM", &[(0x08, 1), (0x2c7c_f000, 1)], NEW, malformed)
            .counts_for(Scope::NewDraft),
        late_settings_without_datagrams(),
        connect("98", "CONNECT without any WebTransport setting", &[(0x08, 1), (0x33, 1)], OLD, neither),
        connect("98", "CONNECT after empty SETTINGS", &[], OLD, neither),
        connect("97", "draft 02 alone", DRAFT_02, OLD, accepted),
        connect("97", "draft 07 alone", draft_07, OLD, accepted),
        connect("97", "draft 15 alone", DRAFT_15, NEW, accepted).counts_for(Scope::NewDraft),
        connect("97", "all drafts at once, old token", &all, OLD, accepted),
        connect("97", "all drafts at once, new token", &all, NEW, accepted).counts_for(Scope::NewDraft),
        connect("98", "new token without its setting", DRAFT_02, NEW, unknown),
        connect("98 127", "old token with the setting of draft 15 alone", DRAFT_15, OLD, neither)
            .counts_for(Scope::NewDraft),
    ]
}

fn flow_control() -> Vec<Case> {
    let with = |largest_data: u64, largest_streams: u64| {
        [DRAFT_15, &[(0x2b61, largest_data), (0x2b64, largest_streams), (0x2b65, largest_streams)]].concat()
    };
    let largest = with(wire::VARINT_MAX, wire::VARINT_MAX);
    vec![
        connect("99", "WT_INITIAL_MAX_* = 2^62-1", &largest, NEW, &[Answers(200)]).counts_for(Scope::NewDraft),
        connect("99", "WT_INITIAL_MAX_STREAMS_* = 2^60 + 1", &with(1 << 20, (1 << 60) + 1), NEW, &[Answers(200)])
            .counts_for(Scope::NewDraft),
        connect("100", "WT_INITIAL_MAX_* of 1 MiB and ten streams", &with(1 << 20, 10), NEW, &[Answers(200)])
            .counts_for(Scope::NewDraft),
    ]
}

/// A request that was there first is malformed like one that comes later.
fn late_settings_without_datagrams() -> Case {
    let malformed = &[Aborts(code::H3_MESSAGE_ERROR)];
    Case::new("96 W4", "CONNECTs before and after SETTINGS without H3_DATAGRAM", malformed, |scene: &Scene<'_>| {
        let mut attacker = scene.silent()?;
        let before = attacker.request(echo())?;
        attacker.peer.client.rest(std::time::Duration::from_millis(50));
        attacker.peer.send_settings(&[(0x08, 1), (0x2b60_3742, 1)])?;
        let after = attacker.request(echo())?;
        attacker.wait_for_reaction(before);
        attacker.wait_for_reaction(after);
        match (attacker.reaction_alone(before)?, attacker.reaction_alone(after)?) {
            (first, second) if first == second => Ok(first),
            (first, second) => Err(Failure::unexpected(format!("{first}, then {second}"))),
        }
    })
}

/// The request is answered only when the SETTINGS are there.
fn settings_after_connect() -> Case {
    Case::new("W8", "CONNECT before SETTINGS", &[Answers(200)], |scene: &Scene<'_>| {
        let mut attacker = scene.silent()?;
        let stream = attacker.request(echo())?;
        // The server has the CONNECT: it answers a QUIC packet that was sent after it.
        attacker.peer.client.rest(std::time::Duration::from_millis(300));
        let early = attacker.peer.client.seen().stream(stream).clone();
        if !early.data.is_empty() || early.aborted() {
            return Err(Failure::unexpected(format!("the server reacted before SETTINGS came: {early:?}")));
        }
        attacker.peer.send_settings(DRAFT_02)?;
        attacker.peer.response(stream)?;
        attacker.adopt(stream)?;
        attacker.reaction(stream)
    })
}
