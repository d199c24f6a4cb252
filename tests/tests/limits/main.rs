//! Every limit, at it and above it. The table in docs/limits.md names these rows.
//!
//! A row uses a limit up by an amount: as much as the limit must be fine, one more must get the reaction of the row.
//! Configurations are small, so that a limit is met within moments of virtual time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod ahead;
mod amounts;
mod deadlines;
mod documented;
mod frames;
mod own_side;

use std::fmt;

use transom_core::{Config, Connection, Event, Response};
use transom_tests::hostile::Reaction;
use transom_tests::raw::{DRAFT_02, Options, Request, code};
use transom_tests::siege::{App, ROUND_TRIP, Siege};

/// One limit.
pub(crate) struct Limit {
    /// Its name in the configuration, or what it is when it is no setting.
    name: &'static str,
    /// Its value in this test.
    value: u64,
    /// Sets it, or something else that the test needs.
    set: fn(&mut Config),
    app: App,
    options: Options,
    /// Uses it up by so much and says what came of it.
    spend: fn(&mut Siege, u64) -> Seen,
    /// What must come of one more.
    above: Seen,
}

/// What comes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It works.
    Fine,
    /// The server does this about it.
    Reacts(Reaction),
    /// The transport gives no credit for it.
    NoCredit,
    /// Something is dropped, or not done, and that is all.
    Dropped,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("fine"),
            Self::Reacts(reaction) => reaction.fmt(f),
            Self::NoCredit => f.write_str("no credit"),
            Self::Dropped => f.write_str("dropped"),
        }
    }
}

impl Limit {
    pub(crate) fn new(
        name: &'static str,
        value: u64,
        set: fn(&mut Config),
        spend: fn(&mut Siege, u64) -> Seen,
        above: Seen,
    ) -> Self {
        Self { name, value, set, app: accept, options: Options::default(), spend, above }
    }

    pub(crate) fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    pub(crate) fn stream_window(mut self, bytes: u32) -> Self {
        self.options.stream_window = bytes;
        self
    }

    /// Spends this much of it on a connection of its own.
    fn spend(&self, amount: u64) -> Seen {
        let mut config = Config::default();
        (self.set)(&mut config);
        let mut siege = Siege::connecting(config, &self.options, self.app, transom_tests::siege::Unmeasured);
        (self.spend)(&mut siege, amount)
    }
}

/// All limits must hold at `value` and, `step` above it, react as they say.
#[track_caller]
fn check(limits: &[Limit], step: u64) {
    let mut wrong = Vec::new();
    for limit in limits {
        let at = limit.spend(limit.value);
        if at != Seen::Fine {
            wrong.push(format!("{}: {} is the limit, but: {at}", limit.name, limit.value));
        }
        let above = limit.spend(limit.value + step);
        if above != limit.above {
            wrong.push(format!("{}: above {} expected {}, seen {above}", limit.name, limit.value, limit.above));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) const REJECTED: Seen = Seen::Reacts(Reaction::Aborts(code::H3_REQUEST_REJECTED));
pub(crate) const EXCESSIVE: Seen = Seen::Reacts(Reaction::Closes(code::H3_EXCESSIVE_LOAD));

pub(crate) fn accept(connection: &mut Connection, event: &Event) {
    if let Event::SessionRequested { session } = event {
        let _ = connection.accept(*session, Response::accept());
    }
}

pub(crate) fn refuse(connection: &mut Connection, event: &Event) {
    if let Event::SessionRequested { session } = event {
        let _ = connection.refuse(*session, Response::new(http::StatusCode::NOT_FOUND));
    }
}

pub(crate) fn never_answer(_: &mut Connection, _: &Event) {}

/// A well-formed request for a session.
pub(crate) fn connect() -> Request {
    Request::webtransport("localhost", "/")
}

/// Connects and sends SETTINGS.
pub(crate) fn greet(siege: &mut Siege) {
    siege.run_until("the handshake", |siege| siege.intruder.is_connected());
    siege.send_settings(DRAFT_02);
}

/// Connects and opens a session.
pub(crate) fn in_session(siege: &mut Siege) -> u64 {
    greet(siege);
    siege.open_session("/")
}

/// How the server reacted on a stream, after everything has arrived.
pub(crate) fn seen(siege: &mut Siege, stream: u64) -> Seen {
    siege.run_for(ROUND_TRIP);
    if let Some(code) = siege.closed() {
        return Seen::Reacts(Reaction::Closes(code));
    }
    let noted = siege.intruder.seen().stream(stream);
    match (noted.reset.or(noted.stop), siege.status(stream)) {
        (_, Some(status)) if status >= 400 => Seen::Reacts(Reaction::Answers(status)),
        (Some(code), _) => Seen::Reacts(Reaction::Aborts(code)),
        (None, _) => Seen::Fine,
    }
}

#[test]
fn amounts_are_fine_at_their_limit_and_not_above() {
    check(&amounts::limits(), 1);
}

#[test]
fn deadlines_are_kept_to_and_not_waited_beyond() {
    // A packet takes 5 ms, and a deadline counts from an arrival.
    check(&deadlines::limits(), deadlines::MARGIN);
}
