//! A network in memory: which sockets there are, and what becomes of the datagrams between them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use transom_core::rt::Runtime;

use super::link::{Link, LinkConfig, Parcel};
use super::machine::Machine;
use super::random::Random;

/// UDP in memory: delay, loss, reordering and the rest as a [`LinkConfig`] says and a seed decides.
///
/// Between any two addresses there is a link for each direction, also between those of one machine. All are
/// [good](LinkConfig::good) to begin with.
#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

/// What went over a [`Network`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkStats {
    /// Datagrams sent.
    pub sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Datagrams that a socket has got or will get, copies made on the way included.
    pub delivered: u64,
    /// Datagrams for an address where no socket was.
    pub undeliverable: u64,
}

struct State {
    random: Random,
    /// How links behave that nobody set apart.
    usual: LinkConfig,
    /// Those that somebody did.
    apart: BTreeMap<(IpAddr, IpAddr), LinkConfig>,
    links: BTreeMap<(IpAddr, IpAddr), Link>,
    sockets: BTreeMap<u64, Mailbox>,
    names: BTreeMap<String, Vec<IpAddr>>,
    last: u64,
    stats: NetworkStats,
}

/// A bound socket.
pub(super) struct Mailbox {
    bound: SocketAddr,
    machine: Arc<[IpAddr]>,
    arrivals: BTreeMap<(Instant, u64), Parcel>,
    waker: Option<Waker>,
}

impl Network {
    /// A good network whose fortunes follow from `seed`. `localhost` is a name on it, for both loopback addresses.
    pub fn new(seed: u64) -> Self {
        let localhost = vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
        let state = State {
            random: Random::new(seed),
            usual: LinkConfig::good(),
            apart: BTreeMap::new(),
            links: BTreeMap::new(),
            sockets: BTreeMap::new(),
            names: BTreeMap::from([(String::from("localhost"), localhost)]),
            last: 0,
            stats: NetworkStats::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Changes all links, for datagrams sent from now on; those [set apart](Self::set_path) before as well.
    pub fn set(&self, config: LinkConfig) {
        let mut state = self.lock();
        state.usual = config;
        state.apart.clear();
        state.links.values_mut().for_each(|link| link.set(config));
    }

    /// Changes what is sent from one address to another from now on; the way back is a link of its own.
    pub fn set_path(&self, from: impl Into<IpAddr>, to: impl Into<IpAddr>, config: LinkConfig) {
        let (path, mut state) = ((from.into(), to.into()), self.lock());
        state.apart.insert(path, config);
        if let Some(link) = state.links.get_mut(&path) {
            link.set(config);
        }
    }

    /// Gives an address a name, or another address to a name that has some.
    pub fn name(&self, name: impl Into<String>, address: impl Into<IpAddr>) {
        self.lock().names.entry(name.into()).or_default().push(address.into());
    }

    /// A machine with these addresses on this network, which computes and keeps time with `runtime`.
    ///
    /// It is a runtime itself: give it to [`ServerApp::runtime`](crate::ServerApp::runtime) or
    /// [`ClientBuilder::runtime`](crate::ClientBuilder::runtime). A server may be bound to any address; a socket bound to
    /// none in particular, as a client's is, sends from the first that fits.
    pub fn machine<I>(&self, runtime: Arc<dyn Runtime>, addresses: I) -> Arc<dyn Runtime>
    where
        I: IntoIterator,
        I::Item: Into<IpAddr>,
    {
        let addresses = addresses.into_iter().map(Into::into).collect();
        Arc::new(Machine::new(self.clone(), runtime, addresses))
    }

    /// What went over it until now.
    pub fn stats(&self) -> NetworkStats {
        self.lock().stats
    }

    /// Binds a socket, and says to what.
    pub(super) fn bind(&self, machine: &Arc<[IpAddr]>, address: SocketAddr) -> io::Result<(u64, SocketAddr)> {
        let state = &mut *self.lock();
        let taken = |address| state.sockets.values().any(|other| other.is_at(machine, address));
        let bound = match address.port() {
            0 => {
                (FIRST_FREE_PORT..=u16::MAX).map(|port| SocketAddr::new(address.ip(), port)).find(|free| !taken(*free))
            }
            _ => Some(address).filter(|address| !taken(*address)),
        };
        let bound = bound.ok_or(ErrorKind::AddrInUse)?;
        state.last += 1;
        let mailbox = Mailbox { bound, machine: Arc::clone(machine), arrivals: BTreeMap::new(), waker: None };
        state.sockets.insert(state.last, mailbox);
        Ok((state.last, bound))
    }

    /// Takes a socket away.
    pub(super) fn close(&self, socket: u64) {
        let removed = self.lock().sockets.remove(&socket);
        drop(removed);
    }

    /// Takes what has arrived for a socket; if nothing has, when the next datagram will, and remembers whom to wake if one
    /// comes before that.
    pub(super) fn take(&self, socket: u64, now: Instant, waker: &Waker) -> Result<Vec<Parcel>, Option<Instant>> {
        let state = &mut *self.lock();
        let Some(mailbox) = state.sockets.get_mut(&socket) else { return Err(None) };
        let later = mailbox.arrivals.split_off(&(now, u64::MAX));
        let arrived = std::mem::replace(&mut mailbox.arrivals, later);
        if arrived.is_empty() {
            mailbox.waker = Some(waker.clone());
            return Err(mailbox.next());
        }
        Ok(arrived.into_values().collect())
    }

    /// Sends a datagram.
    pub(super) fn send(&self, now: Instant, parcel: Parcel) {
        let waker = self.lock().send(now, parcel);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The addresses of a name.
    pub(super) fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let known = self.lock().names.get(name).cloned();
        known.ok_or_else(|| io::Error::new(ErrorKind::NotFound, format!("nothing on this network is called {name:?}")))
    }

    /// Numbers for whoever needs some.
    pub(super) fn number(&self) -> u64 {
        self.lock().random.number()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sends a datagram, and says who has to be woken for it.
    fn send(&mut self, now: Instant, parcel: Parcel) -> Option<Waker> {
        self.stats.sent += 1;
        self.stats.bytes_sent += parcel.bytes.len() as u64;
        let (to, path) = (parcel.destination, (parcel.source.ip(), parcel.destination.ip()));
        let Self { random, usual, apart, links, .. } = self;
        let link = links.entry(path).or_insert_with(|| {
            let config = apart.get(&path).copied().unwrap_or(*usual);
            Link::new(config, random.number())
        });
        let arrivals = link.fate(now, parcel);
        // What is bound to one address gets what is sent there; the others get the rest.
        let exact = self.sockets.values().position(|mailbox| mailbox.bound == to);
        let place = exact.or_else(|| self.sockets.values().position(|mailbox| mailbox.hears(to)));
        let Some(mailbox) = place.and_then(|place| self.sockets.values_mut().nth(place)) else {
            self.stats.undeliverable += 1;
            return None;
        };
        let before = mailbox.next();
        for (at, parcel) in arrivals {
            self.last += 1;
            self.stats.delivered += 1;
            mailbox.arrivals.insert((at, self.last), parcel);
        }
        if mailbox.next() == before { None } else { mailbox.waker.take() }
    }
}

impl Mailbox {
    /// When the next datagram arrives.
    fn next(&self) -> Option<Instant> {
        self.arrivals.keys().next().map(|(at, _)| *at)
    }

    /// Whether another socket cannot be bound to `address` on `machine` because of this one.
    fn is_at(&self, machine: &Arc<[IpAddr]>, address: SocketAddr) -> bool {
        let (ours, theirs) = (self.bound.ip(), address.ip());
        let any = ours.is_unspecified() || theirs.is_unspecified();
        let same = if any { Arc::ptr_eq(&self.machine, machine) } else { ours == theirs };
        self.bound.port() == address.port() && same
    }

    /// Whether it hears what is sent to `address` though it is bound to none in particular.
    fn hears(&self, address: SocketAddr) -> bool {
        let any = self.bound.ip();
        let family = any.is_ipv6() || address.is_ipv4();
        any.is_unspecified() && family && self.bound.port() == address.port() && self.machine.contains(&address.ip())
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Where the ports begin that are given to those who do not care (RFC 6335, section 6).
const FIRST_FREE_PORT: u16 = 49_152;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::super::World;
    use super::*;
    use transom_core::rt::UdpSocket;
    use transom_core::{Ecn, Receive, Transmit};

    fn bind(machine: &Arc<dyn Runtime>, address: &str) -> io::Result<Box<dyn UdpSocket>> {
        machine.simulation().unwrap().bind(address.parse().unwrap())
    }

    async fn send(from: &dyn UdpSocket, to: SocketAddr, bytes: &[u8]) {
        let transmit =
            Transmit { destination: to, source: None, ecn: Some(Ecn::Ect0), size: bytes.len(), segment_size: Some(3) };
        poll_fn(|context| from.sender().poll_send(context, &transmit, bytes)).await.unwrap();
    }

    async fn receive(socket: &mut dyn UdpSocket) -> Vec<Receive> {
        let mut received = Vec::new();
        poll_fn(|context| socket.poll_recv(context, &mut |datagram| received.push(datagram))).await.unwrap();
        received
    }

    #[test]
    fn datagrams_take_their_time_and_say_where_they_come_from() {
        let world = World::new(1);
        let there = world.machine([10, 0, 0, 9]);
        let (client, mut server) =
            (bind(&there, "0.0.0.0:0").unwrap(), bind(&world.runtime(), "10.0.0.1:443").unwrap());
        world.run(async {
            send(&*client, "10.0.0.1:443".parse().unwrap(), b"abcde").await;
            let received = receive(&mut *server).await;
            assert_eq!(world.elapsed(), LinkConfig::good().delay);
            let bytes: Vec<&[u8]> = received.iter().map(|datagram| &datagram.data[..]).collect();
            assert_eq!(bytes, [b"abc".as_slice(), b"de"]);
            let source = SocketAddr::new([10, 0, 0, 9].into(), client.local_addr().unwrap().port());
            assert_eq!((received[0].remote, received[0].ecn), (source, Some(Ecn::Ect0)));
            assert_eq!(received[0].local_ip, Some([10, 0, 0, 1].into()));
        });
        let stats = world.network().stats();
        assert_eq!((stats.sent, stats.delivered, stats.bytes_sent), (2, 2, 5));
    }

    #[test]
    fn a_socket_for_ipv6_hears_ipv4_as_well() {
        let world = World::new(1);
        let (client, mut server) =
            (bind(&world.runtime(), "0.0.0.0:0").unwrap(), bind(&world.runtime(), "[::]:443").unwrap());
        world.run(async {
            send(&*client, "127.0.0.1:443".parse().unwrap(), b"x").await;
            let remote = receive(&mut *server).await[0].remote;
            assert_eq!(remote.ip(), Ipv4Addr::LOCALHOST.to_ipv6_mapped());
            let mut client = client;
            send(&*server, remote, b"y").await;
            assert_eq!(receive(&mut *client).await[0].remote, "127.0.0.1:443".parse().unwrap());
        });
    }

    #[test]
    fn a_path_can_be_set_apart_in_one_direction() {
        let world = World::new(1);
        let (mut here, mut there) =
            (bind(&world.runtime(), "10.0.0.1:1").unwrap(), bind(&world.machine([10, 0, 0, 2]), "10.0.0.2:2").unwrap());
        let slow = LinkConfig { delay: Duration::from_secs(1), ..LinkConfig::good() };
        world.network().set_path([10, 0, 0, 1], [10, 0, 0, 2], slow);
        world.run(async {
            send(&*here, there.local_addr().unwrap(), b"x").await;
            receive(&mut *there).await;
            assert_eq!(world.elapsed(), slow.delay);
            send(&*there, here.local_addr().unwrap(), b"x").await;
            receive(&mut *here).await;
            assert_eq!(world.elapsed(), slow.delay + LinkConfig::good().delay);
            world.network().set(LinkConfig { cut: true, ..LinkConfig::good() });
            send(&*here, there.local_addr().unwrap(), b"x").await;
        });
        let stats = world.network().stats();
        assert_eq!((stats.sent, stats.delivered), (3, 2));
    }

    #[test]
    fn addresses_are_bound_once_and_free_again() {
        let world = World::new(1);
        let (here, there) = (world.runtime(), world.machine([10, 0, 0, 2]));
        let taken = bind(&here, "0.0.0.0:443").unwrap();
        for address in ["0.0.0.0:443", "[::]:443", "127.0.0.1:443"] {
            assert_eq!(bind(&here, address).unwrap_err().kind(), ErrorKind::AddrInUse, "{address}");
        }
        bind(&there, "0.0.0.0:443").unwrap();
        let first = bind(&here, "127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_ne!(first.port(), 0);
        drop(taken);
        bind(&here, "127.0.0.1:443").unwrap();
    }

    #[test]
    fn what_nobody_hears_is_counted() {
        let world = World::new(1);
        let client = bind(&world.runtime(), "0.0.0.0:0").unwrap();
        world.run(send(&*client, "10.0.0.1:443".parse().unwrap(), b"x"));
        assert_eq!(world.network().stats().undeliverable, 1);
    }

    #[test]
    fn names_lead_to_addresses() {
        let network = Network::new(1);
        network.name("chat.example", [10, 0, 0, 1]);
        network.name("chat.example", [10, 0, 0, 2]);
        assert_eq!(network.resolve("chat.example").unwrap(), [IpAddr::from([10, 0, 0, 1]), [10, 0, 0, 2].into()]);
        assert_eq!(network.resolve("10.0.0.3").unwrap(), [IpAddr::from([10, 0, 0, 3])]);
        assert_eq!(network.resolve("elsewhere.example").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
