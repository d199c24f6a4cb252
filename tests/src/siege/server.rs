use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use transom_core::{Config, Connection, ConnectionId, Endpoint, Event, Receive, SessionId};

use super::Meter;
use crate::simulation::configs;

/// What the application behind the server does with each event of its connection.
pub type App = fn(&mut Connection, &Event);

/// A server core with its application; all its code runs under the meter.
pub struct Server<M> {
    /// The meter.
    pub meter: M,
    endpoint: Endpoint,
    app: App,
    connection: Option<ConnectionId>,
    session: Option<SessionId>,
    buffer: Vec<u8>,
}

impl<M: Meter> Server<M> {
    pub(super) fn new(config: Config, app: App, mut meter: M) -> Self {
        let (tls, _) = configs();
        meter.enter();
        let endpoint = Endpoint::server(config, tls).expect("a server");
        meter.leave();
        Self { meter, endpoint, app, connection: None, session: None, buffer: Vec::with_capacity(BUFFER) }
    }

    /// Lets the application act of its own accord on the newest session; nothing happens when there is no connection (any
    /// more) or never was a session.
    pub fn act(&mut self, act: impl FnOnce(&mut Connection, SessionId)) {
        self.meter.enter();
        let connection = self.connection.and_then(|id| self.endpoint.connection(id));
        if let (Some(connection), Some(session)) = (connection, self.session) {
            act(connection, session);
        }
        self.meter.leave();
    }

    /// Whether nothing is left of any connection.
    pub fn is_drained(&self) -> bool {
        self.endpoint.is_drained()
    }

    /// Figures of the endpoint.
    pub fn stats(&mut self) -> transom_core::EndpointStats {
        self.endpoint.stats()
    }

    pub(super) fn receive(&mut self, now: Instant, packet: &[u8]) {
        self.meter.enter();
        let remote = SocketAddr::from(([10, 0, 0, 1], 4433));
        self.endpoint.handle_receive(now, Receive { remote, local_ip: None, ecn: None, data: BytesMut::from(packet) });
        self.meter.leave();
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.meter.enter();
        self.endpoint.handle_timeout(now);
        self.meter.leave();
    }

    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        self.meter.enter();
        let timeout = self.endpoint.poll_timeout();
        self.meter.leave();
        timeout
    }

    /// Events to the application, packets to the network, until there are none.
    pub(super) fn serve(&mut self, now: Instant, mut send: impl FnMut(&[u8])) {
        loop {
            self.meter.enter();
            self.events();
            self.buffer.clear();
            let transmit = self.endpoint.poll_transmit(now, 1, &mut self.buffer).map(|transmit| transmit.size);
            self.meter.leave();
            match transmit {
                Some(size) => send(&self.buffer[..size]),
                None => break,
            }
        }
        self.meter.enter();
        self.events();
        self.meter.leave();
    }

    fn events(&mut self) {
        while let Some((id, event)) = self.endpoint.poll_event() {
            self.connection = Some(id);
            if let Event::SessionRequested { session } = event {
                self.session = Some(session);
            }
            if let Some(connection) = self.endpoint.connection(id) {
                (self.app)(connection, &event);
            }
        }
    }
}

/// More than the largest transmit, so that it never grows while the meter runs.
const BUFFER: usize = 128 * 1024;
