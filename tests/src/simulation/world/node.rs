//! A core in a world: its events carried to the applications on it, its datagrams to the network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use transom_core::{Connection, ConnectionId, Endpoint, Receive};

use super::app::App;
use super::model::{Verdict, require};
use super::shared::Shared;
use transom::testing::Parcel;

/// An endpoint with the applications of its connections.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    pub(super) apps: BTreeMap<ConnectionId, App>,
    max_segments: usize,
    /// A deadline was in the past after everything had been done.
    overdue: Option<Instant>,
    /// Steps since time moved.
    steps: (Option<Instant>, u32),
    buffer: Vec<u8>,
}

/// Who is behind an address: the connection's number, and whether the client is well-behaved.
pub(super) type Owners = BTreeMap<SocketAddr, (usize, bool)>;

/// Steps without time moving after which a core is called an endless loop.
const MAX_STEPS: u32 = 10_000;

impl Node {
    pub(super) fn new(endpoint: Endpoint, max_segments: usize) -> Self {
        let (apps, buffer) = (BTreeMap::new(), Vec::new());
        Self { endpoint, apps, max_segments, overdue: None, steps: (None, 0), buffer }
    }

    /// A connection that this core has begun.
    pub(super) fn add(&mut self, id: ConnectionId, number: usize) {
        self.apps.insert(id, App::new(number, false, true, id));
    }

    pub(super) fn receive(&mut self, now: Instant, parcel: Parcel) {
        let data = BytesMut::from(parcel.bytes.as_slice());
        self.endpoint.handle_receive(now, Receive { remote: parcel.source, local_ip: None, ecn: parcel.ecn, data });
    }

    /// Lets the applications hear everything there is, without doing anything about it.
    fn hear(&mut self, shared: &mut Shared, owners: &Owners) -> Verdict {
        while let Some((id, event)) = self.endpoint.poll_event() {
            self.step(shared.now)?;
            if !self.apps.contains_key(&id) {
                // A connection whose first news is its end has no address any more.
                let Some(connection) = self.endpoint.connection(id) else { continue };
                let remote = connection.remote_address();
                let Some((number, strict)) = owners.get(&remote).copied() else {
                    return Err(format!("{remote} is nobody"));
                };
                self.apps.insert(id, App::new(number, true, strict, id));
            }
            if let Some(app) = self.apps.get_mut(&id) {
                app.hear(shared, event)?;
            }
        }
        Ok(())
    }

    /// Lets the applications hear and act until nothing is left, then gives datagrams to `send` until none are.
    pub(super) fn turn(&mut self, shared: &mut Shared, owners: &Owners, send: &mut dyn FnMut(Parcel)) -> Verdict {
        loop {
            self.applications(shared, owners)?;
            self.buffer.clear();
            let Some(transmit) = self.endpoint.poll_transmit(shared.now, self.max_segments, &mut self.buffer) else {
                break;
            };
            self.step(shared.now)?;
            // Before it leaves, the applications know what their core knew when it was made.
            self.hear(shared, owners)?;
            let source = ([0, 0, 0, 0], 0).into();
            let segment = transmit.segment_size.unwrap_or(transmit.size).max(1);
            for bytes in self.buffer[..transmit.size].chunks(segment) {
                send(Parcel { source, destination: transmit.destination, ecn: transmit.ecn, bytes: bytes.to_vec() });
            }
        }
        self.applications(shared, owners)
    }

    fn applications(&mut self, shared: &mut Shared, owners: &Owners) -> Verdict {
        loop {
            self.hear(shared, owners)?;
            let Some(app) = self.apps.values_mut().find(|app| !app.heard.is_empty()) else { return Ok(()) };
            let (id, event) = (app.id, app.heard.pop_front());
            if let (Some(event), Some(connection)) = (event, self.endpoint.connection(id)) {
                app.react(connection, shared, event)?;
            }
        }
    }

    /// After a turn: nothing may be due any more, or else only once. quinn-proto counts the probes of a handshake from when
    /// it last sent, so that several may be due one after the other; then at least the deadline moves.
    pub(super) fn check_rest(&mut self, now: Instant) -> Verdict {
        let due = self.endpoint.poll_timeout().filter(|at| *at <= now);
        require(due.is_none() || due != self.overdue, "poll_timeout stays in the past")?;
        self.overdue = due;
        Ok(())
    }

    /// Lets a command happen, with everything heard before it.
    pub(super) fn command(
        &mut self,
        shared: &mut Shared,
        owners: &Owners,
        id: ConnectionId,
        command: impl FnOnce(&mut App, &mut Connection, &mut Shared) -> Verdict,
    ) -> Verdict {
        self.hear(shared, owners)?;
        match (self.apps.get_mut(&id), self.endpoint.connection(id)) {
            (Some(app), Some(connection)) => command(app, connection, shared),
            _ => Ok(()),
        }
    }

    /// When this core or an application on it wants to do something.
    pub(super) fn next(&mut self) -> Option<Instant> {
        let answers = self.apps.values().filter_map(App::next_answer);
        answers.chain(self.endpoint.poll_timeout()).min()
    }

    /// Time has come to `now`.
    pub(super) fn tick(&mut self, shared: &mut Shared, owners: &Owners) -> Verdict {
        self.endpoint.handle_timeout(shared.now);
        let due = |app: &&App| app.next_answer().is_some_and(|at| at <= shared.now);
        let ids: Vec<ConnectionId> = self.apps.values().filter(due).map(|app| app.id).collect();
        for id in ids {
            self.command(shared, owners, id, App::answer_due)?;
        }
        Ok(())
    }

    fn step(&mut self, now: Instant) -> Verdict {
        let count = if self.steps.0 == Some(now) { self.steps.1 + 1 } else { 0 };
        self.steps = (Some(now), count);
        require(count < MAX_STEPS, "steps without end and time does not move")
    }
}
