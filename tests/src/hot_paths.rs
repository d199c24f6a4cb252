//! The core's hot paths, each so often, for instructions to be counted: see `tests/instructions/run`.
//!
//! A client core and a server core that hand packets to each other at once, in virtual time. Only what the server does
//! happens inside `measured_turn`, whose name the counter looks for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use transom_core::{
    Config, Connection, ConnectionId, Direction, Endpoint, Event, Receive, Request, Response, SessionId, StreamId,
};

use transom_core::router::Router;

use crate::simulation::configs;

/// What the server does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// A datagram of 32 bytes arrives and is read.
    DatagramIn,
    /// A datagram of 32 bytes is sent.
    DatagramOut,
    /// A bidirectional stream of 64 bytes arrives, is echoed and forgotten.
    SmallStream,
    /// 64 KiB arrive on a stream and are read.
    Read,
    /// 64 KiB are written to a stream and acknowledged.
    Write,
    /// A session is asked for, accepted and closed by the client.
    Connect,
    /// A path of 8 KiB is looked up among 1,024 patterns that all agree with it but for the last segment: the worst there is.
    Route,
}

impl Path {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 7] = [
        ("datagram-in", Self::DatagramIn),
        ("datagram-out", Self::DatagramOut),
        ("small-stream", Self::SmallStream),
        ("read-64-kib", Self::Read),
        ("write-64-kib", Self::Write),
        ("connect", Self::Connect),
        ("route", Self::Route),
    ];
}

/// Goes a path so often.
///
/// # Panics
/// When something does not arrive that must: then the count would mean nothing.
pub fn run(path: Path, count: usize) {
    if path == Path::Route {
        return look_up(count);
    }
    let mut two = Two::new(path);
    let session = two.open_session();
    match path {
        Path::DatagramIn => (0..count).for_each(|_| {
            let before = two.server.datagrams;
            two.client.connection().session(session).expect("a session").send_datagram(&[5; 32]).expect("room");
            two.until(|two| two.server.datagrams > before);
        }),
        Path::DatagramOut => (0..count).for_each(|_| {
            let before = two.client.datagrams;
            two.server.to_send = Some(session);
            two.until(|two| two.client.datagrams > before);
        }),
        Path::SmallStream => (0..count).for_each(|_| {
            let stream = two.client.open(session);
            two.client.connection().send_stream(stream).write(&[7; 64]).expect("room");
            two.client.connection().send_stream(stream).finish().expect("an open stream");
            let before = two.client.ended;
            two.until(|two| two.client.ended > before);
        }),
        Path::Read => two.transfer(session, count, Direction::Unidirectional),
        Path::Write => two.transfer(session, count, Direction::Bidirectional),
        Path::Connect => (0..count).for_each(|_| {
            let session = two.open_session();
            two.client.connection().session(session).expect("a session").close(0, "");
            let before = two.server.sessions_ended;
            two.until(|two| two.server.sessions_ended > before);
        }),
        Path::Route => {}
    }
}

/// Looks a path up that has to be tried in all ways: in each of ten segments, the text and a parameter agree with it.
fn look_up(count: usize) {
    let mut router = Router::new();
    for number in 0..1_u32 << BRANCHES {
        let segment = |level: u32| if number >> level & 1 == 0 { String::from("/x") } else { format!("/{{p{level}}}") };
        let pattern: String = (0..BRANCHES).map(segment).collect();
        router.insert(&format!("{pattern}/end"), number).expect("a pattern of its own");
    }
    let mut path = "/x".repeat(BRANCHES as usize);
    assert_eq!(router.find(&format!("{path}/end")).map(|found| *found.value), Some(0), "each is found");
    path.push('/');
    path.extend(std::iter::repeat_n('z', 8_192 - path.len()));
    for _ in 0..count {
        assert!(!measured_turn_of_router(&router, &path), "nothing agrees with the last segment");
    }
}

/// Segments in which there is a choice.
const BRANCHES: u32 = 10;

#[inline(never)]
fn measured_turn_of_router(router: &Router<u32>, path: &str) -> bool {
    router.find(path).is_some()
}

/// What the counter looks for: everything that the server does.
#[inline(never)]
fn measured_turn(server: &mut Side, now: Instant) {
    server.turn(now);
}

struct Two {
    client: Side,
    server: Side,
    now: Instant,
}

/// One core and what its application counts.
struct Side {
    endpoint: Endpoint,
    id: Option<ConnectionId>,
    is_server: bool,
    echoes: bool,
    arrived: Vec<BytesMut>,
    sent: Vec<BytesMut>,
    buffer: Vec<u8>,
    established: Option<SessionId>,
    connected: bool,
    datagrams: usize,
    ended: usize,
    sessions_ended: usize,
    bytes: usize,
    to_send: Option<SessionId>,
    /// A stream to write to, and how much is left.
    writing: Option<(StreamId, usize)>,
}

impl Two {
    fn new(path: Path) -> Self {
        let mut config = Config::default();
        config.random_seed = Some([7; 32]);
        config.connect_burst = u32::MAX;
        let (server_tls, client_tls) = configs();
        let mut client = Endpoint::client(config.clone()).expect("a client");
        let server = Endpoint::server(config, server_tls).expect("a server");
        let now = Instant::now();
        let id = client.connect(now, address(1), "localhost", client_tls).expect("a connection under way");
        let (mut client, mut server) = (Side::new(client, false), Side::new(server, true));
        client.id = Some(id);
        server.echoes = path == Path::SmallStream;
        let mut two = Self { client, server, now };
        two.until(|two| two.client.connected && two.server.connected);
        two
    }

    fn open_session(&mut self) -> SessionId {
        let session = self.client.connection().request_session(Request::new("localhost", "/")).expect("room");
        self.until(|two| two.client.established == Some(session));
        session
    }

    /// Moves `count` pieces of 64 KiB: up on a unidirectional stream, down on a bidirectional one.
    fn transfer(&mut self, session: SessionId, count: usize, direction: Direction) {
        let up = direction == Direction::Unidirectional;
        let mut handle = self.client.connection().session(session).expect("a session");
        let stream = handle.open(direction).expect("room for a stream");
        if !up {
            self.client.connection().send_stream(stream).write(&[1]).expect("room");
            self.until(|two| two.server.bytes > 0);
        }
        for _ in 0..count {
            let (from, to) = self.ends(up);
            from.writing = Some((stream, PIECE));
            let wanted = to.bytes + PIECE;
            self.until(|two| if up { two.server.bytes >= wanted } else { two.client.bytes >= wanted });
        }
    }

    fn ends(&mut self, up: bool) -> (&mut Side, &mut Side) {
        if up { (&mut self.client, &mut self.server) } else { (&mut self.server, &mut self.client) }
    }

    /// Takes turns until it is so, and then until nothing is under way.
    fn until(&mut self, condition: impl Fn(&Self) -> bool) {
        for _ in 0..MAX_TURNS {
            self.now += TURN;
            self.client.turn(self.now);
            self.server.arrived.append(&mut self.client.sent);
            measured_turn(&mut self.server, self.now);
            self.client.arrived.append(&mut self.server.sent);
            if self.client.arrived.is_empty() && condition(self) {
                return;
            }
        }
        panic!("it did not come");
    }
}

impl Side {
    fn new(endpoint: Endpoint, is_server: bool) -> Self {
        Self {
            endpoint,
            id: None,
            is_server,
            echoes: false,
            arrived: Vec::new(),
            sent: Vec::new(),
            buffer: Vec::with_capacity(65_536),
            established: None,
            connected: false,
            datagrams: 0,
            ended: 0,
            sessions_ended: 0,
            bytes: 0,
            to_send: None,
            writing: None,
        }
    }

    fn connection(&mut self) -> &mut Connection {
        self.endpoint.connection(self.id.expect("a connection")).expect("a living connection")
    }

    fn open(&mut self, session: SessionId) -> StreamId {
        self.connection().session(session).expect("a session").open(Direction::Bidirectional).expect("room")
    }

    fn turn(&mut self, now: Instant) {
        for data in self.arrived.drain(..) {
            let receive = Receive { remote: address(u8::from(!self.is_server)), local_ip: None, ecn: None, data };
            self.endpoint.handle_receive(now, receive);
        }
        self.endpoint.handle_timeout(now);
        if let Some(session) = self.to_send.take() {
            self.connection().session(session).expect("a session").send_datagram(&[5; 32]).expect("room");
        }
        self.write();
        loop {
            while let Some((id, event)) = self.endpoint.poll_event() {
                self.id = Some(id);
                self.take(event);
            }
            self.buffer.clear();
            let Some(transmit) = self.endpoint.poll_transmit(now, 1, &mut self.buffer) else { return };
            self.sent.push(BytesMut::from(&self.buffer[..transmit.size]));
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::SessionRequested { session } => {
                self.connection().accept(session, Response::accept()).expect("an unanswered request");
            }
            Event::SessionEstablished { session, .. } => self.established = Some(session),
            Event::SessionEnded { .. } => self.sessions_ended += 1,
            Event::StreamOpened { session, direction } => {
                while let Some(stream) = self.connection().session(session).and_then(|mut it| it.accept(direction)) {
                    self.read(stream);
                }
            }
            Event::StreamReadable { stream } => self.read(stream),
            Event::StreamWritable { .. } => self.write(),
            Event::DatagramReceived { session } => {
                while self.connection().session(session).and_then(|mut it| it.recv_datagram()).is_some() {
                    self.datagrams += 1;
                }
            }
            Event::ConnectionLost { error } => panic!("the connection was lost: {error}"),
            _ => {}
        }
    }

    fn read(&mut self, stream: StreamId) {
        loop {
            match self.connection().recv_stream(stream).read(usize::MAX) {
                Ok(Some(bytes)) => {
                    self.bytes += bytes.len();
                    if self.echoes {
                        let written = self.connection().send_stream(stream).write_bytes(&mut bytes.clone());
                        assert_eq!(written, Ok(bytes.len()));
                    }
                }
                Ok(None) => {
                    self.ended += 1;
                    if self.echoes {
                        self.connection().send_stream(stream).finish().expect("an open stream");
                    }
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn write(&mut self) {
        static ZEROS: [u8; PIECE] = [0; PIECE];
        let Some((stream, mut left)) = self.writing else { return };
        while left > 0 {
            let mut bytes = Bytes::from_static(&ZEROS).slice(..left);
            match self.connection().send_stream(stream).write_bytes(&mut bytes) {
                Ok(written) => left -= written,
                Err(_) => break,
            }
        }
        self.writing = (left > 0).then_some((stream, left));
    }
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host + 1], 4433))
}

const PIECE: usize = 65_536;

/// Virtual time of a turn: a round trip takes two.
const TURN: Duration = Duration::from_millis(1);

const MAX_TURNS: usize = 100_000;
