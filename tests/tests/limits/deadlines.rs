//! Limits of time. The amount is in milliseconds; a deadline is met when the reaction is there at `value + MARGIN`, and
//! kept to when it is not there at `value`.

use std::time::Duration;

use transom_tests::hostile::Reaction::{Aborts, Answers, Closes};
use transom_tests::raw::{code, wire};
use transom_tests::siege::{ROUND_TRIP, Siege};

use crate::Seen::{Dropped, Fine, Reacts};
use crate::{Limit, REJECTED, Seen, connect, in_session, never_answer, seen};

pub(crate) const MARGIN: u64 = 60;

const HELD: Seen = Reacts(Aborts(code::WT_BUFFERED_STREAM_REJECTED));

pub(crate) fn limits() -> Vec<Limit> {
    vec![
        Limit::new("hold_timeout", 700, |config| config.hold_timeout = ms(700), held_stream, HELD),
        Limit::new("request_timeout", 700, |config| config.request_timeout = ms(700), half_request, REJECTED),
        Limit::new("request_timeout (streams)", 700, |config| config.request_timeout = ms(700), half_header, REJECTED),
        Limit::new("settings_timeout", 700, |config| config.settings_timeout = ms(700), no_settings, MISSING),
        Limit::new("accept_timeout", 700, |config| config.accept_timeout = ms(700), unanswered, Reacts(Answers(503)))
            .app(never_answer),
        Limit::new("handshake_timeout", 700, |config| config.handshake_timeout = ms(700), half_handshake, Dropped),
        Limit::new("idle_timeout", 700, |config| config.idle_timeout = ms(700), silence, Dropped),
        Limit::new("close_linger_timeout", 700, |config| config.close_linger_timeout = ms(700), no_end, STOPPED),
        Limit::new("close_flush_timeout", 700, |config| config.close_flush_timeout = ms(700), no_room, CUT)
            .stream_window(20),
    ]
}

const MISSING: Seen = Reacts(Closes(code::H3_MISSING_SETTINGS));
const CUT: Seen = Reacts(Aborts(code::H3_REQUEST_CANCELLED));
const STOPPED: Seen = Reacts(Aborts(code::H3_NO_ERROR));

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A connection on which nothing has happened for a while: deadlines count from what happens then.
fn greet(siege: &mut Siege) {
    crate::greet(siege);
    siege.run_for(ms(5_000));
}

/// Lets so much time pass after something was sent, and looks, without waiting for what is still under way.
fn after(siege: &mut Siege, milliseconds: u64, stream: u64) -> Seen {
    siege.run_for(ms(milliseconds).saturating_sub(ROUND_TRIP));
    seen(siege, stream)
}

fn held_stream(siege: &mut Siege, time: u64) -> Seen {
    greet(siege);
    let stream = siege.uni(&wire::uni_header(400));
    after(siege, time, stream)
}

fn half_request(siege: &mut Siege, time: u64) -> Seen {
    greet(siege);
    let stream = siege.bidi(&connect().frame()[..10]);
    after(siege, time, stream)
}

fn half_header(siege: &mut Siege, time: u64) -> Seen {
    greet(siege);
    let stream = siege.uni(&[0x40]);
    after(siege, time, stream)
}

fn no_settings(siege: &mut Siege, time: u64) -> Seen {
    siege.run_until("the handshake", |siege| siege.intruder.is_connected());
    after(siege, time, 2)
}

fn unanswered(siege: &mut Siege, time: u64) -> Seen {
    greet(siege);
    let stream = siege.bidi(&connect().frame());
    after(siege, time, stream)
}

/// The client sends its first packet and never hears anything.
fn half_handshake(siege: &mut Siege, time: u64) -> Seen {
    siege.deaf = true;
    siege.flush();
    siege.lossy = true;
    gone_after(siege, time)
}

/// The client vanishes.
fn silence(siege: &mut Siege, time: u64) -> Seen {
    crate::greet(siege);
    siege.run_for(ROUND_TRIP * 3);
    siege.write(2, &wire::frame(0x21, b"the last word"));
    siege.lossy = true;
    siege.deaf = true;
    gone_after(siege, time)
}

fn gone_after(siege: &mut Siege, time: u64) -> Seen {
    siege.run_for(ms(time));
    let stats = siege.server.stats();
    if stats.connections_lost == 0 { Fine } else { Dropped }
}

/// The server closes, and the client does not end its side.
fn no_end(siege: &mut Siege, time: u64) -> Seen {
    let session = in_session(siege);
    siege.server.act(|connection, id| connection.session(id).unwrap().close(1, ""));
    after(siege, time, session)
}

/// The server closes, and its capsule does not fit into the window of the CONNECT stream.
fn no_room(siege: &mut Siege, time: u64) -> Seen {
    greet(siege);
    let session = siege.bidi(&connect().frame());
    siege.run_for(ROUND_TRIP);
    siege.intruder.reads = false;
    siege.server.act(|connection, id| connection.session(id).unwrap().close(1, &"r".repeat(200)));
    after(siege, time, session)
}
