//! Limits of numbers and bytes that a client can try to exceed.

use transom_core::{Direction, StreamId};
use transom_tests::hostile::Reaction::{Aborts, Answers};
use transom_tests::raw::{DRAFT_02, Request, code, wire};
use transom_tests::siege::{ROUND_TRIP, Siege};

use crate::Seen::{Dropped, Fine, NoCredit, Reacts};
use crate::{EXCESSIVE, Limit, REJECTED, Seen, connect, greet, in_session, never_answer, refuse, seen};

pub(crate) fn limits() -> Vec<Limit> {
    let mut limits = requests();
    limits.extend(header_sections());
    limits.extend(transport());
    limits.extend(held());
    limits.extend(loads());
    limits
}

fn requests() -> Vec<Limit> {
    vec![
        Limit::new(
            "max_sessions_without_flow_control",
            3,
            |config| config.max_sessions_without_flow_control = 3,
            connects,
            REJECTED,
        ),
        Limit::new("max_sessions", 3, |config| config.max_sessions = 3, counted_connects, REJECTED),
        Limit::new("session_bidi_streams", 3, |config| config.session_bidi_streams = 3, session_bidi, UNCOUNTED),
        Limit::new("session_uni_streams", 3, |config| config.session_uni_streams = 3, session_uni, UNCOUNTED),
        Limit::new("connect_burst", 3, |config| config.connect_burst = 3, connects, REJECTED).app(refuse),
        Limit::new("connect_rate", 2, |config| (config.connect_burst, config.connect_rate) = (1, 2), rate, REJECTED)
            .app(refuse),
    ]
}

const UNCOUNTED: Seen = Reacts(Aborts(code::WT_FLOW_CONTROL_ERROR));

/// Draft 16 with session flow control.
const COUNTED: &[(u64, u64)] = &[(0x33, 1), (0x2c7c_f000, 1), (0x2b61, 1 << 20), (0x2b64, 100), (0x2b65, 100)];

fn counted_connect() -> Vec<u8> {
    connect().with(":protocol", "webtransport-h3").frame()
}

fn greet_counted(siege: &mut Siege) {
    siege.run_until("the handshake", |siege| siege.intruder.is_connected());
    siege.send_settings(COUNTED);
}

fn counted_connects(siege: &mut Siege, count: u64) -> Seen {
    greet_counted(siege);
    let mut last = 0;
    for _ in 0..count {
        last = siege.bidi(&counted_connect());
        siege.run_for(ROUND_TRIP);
    }
    seen(siege, last)
}

/// Streams of one session; they stay open.
fn session_bidi(siege: &mut Siege, count: u64) -> Seen {
    greet_counted(siege);
    let session = siege.bidi(&counted_connect());
    siege.run_for(ROUND_TRIP);
    (0..count).for_each(|_| _ = siege.bidi(&wire::bidi_header(session)));
    seen(siege, session)
}

fn session_uni(siege: &mut Siege, count: u64) -> Seen {
    greet_counted(siege);
    let session = siege.bidi(&counted_connect());
    siege.run_for(ROUND_TRIP);
    (0..count).for_each(|_| _ = siege.uni(&wire::uni_header(session)));
    seen(siege, session)
}

/// So many CONNECTs at once; the last one tells.
fn connects(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    let mut last = 0;
    for _ in 0..count {
        last = siege.bidi(&connect().frame());
        siege.run_for(ROUND_TRIP);
    }
    not_found_is_fine(seen(siege, last))
}

/// The burst, and so many in the second after it.
fn rate(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    let mut last = siege.bidi(&connect().frame());
    siege.run_for(std::time::Duration::from_secs(10));
    siege.bidi(&connect().frame());
    for _ in 0..count {
        siege.run_for(std::time::Duration::from_millis(1_000 / count));
        last = siege.bidi(&connect().frame());
    }
    not_found_is_fine(seen(siege, last))
}

/// The application's own refusal; the limit was not met.
fn not_found_is_fine(seen: Seen) -> Seen {
    if seen == Reacts(Answers(404)) { Fine } else { seen }
}

fn header_sections() -> Vec<Limit> {
    let too_large = Reacts(Answers(431));
    vec![
        Limit::new("max_field_section_size", 400, |config| config.max_field_section_size = 400, section, too_large),
        Limit::new("max_fields", 8, |config| config.max_fields = 8, fields, too_large),
        Limit::new("max_settings_size", 40, |config| config.max_settings_size = 40, settings, EXCESSIVE),
        Limit::new("128 KiB of unfinished requests", 128 * 1024, |_| {}, unfinished, UNFINISHED),
        Limit::new("64 offered protocols", 64, |_| {}, protocols, Dropped),
        Limit::new("1,024 bytes of a close reason", 1_024, |_| {}, close_reason, MALFORMED),
    ]
}

const UNFINISHED: Seen = Reacts(Aborts(code::H3_EXCESSIVE_LOAD));
const MALFORMED: Seen = Reacts(Aborts(code::H3_MESSAGE_ERROR));

/// A section of this size: names, values and 32 bytes for each of its six fields.
fn section(siege: &mut Siege, size: u64) -> Seen {
    greet(siege);
    let base = [(":method", "CONNECT"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    let base = base.iter().chain(&[(":protocol", "webtransport"), ("x", "")]);
    let taken: usize = base.map(|(name, value)| name.len() + value.len() + 32).sum();
    let request = connect().and("x", vec![b'v'; size as usize - taken]);
    let stream = siege.bidi(&request.frame());
    seen(siege, stream)
}

fn fields(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    let request = (5..count).fold(connect(), |request, _| request.and("x", "y"));
    let stream = siege.bidi(&request.frame());
    seen(siege, stream)
}

/// SETTINGS of this many bytes, one of them a long value.
fn settings(siege: &mut Siege, size: u64) -> Seen {
    siege.run_until("the handshake", |siege| siege.intruder.is_connected());
    let mut payload = Vec::new();
    for (id, value) in DRAFT_02 {
        payload.extend([wire::varint(*id), wire::varint(*value)].concat());
    }
    let mut unknown = 0x21;
    while payload.len() < size as usize {
        let rest = size as usize - payload.len();
        // Pairs of three bytes and four, so that every length from six on can be made.
        let value = if rest.is_multiple_of(3) { 1 } else { 2 };
        payload.extend([wire::varint_of_width(0x100 + unknown, 2), wire::varint_of_width(1, value)].concat());
        unknown += 1;
    }
    let control = siege.uni(&[vec![0], wire::frame(wire::SETTINGS, &payload)].concat());
    seen(siege, control)
}

/// Sixteen requests with HEADERS that stay unfinished, together this many bytes; the last one tells.
fn unfinished(siege: &mut Siege, bytes: u64) -> Seen {
    greet(siege);
    let mut last = 0;
    let mut left = bytes;
    while left > 0 {
        let now = left.min(8 * 1024 + bytes % 8);
        last = siege.bidi(&wire::claim(wire::HEADERS, 16_000, &vec![0; now as usize]));
        siege.run_for(ROUND_TRIP);
        left -= now;
    }
    seen(siege, last)
}

/// Whether the application sees an offer of so many protocols.
fn protocols(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    let list: Vec<String> = (0..count).map(|number| format!("\"p{number}\"")).collect();
    siege.bidi(&connect().and("wt-available-protocols", list.join(", ")).frame());
    siege.run_for(ROUND_TRIP);
    let mut offered = 0;
    siege.server.act(|connection, id| offered = connection.request(id).unwrap().protocols().len() as u64);
    if offered == count { Fine } else { Dropped }
}

fn close_reason(siege: &mut Siege, length: u64) -> Seen {
    let session = in_session(siege);
    siege.write(session, &wire::data(&wire::close(7, &vec![b'r'; length as usize])));
    seen(siege, session)
}

fn transport() -> Vec<Limit> {
    vec![
        Limit::new("max_bidi_streams", 4, |config| config.max_bidi_streams = 4, bidi_streams, NoCredit),
        Limit::new("max_uni_streams", 4, |config| config.max_uni_streams = 4, uni_streams, NoCredit),
        Limit::new("stream_window", 5_000, |config| config.stream_window = 5_000, stream_bytes, NoCredit),
        Limit::new(
            "connection_window",
            9_000,
            |config| (config.connection_window_before_session, config.connection_window) = (2_000, 9_000),
            session_bytes,
            NoCredit,
        ),
        Limit::new(
            "connection_window_before_session",
            9_000,
            |config| config.connection_window_before_session = 9_000,
            early_bytes,
            NoCredit,
        ),
        Limit::new("send_window", 7_000, |config| config.send_window = 7_000, written, NoCredit),
        Limit::new("datagram_send_queue", 3, |config| config.datagram_send_queue = 3, queued_to_send, NoCredit),
        Limit::new(
            "datagram_send_buffer",
            3 * 1_000,
            |config| config.datagram_send_buffer = 3_000,
            sent_datagrams,
            NoCredit,
        ),
    ]
}

/// As many streams, with the CONNECT stream, as nobody closes.
fn bidi_streams(siege: &mut Siege, count: u64) -> Seen {
    let session = in_session(siege);
    for _ in 1..count {
        let Some(stream) = siege.intruder.open_bidi() else { return NoCredit };
        siege.write(stream, &wire::bidi_header(session));
        siege.run_for(ROUND_TRIP);
    }
    seen(siege, session)
}

/// The same with the control stream.
fn uni_streams(siege: &mut Siege, count: u64) -> Seen {
    let session = in_session(siege);
    for _ in 1..count {
        let Some(stream) = siege.intruder.open_uni() else { return NoCredit };
        siege.write(stream, &wire::uni_header(session));
        siege.run_for(ROUND_TRIP);
    }
    seen(siege, session)
}

/// Writes in one go behind a header that is read, and so does not count.
fn fits(siege: &mut Siege, stream: u64, bytes: u64) -> Seen {
    let written = siege.write(stream, &vec![1; bytes as usize]) as u64;
    siege.run_for(ROUND_TRIP);
    if written == bytes { seen(siege, stream) } else { NoCredit }
}

fn stream_bytes(siege: &mut Siege, bytes: u64) -> Seen {
    let session = in_session(siege);
    let header = wire::uni_header(session);
    let stream = siege.uni(&header);
    fits(siege, stream, bytes - header.len() as u64)
}

/// What the connection may have unread once it has a session. The session's own bytes were read and are granted again.
fn session_bytes(siege: &mut Siege, bytes: u64) -> Seen {
    let session = in_session(siege);
    siege.run_for(ROUND_TRIP);
    unread_bytes(siege, session, bytes)
}

/// The same while the request is not answered.
fn early_bytes(siege: &mut Siege, bytes: u64) -> Seen {
    greet(siege);
    unread_bytes(siege, 400, bytes)
}

/// Credit is granted again in steps of an eighth of the window; so much may be missing at any time.
fn unread_bytes(siege: &mut Siege, session: u64, bytes: u64) -> Seen {
    let spare = bytes / 8;
    let exactly = bytes.is_multiple_of(1_000);
    let stream = siege.uni(&wire::uni_header(session));
    siege.run_for(ROUND_TRIP);
    fits(siege, stream, if exactly { bytes - spare } else { bytes + 16 })
}

/// The application writes to a client that acknowledges nothing.
fn written(siege: &mut Siege, bytes: u64) -> Seen {
    in_session(siege);
    siege.run_for(ROUND_TRIP * 4);
    siege.deaf = true;
    let mut taken = 0;
    siege.server.act(|connection, id| {
        let stream = connection.session(id).unwrap().open(Direction::Unidirectional).unwrap();
        taken = write_all(connection, stream, bytes);
    });
    if taken == bytes { Fine } else { NoCredit }
}

fn write_all(connection: &mut transom_core::Connection, stream: StreamId, bytes: u64) -> u64 {
    // The header of a stream takes of the window, too.
    let data = vec![3; bytes as usize - HEADER];
    let mut taken = 0;
    while let Some(rest) = data.get(taken..).filter(|rest| !rest.is_empty()) {
        let Ok(now) = connection.send_stream(stream).write(rest) else { break };
        taken += now;
    }
    (taken + HEADER) as u64
}

/// Type and session id 0 of a unidirectional stream.
const HEADER: usize = 3;

/// Datagrams of 1,000 bytes as they are counted: 48 for each beside its payload and the id of its session.
fn sent_datagrams(siege: &mut Siege, bytes: u64) -> Seen {
    in_session(siege);
    let mut outcome = Fine;
    siege.server.act(|connection, id| {
        let mut left = bytes as usize;
        while left > 0 {
            let now = left.min(1_000);
            if connection.session(id).unwrap().send_datagram(&vec![1; now.saturating_sub(49)]).is_err() {
                outcome = NoCredit;
            }
            left -= now;
        }
    });
    outcome
}

fn queued_to_send(siege: &mut Siege, count: u64) -> Seen {
    in_session(siege);
    let mut outcome = Fine;
    siege.server.act(|connection, id| {
        for _ in 0..count {
            if connection.session(id).unwrap().send_datagram(b"x").is_err() {
                outcome = NoCredit;
            }
        }
    });
    outcome
}

fn held() -> Vec<Limit> {
    let rejected = Reacts(Aborts(code::WT_BUFFERED_STREAM_REJECTED));
    vec![
        Limit::new("held_streams", 3, |config| config.held_streams = 3, held_streams, rejected),
        Limit::new("held_datagrams", 3, |config| config.held_datagrams = 3, held_datagrams, Dropped),
        Limit::new("datagram_queue", 3, |config| config.datagram_queue = 3, queued_datagrams, Dropped),
        Limit::new(
            "connection_datagram_bytes (half of it for one session)",
            3 * 148,
            |config| config.connection_datagram_bytes = 888,
            queued_bytes,
            Dropped,
        ),
        Limit::new("datagram_queue_bytes", 3 * 148, |config| config.datagram_queue_bytes = 444, queued_bytes, Dropped),
    ]
}

fn held_streams(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    let last = (0..count).map(|_| siege.uni(&wire::uni_header(400))).last().unwrap();
    seen(siege, last)
}

/// Datagrams before their CONNECT; all must be there when it is accepted.
fn held_datagrams(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    let connect_stream = siege.intruder.open_bidi().unwrap();
    for number in 0..count {
        siege.intruder.datagram(&wire::datagram(connect_stream, &[number as u8]));
    }
    siege.run_for(ROUND_TRIP);
    siege.write(connect_stream, &connect().frame());
    received(siege, count)
}

fn queued_datagrams(siege: &mut Siege, count: u64) -> Seen {
    let session = in_session(siege);
    for number in 0..count {
        siege.intruder.datagram(&wire::datagram(session, &[number as u8]));
    }
    received(siege, count)
}

/// Datagrams of 100 bytes, for each of which 148 count; one byte more is in the last of them.
fn queued_bytes(siege: &mut Siege, bytes: u64) -> Seen {
    let session = in_session(siege);
    let (count, more) = (bytes / 148, bytes as usize % 148);
    for number in 0..count {
        let length = if number + 1 == count { 100 + more } else { 100 };
        siege.intruder.datagram(&wire::datagram(session, &vec![number as u8; length]));
    }
    received(siege, count)
}

/// The newest datagram must be there whatever happens, and all of them if none was dropped.
fn received(siege: &mut Siege, count: u64) -> Seen {
    siege.run_for(ROUND_TRIP);
    let mut numbers = Vec::new();
    siege.server.act(|connection, id| {
        while let Some(payload) = connection.session(id).unwrap().recv_datagram() {
            numbers.push(u64::from(payload[0]));
        }
    });
    if numbers == (0..count).collect::<Vec<_>>() { Fine } else { Dropped }
}

fn loads() -> Vec<Limit> {
    vec![
        Limit::new("glitch_burst", 20, |config| config.glitch_burst = 20, oddities, EXCESSIVE),
        Limit::new(
            "glitch_refill",
            10,
            |config| (config.glitch_burst, config.glitch_refill) = (15, 10),
            more,
            EXCESSIVE,
        ),
        Limit::new("1 MiB of ignored bytes", 1024 * 1024, |_| {}, ignored, EXCESSIVE).app(never_answer),
    ]
}

/// Unknown frames on the control stream: one oddity each.
fn oddities(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    siege.write(CONTROL, &wire::frame(0x21, b"").repeat(count as usize));
    seen(siege, CONTROL)
}

/// The whole budget, and so many more a second later.
fn more(siege: &mut Siege, count: u64) -> Seen {
    greet(siege);
    siege.write(CONTROL, &wire::frame(0x21, b"").repeat(15));
    siege.run_for(std::time::Duration::from_secs(1));
    siege.write(CONTROL, &wire::frame(0x21, b"").repeat(count as usize));
    seen(siege, CONTROL)
}

/// An unknown frame of this length before any request.
fn ignored(siege: &mut Siege, bytes: u64) -> Seen {
    greet(siege);
    let stream = siege.bidi(&wire::claim(0x21, bytes, b""));
    let mut left = bytes;
    while left > 0 && siege.closed().is_none() {
        left -= siege.write(stream, &vec![0; left.min(50_000) as usize]) as u64;
        siege.run_for(ROUND_TRIP);
    }
    let request = Request::plain("GET", "localhost", "/").frame();
    siege.write(stream, &request);
    not_found_is_fine(seen(siege, stream))
}

/// The client's first unidirectional stream.
const CONTROL: u64 = 2;
