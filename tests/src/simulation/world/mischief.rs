//! The misdeeds: frames, settings, requests, capsules, stream headers, resets and datagrams, well-formed, odd or garbage.

use bytes::Bytes;
use quinn_proto::{Connection, Dir, StreamId, VarInt};

use super::shared::Shared;
use crate::raw::{DRAFT_02, DRAFT_15, Request, code, wire};
use transom::testing::Random;

/// What a misbehaving client has begun so far.
#[derive(Debug, Default)]
pub(super) struct Mischief {
    pub(super) theirs: Vec<StreamId>,
    ours: Vec<StreamId>,
    requests: Vec<StreamId>,
    control: Option<StreamId>,
    draft_15: bool,
    /// Keeps to what only costs sessions and streams, and so lives longer.
    mild: bool,
}

impl Mischief {
    /// Does one thing and says which.
    pub(super) fn act(&mut self, connection: &mut Connection, shared: &mut Shared) -> &'static str {
        let random = &mut shared.random;
        if self.control.is_none() && random.below(10) > 0 {
            return self.greet(connection, random);
        }
        match random.below(24) {
            11..=13 if self.mild => "nothing",
            0..=4 => self.request(connection, random),
            5..=7 => self.stream(connection, random),
            8..=10 => self.capsule(connection, random),
            11 => self.control_frame(connection, random),
            12 => self.critical_stream(connection, random),
            13 => self.garbage(connection, random),
            14..=15 => self.reset(connection, random),
            16 => self.stop(connection, random),
            17..=18 => self.datagrams(connection, random),
            19 => self.flood(connection, random),
            20 => self.finish(connection, random),
            21 => self.half_open(connection, random),
            22 => self.more(connection, random),
            _ => "nothing",
        }
    }

    /// The control stream, mostly right.
    fn greet(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = connection.streams().open(Dir::Uni) else { return "no credit" };
        self.control = Some(stream);
        self.draft_15 = random.below(2) == 0;
        let mut pairs = if self.draft_15 { DRAFT_15.to_vec() } else { DRAFT_02.to_vec() };
        if random.below(4) == 0 {
            pairs.push((random.below(1 << 20), random.number() >> 2));
        }
        let mut bytes = [wire::varint(wire::CONTROL_STREAM), wire::settings(&pairs)].concat();
        self.mild = random.below(2) == 0;
        if !self.mild && random.below(12) == 0 {
            mutate(&mut bytes, random);
        }
        write(connection, stream, &bytes);
        "settings"
    }

    fn request(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = connection.streams().open(Dir::Bi) else { return "no credit" };
        let mut request = Request::webtransport("localhost", "/");
        if self.draft_15 {
            request = request.with(":protocol", "webtransport-h3");
        }
        let odd = random.below(12);
        request = match odd {
            0 => Request::plain("GET", "localhost", "/"),
            1 => request.without(":authority"),
            2 => request.with(":protocol", "websocket"),
            3 => request.and("Upper", "case"),
            4 => request.and(":late", "pseudo"),
            5 => request.and("filler", vec![b'x'; random.below(20_000) as usize]),
            _ => request,
        };
        let mut bytes = request.frame();
        if odd == 6 {
            mutate(&mut bytes, random);
        }
        write(connection, stream, &bytes);
        self.requests.push(stream);
        "request"
    }

    /// A stream of a session that is there, was, will be, or cannot be.
    fn stream(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let dir = if random.below(2) == 0 { Dir::Bi } else { Dir::Uni };
        let Some(stream) = connection.streams().open(dir) else { return "no credit" };
        let session = self.any_session(random);
        let header = if dir == Dir::Bi { wire::bidi_header(session) } else { wire::uni_header(session) };
        write(connection, stream, &[header, bytes(random, 2_000)].concat());
        if random.below(2) == 0 {
            let _ = connection.send_stream(stream).finish();
        }
        self.ours.push(stream);
        "stream"
    }

    fn capsule(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = random.pick(&self.requests).copied() else { return "no request" };
        let mut capsule = match random.below(10) {
            0 => wire::close(random.number() as u32, b"gone"),
            1 => wire::close(0, &vec![0xff; random.below(1_100) as usize]),
            2..=3 => wire::frame(wire::CAPSULE_DRAIN, &[]),
            4 => wire::frame(wire::CAPSULE_DATAGRAM, &bytes(random, 500)),
            // Those of session flow control, in any version, with any payload.
            5..=6 => {
                let kinds = [0x190b_4d3b, 0x190b_4d3c, 0x190b_4d3d, 0x190b_4d3e, 0x190b_4d3f, 0x190b_4d40, 0x190b_4d41];
                let kind = random.pick(&kinds).copied().unwrap_or_default() + random.below(4);
                wire::frame(kind, &wire::varint(random.number() >> (2 + random.below(60))))
            }
            7 => wire::claim(random.below(1 << 30), random.number() >> 2, b"short"),
            _ => wire::frame(random.number() >> 2, &bytes(random, 3_000)),
        };
        if random.below(8) == 0 {
            mutate(&mut capsule, random);
        }
        let frame = if random.below(10) == 0 { wire::frame(random.below(20), &capsule) } else { wire::data(&capsule) };
        write(connection, stream, &frame);
        "capsule"
    }

    fn control_frame(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = self.control else { return "no control stream" };
        let kinds = [
            wire::SETTINGS,
            wire::GOAWAY,
            wire::MAX_PUSH_ID,
            wire::CANCEL_PUSH,
            wire::PRIORITY_UPDATE,
            wire::DATA,
            wire::HEADERS,
            wire::PUSH_PROMISE,
            0x21,
            2,
        ];
        let kind = random.pick(&kinds).copied().unwrap_or(0x21);
        let payload = if random.below(2) == 0 { wire::varint(random.below(100)) } else { bytes(random, 300) };
        write(connection, stream, &wire::frame(kind, &payload));
        "control frame"
    }

    /// Streams there may be one of each: QPACK's, a second control stream, a push stream, unknown ones.
    fn critical_stream(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = connection.streams().open(Dir::Uni) else { return "no credit" };
        let kinds = [
            wire::ENCODER_STREAM,
            wire::ENCODER_STREAM,
            wire::DECODER_STREAM,
            wire::DECODER_STREAM,
            0x21 + 0x1f * random.below(1_000),
            wire::PUSH_STREAM,
            wire::CONTROL_STREAM,
        ];
        let kind = random.pick(&kinds).copied().unwrap_or(0x21);
        let body = if random.below(3) == 0 { bytes(random, 100) } else { Vec::new() };
        write(connection, stream, &[wire::varint(kind), body].concat());
        self.ours.push(stream);
        "critical stream"
    }

    fn garbage(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let dir = if random.below(2) == 0 { Dir::Bi } else { Dir::Uni };
        let Some(stream) = connection.streams().open(dir) else { return "no credit" };
        write(connection, stream, &bytes(random, 200));
        self.ours.push(stream);
        "garbage"
    }

    fn reset(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = self.any_stream(random) else { return "no stream" };
        let _ = connection.send_stream(stream).reset(any_code(random));
        "reset"
    }

    fn stop(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let from = if random.below(2) == 0 { &self.theirs } else { &self.requests };
        // Stopping the server's control stream ends the connection: rarely.
        let Some(stream) = random.pick(from).copied() else { return "no stream" };
        if stream.index() == 0 && stream.dir() == Dir::Uni && random.below(10) > 0 {
            return "spared";
        }
        let _ = connection.recv_stream(stream).stop(any_code(random));
        "stop"
    }

    fn datagrams(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        for _ in 0..=random.below(30) {
            let session = self.any_session(random);
            let payload =
                if random.below(20) == 0 { bytes(random, 10) } else { wire::datagram(session, &bytes(random, 900)) };
            let _ = connection.datagrams().send(Bytes::from(payload), true);
        }
        "datagrams"
    }

    /// Many small things at once.
    fn flood(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let kind = random.below(3);
        for _ in 0..random.below(150) {
            match kind {
                0 => _ = self.stream(connection, random),
                1 => {
                    if let Some(control) = self.control {
                        write(connection, control, &wire::frame(0x21 + 0x1f * random.below(9), &[]));
                    }
                }
                _ => {
                    self.request(connection, random);
                    if let Some(stream) = self.requests.last().copied() {
                        let _ = connection.send_stream(stream).reset(any_code(random));
                    }
                }
            }
        }
        "flood"
    }

    fn finish(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = self.any_stream(random) else { return "no stream" };
        let _ = connection.send_stream(stream).finish();
        "finish"
    }

    /// The first bytes of something, and no more.
    fn half_open(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = connection.streams().open(Dir::Bi) else { return "no credit" };
        let whole = match random.below(3) {
            0 => Request::webtransport("localhost", "/half").frame(),
            1 => wire::bidi_header(1 << 20),
            _ => wire::claim(wire::HEADERS, random.below(1 << 30), b"\0\0"),
        };
        let cut = random.below(whole.len() as u64) as usize;
        write(connection, stream, &whole[..cut]);
        self.ours.push(stream);
        "half open"
    }

    /// More on a stream of any kind.
    fn more(&mut self, connection: &mut Connection, random: &mut Random) -> &'static str {
        let Some(stream) = self.any_stream(random) else { return "no stream" };
        write(connection, stream, &bytes(random, 5_000));
        "more"
    }

    fn any_stream(&self, random: &mut Random) -> Option<StreamId> {
        let from = if random.below(2) == 0 { &self.ours } else { &self.requests };
        random.pick(from).copied()
    }

    fn any_session(&self, random: &mut Random) -> u64 {
        let asked = random.pick(&self.requests).map(|stream| u64::from(*stream));
        match random.below(20) {
            0 if !self.mild => random.below(100),
            1 if !self.mild => wire::VARINT_MAX - random.below(8),
            2..=3 => 4 * random.below(60),
            _ => asked.unwrap_or(0),
        }
    }
}

fn write(connection: &mut Connection, stream: StreamId, bytes: &[u8]) {
    // What does not fit stays away: half of something is a misdeed too.
    let _ = connection.send_stream(stream).write(bytes);
}

fn bytes(random: &mut Random, most: u64) -> Vec<u8> {
    (0..random.below(most)).map(|_| random.below(256) as u8).collect()
}

/// Turns a few bits over, or cuts the end off.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << random.below(8);
        }
    }
    if random.below(3) == 0 {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
    }
}

fn any_code(random: &mut Random) -> VarInt {
    let application = code::from_application(random.number() as u32);
    let codes =
        [0, code::H3_NO_ERROR, code::H3_REQUEST_CANCELLED, code::WT_SESSION_GONE, application, wire::VARINT_MAX];
    VarInt::from_u64(random.pick(&codes).copied().unwrap_or(0)).unwrap_or(VarInt::MAX)
}
