//! A network in one direction: delay, jitter, loss, reordering, duplication, corruption, all from one seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
    /// Datagrams that arrive twice, of a thousand.
    pub duplicate_per_mille: u32,
    /// Datagrams with one bit turned over, of a thousand.
    pub corrupt_per_mille: u32,
    /// Longer datagrams are lost.
    pub mtu: usize,
}

impl LinkConfig {
    /// A good network: 5 ms, nothing lost.
    pub fn good() -> Self {
        Self {
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            corrupt_per_mille: 0,
            mtu: 1_500,
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
            mtu: 1_500,
        }
    }
}

/// Datagrams under way in one direction.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    random: Random,
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: u64,
}

impl Link {
    /// A link whose fortunes follow from `seed`.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self { config, random: Random::new(seed), under_way: BTreeMap::new(), sent: 0 }
    }

    /// Changes the network's behaviour for datagrams sent from now on.
    pub fn set(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// Gives a datagram to the network.
    pub fn send(&mut self, now: Instant, mut datagram: Vec<u8>) {
        let copies = 1 + u32::from(self.random.one_in_thousand(self.config.duplicate_per_mille));
        for _ in 0..copies {
            if self.random.one_in_thousand(self.config.loss_per_mille) || datagram.len() > self.config.mtu {
                continue;
            }
            if self.random.one_in_thousand(self.config.corrupt_per_mille) {
                let at = self.random.below(datagram.len() as u64) as usize;
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            let jitter = self.random.below(self.config.jitter.as_micros() as u64 + 1);
            let arrival = now + self.config.delay + Duration::from_micros(jitter);
            self.sent += 1;
            self.under_way.insert((arrival, self.sent), datagram.clone());
        }
    }

    /// Takes out one datagram that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (key, _) = self.under_way.first_key_value().filter(|((arrival, _), _)| *arrival <= now)?;
        let key = *key;
        self.under_way.remove(&key)
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(arrival, _)| *arrival)
    }
}
