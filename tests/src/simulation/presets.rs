//! Networks by name and by dice.

use std::time::Duration;

use transom::testing::Random;
use transom::testing::{EcnPath, LinkConfig};

/// A network as a world draws it: what it does in both directions, and what it excuses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) up: LinkConfig,
    pub(super) down: LinkConfig,
}

/// The networks of the QUIC interop runner, one way each: 15 ms, 10 Mbit/s and a queue of 25 unless it says otherwise.
pub(super) fn interop(name: &str) -> Option<LinkConfig> {
    let base = LinkConfig { delay: Duration::from_millis(15), rate: 10_000_000 / 8, queue: 25, ..LinkConfig::good() };
    Some(match name {
        "simple" => base,
        "droplist" => LinkConfig { burst_per_mille: 20, burst: 3, ..base },
        // Losses during many short handshakes: 30 % in bursts of three.
        "handshakeloss" => LinkConfig { loss_per_mille: 60, burst_per_mille: 80, burst: 3, ..base },
        "handshakecorruption" => LinkConfig { corrupt_per_mille: 300, ..base },
        "transferloss" => LinkConfig { loss_per_mille: 20, ..base },
        "transfercorruption" => LinkConfig { corrupt_per_mille: 20, ..base },
        "longrtt" => LinkConfig { delay: Duration::from_millis(750), ..base },
        "goodput" => LinkConfig { queue: 100, ..base },
        "ecn" => LinkConfig { ecn: EcnPath::Mark, ..base },
        _ => return None,
    })
}

/// The names that [`interop`] knows.
pub(super) const INTEROP: [&str; 9] = [
    "simple",
    "droplist",
    "handshakeloss",
    "handshakecorruption",
    "transferloss",
    "transfercorruption",
    "longrtt",
    "goodput",
    "ecn",
];

impl Path {
    /// One of the named networks, a quiet one, or any.
    pub(super) fn random(random: &mut Random) -> Self {
        match random.below(10) {
            0..=1 => {
                let name = random.pick(&INTEROP).copied().unwrap_or("simple");
                let link = interop(name).unwrap_or(LinkConfig::good());
                Self { up: link, down: link }
            }
            2 => {
                let delay = Duration::from_millis(1 + random.below(50));
                let link = LinkConfig { delay, ..LinkConfig::good() };
                Self { up: link, down: link }
            }
            _ => {
                let delay = Duration::from_millis(1 + random.below(80));
                Self { up: any_link(random, delay), down: any_link(random, delay) }
            }
        }
    }
}

/// A link of any kind.
pub(super) fn any_link(random: &mut Random, delay: Duration) -> LinkConfig {
    let rarely = |random: &mut Random, value: u64| if random.below(4) == 0 { value } else { 0 };
    let ecn = [EcnPath::Keep, EcnPath::Bleach, EcnPath::Mark];
    let mut link = LinkConfig {
        delay,
        jitter: Duration::from_millis(random.below(30)),
        loss_per_mille: random.below(4) as u32 * random.below(40) as u32,
        duplicate_per_mille: random.below(30) as u32,
        corrupt_per_mille: random.below(20) as u32,
        mtu: 1_200 + random.below(400) as usize,
        ..LinkConfig::good()
    };
    link.ecn = random.pick(&ecn).copied().unwrap_or(EcnPath::Keep);
    link.burst_per_mille = rarely(random, 10) as u32;
    link.burst = 2 + random.below(5) as u32;
    let reorder = random.below(200);
    link.reorder_per_mille = rarely(random, reorder) as u32;
    // 0.1 Mbit/s to 100 Mbit/s.
    let rate = 12_500 << random.below(11);
    link.rate = rarely(random, rate);
    link.queue = 10 + random.below(60) as usize;
    if random.below(25) == 0 {
        link.delay = Duration::from_millis(200 + random.below(1_000));
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_network() {
        assert!(INTEROP.iter().all(|name| interop(name).is_some()));
        assert!(interop("nowhere").is_none());
    }
}
