//! What a hostile client can try to make a server keep, one row each.

use transom_core::{Connection, Direction, Event, Response, SessionId};
use transom_tests::raw::{DRAFT_02, Options, Request, code, wire};
use transom_tests::siege::{App, ROUND_TRIP, Siege};

use transom_tests::drift::Live;

/// One attack and how much it may cost the server.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Bytes, the connection itself included.
    pub(crate) bound: isize,
    pub(crate) app: App,
    pub(crate) options: Options,
    pub(crate) attack: fn(&mut Siege<Live>),
}

/// Before the first session.
const EARLY: isize = 512 * 1024;
/// With a session.
const FULL: isize = 2 * 1024 * 1024;
/// Fragments: what the transport keeps beside the bytes that its windows count.
const FRAGMENTS: isize = 8 * 1024 * 1024;

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, bound, app, attack| Row { name, bound, app, options: Options::default(), attack };
    vec![
        row("a connection that says nothing", EARLY, idle as App, |_| {}),
        row("100 requests whose 15 KB of HEADERS stay unfinished", EARLY, idle, half_requests),
        row("100 CONNECTs of 15 KB before SETTINGS", EARLY, idle, |siege| {
            early_requests(siege, &[("x-large", 14_000)]);
        }),
        row("100 CONNECTs of 110 fields before SETTINGS", EARLY, idle, |siege| early_requests(siege, &[("x", 1); 110])),
        row("streams of all kinds that stop inside their headers", EARLY, idle, stalled_streams),
        row("streams held for a session that never comes, full windows", EARLY, idle, held_streams),
        row("20,000 datagrams for sessions that never come", EARLY, idle, held_datagrams),
        row("a request that nobody answers, and bytes behind it", EARLY, idle, unanswered),
        row("2,000 plain requests whose answers are not read", EARLY, idle, unread_answers),
        row("3,000 requests that are reset", EARLY, accepting, cancelled_requests),
        row("90 CONNECTs at once", EARLY, refusing, surplus_requests),
        row("control stream: 8 KB of SETTINGS, then 100 KB of unknown frames", EARLY, idle, control_load),
        row("streams with bytes, never accepted by the application", FULL, accepting, |siege| unread(siege, 60_000)),
        row("200 streams with one byte each, never accepted", FULL, accepting, |siege| unread(siege, 1)),
        row("20,000 datagrams of one byte, never read", FULL, accepting, |siege| datagrams(siege, 1)),
        row("20,000 datagrams of 100 bytes, never read", FULL, accepting, |siege| datagrams(siege, 100)),
        row("20,000 datagrams of 1,100 bytes, never read", FULL, accepting, |siege| datagrams(siege, 1_100)),
        row("capsules without end", FULL, accepting, capsules),
        row("10,000 streams opened and reset or stopped", FULL, accepting, resets),
        row("a session, and streams for another that never comes", FULL, accepting, held_beside_a_session),
        row("an application that writes, a client that acknowledges nothing", FULL, accepting, writes_into_the_void),
        row("datagrams to a client that acknowledges nothing", FULL, accepting, datagrams_into_the_void),
        Row {
            options: Options { stream_window: 0, ..Options::default() },
            ..row("a client without windows", FULL, accepting, writes_without_windows)
        },
        row("16 sessions with requests of 14 KB", FULL, accepting, |siege| _ = many_sessions(siege, 14_000)),
        row("16 sessions, datagrams in all, never read", FULL, accepting, datagrams_of_many),
        row("16 sessions, everything at once", FULL, accepting, everything_at_once),
        row("bytes with gaps on 29 streams, in shared packets", FRAGMENTS, idle, |siege| {
            gaps(siege, 29, Packets::Shared);
        }),
        row("bytes with gaps on 99 streams, in shared packets", FRAGMENTS, idle, |siege| {
            gaps(siege, 99, Packets::Shared);
        }),
        row("bytes with gaps on 99 streams, a packet each", FRAGMENTS, idle, |siege| gaps(siege, 99, Packets::Own)),
        row("bytes with gaps on 199 streams, a packet each", FRAGMENTS, idle, |siege| gaps(siege, 199, Packets::Own)),
        row("bytes with gaps on 98 streams, a full packet each", FRAGMENTS, accepting, |siege| {
            in_session(siege);
            gaps(siege, 98, Packets::Full);
        }),
        row("bytes with gaps on 195 streams, a full packet each", FRAGMENTS, accepting, |siege| {
            in_session(siege);
            gaps(siege, 195, Packets::Full);
        }),
    ]
}

fn idle(_: &mut Connection, _: &Event) {}

fn accepting(connection: &mut Connection, event: &Event) {
    if let Event::SessionRequested { session } = event {
        let _ = connection.accept(*session, Response::accept());
    }
}

fn refusing(connection: &mut Connection, event: &Event) {
    if let Event::SessionRequested { session } = event {
        let _ = connection.refuse(*session, Response::new(http::StatusCode::NOT_FOUND));
    }
}

fn in_session(siege: &mut Siege<Live>) -> u64 {
    siege.send_settings(DRAFT_02);
    siege.open_session("/")
}

fn connect() -> Request {
    Request::webtransport("localhost", "/")
}

fn half_requests(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    for _ in 0..100 {
        let Some(stream) = siege.intruder.open_bidi() else { break };
        siege.write(stream, &wire::claim(wire::HEADERS, 16_000, &[0; 15_000]));
        siege.run_for(ROUND_TRIP);
    }
}

fn early_requests(siege: &mut Siege<Live>, fields: &[(&str, usize)]) {
    let request = fields.iter().fold(connect(), |request, (name, length)| request.and(name, vec![b'v'; *length]));
    for _ in 0..100 {
        let Some(stream) = siege.intruder.open_bidi() else { break };
        siege.write(stream, &request.frame());
        siege.run_for(ROUND_TRIP);
    }
}

fn stalled_streams(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    while let Some(stream) = siege.intruder.open_uni() {
        siege.write(stream, &[0x40]);
    }
    while let Some(stream) = siege.intruder.open_bidi() {
        siege.write(stream, &[0x40, 0x41]);
    }
    siege.run_for(ROUND_TRIP);
}

fn held_streams(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    for _ in 0..60 {
        siege.uni(&[wire::uni_header(400), vec![7; 8_000]].concat());
    }
    siege.run_for(ROUND_TRIP);
}

fn held_datagrams(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    for number in 0..20_000 {
        siege.intruder.datagram(&wire::datagram(400 + number % 8 * 4, &[9; 1_000]));
        siege.flush();
        if number % 100 == 0 {
            siege.run_for(ROUND_TRIP);
        }
    }
    siege.run_for(ROUND_TRIP);
}

fn unanswered(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    let stream = siege.bidi(&connect().and("x-large", vec![b'v'; 14_000]).frame());
    siege.run_for(ROUND_TRIP);
    for _ in 0..100 {
        siege.write(stream, &wire::data(&[1; 10_000]));
        if let Some(early) = siege.intruder.open_uni() {
            siege.write(early, &[wire::uni_header(stream), vec![7; 10_000]].concat());
        }
        siege.run_for(ROUND_TRIP);
    }
}

fn unread_answers(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    siege.intruder.reads = false;
    for _ in 0..2_000 {
        let Some(stream) = siege.intruder.open_bidi() else { break };
        siege.write(stream, &Request::plain("GET", "localhost", "/").frame());
        siege.run_for(ROUND_TRIP);
    }
}

fn cancelled_requests(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    for _ in 0..3_000 {
        let Some(stream) = siege.intruder.open_bidi() else { break };
        siege.write(stream, &connect().frame());
        siege.intruder.reset(stream, code::H3_REQUEST_CANCELLED);
        siege.run_for(ROUND_TRIP);
    }
}

fn surplus_requests(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    for _ in 0..90 {
        siege.bidi(&connect().and("x-large", vec![b'v'; 2_000]).frame());
    }
    siege.run_for(ROUND_TRIP);
}

fn control_load(siege: &mut Siege<Live>) {
    let unknown: Vec<(u64, u64)> = (0..1_500).map(|number| (0x10_0021 + 0x1f * number, 7)).collect();
    siege.send_settings(&unknown);
    let control = 2;
    for _ in 0..100 {
        siege.write(control, &wire::frame(0x21, &[3; 1_000]));
        siege.run_for(ROUND_TRIP);
    }
}

fn unread(siege: &mut Siege<Live>, length: usize) {
    let session = in_session(siege);
    for _ in 0..99 {
        siege.uni(&[wire::uni_header(session), vec![1; length]].concat());
        siege.bidi(&[wire::bidi_header(session), vec![2; length]].concat());
    }
    siege.run_for(ROUND_TRIP * 20);
}

fn datagrams(siege: &mut Siege<Live>, length: usize) {
    let session = in_session(siege);
    for number in 0..20_000 {
        siege.intruder.datagram(&wire::datagram(session, &vec![4; length]));
        siege.flush();
        if number % 200 == 0 {
            siege.run_for(ROUND_TRIP);
        }
    }
    siege.run_for(ROUND_TRIP);
}

fn capsules(siege: &mut Siege<Live>) {
    let session = in_session(siege);
    siege.write(session, &wire::data(&wire::claim(0x17, 100_000, &vec![0; 100_000])));
    for _ in 0..200 {
        siege.write(session, &wire::data(&wire::frame(wire::CAPSULE_DRAIN, b"")));
        siege.run_for(ROUND_TRIP);
    }
    siege.write(session, &wire::data(&wire::claim(wire::CAPSULE_CLOSE, 1_000, &[b'r'; 900])));
    siege.run_for(ROUND_TRIP);
}

fn resets(siege: &mut Siege<Live>) {
    let session = in_session(siege);
    for number in 0..10_000 {
        let Some(stream) = siege.intruder.open_bidi() else {
            siege.run_for(ROUND_TRIP);
            continue;
        };
        siege.write(stream, &[wire::bidi_header(session), vec![2; 100]].concat());
        match number % 3 {
            0 => siege.intruder.reset(stream, code::from_application(1)),
            1 => siege.intruder.stop(stream, code::from_application(1)),
            _ => siege.intruder.finish(stream),
        }
        siege.flush();
        if number % 50 == 0 {
            siege.run_for(ROUND_TRIP);
            siege.server.act(give_up_streams);
        }
    }
    siege.run_for(ROUND_TRIP);
}

/// An application that wants none of the streams it is given.
fn give_up_streams(connection: &mut Connection, id: SessionId) {
    while let Some(stream) = connection.session(id).and_then(|mut session| session.accept(Direction::Bidirectional)) {
        let _ = connection.recv_stream(stream).stop(1);
        let _ = connection.send_stream(stream).reset(1);
    }
}

fn held_beside_a_session(siege: &mut Siege<Live>) {
    in_session(siege);
    for _ in 0..60 {
        siege.uni(&[wire::uni_header(800), vec![7; 30_000]].concat());
        siege.bidi(&[wire::bidi_header(800), vec![7; 30_000]].concat());
        siege.intruder.datagram(&wire::datagram(800, &[9; 1_000]));
    }
    siege.run_for(ROUND_TRIP * 20);
}

fn write_on_many_streams(connection: &mut Connection, id: SessionId) {
    for direction in [Direction::Unidirectional, Direction::Bidirectional] {
        while let Some(Ok(stream)) = connection.session(id).map(|mut session| session.open(direction)) {
            while connection.send_stream(stream).write(&[5; 4_096]).is_ok_and(|written| written > 0) {}
        }
    }
}

fn writes_into_the_void(siege: &mut Siege<Live>) {
    in_session(siege);
    siege.deaf = true;
    for _ in 0..20 {
        siege.server.act(write_on_many_streams);
        siege.run_for(ROUND_TRIP);
    }
}

/// As many sessions as there may be, under flow control, each with a request of this size.
fn many_sessions(siege: &mut Siege<Live>, size: usize) -> Vec<u64> {
    siege.send_settings(&[(0x33, 1), (0x2c7c_f000, 1), (0x2b61, 1 << 24), (0x2b64, 1_000), (0x2b65, 1_000)]);
    let request = connect().with(":protocol", "webtransport-h3").and("x-large", vec![b'v'; size]).frame();
    (0..16)
        .map(|_| {
            let session = siege.bidi(&request);
            siege.run_for(ROUND_TRIP);
            assert_eq!(siege.status(session), Some(200));
            session
        })
        .collect()
}

fn fill_datagram_queues(siege: &mut Siege<Live>, sessions: &[u64]) {
    for number in 0..300 {
        for session in sessions {
            siege.intruder.datagram(&wire::datagram(*session, &[4; 1_100]));
        }
        siege.flush();
        if number % 10 == 0 {
            siege.run_for(ROUND_TRIP);
        }
    }
    siege.run_for(ROUND_TRIP);
}

fn datagrams_of_many(siege: &mut Siege<Live>) {
    let sessions = many_sessions(siege, 10);
    fill_datagram_queues(siege, &sessions);
}

/// Requests, unfinished requests, datagrams, bytes in all windows, and answers that nobody acknowledges.
fn everything_at_once(siege: &mut Siege<Live>) {
    let sessions = many_sessions(siege, 14_000);
    fill_datagram_queues(siege, &sessions);
    for _ in 0..8 {
        siege.bidi(&wire::claim(wire::HEADERS, 16_000, &[0; 15_000]));
    }
    for number in 0..64 {
        siege.intruder.datagram(&wire::datagram(800, &[9; 1_100]));
        siege.uni(&[wire::uni_header(sessions[number % 16]), vec![1; 30_000]].concat());
    }
    siege.run_for(ROUND_TRIP * 20);
    siege.deaf = true;
    for _ in 0..20 {
        siege.server.act(write_on_many_streams);
        siege.server.act(|connection, id| {
            for _ in 0..100 {
                if let Some(mut session) = connection.session(id) {
                    let _ = session.force_datagram(&[6; 1_000]);
                }
            }
        });
        siege.run_for(ROUND_TRIP);
    }
}

fn writes_without_windows(siege: &mut Siege<Live>) {
    siege.send_settings(DRAFT_02);
    siege.bidi(&connect().frame());
    siege.run_for(ROUND_TRIP);
    for _ in 0..20 {
        siege.server.act(write_on_many_streams);
        siege.run_for(ROUND_TRIP);
    }
}

fn datagrams_into_the_void(siege: &mut Siege<Live>) {
    in_session(siege);
    siege.deaf = true;
    for _ in 0..20 {
        siege.server.act(|connection, id| {
            for _ in 0..500 {
                if let Some(mut session) = connection.session(id) {
                    let _ = session.force_datagram(&[6; 1_000]);
                }
            }
        });
        siege.run_for(ROUND_TRIP);
    }
}

/// How bytes of several streams travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packets {
    /// Many in one packet.
    Shared,
    Own,
    /// Each in one of its own that is full of something else.
    Full,
}

/// Every other byte is lost, the first one too, and the client never learns it.
fn gaps(siege: &mut Siege<Live>, streams: usize, packets: Packets) {
    if packets != Packets::Full {
        siege.send_settings(DRAFT_02);
    }
    let open = |_| siege.intruder.open_bidi().or_else(|| siege.intruder.open_uni()).expect("credit");
    let streams: Vec<u64> = (0..streams).map(open).collect();
    siege.deaf = true;
    for round in 0..2_200 {
        siege.lossy = round % 2 == 0;
        for stream in &streams {
            siege.intruder.write(*stream, &[0xab]);
            if packets == Packets::Full {
                siege.intruder.datagram(&wire::datagram(0, &[0; 1_100]));
            }
            if packets != Packets::Shared {
                siege.flush();
            }
        }
        siege.flush();
        if round % 50 == 0 {
            siege.deliver();
        }
    }
    siege.deliver();
    siege.lossy = false;
    siege.deaf = false;
}
