//! What the load client does, and what it measures of the server meanwhile.
//!
//! Every answer is checked, content and count: a server that answers wrongly fails, it does not win.

mod bulk;
mod datagrams;
mod handshakes;
mod idle;
mod meter;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use idle::hold;
pub use meter::{Meter, Outcome};

use crate::client::{Client, Session, What};

/// What to do, and how many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    Handshakes { in_flight: usize },
    Upload { streams: usize },
    Download { streams: usize },
    Streams { in_flight: usize },
    Work { in_flight: usize },
    Datagrams { size: usize, in_flight: usize },
    Broadcast { size: usize, sessions: usize },
    Idle { sessions: usize },
    Sessions { sessions: usize },
}

impl Scenario {
    /// All there are, by name.
    pub const ALL: [(&'static str, Self); 18] = [
        ("streams-64", Self::Streams { in_flight: 64 }),
        ("streams-1", Self::Streams { in_flight: 1 }),
        ("datagrams-32-64", Self::Datagrams { size: 32, in_flight: 64 }),
        ("datagrams-32-1", Self::Datagrams { size: 32, in_flight: 1 }),
        ("datagrams-1100-64", Self::Datagrams { size: 1_100, in_flight: 64 }),
        ("datagrams-1100-1", Self::Datagrams { size: 1_100, in_flight: 1 }),
        ("upload-1", Self::Upload { streams: 1 }),
        ("upload-16", Self::Upload { streams: 16 }),
        ("download-1", Self::Download { streams: 1 }),
        ("download-16", Self::Download { streams: 16 }),
        ("handshakes-1", Self::Handshakes { in_flight: 1 }),
        ("handshakes-64", Self::Handshakes { in_flight: 64 }),
        ("broadcast-32", Self::Broadcast { size: 32, sessions: 1_000 }),
        ("broadcast-1100", Self::Broadcast { size: 1_100, sessions: 1_000 }),
        ("idle-1000", Self::Idle { sessions: 1_000 }),
        ("idle-5000", Self::Idle { sessions: 5_000 }),
        ("work-4", Self::Work { in_flight: 4 }),
        ("sessions-200", Self::Sessions { sessions: 200 }),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, scenario)| *scenario)
    }
}

/// The server under load.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    pub pid: u32,
    /// How long the measured part lasts, about.
    pub time: Duration,
}

pub type Result<T> = std::result::Result<T, Failure>;

/// Why there is no figure.
#[derive(Debug)]
pub struct Failure(pub String);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(format!("the client's socket failed: {error}"))
    }
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Self(words)
    }
}

/// Runs one scenario.
pub fn run(scenario: Scenario, target: &Target) -> Result<Outcome> {
    match scenario {
        Scenario::Handshakes { in_flight } => handshakes::run(target, in_flight),
        Scenario::Upload { streams } => bulk::upload(target, streams),
        Scenario::Download { streams } => bulk::download(target, streams),
        Scenario::Streams { in_flight } => streams::run(target, "/echo", in_flight),
        Scenario::Work { in_flight } => streams::run(target, "/work", in_flight),
        Scenario::Datagrams { size, in_flight } => datagrams::echo(target, size, in_flight),
        Scenario::Broadcast { size, sessions } => datagrams::broadcast(target, size, sessions),
        Scenario::Idle { sessions } => idle::run(target, sessions),
        Scenario::Sessions { sessions } => idle::on_one_connection(target, sessions),
    }
}

/// A client with one session.
fn connected(target: &Target, path: &str) -> Result<(Client, Session)> {
    let mut client = Client::new(target.address, None)?;
    let sessions = open_sessions(&mut client, path, 1)?;
    Ok((client, sessions[0]))
}

/// Opens so many sessions, each on a connection of its own, a few at a time.
fn open_sessions(client: &mut Client, path: &str, count: usize) -> Result<Vec<Session>> {
    let mut sessions = Vec::with_capacity(count);
    let mut begun = 0;
    let mut patience = Patience::new();
    while sessions.len() < count {
        while begun < count && begun - sessions.len() < AT_A_TIME {
            client.connect(path)?;
            begun += 1;
        }
        client.turn(patience.deadline())?;
        while let Some((connection, what)) = client.pop() {
            match what {
                What::Accepted(id) => {
                    sessions.push(Session { connection, id });
                    patience.renew();
                }
                What::Lost(reason) => return Err(Failure(format!("a connection was lost: {reason}"))),
                What::Refused(_, words) => return Err(Failure(format!("a session was refused: {words}"))),
                _ => {}
            }
        }
        patience.check("a session")?;
    }
    Ok(sessions)
}

/// How long nothing may come.
struct Patience(Instant);

impl Patience {
    fn new() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    fn renew(&mut self) {
        *self = Self::new();
    }

    fn deadline(&self) -> Instant {
        self.0
    }

    fn check(&self, what: &str) -> Result<()> {
        if Instant::now() < self.0 {
            return Ok(());
        }
        Err(Failure(format!("waited {} seconds for {what}", PATIENCE.as_secs())))
    }
}

/// Handshakes at a time while sessions are opened that something else is measured on.
const AT_A_TIME: usize = 16;

const PATIENCE: Duration = Duration::from_secs(5);
