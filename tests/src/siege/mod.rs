//! A server core under attack by a raw client, in one process and on virtual time.
//!
//! [`Siege`] keeps the two apart: everything that the server's core and its application do happens between
//! [`Meter::enter`] and [`Meter::leave`], and neither keeps memory of the other. A counting allocator can so tell whose
//! memory is whose, and limits can be tried on small configurations without a socket or a wait.

mod intruder;
mod server;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use intruder::Intruder;
pub use server::{App, Server};
use transom_core::Config;

use crate::raw::{Options, Request, Response, wire};

/// Told when the server's code begins and ends to run.
pub trait Meter {
    /// The server's code runs from here.
    fn enter(&mut self) {}
    /// It has returned.
    fn leave(&mut self) {}
}

/// Measures nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unmeasured;

impl Meter for Unmeasured {}

/// One server and one raw client on it.
pub struct Siege<M = Unmeasured> {
    /// The server, with its application.
    pub server: Server<M>,
    /// The client.
    pub intruder: Intruder,
    /// Virtual time.
    pub now: Instant,
    /// Packets that leave the client are lost.
    pub lossy: bool,
    /// The client hears nothing: what comes for it waits.
    pub deaf: bool,
    up: Wire,
    down: Wire,
}

/// Packets under way with the time of their arrival.
type Wire = VecDeque<(Instant, Vec<u8>)>;

impl<M: Meter> Siege<M> {
    /// Connects; the handshake is complete. No SETTINGS were sent.
    pub fn new(config: Config, options: &Options, app: App, meter: M) -> Self {
        let mut siege = Self::connecting(config, options, app, meter);
        siege.run_until("the handshake", |siege| siege.intruder.is_connected());
        siege
    }

    /// A client that has not sent its first packet yet.
    pub fn connecting(config: Config, options: &Options, app: App, meter: M) -> Self {
        let now = Instant::now();
        Self {
            server: Server::new(config, app, meter),
            intruder: Intruder::new(now, options),
            now,
            lossy: false,
            deaf: false,
            up: Wire::new(),
            down: Wire::new(),
        }
    }

    /// Sends a control stream with these settings.
    pub fn send_settings(&mut self, settings: &[(u64, u64)]) {
        let bytes = [wire::varint(wire::CONTROL_STREAM), wire::settings(settings)].concat();
        self.uni(&bytes);
        self.run_for(ROUND_TRIP);
    }

    /// Opens a session that the server accepts. Gives its id.
    pub fn open_session(&mut self, path: &str) -> u64 {
        let session = self.bidi(&Request::webtransport("localhost", path).frame());
        self.run_until("an answer", |siege| siege.status(session).is_some());
        assert_eq!(self.status(session), Some(200));
        session
    }

    /// The status with which a request was answered.
    pub fn status(&self, stream: u64) -> Option<u16> {
        Response::parse(&self.intruder.seen().stream(stream).data).ok().flatten().map(|response| response.status)
    }

    /// Opens a unidirectional stream, writes all of this and lets it leave.
    pub fn uni(&mut self, bytes: &[u8]) -> u64 {
        let stream = self.intruder.open_uni().expect("credit for a stream");
        self.write(stream, bytes);
        stream
    }

    /// Opens a bidirectional stream, writes all of this and lets it leave.
    pub fn bidi(&mut self, bytes: &[u8]) -> u64 {
        let stream = self.intruder.open_bidi().expect("credit for a stream");
        self.write(stream, bytes);
        stream
    }

    /// Writes as much as there is credit for and lets it leave; gives how much that was.
    pub fn write(&mut self, stream: u64, bytes: &[u8]) -> usize {
        let written = self.intruder.write(stream, bytes);
        self.flush();
        written
    }

    /// Lets leave what the client has to send, without time passing.
    pub fn flush(&mut self) {
        let arrival = self.now + LATENCY;
        while let Some(packet) = self.intruder.poll_transmit(self.now) {
            if !self.lossy {
                self.up.push_back((arrival, packet));
            }
        }
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets arrive what is under way to the server; what the client wants to send meanwhile is lost.
    pub fn deliver(&mut self) {
        let lossy = std::mem::replace(&mut self.lossy, true);
        self.run_for(LATENCY);
        self.lossy = lossy;
    }

    /// Runs until the condition holds; fails when a minute is not enough.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(60);
        while !condition(self) {
            let moved = self.step(end);
            assert!(moved || condition(self), "waited in vain for {what}: {:?}", self.intruder.seen().close);
        }
    }

    /// The code with which the server closed the connection, once it did.
    pub fn closed(&self) -> Option<u64> {
        match self.intruder.seen().close.as_ref()? {
            crate::raw::Close::Application { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Moves time to the next thing that happens before `end`; false when there is none.
    fn step(&mut self, end: Instant) -> bool {
        self.flush();
        self.serve();
        let down = if self.deaf { None } else { self.down.front().map(|(at, _)| *at) };
        let candidates =
            [self.up.front().map(|(at, _)| *at), down, self.intruder.poll_timeout(), self.server.poll_timeout()];
        let Some(next) = candidates.into_iter().flatten().min().filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        while let Some(packet) = arrived(&mut self.up, self.now) {
            self.server.receive(self.now, &packet);
        }
        while !self.deaf
            && let Some(packet) = arrived(&mut self.down, self.now)
        {
            self.intruder.receive(self.now, &packet);
        }
        self.server.handle_timeout(self.now);
        self.intruder.handle_timeout(self.now);
        self.flush();
        self.serve();
        true
    }

    fn serve(&mut self) {
        let arrival = self.now + LATENCY;
        self.server.serve(self.now, |packet| self.down.push_back((arrival, packet.to_vec())));
    }
}

fn arrived(wire: &mut Wire, now: Instant) -> Option<Vec<u8>> {
    wire.front().filter(|(at, _)| *at <= now)?;
    wire.pop_front().map(|(_, packet)| packet)
}

/// From one end to the other.
const LATENCY: Duration = Duration::from_millis(5);

/// There and back, and a little more for acknowledgements.
pub const ROUND_TRIP: Duration = Duration::from_millis(12);
