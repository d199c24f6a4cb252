//! HTTP/3 and the capsules of its sessions as machines, without QUIC: how bytes are cut must not matter.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::input::Input;
use super::script;
use crate::connection::new_flow;
use crate::h3::{Action, Http3};
use crate::session::SessionState;
use crate::session::transition::{Effect, Input as SessionInput};
use crate::{Config, ErrorCode, Request, Response, Role, SessionId, StreamId};

/// One thing the peer does on a stream.
#[derive(Debug, Clone)]
enum Does {
    Sends(Vec<u8>),
    Finishes,
    Resets,
    IsSlow,
}

/// What came of a script.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    actions: Vec<Action>,
    effects: Vec<(SessionId, Vec<Effect>)>,
    glitches: u32,
}

/// A script of stream bytes, run whole, one byte at a time, and in steps that the input chooses.
pub fn chunking(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let step = usize::from(choice >> 1).max(2);
    let mut script = Vec::new();
    while !input.is_empty() && script.len() < 64 {
        script.push(does(&mut input, role));
    }
    let whole = run(role, &script, usize::MAX);
    assert_eq!(whole, run(role, &script, 1), "one byte at a time");
    assert_eq!(whole, run(role, &script, step), "{step} bytes at a time");
}

fn does(input: &mut Input<'_>, role: Role) -> (StreamId, Does) {
    let choice = input.byte();
    // The client's first streams of both kinds, then the server's.
    let own = u64::from(role == Role::Client);
    let stream = match choice & 7 {
        7 if role == Role::Client => StreamId(0),
        index @ 0..4 => StreamId(u64::from(index) * 4 + 2 + own),
        index => StreamId(u64::from(index - 4) * 4 + own),
    };
    let does = match choice >> 3 {
        0 => Does::Finishes,
        1 => Does::Resets,
        2 => Does::IsSlow,
        3..16 => Does::Sends(input.short().to_vec()),
        kind => Does::Sends(script::bytes(kind, input)),
    };
    (stream, does)
}

fn run(role: Role, script: &[(StreamId, Does)], step: usize) -> Outcome {
    let config = Config { max_field_section_size: 512, max_fields: 12, max_settings_size: 64, ..Config::default() };
    let mut h3 = Http3::for_tests(role, config);
    h3.set_peer_takes_datagrams(true);
    let mut runner =
        Runner { role, h3, streams: BTreeMap::new(), sessions: BTreeMap::new(), outcome: Outcome::default() };
    for (stream, does) in script {
        runner.does(*stream, does, step);
    }
    assert_eq!(runner.h3.wants(StreamId(1 << 40)), 0, "a stream nobody opened");
    // Once the connection is closed nobody counts any more.
    let closed = runner.outcome.actions.iter().any(|action| matches!(action, Action::Close(_)));
    runner.outcome.glitches = if closed { 0 } else { runner.h3.take_glitches() };
    if closed {
        // Whether a request is answered before or behind the end of its connection depends on the cut; nobody hears it.
        runner.outcome.actions.retain(|action| !matches!(action, Action::Send { .. }));
    }
    runner.outcome
}

struct Runner {
    role: Role,
    h3: Http3,
    streams: BTreeMap<StreamId, Stream>,
    sessions: BTreeMap<SessionId, SessionState>,
    outcome: Outcome,
}

#[derive(Default)]
struct Stream {
    unread: BytesMut,
    end: Option<Does>,
    ended: bool,
}

impl Runner {
    fn does(&mut self, stream: StreamId, does: &Does, step: usize) {
        // A client's own request is open once it was sent.
        if stream == StreamId(0) && self.h3.can_request().is_ok() && !self.streams.contains_key(&stream) {
            let mut request = Request::new("a.example", "/").protocol("a");
            self.h3.request(stream, &mut request);
            self.streams.insert(stream, Stream::default());
        }
        if !self.streams.contains_key(&stream) {
            if self.h3.can_request().is_err() && stream == StreamId(0) && self.role == Role::Client {
                return;
            }
            self.h3.opened(stream);
        }
        let waiting = self.streams.entry(stream).or_default();
        match does {
            _ if waiting.end.is_some() || waiting.ended => {}
            Does::Sends(bytes) => waiting.unread.extend_from_slice(bytes),
            Does::IsSlow => self.h3.expired(stream),
            end => waiting.end = Some(end.clone()),
        }
        self.collect();
        while self.read_some(stream, step) {
            self.collect();
        }
    }

    /// Reads once: of the stream on which something arrived, then of those that it may have let go on.
    fn read_some(&mut self, first: StreamId, step: usize) -> bool {
        let others: Vec<StreamId> = self.streams.keys().copied().filter(|id| *id != first).collect();
        [first].into_iter().chain(others).any(|id| self.read(id, step))
    }

    fn read(&mut self, id: StreamId, step: usize) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let wants = self.h3.wants(id);
        assert!(wants == 0 || self.h3.knows(id));
        let wanted = wants.min(step).min(stream.unread.len());
        if wanted > 0 {
            self.h3.received(id, stream.unread.split_to(wanted).freeze());
            return true;
        }
        if wants == 0 || !stream.unread.is_empty() {
            return false;
        }
        let Some(end) = stream.end.take() else { return false };
        stream.ended = true;
        match end {
            Does::Finishes => self.h3.finished(id),
            _ => self.h3.reset(id, ErrorCode::H3_REQUEST_CANCELLED),
        }
        true
    }

    fn collect(&mut self) {
        while let Some(action) = self.h3.poll_action() {
            match &action {
                Action::Request { stream, request } => {
                    let id = SessionId(stream.0);
                    self.h3.accept(id, request, &Response::accept());
                    self.open(id, request.as_ref().clone());
                }
                Action::Response { stream, response } if response.status.is_success() => {
                    self.open(SessionId(stream.0), Request::new("a.example", "/"));
                }
                Action::Capsules { stream, bytes } => {
                    self.capsules(SessionId(stream.0), bytes.clone());
                    continue;
                }
                Action::Ended { stream } => {
                    let id = SessionId(stream.0);
                    if let Some(input) = self.sessions.get(&id).map(SessionState::receive_finish) {
                        self.apply(id, input);
                    }
                }
                _ => {}
            }
            self.outcome.actions.push(action);
        }
    }

    fn open(&mut self, id: SessionId, request: Request) {
        let flow = new_flow(&self.h3, request.dialect);
        self.sessions.insert(id, SessionState::new(id, request, flow));
        self.apply(id, SessionInput::Accept);
    }

    fn capsules(&mut self, id: SessionId, bytes: Bytes) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for input in session.receive_capsules(bytes).inputs {
            self.apply(id, input);
        }
    }

    fn apply(&mut self, id: SessionId, input: SessionInput) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let effects = session.apply(input);
        if session.is_over() {
            self.sessions.remove(&id);
        }
        if !effects.is_empty() {
            self.outcome.effects.push((id, effects));
        }
    }
}
