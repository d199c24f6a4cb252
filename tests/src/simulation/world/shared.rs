//! What everybody in a world uses: dice, ledger, trace, counts, the time.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use transom_core::ErrorCode;

use super::report::Counts;
use crate::simulation::ledger::Ledger;
use transom::testing::Random;

/// Dice, ledger, trace, counts and the time of one world.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) random: Random,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    pub(super) now: Instant,
    start: Instant,
    /// The script still runs; after it everybody behaves and finishes.
    pub(super) script: bool,
    /// The server turns everybody away from now on.
    pub(super) server_closing: bool,
    /// Bytes that may still be written for the sake of speed.
    budget: u64,
    /// What each connection's sides have done and its network excuses.
    pub(super) ends: BTreeMap<usize, Ends>,
    trace: DefaultHasher,
    text: String,
}

/// How a connection may end.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    /// The network is bad enough for a handshake or SETTINGS to take too long.
    pub(super) may_fail_to_connect: bool,
    /// It is bad enough for silence or held streams to take too long.
    pub(super) may_be_silent: bool,
    /// Its address has changed. quinn-proto tries a new address with one datagram of the old size at a time, and goes back
    /// to the old address between them: with losses or a smaller MTU it may never get through.
    pub(super) rebound: bool,
    /// How long nothing arrived, all in all.
    pub(super) dark: Duration,
    /// How each side has ended it; the index says whether it was the server.
    pub(super) closed: [Option<ErrorCode>; 2],
    pub(super) over: [bool; 2],
    pub(super) connected: [bool; 2],
}

impl Shared {
    pub(super) fn new(random: Random) -> Self {
        let start = Instant::now();
        Self {
            random,
            ledger: Ledger::default(),
            counts: Counts::default(),
            now: start,
            start,
            script: true,
            server_closing: false,
            budget: 6 << 20,
            ends: BTreeMap::new(),
            trace: DefaultHasher::new(),
            text: String::new(),
        }
    }

    /// Something happened: it becomes part of the trace.
    pub(super) fn note(&mut self, what: &impl Debug) {
        self.text.clear();
        let _ = write!(self.text, "{what:?}");
        self.trace.write(self.text.as_bytes());
        if TRACE.with(|trace| *trace) {
            eprintln!("{:10.6} {}", (self.now - self.start).as_secs_f64(), self.text);
        }
    }

    pub(super) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// How much to write: mostly little, sometimes nothing, rarely megabytes.
    pub(super) fn any_size(&mut self) -> u64 {
        let most = match self.random.below(100) {
            0..=4 => 1,
            5..=39 => 200,
            40..=84 => 20_000,
            85..=98 => 200_000,
            _ => 4 << 20,
        };
        let size = self.random.below(most).min(self.budget);
        self.budget -= size;
        size
    }

    pub(super) fn ends(&mut self, connection: usize) -> &mut Ends {
        self.ends.entry(connection).or_default()
    }
}

thread_local! {
    /// `TRANSOM_TRACE` shows what happens, line by line.
    static TRACE: bool = std::env::var_os("TRANSOM_TRACE").is_some();
}
