//! Limits that a raw client cannot try on one connection: those of the endpoint, and those of our own client.

use std::time::Duration;

use transom_core::{Config, Event, Request};
use transom_tests::raw::{Close, Options};
use transom_tests::siege::{Siege, Unmeasured};
use transom_tests::simulation::{LinkConfig, Pair};

use crate::accept;

fn first_contact(set: impl Fn(&mut Config)) -> Siege {
    let mut config = Config::default();
    set(&mut config);
    let mut siege = Siege::connecting(config, &Options::default(), accept, Unmeasured);
    siege.run_for(Duration::from_secs(1));
    siege
}

#[test]
fn max_connections_refuses_the_one_above_it() {
    assert!(first_contact(|config| config.max_connections = 1).intruder.is_connected());
    let refused = first_contact(|config| config.max_connections = 0);
    // CONNECTION_REFUSED.
    assert!(matches!(refused.intruder.seen().close, Some(Close::Transport { code: 2, .. })), "a refusal");
}

#[test]
fn max_handshakes_drops_the_one_above_it_unanswered() {
    assert!(first_contact(|config| config.max_handshakes = 1).intruder.is_connected());
    let mut dropped = first_contact(|config| config.max_handshakes = 0);
    assert!(!dropped.intruder.is_connected() && dropped.intruder.seen().close.is_none());
    assert_eq!(dropped.server.stats().udp_datagrams_sent, 0);
}

#[test]
fn retry_above_asks_the_one_above_it_for_its_address() {
    let round_trips = |set: fn(&mut Config)| {
        let mut config = Config::default();
        set(&mut config);
        let mut siege = Siege::connecting(config, &Options::default(), accept, Unmeasured);
        let start = siege.now;
        siege.run_until("the handshake", |siege| siege.intruder.is_connected());
        (siege.now - start).as_millis() / 10
    };
    assert_eq!(round_trips(|config| config.retry_above = 1), 1);
    assert_eq!(round_trips(|config| config.retry_above = 0), 2, "one more for the Retry");
}

#[test]
fn response_timeout_cancels_our_own_request() {
    let mut client = Config::default();
    client.response_timeout = Duration::from_millis(700);
    let mut pair = Pair::with(client, Config::default(), LinkConfig::good(), 1);
    pair.connect();
    let session = pair.client.connection().request_session(Request::new("localhost", "/")).unwrap();
    let over = |pair: &Pair| pair.client.events.iter().any(|event| matches!(event, Event::SessionEnded { .. }));
    pair.run_for(Duration::from_millis(690));
    assert!(!over(&pair));
    pair.run_for(Duration::from_millis(100));
    assert!(over(&pair), "{:?} in {:?}", session, pair.client.events);
}
