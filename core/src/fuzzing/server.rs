//! One connection of a server with tiny limits, its client a script of raw streams, its application a script of calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use quinn_proto::Dir;

use super::input::Input;
use super::model::{Known, Model};
use super::plain::Plain;
use super::raw::Raw;
use super::{application, script, start};
use crate::{Config, ConnectionId, Endpoint, ErrorCode, Event, Receive, Response, Role, StreamId};

/// A script of what a client and the server's application do.
pub fn server(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(input.byte());
    world.exchange();
    let mut steps = 0;
    while !input.is_empty() && steps < 96 {
        world.step(&mut input);
        world.exchange();
        steps += 1;
    }
    world.end();
}

struct World {
    now: Instant,
    client: Raw,
    server: Endpoint,
    connection: Option<ConnectionId>,
    /// Nothing travels any more.
    cut: bool,
    model: Model,
    streams: Vec<StreamId>,
    buffer: Vec<u8>,
}

fn config(choice: u8) -> Config {
    Config {
        max_sessions: 1 + usize::from(choice & 3),
        max_bidi_streams: 4,
        max_uni_streams: 6,
        stream_window: 512,
        connection_window: 2048,
        connection_window_before_session: 1024,
        send_window: 1024,
        datagram_send_buffer: 256,
        datagram_queue: 2,
        datagram_queue_bytes: 128,
        held_streams: 2,
        held_datagrams: 2,
        max_field_section_size: 512,
        max_fields: 12,
        max_settings_size: 64,
        http_requests: usize::from(choice >> 5 & 3),
        glitch_burst: if choice & 4 == 0 { 1_000 } else { 20 },
        max_unread_frames: if choice & 128 == 0 { 1_000 } else { 12 },
        max_mtu: 0,
        random_seed: Some([2; 32]),
        ..Config::default()
    }
}

impl World {
    fn new(choice: u8) -> Self {
        let config = config(choice);
        let max_sessions = config.max_sessions;
        let server = Endpoint::server_with(config, Arc::new(Plain));
        let now = start();
        Self {
            now,
            client: Raw::connect(now, if choice & 8 == 0 { 1 << 20 } else { 48 }, choice & 16 == 0),
            server: server.unwrap_or_else(|error| panic!("a server: {error}")),
            connection: None,
            cut: false,
            model: Model::new(Role::Server, max_sessions),
            streams: Vec::new(),
            buffer: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let index = usize::from(choice >> 4);
        match choice & 15 {
            0 => self.client.open(Dir::Uni, input.short()),
            1 => self.client.open(Dir::Bi, input.short()),
            2 => self.client.write(index, input.short()),
            3 => self.client.finish(index),
            4 => self.client.reset(index, input.number()),
            5 => self.client.stop(index, input.number()),
            6 => self.client.datagram(input.short()),
            7 => self.wait(Duration::from_millis([1, 30, 60, 300, 3_500, 5_500, 11_000, 31_000][index & 7])),
            8 => self.client.open(Dir::Uni, &script::bytes(choice >> 4, input)),
            9 => self.client.open(Dir::Bi, &script::bytes(choice >> 4, input)),
            10 => {
                let index = usize::from(input.byte());
                self.client.write(index, &script::bytes(choice >> 4, input));
            }
            11 => self.client.read(index),
            12 => self.answer(index),
            13 => self.use_session(index, input),
            14 => self.use_stream(index, input),
            _ => self.rarely(index, input),
        }
    }

    fn rarely(&mut self, index: usize, input: &mut Input<'_>) {
        match index {
            0 => self.client.close(self.now, input.number()),
            1 => self.server.drain(self.now),
            2 => self.server.close(self.now, ErrorCode::H3_NO_ERROR, "over"),
            3 => self.cut = true,
            4 => self.cut = false,
            5 => {
                let id = self.connection;
                if let Some(connection) = id.and_then(|id| self.server.connection(id)) {
                    connection.close(ErrorCode(input.number() & 0xffff), "closed");
                }
            }
            6 => self.respond(input),
            7 => {
                if let Some(connection) = self.connection.and_then(|id| self.server.connection(id)) {
                    connection.drain();
                    _ = connection.is_going_away();
                }
            }
            _ => self.client.open(Dir::Bi, &script::bytes(2 + (index as u8 & 1), input)),
        }
    }

    /// The application answers a request.
    fn answer(&mut self, index: usize) {
        let Some(connection) = self.connection.and_then(|id| self.server.connection(id)) else { return };
        let Some((id, known)) = self.model.choose(index >> 2) else { return };
        let status = [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::NOT_FOUND, StatusCode::CONTINUE][index & 3];
        let response = Response::new(status).with_protocol("a");
        let accepts = index & 3 < 2;
        let result = if accepts { connection.accept(id, response).map(drop) } else { connection.refuse(id, response) };
        assert_eq!(result.is_ok(), known == Known::Requested, "{id} is {known:?}");
        if result.is_ok() {
            self.model.changes(id, &[Known::Requested], if accepts { Known::Open } else { Known::Over });
            // What waited behind the request may have ended an accepted one already.
            assert!(accepts || connection.session(id).is_none());
        }
    }

    /// The application answers a plain request, or what is none.
    fn respond(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.connection.and_then(|id| self.server.connection(id)) else { return };
        let stream = StreamId(u64::from(input.byte() & 15) * 4);
        let waiting = connection.http_request(stream).is_some();
        let body = vec![b'x'; usize::from(input.byte()) * 32];
        let result = connection.respond(stream, Response::new(StatusCode::OK), body.into());
        assert_eq!(result.is_ok(), waiting);
        assert!(connection.http_request(stream).is_none(), "answered once");
    }

    fn use_session(&mut self, index: usize, input: &mut Input<'_>) {
        let Some((id, known)) = self.model.choose(usize::from(input.byte())) else { return };
        let Some(connection) = self.connection.and_then(|id| self.server.connection(id)) else { return };
        assert!(known == Known::Over || connection.session(id).is_some(), "{id} is {known:?}");
        let Some(session) = connection.session(id) else { return };
        self.streams.extend(application::session(session, index, input));
    }

    fn use_stream(&mut self, index: usize, input: &mut Input<'_>) {
        let Some(connection) = self.connection.and_then(|id| self.server.connection(id)) else { return };
        // Also streams that are no session's, or do not exist.
        let any = usize::from(input.byte());
        let stream = self.streams.get(any).copied().unwrap_or(StreamId(any as u64 & 31));
        application::stream(connection, stream, index, input);
    }

    /// Lets everything under way arrive. Nothing may go on for ever, and nothing may be left to do now.
    fn exchange(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mut moved = false;
            while let Some(data) = self.client.transmit(self.now) {
                moved = true;
                if !self.cut {
                    let datagram = Receive { remote: Raw::address(), local_ip: None, ecn: None, data };
                    self.server.handle_receive(self.now, datagram);
                }
            }
            while let Some((id, event)) = self.server.poll_event() {
                moved = true;
                self.event(id, event);
            }
            self.buffer.clear();
            while let Some(transmit) = self.server.poll_transmit(self.now, 1, &mut self.buffer) {
                moved = true;
                if !self.cut {
                    self.client.receive(self.now, self.buffer.get(..transmit.size).unwrap_or_default());
                }
                self.buffer.clear();
            }
            if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
                moved = true;
                self.server.handle_timeout(self.now);
            }
            if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
                moved = true;
                self.client.handle_timeout(self.now);
            }
            if !moved {
                return;
            }
        }
        panic!("the connection never comes to rest");
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MAX_ROUNDS {
            self.exchange();
            let deadlines = [self.server.poll_timeout(), self.client.poll_timeout()];
            let next = deadlines.into_iter().flatten().min().filter(|next| *next <= end);
            self.now = next.unwrap_or(end);
            if next.is_none() {
                return self.exchange();
            }
        }
        panic!("too many deadlines in {time:?}");
    }

    fn event(&mut self, id: ConnectionId, event: Event) {
        assert_eq!(*self.connection.get_or_insert(id), id, "one connection");
        self.model.event(&event);
        if let Event::StreamOpened { session, direction } = event {
            let connection = self.connection.and_then(|id| self.server.connection(id));
            let stream = connection.and_then(|connection| connection.session(session)?.accept(direction));
            self.streams.extend(stream);
        }
    }

    /// The client vanishes: in the end nothing is left.
    fn end(&mut self) {
        self.cut = true;
        self.wait(Duration::from_secs(200));
        assert!(self.server.is_drained() && self.server.poll_timeout().is_none());
        assert!(self.model.lost || self.connection.is_none());
        let stats = self.server.stats();
        assert_eq!((stats.sessions_open, stats.connections_open), (0, 0));
    }
}

/// Rounds of packets without time passing, and deadlines in one wait.
const MAX_ROUNDS: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the target would try nothing but handshakes.
    #[test]
    fn scripts_get_as_far_as_streams_of_a_session() {
        let mut world = World::new(0);
        world.exchange();
        // SETTINGS, a request, its acceptance, a stream of the session.
        let mut input = Input::new(&[0x08, 0x29, 0x0c, 0x00, 8, 0x40, 0x54, 0, b'h', b'e', b'l', b'l', b'o']);
        while !input.is_empty() {
            world.step(&mut input);
            world.exchange();
        }
        assert!(world.model.connected);
        assert_eq!(world.model.sessions.values().collect::<Vec<_>>(), [&Known::Open]);
        let stream = *world.streams.first().expect("a stream of the session");
        let connection = world.server.connection(world.connection.expect("a connection")).expect("it lives");
        assert_eq!(connection.recv_stream(stream).read(100), Ok(Some("hello".into())));
        world.end();
    }
}
