//! Random worlds from fresh seeds, and the seeds that once failed.

use std::time::{SystemTime, UNIX_EPOCH};

use transom_tests::simulation::{World, judge, judge_all};

/// Worlds run at each `tests/run`; two of them run twice, see [`judge`].
const FRESH: u64 = 200;

/// Seeds that once failed, each with the reason behind a `#`.
const KEPT: &str = include_str!("../seeds/simulation.txt");

/// How to run one of these worlds again.
fn replay(seed: u64, reason: &str) -> String {
    format!(
        "seed {seed}: {reason}\n  replay: cargo run --release -p transom-tests --bin sim -- --seeds 1 --from {seed}\n"
    )
}

#[test]
fn fresh_seeds_give_clean_worlds() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    let base = std::env::var("TRANSOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(clock);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failed = String::new();
    judge_all(base, FRESH, jobs, |seed, result| {
        if let Err(reason) = result {
            failed.push_str(&replay(seed, &reason));
        }
    });
    assert!(failed.is_empty(), "base seed {base}: TRANSOM_SEED={base} runs the same worlds again\n{failed}");
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
