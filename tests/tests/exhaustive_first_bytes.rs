//! All 256 first bytes in every place where a peer says what comes next: on a new stream of either kind, on the control
//! stream before and after SETTINGS, behind an accepted CONNECT, on both QPACK streams.

use transom_core::{Config, Event, Response};
use transom_tests::raw::{Close, DRAFT_02, Request, StreamSeen, code, wire};
use transom_tests::simulation::{Announced, Bare, Lone};

/// How the server reacted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reaction {
    /// It closed the connection with this code.
    Closes(u64),
    /// It stopped the stream with this code.
    Stops(u64),
    /// It took it, or waits for more.
    GoesOn,
}
use Reaction::{Closes, GoesOn, Stops};

const CONTROL: u64 = 2;
const SECOND_UNI: u64 = 6;
const SESSION: u64 = 0;
const SECOND_BIDI: u64 = 4;

fn connected() -> Bare {
    Bare::connect(Lone::new(Config::default()), Announced::default()).unwrap()
}

fn greeted() -> Bare {
    let mut client = connected();
    client.write(CONTROL, &[wire::varint(wire::CONTROL_STREAM), wire::settings(DRAFT_02)].concat()).unwrap();
    client
}

fn in_session() -> Bare {
    let mut client = greeted();
    client.write(SESSION, &Request::webtransport("localhost", "/").frame()).unwrap();
    for event in client.server.take_events() {
        if let Event::SessionRequested { session } = event {
            client.server.connection().accept(session, Response::accept()).unwrap();
        }
    }
    client.settle();
    assert!(!client.seen().stream(SESSION).data.is_empty(), "no answer");
    client
}

/// A place where bytes can be said, with a connection that is kept as long as the server keeps it.
struct Place {
    connect: fn() -> Bare,
    client: Option<Bare>,
    first: u64,
    next: u64,
    /// From one stream to the next: 0 to say everything on one stream.
    step: u64,
}

impl Place {
    fn new(connect: fn() -> Bare, first: u64, step: u64) -> Self {
        Self { connect, client: None, first, next: first, step }
    }

    /// The reaction to bytes there.
    fn reaction(&mut self, bytes: &[u8]) -> Reaction {
        // Fewer streams than the server allows at a time.
        if self.next > self.first + 50 * self.step {
            self.client = None;
        }
        let mut client = self.client.take().unwrap_or_else(|| {
            self.next = self.first;
            (self.connect)()
        });
        let stream = self.next;
        self.next += self.step;
        client.write(stream, bytes).unwrap();
        let StreamSeen { stop, .. } = *client.seen().stream(stream);
        match (&client.seen().close, stop) {
            (Some(Close::Application { code, .. }), _) => return Closes(*code),
            (Some(other), _) => panic!("{bytes:02x?}: {other}"),
            (None, _) => self.client = Some(client),
        }
        stop.map_or(GoesOn, Stops)
    }
}

/// The integer that begins with this byte and goes on with zeros, and its value.
fn integer(first: u8) -> (Vec<u8>, u64) {
    let width = 1 << (first >> 6);
    let mut bytes = vec![0; width];
    bytes[0] = first;
    (bytes, u64::from(first & 0x3f) << (8 * (width - 1)))
}

/// A frame of the type that begins with this byte, with one byte of zero in it, and its type.
fn frame(first: u8) -> (Vec<u8>, u64) {
    let (mut bytes, kind) = integer(first);
    bytes.extend([1, 0]);
    (bytes, kind)
}

#[test]
fn on_a_new_unidirectional_stream() {
    let mut place = Place::new(greeted, SECOND_UNI, 4);
    for first in 0..=u8::MAX {
        let (bytes, kind) = integer(first);
        let expected = match kind {
            // The second control stream, or a push stream, which only servers have.
            wire::CONTROL_STREAM | wire::PUSH_STREAM => Closes(code::H3_STREAM_CREATION_ERROR),
            wire::ENCODER_STREAM | wire::DECODER_STREAM => GoesOn,
            _ => Stops(code::H3_STREAM_CREATION_ERROR),
        };
        assert_eq!(place.reaction(&bytes), expected, "{bytes:02x?}");
        if bytes.len() > 1 {
            assert_eq!(place.reaction(&bytes[..1]), GoesOn, "{first:02x} alone");
        }
    }
}

#[test]
fn on_a_new_bidirectional_stream() {
    let mut place = Place::new(in_session, SECOND_BIDI, 4);
    for first in 0..=u8::MAX {
        let (bytes, kind) = frame(first);
        let expected = match kind {
            // A header section of one byte is cut inside its prefix.
            wire::HEADERS => Closes(code::QPACK_DECOMPRESSION_FAILED),
            wire::DATA | 0x02..=0x09 | wire::MAX_PUSH_ID => Closes(code::H3_FRAME_UNEXPECTED),
            _ => GoesOn,
        };
        assert_eq!(place.reaction(&bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn on_the_control_stream_before_settings() {
    let mut place = Place::new(connected, CONTROL, 0);
    for first in 0..=u8::MAX {
        let (frame, kind) = frame(first);
        let bytes = [wire::varint(wire::CONTROL_STREAM), frame].concat();
        let expected = match kind {
            // One byte is no setting.
            wire::SETTINGS => Closes(code::H3_FRAME_ERROR),
            _ => Closes(code::H3_MISSING_SETTINGS),
        };
        assert_eq!(place.reaction(&bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn on_the_control_stream() {
    let mut place = Place::new(greeted, CONTROL, 0);
    for first in 0..=u8::MAX {
        let (bytes, kind) = frame(first);
        let expected = match kind {
            wire::GOAWAY | wire::MAX_PUSH_ID => GoesOn,
            wire::CANCEL_PUSH => Closes(code::H3_ID_ERROR),
            0x00..=0x09 => Closes(code::H3_FRAME_UNEXPECTED),
            _ => GoesOn,
        };
        assert_eq!(place.reaction(&bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn behind_an_accepted_connect() {
    let mut place = Place::new(in_session, SESSION, 0);
    for first in 0..=u8::MAX {
        let (bytes, kind) = frame(first);
        let expected = match kind {
            0x01..=0x09 | wire::MAX_PUSH_ID => Closes(code::H3_FRAME_UNEXPECTED),
            _ => GoesOn,
        };
        assert_eq!(place.reaction(&bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn on_the_encoder_stream() {
    for first in 0..=u8::MAX {
        let bytes = [wire::varint(wire::ENCODER_STREAM), vec![first]].concat();
        // Set Dynamic Table Capacity to zero is all that there is to say to a decoder without a table.
        let expected = if first == 0x20 { GoesOn } else { Closes(code::QPACK_ENCODER_STREAM_ERROR) };
        assert_eq!(Place::new(greeted, SECOND_UNI, 0).reaction(&bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn on_the_decoder_stream() {
    for first in 0..=u8::MAX {
        let bytes = [wire::varint(wire::DECODER_STREAM), vec![first]].concat();
        // Stream Cancellation is all that there is to say to an encoder without a table.
        let expected = match first {
            0x40..0x80 => GoesOn,
            _ => Closes(code::QPACK_DECODER_STREAM_ERROR),
        };
        assert_eq!(Place::new(greeted, SECOND_UNI, 0).reaction(&bytes), expected, "{bytes:02x?}");
    }
}
