use std::collections::VecDeque;

use transom_core::{Config, Direction, Event, ReadError, Request, Response, SessionEnd, StreamId};

use super::{Capture, INITIAL_MAX_STREAMS_BIDI, INITIAL_MAX_STREAMS_UNI, MAX_DATAGRAM_FRAME_SIZE, Step};
use crate::raw;
use crate::simulation::{Announced, Bare, Lone};

/// How the bytes of a recording are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As they came.
    AsRecorded,
    /// A packet for each byte.
    ByteByByte,
}

/// What our server made of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// The request, as the application saw it.
    pub request: Option<Request>,
    /// How many bytes, of all streams, had been sent when the request was seen.
    pub request_after: usize,
    /// What the client got as an answer.
    pub answer: Option<(u16, Vec<(String, String)>)>,
    /// The streams the client opened, in the order of acceptance: what was read and whether it ended by FIN.
    pub streams: Vec<(Direction, Vec<u8>, bool)>,
    /// The datagrams, in order.
    pub datagrams: Vec<Vec<u8>>,
    /// How the session ended, when it did.
    pub end: Option<SessionEnd>,
    /// What became of the connection before the client would have closed it.
    pub lost: Option<String>,
}

/// A recording, said once more to our own server.
pub struct Replay {
    client: Bare,
    /// Streams that the server is still reading, with their places in [`Heard::streams`].
    open: VecDeque<(StreamId, usize)>,
    sent: usize,
    heard: Heard,
}

impl Replay {
    /// Says all of the recording and tells what the server heard.
    ///
    /// # Errors
    /// Says in words what the recording wanted and did not get.
    pub fn run(capture: &Capture, pace: Pace) -> Result<Heard, String> {
        let parameter = |id| capture.transport_parameters.get(&id).copied().unwrap_or_default();
        let announced = Announced {
            bidi_streams: u32::try_from(parameter(INITIAL_MAX_STREAMS_BIDI)).unwrap_or(u32::MAX),
            uni_streams: u32::try_from(parameter(INITIAL_MAX_STREAMS_UNI)).unwrap_or(u32::MAX),
            datagrams: u16::try_from(parameter(MAX_DATAGRAM_FRAME_SIZE)).unwrap_or(u16::MAX),
        };
        let client = Bare::connect(Lone::new(Config::default()), announced)?;
        let mut replay = Self { client, open: VecDeque::new(), sent: 0, heard: Heard::default() };
        for step in &capture.steps {
            replay.step(step, pace)?;
        }
        replay.heard.lost = replay.client.seen().close.as_ref().map(ToString::to_string);
        Ok(replay.heard)
    }

    fn step(&mut self, step: &Step, pace: Pace) -> Result<(), String> {
        match step {
            Step::Bytes { stream, bytes, fin } => {
                let size = if pace == Pace::ByteByByte { 1 } else { bytes.len().max(1) };
                for piece in bytes.chunks(size) {
                    self.client.write(*stream, piece)?;
                    self.sent += piece.len();
                    self.application();
                }
                if *fin {
                    self.client.finish(*stream)?;
                }
            }
            Step::Reset { stream, code } => self.client.reset(*stream, *code)?,
            Step::Datagram { bytes } => self.client.datagram(bytes)?,
            Step::Accepted { stream } => {
                let answer = raw::Response::parse(&self.client.seen().stream(*stream).data)?;
                let answer = answer.ok_or_else(|| format!("no answer: {:?}", self.heard))?;
                self.heard.answer = Some((answer.status, answer.fields));
            }
        }
        self.application();
        Ok(())
    }

    /// The application on the server: accepts everything with the first subprotocol offered, and reads everything.
    fn application(&mut self) {
        for event in self.client.server.take_events() {
            let server = &mut self.client.server;
            match event {
                Event::SessionRequested { session } => {
                    let request = server.connection().request(session).map(|request| Request::clone(request));
                    let choice = request.as_ref().and_then(|request| request.protocols().first().cloned());
                    let answer = match choice {
                        Some(protocol) => Response::accept().with_protocol(protocol),
                        None => Response::accept(),
                    };
                    (self.heard.request, self.heard.request_after) = (request, self.sent);
                    server.connection().accept(session, answer).expect("an unanswered request");
                }
                Event::StreamOpened { session, direction } => {
                    while let Some(stream) =
                        server.connection().session(session).and_then(|mut session| session.accept(direction))
                    {
                        self.open.push_back((stream, self.heard.streams.len()));
                        self.heard.streams.push((direction, Vec::new(), false));
                    }
                }
                Event::DatagramReceived { session } => {
                    while let Some(datagram) =
                        server.connection().session(session).and_then(|mut session| session.recv_datagram())
                    {
                        self.heard.datagrams.push(datagram.to_vec());
                    }
                }
                Event::SessionEnded { end, .. } => self.heard.end = Some(end),
                _ => {}
            }
        }
        self.read_streams();
        self.client.settle();
    }

    fn read_streams(&mut self) {
        let open = std::mem::take(&mut self.open);
        for (stream, index) in open {
            let (_, data, fin) = &mut self.heard.streams[index];
            loop {
                match self.client.server.connection().recv_stream(stream).read(usize::MAX) {
                    Ok(Some(bytes)) => data.extend_from_slice(&bytes),
                    Ok(None) => {
                        *fin = true;
                        break;
                    }
                    Err(ReadError::Blocked) => {
                        self.open.push_back((stream, index));
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
    }
}
