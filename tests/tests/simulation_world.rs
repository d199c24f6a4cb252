//! The seeds of random worlds that once failed. Fresh ones are run by `tests/run` with the `sim` program.

use transom_tests::simulation::{World, judge};

/// Seeds that once failed, each with the reason behind a `#`.
const KEPT: &str = include_str!("../seeds/simulation.txt");

/// How to run one of these worlds again.
fn replay(seed: u64, reason: &str) -> String {
    format!(
        "seed {seed}: {reason}\n  replay: cargo run --release -p transom-tests --bin sim -- --seeds 1 --from {seed}\n"
    )
}

#[test]
fn kept_seeds_give_clean_worlds() {
    let seeds = KEPT.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut count = 0;
    for seed in seeds.filter(|seed| !seed.is_empty()) {
        let seed = seed.parse().unwrap_or_else(|_| panic!("{seed:?} is no seed"));
        count += 1;
        if let Err(reason) = judge(seed) {
            panic!("{}", replay(seed, &reason));
        }
    }
    assert!(count > 0, "the seeds were found");
}

#[test]
fn the_same_seed_goes_the_same_way() {
    for seed in [1, 77, 4_242] {
        assert_eq!(World::run(seed), World::run(seed));
    }
}
