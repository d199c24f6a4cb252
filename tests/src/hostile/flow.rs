//! Session flow control (draft-16, section 5; rows W54 to W70, 209 and 210 of the catalogue).

use std::time::Duration;

use super::attacker::Attacker;
use super::place::{authority, echo};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{DRAFT_02, Failure, Request, Response, code, wire};
use Reaction::{Aborts, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = capsules();
    cases.extend([too_many_streams(wire::WT_UNI), too_many_streams(wire::WT_BIDI)]);
    cases.extend([as_many_streams(wire::WT_UNI), as_many_streams(wire::WT_BIDI)]);
    cases.extend([
        surplus_session(),
        no_data_credit(),
        data_credit_in_bytes(),
        no_stream_credit(),
        refills_come_unasked(),
        one_of_many_closes(),
        streams_that_are_reset(),
    ]);
    cases.into_iter().map(|case| case.counts_for(Scope::NewDraft)).collect()
}

/// What a case's client allows the server in a session.
#[derive(Debug, Clone, Copy)]
struct Limits {
    data: u64,
    streams: u64,
}

const ENOUGH: Limits = Limits { data: 1 << 24, streams: 10_000 };

impl Scene<'_> {
    /// A connection under flow control, with nothing open on it.
    fn counted(&self, limits: Limits) -> Result<Attacker, Failure> {
        let settings =
            [DRAFT_02, &[(0x2c7c_f000, 1), (0x2b61, limits.data), (0x2b64, limits.streams), (0x2b65, limits.streams)]];
        self.greeted_with(&settings.concat())
    }

    /// The same with an echo session and a stream that must go on.
    fn in_counted_session(&self) -> Result<Attacker, Failure> {
        let mut attacker = self.counted(ENOUGH)?;
        let session = open_counted(&mut attacker, echo())?;
        attacker.adopt(session)?;
        Ok(attacker)
    }
}

fn request(attacker: &mut Attacker, path: &str) -> Result<u64, Failure> {
    attacker.peer.send(&Request::webtransport(authority(), path).with(":protocol", "webtransport-h3"))
}

fn open_counted(attacker: &mut Attacker, path: &str) -> Result<u64, Failure> {
    let session = request(attacker, path)?;
    match attacker.peer.response(session)?.status {
        200 => Ok(session),
        status => Err(Failure::unexpected(format!("{path} answered {status}"))),
    }
}

fn say_capsules(attacker: &mut Attacker, session: u64, capsules: &[(u64, u64)]) -> Result<(), Failure> {
    let payload: Vec<u8> =
        capsules.iter().flat_map(|(kind, value)| wire::frame(*kind, &wire::varint(*value))).collect();
    attacker.peer.client.write(session, &wire::data(&payload))
}

/// The values of the capsules of a type that the server has sent in a session.
fn said(attacker: &Attacker, session: u64, kind: u64) -> Vec<u64> {
    let Ok(Some(response)) = Response::parse(&attacker.peer.client.seen().stream(session).data) else {
        return Vec::new();
    };
    let capsules = response.capsules().into_iter().filter(|(found, _)| *found == kind);
    capsules.filter_map(|(_, payload)| wire::read_varint(&payload).map(|(value, _)| value)).collect()
}

/// Rows, name, capsules and reaction.
type Said<'a> = (&'static str, &'static str, &'a [(u64, u64)], &'a [Reaction]);

fn capsules() -> Vec<Case> {
    let error = &[Aborts(code::WT_FLOW_CONTROL_ERROR)];
    let (data, streams) = (ENOUGH.data, ENOUGH.streams);
    let cases: [Said; 16] = [
        ("W70", "WT_MAX_DATA equal to the setting", &[(MAX_DATA, data)], error),
        ("W70", "WT_MAX_DATA below the setting", &[(MAX_DATA, 0)], error),
        ("W70", "WT_MAX_DATA that grows, then stands", &[(MAX_DATA, data + 1), (MAX_DATA, data + 1)], error),
        ("W70", "WT_MAX_DATA that grows twice", &[(MAX_DATA, data + 1), (MAX_DATA, wire::VARINT_MAX)], &[GoesOn]),
        ("W64", "WT_MAX_STREAMS bidi equal to the setting", &[(MAX_STREAMS_BIDI, streams)], error),
        ("W64", "WT_MAX_STREAMS uni equal to the setting", &[(MAX_STREAMS_UNI, streams)], error),
        ("W64", "WT_MAX_STREAMS bidi below the setting", &[(MAX_STREAMS_BIDI, streams - 1)], error),
        ("W64", "WT_MAX_STREAMS uni below the setting", &[(MAX_STREAMS_UNI, 0)], error),
        ("W61", "WT_MAX_STREAMS bidi of 2^60 + 1", &[(MAX_STREAMS_BIDI, (1 << 60) + 1)], error),
        ("W61", "WT_MAX_STREAMS uni of 2^60 + 1", &[(MAX_STREAMS_UNI, (1 << 60) + 1)], error),
        ("W61", "WT_MAX_STREAMS bidi of 2^60", &[(MAX_STREAMS_BIDI, 1 << 60)], &[GoesOn]),
        ("W61", "WT_MAX_STREAMS uni of 2^60", &[(MAX_STREAMS_UNI, 1 << 60)], &[GoesOn]),
        ("W66", "WT_STREAMS_BLOCKED bidi of 2^60 + 1", &[(STREAMS_BLOCKED_BIDI, (1 << 60) + 1)], error),
        ("W66", "WT_STREAMS_BLOCKED uni of 2^60 + 1", &[(STREAMS_BLOCKED_UNI, (1 << 60) + 1)], error),
        (
            "W66",
            "WT_STREAMS_BLOCKED of 2^60",
            &[(STREAMS_BLOCKED_BIDI, 1 << 60), (STREAMS_BLOCKED_UNI, 1 << 60)],
            &[GoesOn],
        ),
        ("W58 W59", "WT_DATA_BLOCKED at any value", &[(DATA_BLOCKED, 0), (DATA_BLOCKED, wire::VARINT_MAX)], &[GoesOn]),
    ];
    let case = |(rows, name, capsules, expected): Said| {
        let capsules = capsules.to_vec();
        Case::new(rows, name, expected, move |scene: &Scene<'_>| {
            let mut attacker = scene.in_counted_session()?;
            let session = attacker.session()?;
            say_capsules(&mut attacker, session, &capsules)?;
            attacker.reaction_of_session()
        })
    };
    cases.into_iter().map(case).collect()
}

/// Opens streams with the header alone; the session's own open stream counts as one of the bidirectional ones.
fn open_streams(attacker: &mut Attacker, kind: u64, count: u64) -> Result<(), Failure> {
    let session = attacker.session()?;
    let taken = u64::from(kind == wire::WT_BIDI);
    for _ in taken..count {
        if kind == wire::WT_BIDI {
            attacker.peer.open_wt_bidi(session, b"")?;
        } else {
            attacker.peer.open_wt_uni(session, b"")?;
        }
    }
    Ok(())
}

fn kind_name(kind: u64) -> &'static str {
    if kind == wire::WT_BIDI { "bidirectional" } else { "unidirectional" }
}

fn too_many_streams(kind: u64) -> Case {
    let name = format!("one {} stream more than the session may have", kind_name(kind));
    Case::new("W63", name, &[Aborts(code::WT_FLOW_CONTROL_ERROR)], move |scene: &Scene<'_>| {
        let mut attacker = scene.in_counted_session()?;
        open_streams(&mut attacker, kind, SESSION_STREAMS + 1)?;
        attacker.reaction_of_session()
    })
}

fn as_many_streams(kind: u64) -> Case {
    let name = format!("as many {} streams as the session may have", kind_name(kind));
    Case::new("W63", name, &[GoesOn], move |scene: &Scene<'_>| {
        let mut attacker = scene.in_counted_session()?;
        // Two are left for the question whether everything goes on, which is put twice.
        open_streams(&mut attacker, kind, SESSION_STREAMS - 2)?;
        attacker.reaction_of_session()
    })
}

fn surplus_session() -> Case {
    Case::new(
        "209 W51",
        "one session more than flow control allows",
        &[Aborts(code::H3_REQUEST_REJECTED)],
        |scene: &Scene<'_>| {
            let mut attacker = scene.in_counted_session()?;
            let mut sessions = Vec::new();
            for _ in 1..SESSIONS {
                sessions.push(open_counted(&mut attacker, echo())?);
            }
            let surplus = request(&mut attacker, echo())?;
            attacker.wait_for_reaction(surplus);
            for session in sessions {
                attacker.peer.echo_bidi(session, b"one of sixteen")?;
            }
            attacker.reaction(surplus)
        },
    )
}

/// The server may send nothing in a session; another one on the same connection is not held up, and neither is this one
/// once it may.
fn no_data_credit() -> Case {
    Case::new("W68", "a session whose client never allows data", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.counted(Limits { data: 0, streams: 100 })?;
        let (stuck, free) = (open_counted(&mut attacker, echo())?, open_counted(&mut attacker, echo())?);
        say_capsules(&mut attacker, free, &[(MAX_DATA, 1 << 20)])?;
        let waiting = attacker.peer.open_wt_bidi(stuck, b"held up")?;
        attacker.peer.client.finish(waiting)?;
        attacker.peer.echo_bidi(free, b"not held up")?;
        attacker.peer.client.rest(Duration::from_millis(200));
        let early = attacker.peer.client.seen().stream(waiting).data.len();
        if early > 0 || said(&attacker, stuck, DATA_BLOCKED) != [0] {
            let told = said(&attacker, stuck, DATA_BLOCKED);
            return Err(Failure::unexpected(format!("{early} bytes without credit, WT_DATA_BLOCKED said {told:?}")));
        }
        say_capsules(&mut attacker, stuck, &[(MAX_DATA, 1 << 20)])?;
        attacker.peer.until("what was held up", |seen| seen.stream(waiting).ended().then_some(()))?;
        let data = attacker.peer.client.seen().stream(waiting).data.clone();
        if data != b"held up" {
            return Err(Failure::unexpected(format!("{data:?}")));
        }
        attacker.adopt(free)?;
        attacker.reaction_of_connection()
    })
}

fn data_credit_in_bytes() -> Case {
    Case::new("W68", "data credit granted one byte at a time", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.counted(Limits { data: 1, streams: 100 })?;
        let session = open_counted(&mut attacker, echo())?;
        let message = b"a byte at a time";
        let stream = attacker.peer.open_wt_bidi(session, message)?;
        for credit in 1..=message.len() {
            let have = |seen: &crate::raw::Seen| (seen.stream(stream).data.len() >= credit).then_some(());
            attacker.peer.until("the next byte", have)?;
            let came = attacker.peer.client.seen().stream(stream).data.len();
            if came > credit {
                return Err(Failure::unexpected(format!("{came} bytes with credit for {credit}")));
            }
            say_capsules(&mut attacker, session, &[(MAX_DATA, credit as u64 + 1)])?;
        }
        say_capsules(&mut attacker, session, &[(MAX_DATA, 1 << 20)])?;
        attacker.adopt(session)?;
        attacker.reaction_of_session()
    })
}

/// The server wants to open streams and may not; it says so once, and goes on when it may.
fn no_stream_credit() -> Case {
    Case::new("W62", "a session whose client allows no streams at first", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.counted(Limits { data: 1 << 20, streams: 0 })?;
        let session = open_counted(&mut attacker, echo())?;
        for message in [b"one", b"two"] {
            let stream = attacker.peer.open_wt_uni(session, message)?;
            attacker.peer.client.finish(stream)?;
        }
        let header = wire::uni_header(session);
        let opened = |seen: &crate::raw::Seen| {
            let of_session =
                seen.opened_by_server().filter(|(id, stream)| id % 4 == 3 && stream.data.starts_with(&header));
            of_session.filter(|(_, stream)| stream.ended()).count()
        };
        attacker.peer.client.rest(Duration::from_millis(300));
        let early = opened(attacker.peer.client.seen());
        let told = said(&attacker, session, STREAMS_BLOCKED_UNI);
        if early > 0 || told != [0] {
            return Err(Failure::unexpected(format!("{early} streams without credit, blocked said {told:?}")));
        }
        for limit in 1..=2 {
            say_capsules(&mut attacker, session, &[(MAX_STREAMS_UNI, limit)])?;
            attacker.peer.until("the next stream", |seen| (opened(seen) as u64 >= limit).then_some(()))?;
            attacker.peer.client.rest(Duration::from_millis(50));
            let count = opened(attacker.peer.client.seen()) as u64;
            if count != limit {
                return Err(Failure::unexpected(format!("{count} streams with credit for {limit}")));
            }
        }
        attacker.adopt(session)?;
        attacker.reaction_of_session()
    })
}

/// Far more than the first window and the first streams, by a client that never says that it is blocked.
fn refills_come_unasked() -> Case {
    Case::new("W58 W59", "ten times the session's window without a BLOCKED capsule", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_counted_session()?;
        let session = attacker.session()?;
        let message = vec![7; 16 * 1024];
        for _ in 0..320 {
            attacker.peer.echo_bidi(session, &message)?;
        }
        let (data, streams) = (said(&attacker, session, MAX_DATA), said(&attacker, session, MAX_STREAMS_BIDI));
        let grow = |limits: &[u64]| limits.windows(2).all(|pair| pair[0] < pair[1]);
        if data.is_empty() || streams.is_empty() || !grow(&data) || !grow(&streams) {
            return Err(Failure::unexpected(format!("WT_MAX_DATA {data:?}, WT_MAX_STREAMS {streams:?}")));
        }
        attacker.reaction_of_session()
    })
}

fn one_of_many_closes() -> Case {
    Case::new("217 W73", "one of many sessions closes with open streams", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_counted_session()?;
        for _ in 0..20 {
            let other = open_counted(&mut attacker, echo())?;
            let stream = attacker.peer.open_wt_bidi(other, b"")?;
            attacker.peer.say(stream, b"in the middle")?;
            attacker.peer.client.write(other, &wire::data(&wire::close(1, b"gone")))?;
            attacker.peer.client.finish(other)?;
            attacker.peer.until("the end of its stream", |seen| seen.stream(stream).aborted().then_some(()))?;
            attacker.others_go_on()?;
        }
        attacker.reaction_of_session()
    })
}

/// A reset loses credit that nobody can count; the session must not run dry.
fn streams_that_are_reset() -> Case {
    Case::new("W69", "three windows of data on streams that are reset", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_counted_session()?;
        let session = attacker.session()?;
        for round in 0..100 {
            let stream = attacker.peer.open_wt_uni(session, &[7; 16 * 1024])?;
            attacker.peer.client.reset(stream, code::from_application(round))?;
            attacker.peer.client.rest(Duration::from_millis(2));
        }
        attacker.reaction_of_session()
    })
}

const MAX_DATA: u64 = 0x190b_4d3d;
const MAX_STREAMS_BIDI: u64 = 0x190b_4d3f;
const MAX_STREAMS_UNI: u64 = 0x190b_4d40;
const DATA_BLOCKED: u64 = 0x190b_4d41;
const STREAMS_BLOCKED_BIDI: u64 = 0x190b_4d43;
const STREAMS_BLOCKED_UNI: u64 = 0x190b_4d44;

/// What the server allows by default.
const SESSION_STREAMS: u64 = 64;
const SESSIONS: u64 = 16;
