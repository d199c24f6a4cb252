//! Two cores and the packets between them, delivered, lost and reordered as they are told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::model::Model;
use super::plain::Plain;
use super::{CLIENT, SERVER, start};
use crate::{Config, Connection, ConnectionId, Endpoint, ErrorCode, Receive, Role, StreamId};

/// Both ends and what is under way.
pub(super) struct Network {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    buffer: Vec<u8>,
}

/// One end.
pub(super) struct End {
    pub(super) endpoint: Endpoint,
    pub(super) model: Model,
    /// Every stream the application had to do with, in that order.
    pub(super) streams: Vec<StreamId>,
    connection: Option<ConnectionId>,
    /// Packets that wait to be received here.
    inbox: VecDeque<BytesMut>,
}

/// Index of the client among the ends.
pub(super) const CLIENT_END: usize = 0;
/// Index of the server.
pub(super) const SERVER_END: usize = 1;

/// Rounds of packets without time passing, and deadlines in one wait.
const MAX_ROUNDS: usize = 10_000;

fn config(choice: u8, role: Role) -> Config {
    let small = choice & 1 == 1;
    Config {
        max_sessions: 1 + usize::from(choice >> 1 & 3),
        max_bidi_streams: if small { 3 } else { 100 },
        max_uni_streams: if small { 4 } else { 100 },
        stream_window: if small { 256 } else { 1 << 18 },
        connection_window: if small { 1_024 } else { 1 << 20 },
        connection_window_before_session: 512,
        send_window: if choice & 8 == 0 { 1 << 16 } else { 700 },
        datagram_send_buffer: 512,
        datagram_queue: 3,
        datagram_queue_bytes: 600,
        held_streams: 2,
        held_datagrams: 2,
        max_mtu: 0,
        keep_alive_interval: if choice & 16 == 0 { Duration::ZERO } else { Duration::from_secs(5) },
        random_seed: Some([role as u8; 32]),
        ..Config::default()
    }
}

impl Network {
    /// Two cores whose handshake is over, unless the choice says otherwise.
    pub(super) fn new(choice: u8) -> Self {
        let now = start();
        let server = Endpoint::server_with(config(choice, Role::Server), Arc::new(Plain));
        let client = Endpoint::client(config(choice, Role::Client));
        let (Ok(mut client), Ok(server)) = (client, server) else { panic!("both configurations are good") };
        let connection = client.connect_with(now, SERVER.into(), Arc::new(Plain)).ok();
        let mut ends = [End::new(client, Role::Client), End::new(server, Role::Server)];
        ends[CLIENT_END].connection = connection;
        let mut network = Self { now, ends, buffer: Vec::new() };
        if choice & 32 == 0 {
            network.exchange();
            assert!(network.ends.iter().all(|end| end.model.connected), "no connection over a good network");
        }
        network
    }

    /// The connection of an end, while it lives.
    pub(super) fn connection(&mut self, end: usize) -> Option<&mut Connection> {
        let end = &mut self.ends[end];
        end.endpoint.connection(end.connection?)
    }

    /// An id that no connection has.
    pub(super) fn foreign() -> ConnectionId {
        ConnectionId { index: 7, generation: u64::MAX }
    }

    pub(super) fn chosen(&self, end: usize, index: usize) -> Option<StreamId> {
        let streams = &self.ends[end].streams;
        streams.iter().rev().nth(index % streams.len().max(1)).copied()
    }

    /// Takes the events and packets that are there; returns whether there were any.
    pub(super) fn look(&mut self) -> bool {
        let mut moved = false;
        for end in [CLIENT_END, SERVER_END] {
            moved |= self.ends[end].events();
            self.buffer.clear();
            while let Some(transmit) = self.ends[end].endpoint.poll_transmit(self.now, 1, &mut self.buffer) {
                let packet = BytesMut::from(self.buffer.get(..transmit.size).unwrap_or_default());
                self.ends[1 - end].inbox.push_back(packet);
                self.buffer.clear();
                moved = true;
            }
            moved |= self.ends[end].events();
            if self.ends[end].endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                self.ends[end].endpoint.handle_timeout(self.now);
                moved = true;
            }
        }
        moved
    }

    /// Lets an end receive what is there, at most `count` packets.
    pub(super) fn deliver(&mut self, end: usize, count: usize) -> bool {
        let remote = if end == CLIENT_END { SERVER } else { CLIENT };
        let mut moved = false;
        for _ in 0..count {
            let Some(data) = self.ends[end].inbox.pop_front() else { break };
            let datagram = Receive { remote: remote.into(), local_ip: None, ecn: None, data };
            self.ends[end].endpoint.handle_receive(self.now, datagram);
            moved = true;
        }
        moved
    }

    pub(super) fn lose(&mut self, end: usize) {
        self.ends[end].inbox.pop_front();
    }

    /// The first packet comes last, and once more.
    pub(super) fn reorder(&mut self, end: usize) {
        if let Some(first) = self.ends[end].inbox.pop_front() {
            self.ends[end].inbox.push_back(first.clone());
            self.ends[end].inbox.push_back(first);
        }
    }

    /// Delivers everything until both ends rest.
    pub(super) fn exchange(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mut moved = self.look();
            moved |= self.deliver(CLIENT_END, usize::MAX) | self.deliver(SERVER_END, usize::MAX);
            if !moved {
                return;
            }
        }
        panic!("the cores never come to rest");
    }

    /// Lets time pass, with everything delivered at once.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..MAX_ROUNDS {
            self.exchange();
            let next = self.ends.iter_mut().filter_map(|end| end.endpoint.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return self.exchange();
            };
            self.now = next;
        }
        panic!("too many deadlines in {time:?}");
    }

    /// Both ends close: in the end nothing is left.
    pub(super) fn end(&mut self) {
        let now = self.now;
        self.ends[CLIENT_END].endpoint.close(now, ErrorCode::H3_NO_ERROR, "");
        self.wait(Duration::from_secs(200));
        for end in &mut self.ends {
            assert!(end.endpoint.is_drained() && end.endpoint.poll_timeout().is_none());
            assert!(end.model.lost || end.connection.is_none());
            let stats = end.endpoint.stats();
            assert_eq!((stats.sessions_open, stats.connections_open), (0, 0));
        }
    }
}

impl End {
    fn new(endpoint: Endpoint, role: Role) -> Self {
        let model = Model::new(role, usize::MAX);
        Self { endpoint, model, streams: Vec::new(), connection: None, inbox: VecDeque::new() }
    }

    fn events(&mut self) -> bool {
        let mut any = false;
        while let Some((id, event)) = self.endpoint.poll_event() {
            any = true;
            // A packet that comes once more when its connection is gone begins another one, which nobody continues.
            if *self.connection.get_or_insert(id) == id {
                self.model.event(&event);
            }
        }
        any
    }
}
