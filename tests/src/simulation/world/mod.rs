//! Several clients, some of them misbehaving, and one server, with random scripts over bad networks, judged by a ledger
//! and a model.
//!
//! [`Node`](node::Node) is a core with its applications, [`App`](app::App) one side of one connection, stepped together
//! with the [`Model`](model::Model) of what it may be shown. [`facts`] compares both sides. [`script`] is what happens.

mod app;
mod client;
mod end;
mod facts;
mod mischief;
mod model;
mod network;
mod node;
mod offender;
mod report;
mod script;
mod shared;

use std::time::{Duration, Instant};

use transom_core::{Connection, Endpoint};

use super::tls;
use app::App;
use client::{Client, Peer};
use model::Verdict;
use network::Network;
use node::{Node, Owners};
pub use report::{Counts, Report};
use shared::Shared;
use transom::testing::Random;

/// One simulated world: one server, several clients, all from one seed.
#[derive(Debug)]
pub struct World {
    shared: Shared,
    server: Node,
    clients: Vec<Client>,
    network: Network,
    owners: Owners,
}

/// Clients there are at most.
const MAX_CLIENTS: u64 = 6;

/// Time after which a script that does not come to its end is called stuck.
const SCRIPT_LIMIT: Duration = Duration::from_secs(600);

impl World {
    /// Runs the world of a seed to its end.
    ///
    /// # Errors
    ///
    /// What went wrong, in a sentence.
    pub fn run(seed: u64) -> Result<Report, String> {
        let mut world = Self::new(seed)?;
        let end = world.shared.now + SCRIPT_LIMIT;
        while world.clients.iter().any(|client| client.next_act.is_some()) {
            if !world.step(end)? {
                return Err("the script does not come to its end".into());
            }
        }
        world.heal()?;
        world.probe()?;
        world.leave()?;
        let mut counts = world.shared.counts;
        counts.streams = world.shared.ledger.streams() as u64;
        counts.sessions = world.shared.ledger.sessions() as u64;
        counts.bytes = world.shared.ledger.delivered();
        Ok(Report { trace: world.shared.trace(), counts })
    }

    fn new(seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let (tls, _) = tls::configs();
        let config = client::config(&mut random, false);
        let hasty = config.request_timeout <= client::HASTE;
        let endpoint = Endpoint::server(config, tls).map_err(|error| error.to_string())?;
        let server = Node::new(endpoint, 1 + random.below(10) as usize);
        let mut shared = Shared::new(random);
        shared.ledger.hasty = hasty;
        let (mut network, mut owners, mut clients) = (Network::default(), Owners::new(), Vec::new());
        for index in 0..=shared.random.below(MAX_CLIENTS - 1) as usize {
            let client = Client::new(&mut shared.random, shared.now);
            let host = network.join(&mut shared.random);
            owners.insert(host.address, (index, matches!(client.peer, Peer::Unborn { offends: false })));
            clients.push(client);
        }
        let mut world = Self { shared, server, clients, network, owners };
        (0..world.clients.len()).for_each(|index| world.excuse(index));
        Ok(world)
    }

    /// Notes what the network of a client excuses.
    fn excuse(&mut self, index: usize) {
        let Some(host) = self.network.hosts.get(index) else { return };
        let ends = self.shared.ends(index);
        ends.may_fail_to_connect |= !host.is_fair();
        ends.may_be_silent |= host.is_awful();
    }

    /// Moves time to the next thing that happens before `end` and lets it happen; false when there is none.
    fn step(&mut self, end: Instant) -> Result<bool, String> {
        let acts = self.clients.iter().filter_map(|client| client.next_act).min();
        let clients = self.clients.iter_mut().filter_map(|client| client.peer.next()).min();
        let next = [acts, clients, self.network.next(), self.server.next()].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.shared.now = end;
            return Ok(false);
        };
        self.shared.now = self.shared.now.max(next);
        let now = self.shared.now;
        self.deliver(now)?;
        for index in 0..self.clients.len() {
            if self.clients[index].next_act.is_some_and(|at| at <= now) {
                self.act(index)?;
                self.clients[index].pause(&mut self.shared);
                self.turn_client(index)?;
                self.turn_server()?;
            }
        }
        Ok(true)
    }

    /// Hands over what has arrived, lets deadlines pass, and lets whoever is concerned act.
    fn deliver(&mut self, now: Instant) -> Verdict {
        let mut touched = self.server.next().is_some_and(|at| at <= now);
        for host in &mut self.network.hosts {
            host.tick(now);
            while let Some(parcel) = host.up.receive(now) {
                self.server.receive(now, parcel);
                touched = true;
            }
        }
        if touched {
            self.server.tick(&mut self.shared, &self.owners)?;
            self.turn_server()?;
            self.server.check_rest(now)?;
        }
        for index in 0..self.clients.len() {
            let peer = &mut self.clients[index].peer;
            let mut touched = peer.next().is_some_and(|at| at <= now);
            if let Some(host) = self.network.hosts.get_mut(index) {
                while let Some(parcel) = host.down.receive(now) {
                    // What was sent to an address it no longer has does not find it.
                    if parcel.destination == host.address {
                        peer.receive(now, parcel);
                        touched = true;
                    }
                }
            }
            if touched {
                peer.tick(&mut self.shared)?;
                self.turn_client(index)?;
                self.clients[index].peer.check_rest(now)?;
            }
        }
        Ok(())
    }

    fn turn_server(&mut self) -> Verdict {
        let (network, now) = (&mut self.network, self.shared.now);
        self.server.turn(&mut self.shared, &self.owners, &mut |parcel| network.send_down(now, parcel))
    }

    fn turn_client(&mut self, index: usize) -> Verdict {
        let (network, now) = (&mut self.network, self.shared.now);
        let mut send = |parcel| network.send_up(now, index, parcel);
        match &mut self.clients[index].peer {
            Peer::Unborn { .. } => Ok(()),
            Peer::Core(node) => node.turn(&mut self.shared, &Owners::new(), &mut send),
            Peer::Raw(offender) => offender.turn(&mut self.shared, &mut send),
        }
    }

    /// Gives a command to one side of a client's connection, if that side is there.
    fn command(
        &mut self,
        index: usize,
        down: bool,
        command: impl FnOnce(&mut App, &mut Connection, &mut Shared) -> Verdict,
    ) -> Verdict {
        if !down {
            let Peer::Core(node) = &mut self.clients[index].peer else { return Ok(()) };
            let Some(id) = node.apps.keys().next().copied() else { return Ok(()) };
            return node.command(&mut self.shared, &Owners::new(), id, command);
        }
        let Some(id) = self.server.apps.values().find(|app| app.number == index).map(|app| app.id) else {
            return Ok(());
        };
        self.server.command(&mut self.shared, &self.owners, id, command)
    }

    /// Gives a command to both sides of every connection.
    fn everybody(&mut self, mut command: impl FnMut(&mut App, &mut Connection, &mut Shared) -> Verdict) -> Verdict {
        for index in 0..self.clients.len() {
            for down in [false, true] {
                self.command(index, down, &mut command)?;
                self.turn_server()?;
                self.turn_client(index)?;
            }
        }
        Ok(())
    }
}

impl Peer {
    fn next(&mut self) -> Option<Instant> {
        match self {
            Self::Unborn { .. } => None,
            Self::Core(node) => node.next(),
            Self::Raw(offender) => offender.next(),
        }
    }

    fn receive(&mut self, now: Instant, parcel: transom::testing::Parcel) {
        match self {
            Self::Unborn { .. } => {}
            Self::Core(node) => node.receive(now, parcel),
            Self::Raw(offender) => offender.receive(now, parcel),
        }
    }

    fn tick(&mut self, shared: &mut Shared) -> Verdict {
        match self {
            Self::Unborn { .. } => Ok(()),
            Self::Core(node) => node.tick(shared, &Owners::new()),
            Self::Raw(offender) => {
                offender.tick(shared.now);
                Ok(())
            }
        }
    }

    fn check_rest(&mut self, now: Instant) -> Verdict {
        match self {
            Self::Core(node) => node.check_rest(now),
            Self::Unborn { .. } | Self::Raw(_) => Ok(()),
        }
    }
}
