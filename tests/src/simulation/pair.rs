//! A client and a server core, connected by two links, in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use transom_core::{
    Config, Connection, ConnectionId, Direction, Endpoint, Event, ReadError, Receive, Request, Response, SessionId,
    StreamId, WriteError,
};

use super::tls;
use transom::testing::{Link, LinkConfig, Parcel};

/// One end of a [`Pair`].
#[derive(Debug)]
pub struct Side {
    /// The core itself.
    pub endpoint: Endpoint,
    /// Its connection, once there is one.
    pub connection: Option<ConnectionId>,
    /// Every event so far that nobody has taken.
    pub events: Vec<Event>,
    /// Bytes it has sent to each address.
    pub sent_to: BTreeMap<SocketAddr, usize>,
    address: SocketAddr,
    buffer: Vec<u8>,
}

/// Two cores over a network.
#[derive(Debug)]
pub struct Pair {
    /// The client.
    pub client: Side,
    /// The server.
    pub server: Side,
    /// The network towards the server.
    pub up: Link,
    /// The network towards the client.
    pub down: Link,
    /// Virtual time.
    pub now: Instant,
    /// Segments a transmit may have.
    pub max_segments: usize,
    steps: u64,
}

/// Steps after which a simulation is called an endless loop.
const MAX_STEPS: u64 = 2_000_000;

impl Pair {
    /// Two cores with the default configuration over a good network.
    pub fn new() -> Self {
        Self::with(Config::default(), Config::default(), LinkConfig::good(), 0)
    }

    /// Two cores; the network's fortunes and the cores' random numbers follow from `seed`.
    pub fn with(mut client: Config, mut server: Config, link: LinkConfig, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        client.random_seed = Some(bytes);
        bytes[31] = 1;
        server.random_seed = Some(bytes);
        let (server_tls, client_tls) = tls::configs();
        let mut pair = Self {
            client: Side::new(Endpoint::client(client).expect("a client"), 1),
            server: Side::new(Endpoint::server(server, server_tls).expect("a server"), 2),
            up: Link::new(link, seed),
            down: Link::new(link, seed.wrapping_add(1)),
            now: Instant::now(),
            max_segments: 8,
            steps: 0,
        };
        let id = pair.client.endpoint.connect(pair.now, pair.server.address, "localhost", client_tls);
        pair.client.connection = Some(id.expect("a connection under way"));
        pair
    }

    /// A pair with the handshake done and SETTINGS exchanged.
    pub fn connected() -> Self {
        let mut pair = Self::new();
        pair.connect();
        pair
    }

    /// Gives the server a new TLS configuration, as when a certificate is renewed.
    pub fn reload_server(&mut self) {
        let (server, _) = tls::configs();
        self.server.endpoint.set_server_tls(server).expect("a configuration like the first");
    }

    /// Runs until both sides know each other's SETTINGS.
    pub fn connect(&mut self) {
        self.run_until(|pair| pair.client.saw(&Event::Connected) && pair.server.saw(&Event::Connected));
    }

    /// Opens a session for `path`, accepted by the server.
    pub fn session(&mut self, path: &str) -> SessionId {
        let request = Request::new("localhost", path);
        let session = self.client.connection().request_session(request).expect("room for a request");
        let requested = Event::SessionRequested { session };
        self.run_until(|pair| pair.server.saw(&requested));
        self.server.connection().accept(session, Response::accept()).expect("an unanswered request");
        self.run_until(|pair| pair.client.is_established(session));
        session
    }

    /// Lets everything that is under way arrive and every core come to rest, for at most `time`.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = self.now.max(end);
        self.exchange();
    }

    /// Runs until the condition holds; fails when a minute of virtual time is not enough.
    #[track_caller]
    pub fn run_until(&mut self, condition: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(60);
        self.exchange();
        while !condition(self) {
            let moved = self.step(end);
            assert!(
                moved || condition(self),
                "nothing more happens: {:#?}",
                (&self.client.events, &self.server.events)
            );
        }
    }

    /// Moves time to the next thing that happens before `end`; false when there is none.
    fn step(&mut self, end: Instant) -> bool {
        self.exchange();
        self.steps += 1;
        assert!(self.steps < MAX_STEPS, "the cores never come to rest");
        let candidates = [
            self.up.next_arrival(),
            self.down.next_arrival(),
            self.client.endpoint.poll_timeout(),
            self.server.endpoint.poll_timeout(),
        ];
        let Some(next) = candidates.into_iter().flatten().min().filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        while let Some(parcel) = self.up.receive(self.now) {
            self.server.receive(self.now, parcel.source, &parcel.bytes);
        }
        while let Some(parcel) = self.down.receive(self.now) {
            self.client.receive(self.now, parcel.source, &parcel.bytes);
        }
        self.client.endpoint.handle_timeout(self.now);
        self.server.endpoint.handle_timeout(self.now);
        self.exchange();
        true
    }

    /// Takes all events and transmits of both sides.
    fn exchange(&mut self) {
        self.client.poll(self.now, self.max_segments, &mut self.up);
        self.server.poll(self.now, self.max_segments, &mut self.down);
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Side {
    pub(super) fn new(endpoint: Endpoint, host: u8) -> Self {
        Self {
            endpoint,
            connection: None,
            events: Vec::new(),
            sent_to: BTreeMap::new(),
            address: SocketAddr::from(([10, 0, 0, host], 4433)),
            buffer: Vec::new(),
        }
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut Connection {
        let id = self.connection.expect("a connection");
        self.endpoint.connection(id).expect("a living connection")
    }

    /// Whether there is no connection (any more).
    pub fn is_gone(&mut self) -> bool {
        self.connection.is_none_or(|id| self.endpoint.connection(id).is_none())
    }

    /// Whether the event came.
    pub fn saw(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    /// Whether the server was heard to accept this session.
    pub fn is_established(&self, id: SessionId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::SessionEstablished { session, .. } if *session == id))
    }

    /// Takes the events so far.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Opens a stream in a session and writes all of `data` and the end, which must fit.
    pub fn send(&mut self, session: SessionId, direction: Direction, data: &[u8]) -> StreamId {
        let stream = self.connection().session(session).expect("a session").open(direction).expect("room for a stream");
        assert_eq!(self.connection().send_stream(stream).write(data), Ok(data.len()));
        self.connection().send_stream(stream).finish().expect("an open stream");
        stream
    }

    /// Accepts a stream.
    pub fn accept(&mut self, session: SessionId, direction: Direction) -> Option<StreamId> {
        self.connection().session(session)?.accept(direction)
    }

    /// Reads everything that is there; the flag says whether the stream ended.
    ///
    /// # Errors
    ///
    /// What the core says, but for `Blocked`.
    pub fn read(&mut self, stream: StreamId) -> Result<(Vec<u8>, bool), ReadError> {
        let mut data = Vec::new();
        loop {
            match self.connection().recv_stream(stream).read(usize::MAX) {
                Ok(Some(bytes)) => data.extend_from_slice(&bytes),
                Ok(None) => return Ok((data, true)),
                Err(ReadError::Blocked) => return Ok((data, false)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes as much as fits.
    ///
    /// # Errors
    ///
    /// What the core says, but for `Blocked`.
    pub fn write(&mut self, stream: StreamId, mut data: &[u8]) -> Result<usize, WriteError> {
        let mut written = 0;
        while !data.is_empty() {
            match self.connection().send_stream(stream).write(data) {
                Ok(taken) => {
                    written += taken;
                    data = &data[taken..];
                }
                Err(WriteError::Blocked) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    pub(super) fn receive(&mut self, now: Instant, remote: SocketAddr, datagram: &[u8]) {
        let data = BytesMut::from(datagram);
        self.endpoint.handle_receive(now, Receive { remote, local_ip: None, ecn: None, data });
    }

    pub(super) fn poll(&mut self, now: Instant, max_segments: usize, link: &mut Link) {
        loop {
            while let Some((id, event)) = self.endpoint.poll_event() {
                self.connection.get_or_insert(id);
                self.events.push(event);
            }
            self.buffer.clear();
            let Some(transmit) = self.endpoint.poll_transmit(now, max_segments, &mut self.buffer) else { break };
            *self.sent_to.entry(transmit.destination).or_default() += transmit.size;
            let segment = transmit.segment_size.unwrap_or(transmit.size).max(1);
            for datagram in self.buffer[..transmit.size].chunks(segment) {
                let (source, destination) = (self.address, transmit.destination);
                link.send(now, Parcel { source, destination, ecn: transmit.ecn, bytes: datagram.to_vec() });
            }
        }
        while let Some((_, event)) = self.endpoint.poll_event() {
            self.events.push(event);
        }
    }
}
