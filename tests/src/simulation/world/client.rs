//! The clients of a world.

use std::time::{Duration, Instant};

use transom_core::{Config, Endpoint};

use super::World;
use super::model::Verdict;
use super::network::server_address;
use super::node::Node;
use super::offender::Offender;
use super::shared::Shared;
use crate::simulation::tls;
use transom::testing::Random;

/// A client: who it is and when it does something next.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: Peer,
    pub(super) next_act: Option<Instant>,
    left: u32,
}

#[derive(Debug)]
pub(super) enum Peer {
    Unborn { offends: bool },
    Core(Box<Node>),
    Raw(Box<Offender>),
}

/// Things a client's script does.
const STEPS: u32 = 100;

impl Client {
    pub(super) fn new(random: &mut Random, now: Instant) -> Self {
        let offends = random.below(5) == 0;
        let next_act = Some(now + Duration::from_millis(random.below(2_000)));
        Self { peer: Peer::Unborn { offends }, next_act, left: STEPS }
    }

    /// The script goes on after a pause, or is over.
    pub(super) fn pause(&mut self, shared: &mut Shared) {
        self.left = self.left.saturating_sub(1);
        let most = if shared.random.below(50) == 0 { 5_000 } else { 60 };
        let pause = Duration::from_millis(shared.random.below(most));
        self.next_act = (self.left > 0).then(|| shared.now + pause);
    }
}

impl World {
    /// A client's first act.
    pub(super) fn connect(&mut self, index: usize) -> Verdict {
        let Peer::Unborn { offends } = self.clients[index].peer else { return Ok(()) };
        if offends {
            self.shared.counts.offenders += 1;
            self.clients[index].peer =
                Peer::Raw(Box::new(Offender::connect(&mut self.shared, index, server_address())?));
            return Ok(());
        }
        self.shared.counts.clients += 1;
        let config = config(&mut self.shared.random, true);
        let segments = 1 + self.shared.random.below(10) as usize;
        let words = |error: &dyn std::fmt::Display| format!("a client cannot connect: {error}");
        let mut endpoint = Endpoint::client(config).map_err(|error| words(&error))?;
        let (_, tls) = tls::configs();
        let id =
            endpoint.connect(self.shared.now, server_address(), "localhost", tls).map_err(|error| words(&error))?;
        self.clients[index].peer = Peer::Core(Box::new(Node::new(endpoint, segments)));
        if let Peer::Core(node) = &mut self.clients[index].peer {
            node.add(id, index);
        }
        Ok(())
    }
}

/// A server's patience with headers when it has little.
pub(super) const HASTE: Duration = Duration::from_secs(3);

/// Limits small enough to be met, patience long enough for a fair network.
pub(super) fn config(random: &mut Random, client: bool) -> Config {
    let mut config = Config::default();
    config.stream_window = 1 << (10 + random.below(9));
    config.connection_window = 1 << (14 + random.below(8));
    config.connection_window_before_session = 16 * 1024;
    config.send_window = 1 << (12 + random.below(8));
    config.max_bidi_streams = 30 + random.below(60) as u32;
    config.max_uni_streams = 8 + random.below(60) as u32;
    config.max_sessions = 1 + random.below(16) as usize;
    config.session_window = 1 << (10 + random.below(8));
    config.session_bidi_streams = 1 + random.below(40) as u32;
    config.session_uni_streams = 1 + random.below(40) as u32;
    config.datagram_send_buffer = 1 << (11 + random.below(6));
    config.datagram_queue = 1 + random.below(64) as usize;
    config.idle_timeout = Duration::from_secs(30);
    // A header may be cut where a window ends, and wait for as long as the application on the other side does not read.
    config.request_timeout = Duration::from_secs(60);
    if client {
        config.keep_alive_interval = Duration::from_secs(3 + random.below(5));
    } else {
        config.accept_timeout = Duration::from_secs(2 + random.below(20));
        config.retry_above = if random.below(4) == 0 { 0 } else { 256 };
        if random.below(4) == 0 {
            config.request_timeout = HASTE;
        }
    }
    config.max_mtu = [0, 1_300, 1_452, 9_000].get(random.below(4) as usize).copied().unwrap_or(1_452);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&random.number().to_be_bytes());
    config.random_seed = Some(seed);
    config
}
