//! The hosts of a world, their paths to the server, and what befalls these.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::simulation::presets::{Path, any_link};
use transom::testing::Random;
use transom::testing::{Link, LinkConfig, Parcel};

/// A client's place in the network.
#[derive(Debug)]
pub(super) struct Host {
    /// Its address as the server sees it.
    pub(super) address: SocketAddr,
    pub(super) up: Link,
    pub(super) down: Link,
    path: Path,
    /// Until when nothing arrives, upwards and downwards.
    dark: [Option<Instant>; 2],
}

/// All hosts but the server.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) hosts: Vec<Host>,
}

/// Where the server is.
pub(super) fn server_address() -> SocketAddr {
    ([10, 1, 0, 1], 443).into()
}

impl Network {
    /// A host with a path as the dice say.
    pub(super) fn join(&mut self, random: &mut Random) -> &mut Host {
        let path = Path::random(random);
        let address = ([10, 0, 0, self.hosts.len() as u8 + 1], 4_000).into();
        let (up, down) = (Link::new(path.up, random.number()), Link::new(path.down, random.number()));
        self.hosts.push(Host { address, up, down, path, dark: [None; 2] });
        self.hosts.last_mut().unwrap_or_else(|| unreachable!("just pushed"))
    }

    /// A datagram of the server. One to an address that a client no longer has is lost.
    pub(super) fn send_down(&mut self, now: Instant, parcel: Parcel) {
        let parcel = Parcel { source: server_address(), ..parcel };
        if let Some(host) = self.hosts.iter_mut().find(|host| host.address == parcel.destination) {
            host.down.send(now, parcel);
        }
    }

    /// A datagram of a client.
    pub(super) fn send_up(&mut self, now: Instant, index: usize, parcel: Parcel) {
        if let Some(host) = self.hosts.get_mut(index) {
            let source = host.address;
            host.up.send(now, Parcel { source, ..parcel });
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let of = |host: &Host| {
            host.up
                .next_arrival()
                .into_iter()
                .chain(host.down.next_arrival())
                .chain(host.dark[0])
                .chain(host.dark[1])
                .min()
        };
        self.hosts.iter().filter_map(of).min()
    }

    /// Every path becomes good.
    pub(super) fn heal(&mut self) {
        for host in &mut self.hosts {
            host.path = Path { up: LinkConfig::good(), down: LinkConfig::good() };
            host.dark = [None; 2];
            host.apply();
        }
    }
}

impl Host {
    /// Time has come to `now`: what was dark may be light again.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.dark.iter().any(|until| until.is_some_and(|until| until <= now)) {
            self.dark = self.dark.map(|until| until.filter(|until| *until > now));
            self.apply();
        }
    }

    /// Another port, as when a middlebox forgets a mapping.
    pub(super) fn rebind(&mut self) -> SocketAddr {
        self.address.set_port(self.address.port() + 1);
        self.address
    }

    /// Nothing arrives for a time, in one direction or both.
    pub(super) fn darken(&mut self, up: bool, down: bool, until: Instant) {
        let later = |old: Option<Instant>| Some(old.map_or(until, |old| old.max(until)));
        let [old_up, old_down] = self.dark;
        self.dark = [if up { later(old_up) } else { old_up }, if down { later(old_down) } else { old_down }];
        self.apply();
    }

    /// Another MTU, in both directions.
    pub(super) fn set_mtu(&mut self, mtu: usize) {
        (self.path.up.mtu, self.path.down.mtu) = (mtu, mtu);
        self.apply();
    }

    /// Another path altogether.
    pub(super) fn reroute(&mut self, random: &mut Random) {
        let delay = Duration::from_millis(1 + random.below(100));
        self.path = Path { up: any_link(random, delay), down: any_link(random, delay) };
        self.apply();
    }

    /// Whether nothing is lost, late or damaged but by mishap.
    pub(super) fn is_fair(&self) -> bool {
        [self.path.up, self.path.down].iter().all(|link| {
            let lost = link.loss_per_mille + link.burst_per_mille * link.burst + link.corrupt_per_mille;
            lost == 0 && link.rate == 0 && link.delay < Duration::from_millis(200)
        })
    }

    /// Whether so much is lost that a connection may hear nothing for its idle timeout.
    pub(super) fn is_awful(&self) -> bool {
        [self.path.up, self.path.down].iter().any(|link| {
            let lost = link.loss_per_mille + link.burst_per_mille * link.burst + link.corrupt_per_mille;
            lost > 90 || (link.rate > 0 && link.rate < 100_000)
        })
    }

    fn apply(&mut self) {
        self.up.set(LinkConfig { cut: self.dark[0].is_some(), ..self.path.up });
        self.down.set(LinkConfig { cut: self.dark[1].is_some(), ..self.path.down });
    }
}
