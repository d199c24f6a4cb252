//! Random worlds from fresh seeds, and the seeds that once failed.

use std::time::{SystemTime, UNIX_EPOCH};

use transom_tests::simulation::World;

/// Worlds run at each `tests/run`.
const FRESH: u64 = 200;

#[test]
fn fresh_seeds_give_clean_worlds() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    let base = std::env::var("TRANSOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(clock);
    println!("base seed {base}: set TRANSOM_SEED={base} to run the same worlds again");
    for seed in base..base + FRESH {
        if let Err(reason) = World::run(seed) {
            panic!("seed {seed}: {reason}\nreplay: cargo run -p transom-tests --bin sim -- --seeds 1 --from {seed}");
        }
    }
}

#[test]
fn the_same_seed_goes_the_same_way() {
    for seed in [1, 77, 4_242] {
        assert_eq!(World::run(seed), World::run(seed));
    }
}
