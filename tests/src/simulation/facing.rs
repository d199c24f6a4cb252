//! One core and a raw peer, connected by two links, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use transom_core::{Config, ConnectionError, Endpoint, ErrorCode, Event, Request, Response, SessionId};

use super::pair::Side;
use super::tls;
use crate::raw::{self, Memory, Options, Seen};
use transom::testing::{Link, LinkConfig, Parcel};

/// A core that faces a peer which says whatever it is told to say.
#[derive(Debug)]
pub struct Facing {
    /// The core.
    pub core: Side,
    /// Its peer.
    pub raw: Memory,
    /// Virtual time.
    pub now: Instant,
    to_raw: Link,
    to_core: Link,
    raw_address: SocketAddr,
    client_tls: rustls::ClientConfig,
    /// Datagrams that the raw peer may still send.
    raw_may_send: usize,
}

impl Facing {
    /// A client core and a raw server, not connected yet.
    pub fn server(options: &Options) -> Self {
        let (server_tls, client_tls) = tls::configs();
        let core = Endpoint::client(Config::default()).expect("a client");
        let mut facing = Self::new(core, Memory::server(server_tls, options), Instant::now(), client_tls);
        let tls = facing.client_tls.clone();
        let id = facing.core.endpoint.connect(facing.now, facing.raw_address, "localhost", tls);
        facing.core.connection = Some(id.expect("a connection under way"));
        facing
    }

    /// A server core and a raw client, not connected yet.
    pub fn client(options: &Options) -> Self {
        Self::client_of(Config::default(), options)
    }

    /// The same, with another configuration of the core.
    pub fn client_of(config: Config, options: &Options) -> Self {
        let (server_tls, client_tls) = tls::configs();
        let core = Endpoint::server(config, server_tls).expect("a server");
        let now = Instant::now();
        let raw = Memory::client(client_tls.clone(), options, now, CORE);
        Self::new(core, raw, now, client_tls)
    }

    /// Lets the raw client come back with a new connection and what it has kept of the old one.
    pub fn come_back(&mut self) {
        self.raw = Memory::client(self.client_tls.clone(), &Options::default(), self.now, CORE);
        self.core.connection = None;
        self.core.events.clear();
    }

    /// Loses everything that the raw peer sends after so many datagrams.
    pub fn silence_raw_after(&mut self, datagrams: usize) {
        self.raw_may_send = datagrams;
    }

    /// Gives the raw peer another address, as a NAT does that has forgotten it; gives the address.
    pub fn rebind(&mut self, port: u16) -> SocketAddr {
        self.raw_address.set_port(port);
        self.raw_address
    }

    /// A client core, connected to a raw server that has sent these settings.
    pub fn greeted_server(settings: &[(u64, u64)]) -> Self {
        let mut facing = Self::server(&Options::default());
        facing.run_for(Duration::from_millis(50));
        facing.raw.send_settings(settings);
        facing.run_for(Duration::from_millis(50));
        facing
    }

    /// A server core, connected to a raw client that has sent these settings.
    pub fn greeted_client(settings: &[(u64, u64)]) -> Self {
        let mut facing = Self::client(&Options::default());
        facing.run_for(Duration::from_millis(50));
        facing.raw.send_settings(settings);
        facing.run_for(Duration::from_millis(50));
        facing
    }

    /// Lets the client core ask for a session, and the request arrive.
    pub fn ask(&mut self, request: Request) -> SessionId {
        let session = self.core.connection().request_session(request).expect("room for a request");
        self.run_for(Duration::from_millis(50));
        session
    }

    /// Lets the client core open a session that the raw server accepts.
    pub fn session(&mut self) -> SessionId {
        let session = self.ask(Request::new("localhost", "/"));
        self.raw.respond(session.get(), &[(":status", "200")]);
        self.run_for(Duration::from_millis(50));
        assert!(self.core.is_established(session), "{:?}", self.core.events);
        session
    }

    /// Lets the raw client ask for a session that the server core accepts.
    pub fn accepted(&mut self, request: &raw::Request) -> SessionId {
        self.raw.send_request(request);
        self.run_for(Duration::from_millis(50));
        let requested = |event: &Event| match event {
            Event::SessionRequested { session } => Some(*session),
            _ => None,
        };
        let session = self.core.events.iter().find_map(requested).expect("a request");
        self.core.connection().accept(session, Response::accept()).expect("an unanswered request");
        self.run_for(Duration::from_millis(50));
        session
    }

    /// The code with which the core closed the connection because of its peer.
    pub fn violation(&self) -> Option<ErrorCode> {
        self.core.events.iter().find_map(|event| match event {
            Event::ConnectionLost { error: ConnectionError::PeerMisbehaved { code, .. } } => Some(*code),
            _ => None,
        })
    }

    /// What the raw peer has seen.
    pub fn seen(&self) -> &Seen {
        self.raw.seen()
    }

    /// Lets everything happen that happens within `time`.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MAX_STEPS {
            self.exchange();
            let candidates = [
                self.to_raw.next_arrival(),
                self.to_core.next_arrival(),
                self.core.endpoint.poll_timeout(),
                self.raw.poll_timeout(),
            ];
            let Some(next) = candidates.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return self.exchange();
            };
            self.now = self.now.max(next);
            while let Some(datagram) = self.to_raw.receive(self.now) {
                self.raw.receive(self.now, CORE, &datagram.bytes);
            }
            while let Some(datagram) = self.to_core.receive(self.now) {
                self.core.receive(self.now, self.raw_address, &datagram.bytes);
            }
            self.core.endpoint.handle_timeout(self.now);
            self.raw.handle_timeout(self.now);
        }
        panic!("the core and its peer never come to rest");
    }

    fn new(core: Endpoint, raw: Memory, now: Instant, client_tls: rustls::ClientConfig) -> Self {
        let link = || Link::new(LinkConfig::good(), 0);
        let raw_address = SocketAddr::from(([10, 0, 0, 2], 4433));
        Self {
            core: Side::new(core, 1),
            raw,
            now,
            to_raw: link(),
            to_core: link(),
            raw_address,
            client_tls,
            raw_may_send: usize::MAX,
        }
    }

    fn exchange(&mut self) {
        self.core.poll(self.now, 1, &mut self.to_raw);
        while let Some(datagram) = self.raw.transmit(self.now) {
            if self.raw_may_send > 0 {
                self.raw_may_send -= 1;
                let parcel = Parcel { source: self.raw_address, destination: CORE, ecn: None, bytes: datagram };
                self.to_core.send(self.now, parcel);
            }
        }
    }
}

/// Where the core is; [`Side::new`] gives it this address as host 1.
const CORE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 4433);

const MAX_STEPS: u32 = 200_000;
