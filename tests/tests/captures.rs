//! What real clients sent, replayed against our server: each must be understood as on the day of the recording.

use transom_core::{Dialect, Direction, SessionEnd};
use transom_tests::captures::{Capture, Heard, Pace, Replay, Step};
use transom_tests::raw::wire;

/// What a client is known for.
struct Known {
    name: &'static str,
    dialect: Dialect,
    path: &'static str,
    /// What its `origin` begins with; only browsers send one.
    origin: Option<&'static str>,
    protocols: &'static [&'static str],
    /// Whether it asks for draft 02 by name, and so must be told that it is spoken.
    names_draft_02: bool,
    /// Whether it closes a session with a capsule; the others only end the connection.
    close_capsule: bool,
}

const OFFERED: &[&str] = &["chat", "moq-00"];
const PAGE: &str = "http://127.0.0.1:";

const CLIENTS: &[Known] = &[
    Known {
        name: "chromium",
        dialect: Dialect::Draft02,
        path: "/capture?client=chromium",
        origin: Some(PAGE),
        protocols: OFFERED,
        names_draft_02: true,
        close_capsule: true,
    },
    Known {
        name: "firefox",
        dialect: Dialect::Draft02,
        path: "/capture?client=firefox",
        origin: Some(PAGE),
        protocols: &[],
        names_draft_02: true,
        close_capsule: true,
    },
    Known {
        name: "safari",
        dialect: Dialect::Draft07,
        path: "/capture?client=safari",
        origin: Some("https://example.org"),
        protocols: OFFERED,
        names_draft_02: false,
        close_capsule: true,
    },
    Known {
        name: "aioquic",
        dialect: Dialect::Draft02,
        path: "/capture?client=python",
        origin: None,
        protocols: &[],
        names_draft_02: false,
        close_capsule: true,
    },
    Known {
        name: "pywebtransport",
        dialect: Dialect::Draft15,
        path: "/capture?client=python",
        origin: None,
        protocols: OFFERED,
        names_draft_02: false,
        close_capsule: true,
    },
    Known {
        name: "wtransport",
        dialect: Dialect::Draft07,
        path: "/capture?client=rust",
        origin: None,
        protocols: &[],
        names_draft_02: false,
        close_capsule: false,
    },
    Known {
        name: "web-transport-quinn",
        dialect: Dialect::Draft07,
        path: "/capture?client=rust",
        origin: None,
        protocols: OFFERED,
        names_draft_02: false,
        close_capsule: true,
    },
    Known {
        name: "deno",
        dialect: Dialect::Draft07,
        path: "/capture?client=deno",
        origin: None,
        protocols: &[],
        names_draft_02: false,
        close_capsule: false,
    },
];

fn replayed(known: &Known, pace: Pace) -> (Capture, Heard) {
    let capture = Capture::load(known.name).unwrap();
    let heard = Replay::run(&capture, pace).unwrap_or_else(|words| panic!("{}: {words}", known.name));
    (capture, heard)
}

fn every_client(judge: impl Fn(&Known, &Capture, &Heard)) {
    for known in CLIENTS {
        for pace in [Pace::AsRecorded, Pace::ByteByByte] {
            let (capture, heard) = replayed(known, pace);
            judge(known, &capture, &heard);
        }
    }
}

#[test]
fn every_recording_is_of_a_known_client() {
    let files = std::fs::read_dir(Capture::folder()).unwrap();
    let names = files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    let mut known: Vec<&str> = CLIENTS.iter().map(|known| known.name).collect();
    names.sort();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[test]
fn requests_are_understood() {
    every_client(|known, capture, heard| {
        let request = heard.request.as_ref().unwrap_or_else(|| panic!("{}: no request came", known.name));
        assert_eq!(request.dialect(), known.dialect, "{}", known.name);
        assert_eq!(request.path_and_query(), known.path, "{}", known.name);
        assert_eq!(request.protocols(), known.protocols, "{}", known.name);
        let origin = request.origin().map(|origin| origin.to_str().unwrap());
        match known.origin {
            Some(start) => {
                let begins = origin.is_some_and(|origin| origin.starts_with(start));
                assert!(begins, "{}: {origin:?}", known.name);
            }
            None => assert_eq!(origin, None, "{}", known.name),
        }
        // Every field line, as code that is not ours reads it, and nothing else.
        let (pseudo, fields): (Vec<_>, Vec<_>) =
            capture.request().unwrap().into_iter().partition(|(name, _)| name.starts_with(':'));
        assert_eq!(request.headers().len(), fields.len(), "{}", known.name);
        for (name, value) in fields {
            let seen = request.headers().get_all(name.as_str()).iter();
            assert!(seen.into_iter().any(|seen| seen == value.as_str()), "{}: {name}: {value}", known.name);
        }
        assert!(pseudo.contains(&(":authority".to_owned(), request.authority().to_owned())), "{}", known.name);
    });
}

/// Not one byte short of its end is a request a request, or anything else: every shorter piece waits for more.
#[test]
fn requests_are_seen_with_their_last_byte() {
    for known in CLIENTS {
        let (capture, heard) = replayed(known, Pace::ByteByByte);
        let mut sent = 0;
        for step in capture.steps.iter().take_while(|step| !matches!(step, Step::Accepted { .. })) {
            match step {
                // What Chromium says behind the request does not belong to it.
                Step::Bytes { stream, bytes, .. } if Some(*stream) == capture.session() => sent += frame_size(bytes),
                Step::Bytes { bytes, .. } => sent += bytes.len(),
                _ => {}
            }
        }
        assert_eq!(heard.request_after, sent, "{}", known.name);
    }
}

fn frame_size(bytes: &[u8]) -> usize {
    let (_, first) = wire::read_varint(bytes).unwrap();
    let (length, second) = wire::read_varint(&bytes[first..]).unwrap();
    first + second + usize::try_from(length).unwrap()
}

#[test]
fn answers_say_what_each_client_waits_for() {
    every_client(|known, _, heard| {
        let (status, fields) = heard.answer.as_ref().unwrap();
        let mut expected = Vec::new();
        if known.names_draft_02 {
            expected.push(("sec-webtransport-http3-draft".to_owned(), "draft02".to_owned()));
        }
        if let Some(first) = known.protocols.first() {
            expected.push(("wt-protocol".to_owned(), format!("{first:?}")));
        }
        let mut fields = fields.clone();
        fields.sort();
        assert_eq!((*status, fields), (200, expected), "{}", known.name);
    });
}

#[test]
fn streams_and_datagrams_arrive_whole() {
    every_client(|known, capture, heard| {
        let bodies = capture.bodies();
        assert!(bodies.len() >= 2, "{}: the recording lacks a stream", known.name);
        assert_eq!(heard.streams.len(), bodies.len(), "{}", known.name);
        for (id, body) in bodies {
            let direction = if id & 2 == 0 { Direction::Bidirectional } else { Direction::Unidirectional };
            let found = heard.streams.iter().find(|(seen, ..)| *seen == direction);
            assert_eq!(found.map(|(_, bytes, _)| bytes), Some(&body), "{}, stream {id}", known.name);
        }
        assert_eq!(heard.datagrams, capture.datagrams(), "{}", known.name);
        assert!(heard.datagrams.contains(&b"datagram".to_vec()), "{}", known.name);
    });
}

#[test]
fn a_close_is_told_with_code_and_reason() {
    every_client(|known, _, heard| {
        let closed = SessionEnd::ClosedByPeer { code: 7, reason: "done".to_owned() };
        let end = known.close_capsule.then_some(closed);
        assert_eq!((&heard.end, &heard.lost), (&end, &None), "{}", known.name);
    });
}
