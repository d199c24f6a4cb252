//! What a rate limit keeps of a million addresses. One test, since the count is of the whole process.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::alloc::System;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use transom_core::Request;
use transom_core::middleware::{Arrival, Decision, Middleware, RateLimit};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What the documentation of `RateLimit` promises.
const BOUND: usize = 8 * 1024 * 1024;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn passes(limit: &RateLimit, address: IpAddr, now: Instant) -> bool {
    let request = Request::new("h", "/").with_remote_address(SocketAddr::new(address, 1));
    limit.decide(&Arrival::new(&request, None, now)) == Decision::Continue
}

/// Addresses in three orders, since a tree is emptiest where its keys come in an unfortunate one.
fn address(order: u32, number: u32) -> IpAddr {
    match order {
        0 => IpAddr::V4(Ipv4Addr::from(number)),
        1 => IpAddr::V4(Ipv4Addr::from(u32::MAX - number)),
        _ => {
            let network = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            IpAddr::V6(Ipv6Addr::from_bits(u128::from(network) << 64 | u128::from(number)))
        }
    }
}

#[test]
fn a_million_addresses_stay_below_the_bound() {
    let now = Instant::now();
    let busy = IpAddr::from([192, 0, 2, 1]);
    for order in 0..3 {
        let hour = Duration::from_secs(3600);
        for limit in [RateLimit::fixed_window(1, hour), RateLimit::per_ip(1, hour), RateLimit::token_bucket(1, hour)] {
            let before = live();
            let mut most = 0;
            assert!(passes(&limit, busy, now));
            for number in 1..1_000_000 {
                assert!(passes(&limit, address(order, number), now), "{number}");
                if number % 10_000 == 0 {
                    assert!(!passes(&limit, busy, now), "freed after {number}");
                    most = most.max(live() - before);
                }
            }
            assert!(most < BOUND, "{most} bytes of {limit_addresses} addresses", limit_addresses = limit.addresses());
            println!("order {order}: at most {most} bytes of {} addresses", limit.addresses());
            drop(limit);
            assert!(live() <= before + 1024, "{} bytes are left", live() - before);
        }
    }
}
