use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use super::{Target, left_over};
use crate::demo::Demo;
use crate::peers::{Implementation, PeerProcess};

/// Whose server is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `transom demo`, started here.
    Transom,
    /// One of the other implementations, started here.
    Peer(Implementation),
    /// Somebody's server that runs already, with its process id if it is known.
    Running(SocketAddr, Option<u32>),
}

impl Kind {
    /// Whether the cases that only our own server can pass count.
    pub fn is_ours(self) -> bool {
        self == Self::Transom
    }

    /// What it is called in tables, with the version where we know it.
    pub fn title(self) -> String {
        match self {
            Self::Transom => format!("Transom {}", env!("CARGO_PKG_VERSION")),
            Self::Peer(implementation) => implementation.title().to_owned(),
            Self::Running(address, _) => address.to_string(),
        }
    }

    /// The drafts of WebTransport over HTTP/3 that it speaks, as far as we know.
    pub fn drafts(self) -> &'static str {
        match self {
            Self::Transom => "02–16",
            Self::Peer(implementation) => implementation.drafts(),
            Self::Running(..) => "unknown",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "transom" {
            return Ok(Self::Transom);
        }
        if let Ok(address) = name.parse() {
            return Ok(Self::Running(address, None));
        }
        let peer =
            name.parse().map_err(|error| format!("{error}; also transom, or the address of a running server"))?;
        Ok(Self::Peer(peer))
    }
}

/// A server under attack; what was started here ends when this is dropped.
#[derive(Debug)]
pub enum Server {
    /// `transom demo`.
    Transom(Demo),
    /// Another implementation.
    Peer(PeerProcess),
    /// One that runs by itself.
    Running(SocketAddr, Option<u32>),
}

impl Server {
    /// Starts it, unless it runs by itself.
    ///
    /// # Errors
    /// It did not start.
    pub fn start(kind: Kind) -> io::Result<Self> {
        Ok(match kind {
            Kind::Transom => Self::Transom(Demo::start()?),
            Kind::Peer(implementation) => Self::Peer(PeerProcess::start(implementation)?),
            Kind::Running(address, pid) => Self::Running(address, pid),
        })
    }

    /// What to attack.
    pub fn target(&self) -> Target {
        match self {
            Self::Transom(demo) => Target::new(demo.address(), Some(demo.web().to_owned())),
            Self::Peer(peer) => Target::new(peer.address(), None),
            Self::Running(address, _) => Target::new(*address, None),
        }
    }

    /// Its process, as far as it is known.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Transom(demo) => Some(demo.pid()),
            Self::Peer(peer) => Some(peer.pid()),
            Self::Running(_, pid) => *pid,
        }
    }

    /// Whether its process is there; true for a server that was not started here.
    pub fn is_running(&mut self) -> bool {
        match self {
            Self::Transom(demo) => demo.is_running(),
            Self::Peer(peer) => peer.is_running(),
            Self::Running(..) => true,
        }
    }

    /// Panics it has written of so far.
    pub fn panics(&self) -> usize {
        match self {
            Self::Peer(peer) => peer.panics(),
            // Ours is asked when it has ended.
            Self::Transom(_) | Self::Running(..) => 0,
        }
    }

    /// Ends our own server in good order and says what is to be said of that: (what, whether it is right, what was seen).
    pub fn finish(self) -> Vec<(&'static str, bool, String)> {
        let Self::Transom(demo) = self else { return Vec::new() };
        let target = Target::new(demo.address(), None);
        let left = left_over::wait_until_alone(&target);
        let seen = left.as_ref().map_or_else(Clone::clone, |()| "true".to_owned());
        let mut said = vec![("counts nobody once the attackers have left", left.is_ok(), seen)];
        let (ok, seen) = match demo.stop() {
            Ok(stopped) => {
                let clean = stopped.status.success() && stopped.output.is_empty();
                let panics = stopped.complaints.matches("panicked at").count();
                (clean && panics == 0, format!("{}, {panics} panics {}", stopped.status, stopped.output))
            }
            Err(error) => (false, error.to_string()),
        };
        said.push(("SIGTERM ends it with status 0, no panic, no stray output", ok, seen));
        said
    }
}
