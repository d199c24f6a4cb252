//! A network in one direction: delay, rate, queue, loss, reordering, duplication, corruption, all from one seed.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use transom_core::Ecn;

use super::random::Random;

/// How a [`Link`] treats datagrams.
#[derive(Debug, Clone, Copy)]
pub struct LinkConfig {
    /// Time every datagram takes.
    pub delay: Duration,
    /// Up to this much more, at random: datagrams overtake each other.
    pub jitter: Duration,
    /// Datagrams lost, of a thousand.
    pub loss_per_mille: u32,
    /// Datagrams that begin a burst of loss, of a thousand.
    pub burst_per_mille: u32,
    /// Datagrams such a burst swallows.
    pub burst: u32,
    /// Datagrams that wait at the roadside while others pass, of a thousand.
    pub reorder_per_mille: u32,
    /// Datagrams that arrive twice, of a thousand.
    pub duplicate_per_mille: u32,
    /// Datagrams with one bit turned over, of a thousand.
    pub corrupt_per_mille: u32,
    /// Longer datagrams are lost.
    pub mtu: usize,
    /// Bytes a second; zero is as many as there are.
    pub rate: u64,
    /// Datagrams that wait for their turn when there is a rate; those that find the queue full are lost.
    pub queue: usize,
    /// What becomes of congestion marks.
    pub ecn: EcnPath,
    /// Nothing arrives at all.
    pub cut: bool,
}

/// What a path does to the congestion bits of the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcnPath {
    /// Leaves them alone.
    Keep,
    /// Clears them.
    Bleach,
    /// Marks one datagram in twenty that can be marked.
    Mark,
}

/// A datagram and what the IP header says of it.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Who sent it.
    pub source: SocketAddr,
    /// Where it is sent to.
    pub destination: SocketAddr,
    /// Its congestion bits.
    pub ecn: Option<Ecn>,
    /// Its payload.
    pub bytes: Vec<u8>,
}

impl LinkConfig {
    /// A good network: 5 ms, nothing lost.
    pub fn good() -> Self {
        Self {
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            loss_per_mille: 0,
            burst_per_mille: 0,
            burst: 0,
            reorder_per_mille: 0,
            duplicate_per_mille: 0,
            corrupt_per_mille: 0,
            mtu: 1_500,
            rate: 0,
            queue: 25,
            ecn: EcnPath::Keep,
            cut: false,
        }
    }

    /// A bad one: 30 ms and up to 20 more, one in twenty lost, some twice, some damaged.
    pub fn bad() -> Self {
        Self {
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(20),
            loss_per_mille: 50,
            duplicate_per_mille: 20,
            corrupt_per_mille: 10,
            ..Self::good()
        }
    }
}

/// Datagrams under way in one direction.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    random: Random,
    under_way: BTreeMap<(Instant, u64), Parcel>,
    /// When each datagram in the queue leaves it.
    departures: VecDeque<Instant>,
    /// Datagrams that the present burst of loss still swallows.
    doomed: u32,
    sent: u64,
}

impl Link {
    /// A link whose fortunes follow from `seed`.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self {
            config,
            random: Random::new(seed),
            under_way: BTreeMap::new(),
            departures: VecDeque::new(),
            doomed: 0,
            sent: 0,
        }
    }

    /// Changes the network's behaviour for datagrams sent from now on.
    pub fn set(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// How the network behaves now.
    pub fn config(&self) -> LinkConfig {
        self.config
    }

    /// Gives a datagram to the network.
    pub fn send(&mut self, now: Instant, parcel: Parcel) {
        for (arrival, parcel) in self.fate(now, parcel) {
            self.sent += 1;
            self.under_way.insert((arrival, self.sent), parcel);
        }
    }

    /// What becomes of a datagram: when it arrives, and how, none or several times.
    pub(super) fn fate(&mut self, now: Instant, parcel: Parcel) -> Vec<(Instant, Parcel)> {
        let mut arrivals = Vec::new();
        let copies = 1 + u32::from(self.random.one_in_thousand(self.config.duplicate_per_mille));
        for _ in 0..copies {
            if self.is_lost(&parcel) {
                continue;
            }
            let Some(departure) = self.departure(now, parcel.bytes.len()) else { continue };
            let mut parcel = parcel.clone();
            self.damage(&mut parcel);
            let jitter = Duration::from_micros(self.random.below(self.config.jitter.as_micros() as u64 + 1));
            let aside = if self.random.one_in_thousand(self.config.reorder_per_mille) {
                ROADSIDE + self.config.delay / 4
            } else {
                Duration::ZERO
            };
            arrivals.push((departure + self.config.delay + jitter + aside, parcel));
        }
        arrivals
    }

    /// Takes out one datagram that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Parcel> {
        let (key, _) = self.under_way.first_key_value().filter(|((arrival, _), _)| *arrival <= now)?;
        let key = *key;
        self.under_way.remove(&key)
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(arrival, _)| *arrival)
    }

    fn is_lost(&mut self, parcel: &Parcel) -> bool {
        if self.doomed > 0 {
            self.doomed -= 1;
            return true;
        }
        if self.random.one_in_thousand(self.config.burst_per_mille) {
            self.doomed = self.config.burst.saturating_sub(1);
            return true;
        }
        let lost = self.random.one_in_thousand(self.config.loss_per_mille);
        lost || self.config.cut || parcel.bytes.len() > self.config.mtu
    }

    /// When the last byte of a datagram leaves the queue; `None` when the queue is full.
    fn departure(&mut self, now: Instant, size: usize) -> Option<Instant> {
        while self.departures.front().is_some_and(|departure| *departure <= now) {
            self.departures.pop_front();
        }
        if self.config.rate == 0 {
            return Some(now);
        }
        if self.departures.len() >= self.config.queue {
            return None;
        }
        let free = self.departures.back().map_or(now, |last| now.max(*last));
        let departure = free + Duration::from_micros(size as u64 * 1_000_000 / self.config.rate);
        self.departures.push_back(departure);
        Some(departure)
    }

    fn damage(&mut self, parcel: &mut Parcel) {
        if self.random.one_in_thousand(self.config.corrupt_per_mille) {
            let first = if parcel.bytes.first().is_some_and(|first| *first >= 0x80) { LONG_HEADER } else { 1 };
            let at = first + self.random.below((parcel.bytes.len() as u64).saturating_sub(first as u64)) as usize;
            if let Some(byte) = parcel.bytes.get_mut(at) {
                *byte ^= 1 << self.random.below(8);
            }
        }
        match self.config.ecn {
            EcnPath::Bleach => parcel.ecn = None,
            EcnPath::Mark if parcel.ecn.is_some() && self.random.one_in_thousand(50) => parcel.ecn = Some(Ecn::Ce),
            EcnPath::Mark | EcnPath::Keep => {}
        }
    }
}

/// Damage begins behind this many bytes of a packet with a long header, and behind the first of the others. What a damaged
/// header means is decided by the connection ids and encrypted bytes behind it, which are not made from the seed: the same
/// seed would go different ways.
const LONG_HEADER: usize = 100;

/// How long a datagram waits that others are to overtake, a quarter of the delay on top.
const ROADSIDE: Duration = Duration::from_millis(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(size: usize) -> Parcel {
        let address = ([10, 0, 0, 1], 1).into();
        Parcel { source: address, destination: address, ecn: Some(Ecn::Ect0), bytes: vec![0; size] }
    }

    fn arrivals(config: LinkConfig, sizes: &[usize]) -> Vec<u64> {
        let mut link = Link::new(config, 1);
        let now = Instant::now();
        for size in sizes {
            link.send(now, parcel(*size));
        }
        let mut arrived = Vec::new();
        while let Some(at) = link.next_arrival() {
            arrived.push((at - now).as_millis() as u64);
            link.receive(at);
        }
        arrived
    }

    #[test]
    fn a_rate_spreads_datagrams_and_a_full_queue_drops_its_tail() {
        let config = LinkConfig { rate: 100_000, queue: 3, ..LinkConfig::good() };
        assert_eq!(arrivals(config, &[1_000; 5]), [15, 25, 35]);
    }

    #[test]
    fn a_burst_swallows_neighbours() {
        let config = LinkConfig { burst_per_mille: 100, burst: 3, ..LinkConfig::good() };
        let mut link = Link::new(config, 7);
        let lost: Vec<bool> = (0..2_000).map(|_| link.is_lost(&parcel(10))).collect();
        let runs: Vec<usize> = lost.split(|lost| !lost).map(<[bool]>::len).filter(|run| *run > 0).collect();
        assert!(runs.len() > 100 && runs.iter().all(|run| *run >= 3), "{runs:?}");
    }

    #[test]
    fn what_is_put_aside_is_overtaken() {
        let config = LinkConfig { reorder_per_mille: 1_000, ..LinkConfig::good() };
        assert_eq!(arrivals(config, &[10]), [9]);
    }

    #[test]
    fn nothing_passes_a_cut_or_a_smaller_mtu() {
        assert_eq!(arrivals(LinkConfig { cut: true, ..LinkConfig::good() }, &[10]), [0; 0]);
        assert_eq!(arrivals(LinkConfig { mtu: 1_200, ..LinkConfig::good() }, &[1_201, 1_200]).len(), 1);
    }

    #[test]
    fn marks_are_kept_or_bleached() {
        for (ecn, seen) in [(EcnPath::Keep, Some(Ecn::Ect0)), (EcnPath::Bleach, None)] {
            let mut link = Link::new(LinkConfig { ecn, ..LinkConfig::good() }, 1);
            let now = Instant::now();
            link.send(now, parcel(10));
            let arrived = link.receive(now + Duration::from_secs(1)).map(|parcel| parcel.ecn);
            assert_eq!(arrived, Some(seen));
        }
    }
}
