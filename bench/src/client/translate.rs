//! From what QUIC says to what a scenario wants to know.

use std::collections::VecDeque;

use bytes::Bytes;
use quinn_proto::{Connection, Dir, Event, StreamEvent, StreamId};

use crate::bare::{App, Connections};
use crate::wire;

/// What happened on a connection.
#[derive(Debug)]
pub enum What {
    /// A session is open.
    Accepted(StreamId),
    /// A session was asked for in vain, or a stream was reset.
    Refused(StreamId, String),
    /// The server reads no more of a stream; who has finished it does not mind.
    Stopped(StreamId),
    Data(StreamId, Bytes),
    End(StreamId),
    Writable(StreamId),
    /// More streams may be opened.
    Available,
    Datagram(Bytes),
    Lost(String),
}

pub(super) struct Translator {
    pub(super) happened: VecDeque<(usize, What)>,
    authority: String,
    control: Vec<u8>,
}

#[derive(Default)]
pub(super) struct State {
    /// The path of the session to ask for when SETTINGS have come.
    pub(super) wants: Option<String>,
    ready: bool,
    greeted: bool,
    /// CONNECT streams and what has arrived on them.
    requests: Vec<(StreamId, Vec<u8>, bool)>,
    /// The server's unidirectional streams, by what has arrived until SETTINGS.
    control: Vec<(StreamId, Vec<u8>)>,
}

impl Translator {
    pub(super) fn new(authority: &str) -> Self {
        Self { happened: VecDeque::new(), authority: authority.to_owned(), control: wire::control_stream(false, 1) }
    }

    pub(super) fn request(&mut self, quic: &mut Connection, state: &mut State, path: &str) -> Option<StreamId> {
        let id = quic.streams().open(Dir::Bi)?;
        quic.send_stream(id).write(&wire::connect_request(&self.authority, path)).ok()?;
        state.requests.push((id, Vec::new(), false));
        Some(id)
    }

    fn greet(&mut self, quic: &mut Connection, state: &mut State) {
        if let Some(id) = quic.streams().open(Dir::Uni) {
            _ = quic.send_stream(id).write(&self.control);
            state.greeted = true;
        }
    }

    fn readable(&mut self, key: usize, quic: &mut Connection, state: &mut State, id: StreamId) {
        let mut stream = quic.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        let mut ended = None;
        let from = self.happened.len();
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => self.happened.push_back((key, What::Data(id, chunk.bytes))),
                Ok(None) => ended = Some(What::End(id)),
                Err(quinn_proto::ReadError::Reset(code)) => {
                    ended = Some(What::Refused(id, format!("reset with {code}")));
                }
                Err(quinn_proto::ReadError::Blocked) => break,
            }
            if ended.is_some() {
                break;
            }
        }
        _ = chunks.finalize();
        if id.dir() == Dir::Uni {
            self.control(quic, state, id, from);
        } else if state.requests.iter().any(|(request, ..)| *request == id) {
            self.answer(key, state, id, from);
            self.happened.extend(ended.map(|what| (key, what)));
        } else {
            self.happened.extend(ended.map(|what| (key, what)));
        }
    }

    /// Takes what was read since `from` out again.
    fn taken(&mut self, from: usize) -> impl Iterator<Item = Bytes> {
        self.happened.drain(from..).filter_map(|(_, what)| match what {
            What::Data(_, bytes) => Some(bytes),
            _ => None,
        })
    }

    fn control(&mut self, quic: &mut Connection, state: &mut State, id: StreamId, from: usize) {
        let bytes: Vec<u8> = self.taken(from).flatten().collect();
        if state.ready {
            return;
        }
        let Some((_, known)) = state.control.iter_mut().find(|(stream, _)| *stream == id) else { return };
        known.extend_from_slice(&bytes);
        let mut rest = &known[..];
        if wire::varint(&mut rest) == Some(wire::CONTROL)
            && wire::take_frame(&mut rest).is_some_and(|(kind, _)| kind == wire::SETTINGS)
        {
            state.ready = true;
            self.ask(quic, state);
        }
    }

    fn ask(&mut self, quic: &mut Connection, state: &mut State) {
        if state.greeted
            && state.ready
            && let Some(path) = state.wants.take()
        {
            self.request(quic, state, &path);
        }
    }

    fn answer(&mut self, key: usize, state: &mut State, id: StreamId, from: usize) {
        let bytes: Vec<u8> = self.taken(from).flatten().collect();
        let Some((_, known, answered)) = state.requests.iter_mut().find(|(request, ..)| *request == id) else { return };
        if *answered {
            return;
        }
        known.extend_from_slice(&bytes);
        let mut rest = &known[..];
        while let Some((kind, block)) = wire::take_frame(&mut rest) {
            if kind == wire::HEADERS {
                *answered = true;
                let what = if wire::is_accepted(block) {
                    What::Accepted(id)
                } else {
                    What::Refused(id, format!("answered with {block:02x?}"))
                };
                self.happened.push_back((key, what));
                return;
            }
        }
    }
}

impl App for Translator {
    type State = State;

    fn event(&mut self, key: usize, quic: &mut Connection, state: &mut State, event: Event) {
        match event {
            Event::Connected => {
                self.greet(quic, state);
                self.ask(quic, state);
            }
            Event::Stream(StreamEvent::Opened { dir }) => {
                while let Some(id) = quic.streams().accept(dir) {
                    if dir == Dir::Uni {
                        state.control.push((id, Vec::new()));
                    }
                    self.readable(key, quic, state, id);
                }
            }
            Event::Stream(StreamEvent::Readable { id }) => self.readable(key, quic, state, id),
            Event::Stream(StreamEvent::Writable { id }) => self.happened.push_back((key, What::Writable(id))),
            Event::Stream(StreamEvent::Available { dir: Dir::Bi }) => self.happened.push_back((key, What::Available)),
            Event::Stream(StreamEvent::Stopped { id, .. }) => self.happened.push_back((key, What::Stopped(id))),
            Event::DatagramReceived => {
                while let Some(datagram) = quic.datagrams().recv() {
                    let mut rest = &datagram[..];
                    if wire::varint(&mut rest).is_some() {
                        let payload = datagram.slice(datagram.len() - rest.len()..);
                        self.happened.push_back((key, What::Datagram(payload)));
                    }
                }
            }
            Event::ConnectionLost { reason } => self.happened.push_back((key, What::Lost(reason.to_string()))),
            _ => {}
        }
    }

    fn before_sending(&mut self, _: &mut Connections<State>) {}
}
