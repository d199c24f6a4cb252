//! A server core without a network: datagrams are put into it and taken out of it, in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use transom_core::{Config, Connection, ConnectionId, Ecn, Endpoint, Event, Receive};

use super::tls;

/// A server core and the time it believes in.
#[derive(Debug)]
pub struct Lone {
    /// The core itself.
    pub endpoint: Endpoint,
    /// Its newest connection, once there is one.
    pub connection: Option<ConnectionId>,
    /// Virtual time.
    pub now: Instant,
    /// Where the datagrams it gets seem to come from.
    pub remote: SocketAddr,
    /// Bytes it has sent, by destination.
    pub sent: BTreeMap<SocketAddr, usize>,
    /// What its newest datagram says about congestion.
    pub ecn: Option<Ecn>,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

impl Lone {
    /// A server named `localhost` with a certificate of its own.
    ///
    /// # Panics
    /// The configuration is out of range.
    pub fn new(config: Config) -> Self {
        let endpoint = Endpoint::server(config, tls::configs().0).expect("a server");
        Self {
            endpoint,
            connection: None,
            now: Instant::now(),
            remote: SocketAddr::from(([10, 0, 0, 1], 4433)),
            sent: BTreeMap::new(),
            ecn: None,
            events: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Where it seems to be.
    pub fn address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 2], 4433))
    }

    /// Gives it one datagram.
    pub fn deliver(&mut self, datagram: &[u8]) {
        let data = BytesMut::from(datagram);
        self.endpoint.handle_receive(self.now, Receive { remote: self.remote, local_ip: None, ecn: None, data });
        self.note();
    }

    /// The datagrams it wants to send now.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            self.note();
            self.buffer.clear();
            let Some(transmit) = self.endpoint.poll_transmit(self.now, 1, &mut self.buffer) else { return datagrams };
            *self.sent.entry(transmit.destination).or_default() += transmit.size;
            self.ecn = transmit.ecn;
            datagrams.push(self.buffer[..transmit.size].to_vec());
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.endpoint.handle_timeout(self.now);
        self.note();
    }

    /// Takes the events so far.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.note();
        std::mem::take(&mut self.events)
    }

    /// The newest connection.
    ///
    /// # Panics
    /// There is none, or it is over.
    pub fn connection(&mut self) -> &mut Connection {
        let id = self.connection.expect("a connection");
        self.endpoint.connection(id).expect("a living connection")
    }

    fn note(&mut self) {
        while let Some((id, event)) = self.endpoint.poll_event() {
            self.connection = Some(id);
            self.events.push(event);
        }
    }
}
