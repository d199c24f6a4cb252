//! What the server keeps of streams and sessions that are over, however many there were: nothing that grows.

mod live;

use std::fmt;

use transom_core::{Config, Connection, Direction, Event, Response, SessionId};

pub use live::Live;

use crate::raw::{DRAFT_02, Options, code, wire};
use crate::siege::{ROUND_TRIP, Siege};

/// Live bytes of the server at the beginning, at most, and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// How many streams or sessions there were.
    pub count: u64,
    /// After the first of them, when every table has its size.
    pub before: isize,
    /// After the last one.
    pub after: isize,
    /// The most between.
    pub peak: isize,
}

impl Drift {
    /// How much more was kept at the end.
    pub fn bytes(&self) -> isize {
        self.after - self.before
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, before, after, peak } = self;
        write!(
            f,
            "{count}: {before} bytes live after the first ones, {after} at the end ({:+}), {peak} at most",
            self.bytes()
        )
    }
}

/// Streams of both kinds and all ends through one session: finished and read, reset by the client, stopped by it, given
/// up by the application.
pub fn streams(count: u64, live: &Live, progress: &mut dyn FnMut(u64)) -> Drift {
    let mut siege = connect(live);
    let session = siege.open_session("/");
    let mut measure = Measure::new(count, live);
    for done in (0..count).step_by(BATCH as usize) {
        let streams: Vec<u64> = (done..done + BATCH).map(|number| open_stream(&mut siege, session, number)).collect();
        // A reset that comes with the header would hide the stream.
        siege.run_for(ROUND_TRIP);
        for (number, stream) in (done..).zip(streams) {
            end_stream(&mut siege, stream, number);
        }
        siege.run_for(ROUND_TRIP);
        siege.server.act(take_streams);
        siege.run_for(ROUND_TRIP * 6);
        siege.intruder.forget();
        measure.note(done + BATCH);
        progress((done + BATCH).min(count));
    }
    assert!(siege.server.stats().streams_opened_by_peer >= count, "every stream reached the session");
    measure.finish()
}

/// Sessions one after the other on one connection, each with a stream and a datagram, closed in turn by either side.
pub fn sessions(count: u64, live: &Live, progress: &mut dyn FnMut(u64)) -> Drift {
    let mut siege = connect(live);
    let mut measure = Measure::new(count, live);
    for number in 0..count {
        let session = siege.open_session("/");
        siege.uni(&[wire::uni_header(session), b"hello".to_vec()].concat());
        siege.intruder.datagram(&wire::datagram(session, b"hello"));
        siege.run_for(ROUND_TRIP);
        if number % 3 == 0 {
            siege.server.act(|connection, id| _ = connection.session(id).map(|mut session| session.close(7, "over")));
            siege.run_for(ROUND_TRIP);
            siege.intruder.finish(session);
        } else if number % 3 == 1 {
            siege.write(session, &wire::data(&wire::close(3, b"over")));
            siege.intruder.finish(session);
        } else {
            siege.intruder.reset(session, code::H3_REQUEST_CANCELLED);
            siege.intruder.stop(session, code::H3_REQUEST_CANCELLED);
        }
        siege.run_for(ROUND_TRIP * 8);
        siege.intruder.forget();
        measure.note(number + 1);
        progress(number + 1);
    }
    assert_eq!(siege.server.stats().sessions_accepted, count);
    measure.finish()
}

fn connect(live: &Live) -> Siege<Live> {
    let mut config = Config::default();
    // It is not the pace that is measured.
    config.connect_burst = u32::MAX;
    config.glitch_refill = 100_000;
    let mut siege = Siege::new(config, &Options::default(), accept, live.clone());
    siege.intruder.answers_stops = true;
    siege.send_settings(DRAFT_02);
    siege
}

fn accept(connection: &mut Connection, event: &Event) {
    if let Event::SessionRequested { session } = event {
        let _ = connection.accept(*session, Response::accept());
    }
}

fn open_stream(siege: &mut Siege<Live>, session: u64, number: u64) -> u64 {
    if number.is_multiple_of(2) {
        siege.bidi(&[wire::bidi_header(session), b"hello".to_vec()].concat())
    } else {
        siege.uni(&[wire::uni_header(session), b"hello".to_vec()].concat())
    }
}

/// A third is finished, a third reset; of the others the bidirectional ones are stopped, too.
fn end_stream(siege: &mut Siege<Live>, stream: u64, number: u64) {
    match number / 2 % 3 {
        0 => siege.intruder.finish(stream),
        1 => siege.intruder.reset(stream, code::from_application(1)),
        _ if number.is_multiple_of(2) => {
            siege.intruder.stop(stream, code::from_application(2));
            siege.intruder.finish(stream);
        }
        _ => {}
    }
    siege.flush();
}

/// The application reads what there is, answers, and gives up what does not end.
fn take_streams(connection: &mut Connection, id: SessionId) {
    for direction in [Direction::Bidirectional, Direction::Unidirectional] {
        while let Some(stream) = connection.session(id).and_then(|mut session| session.accept(direction)) {
            while let Ok(Some(_)) = connection.recv_stream(stream).read(usize::MAX) {}
            let _ = connection.recv_stream(stream).stop(9);
            if direction == Direction::Bidirectional {
                let _ = connection.send_stream(stream).write(b"world");
                let _ = connection.send_stream(stream).finish();
            }
        }
    }
}

/// Looks at the live bytes on the way.
struct Measure<'a> {
    live: &'a Live,
    count: u64,
    before: Option<isize>,
}

impl<'a> Measure<'a> {
    fn new(count: u64, live: &'a Live) -> Self {
        Self { live, count, before: None }
    }

    fn note(&mut self, done: u64) {
        if self.before.is_none() && done >= (self.count / 10).min(WARM) {
            self.before = Some(self.live.now());
            self.live.reset_peak();
        }
    }

    fn finish(self) -> Drift {
        let after = self.live.now();
        Drift { count: self.count, before: self.before.unwrap_or(after), after, peak: self.live.peak() }
    }
}

/// Streams opened at once; fewer than may be open at a time.
const BATCH: u64 = 60;

/// After so many, tables have the size they keep.
const WARM: u64 = 5_000;

/// Both the drift of streams and that of sessions may be this much.
pub const ALLOWED: isize = 64 * 1024;
