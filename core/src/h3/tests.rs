//! Whole exchanges on the machine alone, each fed in one piece and one byte at a time.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::{capsule::Capsule, frame, qpack, varint};

const CONTROL: StreamId = StreamId(2);
const REQUEST: StreamId = StreamId(0);

/// One thing a client does.
#[derive(Debug, Clone)]
enum Does {
    Sends(StreamId, Vec<u8>),
    Finishes(StreamId),
    Resets(StreamId),
}

fn settings(pairs: &[(u64, u64)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in pairs {
        varint::encode(*id, &mut payload);
        varint::encode(*value, &mut payload);
    }
    let mut out = vec![0];
    frame::encode(frame::kind::SETTINGS, &payload, &mut out);
    out
}

fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    qpack::encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), &mut block);
    let mut out = Vec::new();
    frame::encode(frame::kind::HEADERS, &block, &mut out);
    out
}

fn connect(token: &str) -> Vec<u8> {
    headers(&[(":method", "CONNECT"), (":scheme", "https"), (":authority", "h"), (":path", "/"), (":protocol", token)])
}

/// Runs a script on a server's machine, at most `step` bytes at a time, accepting every request, and collects the
/// actions; neighbouring capsule bytes are joined, since how they are cut means nothing.
fn run(script: &[Does], step: usize) -> Vec<Action> {
    let mut h3 = Http3::for_tests(Role::Server, Config::default());
    h3.set_peer_takes_datagrams(true);
    let mut unread: std::collections::BTreeMap<StreamId, (BytesMut, Option<Does>)> = std::collections::BTreeMap::new();
    let mut actions = Vec::new();
    for does in script {
        let (Does::Sends(stream, _) | Does::Finishes(stream) | Does::Resets(stream)) = does;
        if !unread.contains_key(stream) {
            h3.opened(*stream);
        }
        let waiting = unread.entry(*stream).or_default();
        match does {
            Does::Sends(_, bytes) => waiting.0.extend_from_slice(bytes),
            end => waiting.1 = Some(end.clone()),
        }
        while read_some(&mut h3, &mut unread, step) {
            collect(&mut h3, &mut actions);
        }
        collect(&mut h3, &mut actions);
    }
    actions
}

fn read_some(
    h3: &mut Http3,
    unread: &mut std::collections::BTreeMap<StreamId, (BytesMut, Option<Does>)>,
    step: usize,
) -> bool {
    for (stream, (bytes, end)) in unread {
        let wanted = h3.wants(*stream).min(step).min(bytes.len());
        if wanted > 0 {
            h3.received(*stream, bytes.split_to(wanted).freeze());
            return true;
        }
        if bytes.is_empty() && h3.wants(*stream) > 0 {
            match end.take() {
                Some(Does::Finishes(_)) => h3.finished(*stream),
                Some(_) => h3.reset(*stream, ErrorCode::H3_REQUEST_CANCELLED),
                None => continue,
            }
            return true;
        }
    }
    false
}

fn collect(h3: &mut Http3, actions: &mut Vec<Action>) {
    while let Some(action) = h3.poll_action() {
        if let Action::Request { stream, request } = &action {
            h3.accept(SessionId(stream.0), request, &Response::accept());
        }
        match (actions.last_mut(), action) {
            (_, Action::Meaningless { .. }) => {}
            (Some(Action::Capsules { stream: last, bytes: joined }), Action::Capsules { stream, bytes })
                if *last == stream =>
            {
                *joined = [&joined[..], &bytes].concat().into();
            }
            (_, action) => actions.push(action),
        }
    }
}

/// The same actions however the bytes are cut.
fn same(script: &[Does]) -> Vec<Action> {
    let whole = run(script, usize::MAX);
    assert_eq!(whole, run(script, 1), "one byte at a time");
    assert_eq!(whole, run(script, 3), "three bytes at a time");
    whole
}

fn good_settings() -> Does {
    Does::Sends(CONTROL, settings(&[(0x33, 1), (0x2b60_3742, 1), (0x21, 5)]))
}

fn close_code(actions: &[Action]) -> Option<ErrorCode> {
    actions.iter().find_map(|action| if let Action::Close(violation) = action { Some(violation.code) } else { None })
}

#[test]
fn a_request_waits_for_settings_whatever_comes_first() {
    let connect = Does::Sends(REQUEST, connect("webtransport"));
    let is_request = |action: &Action| matches!(action, Action::Request { .. });
    let late = same(&[connect.clone(), good_settings()]);
    let settings_at = late.iter().position(|action| *action == Action::Settings);
    assert!(settings_at.is_some() && settings_at < late.iter().position(is_request));
    assert!(same(&[good_settings(), connect.clone()]).iter().any(is_request));
    assert!(!same(&[connect]).iter().any(is_request), "no SETTINGS, no request");
}

#[test]
fn capsules_come_through_after_the_answer_and_the_end_is_told() {
    let mut body = Vec::new();
    let mut capsule = Vec::new();
    Capsule::CloseSession { code: 9, reason: "over".into() }.encode(&mut capsule);
    let (first, second) = capsule.split_at(3);
    frame::encode(frame::kind::DATA, first, &mut body);
    frame::encode(0x21, b"grease", &mut body);
    frame::encode(frame::kind::DATA, second, &mut body);
    let script = [
        good_settings(),
        Does::Sends(REQUEST, connect("webtransport")),
        Does::Sends(REQUEST, body),
        Does::Finishes(REQUEST),
    ];
    let actions = same(&script);
    let bytes = Bytes::from(capsule);
    assert!(actions.contains(&Action::Capsules { stream: REQUEST, bytes }));
    assert_eq!(actions.last(), Some(&Action::Ended { stream: REQUEST }));
}

#[test]
fn streams_say_what_they_are() {
    let actions = same(&[
        Does::Sends(StreamId(6), vec![0x40, 0x54, 0x00, 1, 2, 3]),
        Does::Sends(StreamId(4), vec![0x40, 0x41, 0x00, 1, 2, 3]),
        Does::Sends(StreamId(10), vec![0x21, 9]),
    ]);
    let session = SessionId(0);
    assert!(actions.contains(&Action::Attach { stream: StreamId(6), session }));
    assert!(actions.contains(&Action::Attach { stream: StreamId(4), session }));
    let code = ErrorCode::H3_STREAM_CREATION_ERROR;
    assert!(actions.contains(&Action::Abort { stream: StreamId(10), code }), "an unknown type ends one stream");
    assert_eq!(close_code(&actions), None);
}

#[test]
fn broken_rules_of_the_connection_close_it() {
    for (script, code) in [
        (vec![Does::Sends(StreamId(6), vec![0x40, 0x54, 0x03])], ErrorCode::H3_ID_ERROR),
        (vec![Does::Sends(StreamId(4), vec![0x40, 0x41, 0x01])], ErrorCode::H3_ID_ERROR),
        (vec![good_settings(), Does::Sends(StreamId(6), vec![0])], ErrorCode::H3_STREAM_CREATION_ERROR),
        (vec![Does::Sends(StreamId(6), vec![1])], ErrorCode::H3_STREAM_CREATION_ERROR),
        (vec![good_settings(), Does::Finishes(CONTROL)], ErrorCode::H3_CLOSED_CRITICAL_STREAM),
        (vec![good_settings(), Does::Resets(CONTROL)], ErrorCode::H3_CLOSED_CRITICAL_STREAM),
        (
            vec![Does::Sends(StreamId(6), vec![2]), Does::Sends(StreamId(10), vec![2])],
            ErrorCode::H3_STREAM_CREATION_ERROR,
        ),
        (vec![Does::Sends(StreamId(6), vec![2, 0x3f, 1])], ErrorCode::QPACK_ENCODER_STREAM_ERROR),
        (vec![Does::Sends(StreamId(6), vec![3, 0x80])], ErrorCode::QPACK_DECODER_STREAM_ERROR),
        (vec![Does::Sends(REQUEST, vec![0, 0])], ErrorCode::H3_FRAME_UNEXPECTED),
        (vec![Does::Sends(REQUEST, vec![1, 3, 0, 0, 0xff])], ErrorCode::QPACK_DECOMPRESSION_FAILED),
        (vec![Does::Sends(REQUEST, vec![1, 9, 0]), Does::Finishes(REQUEST)], ErrorCode::H3_FRAME_ERROR),
    ] {
        assert_eq!(close_code(&same(&script)), Some(code), "{script:?}");
    }
}

#[test]
fn broken_rules_of_a_request_end_the_request() {
    let status = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Answered { .. }));
    let aborted = |actions: &[Action], wanted| {
        actions.iter().any(|action| matches!(action, Action::Abort { stream: REQUEST, code } if *code == wanted))
    };
    let get = headers(&[(":method", "GET"), (":scheme", "https"), (":authority", "h"), (":path", "/")]);
    assert!(status(&same(&[Does::Sends(REQUEST, get)])), "a plain request is answered");
    let unknown = same(&[good_settings(), Does::Sends(REQUEST, connect("websocket"))]);
    assert!(status(&unknown));
    let incomplete = same(&[Does::Finishes(REQUEST)]);
    assert!(aborted(&incomplete, ErrorCode::H3_REQUEST_INCOMPLETE));
    let malformed = same(&[Does::Sends(REQUEST, headers(&[(":method", "GET")]))]);
    assert!(aborted(&malformed, ErrorCode::H3_MESSAGE_ERROR));
    for actions in [unknown, incomplete, malformed] {
        assert_eq!(close_code(&actions), None);
    }
}

proptest! {
    /// Random bytes on random streams: no panic, and how they are cut changes nothing.
    #[test]
    fn any_bytes_in_any_cut(
        script in prop::collection::vec(
            (0u64..4, prop::collection::vec(any::<u8>(), 0..40), 0u8..6),
            0..12,
        ),
    ) {
        let mut does = vec![good_settings()];
        for (stream, bytes, end) in script {
            let stream = [StreamId(0), StreamId(4), StreamId(6), StreamId(10)][stream as usize];
            does.push(Does::Sends(stream, bytes));
            match end {
                0 => does.push(Does::Finishes(stream)),
                1 => does.push(Does::Resets(stream)),
                _ => {}
            }
        }
        let whole = run(&does, usize::MAX);
        prop_assert_eq!(whole, run(&does, 1));
    }
}
