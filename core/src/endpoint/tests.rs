//! Whom an endpoint lets in, and what it says of configurations that cannot work.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::ConnectError;
use crate::fuzzing::{INTEGRITY_LIMIT, Plain, start};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 443);
const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 4433);

fn server(config: Config) -> Endpoint {
    Endpoint::server_with(config, Arc::new(Plain)).expect("a good configuration")
}

fn client(connections: usize) -> Endpoint {
    let mut client = Endpoint::client(Config::default()).expect("a good configuration");
    for _ in 0..connections {
        client.connect_with(start(), SERVER, Arc::new(Plain)).expect("room for a connection");
    }
    client
}

/// Sends everything that leaves `from` to `to`; returns the number of datagrams.
fn send(from: &mut Endpoint, to: &mut Endpoint, source: SocketAddr) -> usize {
    let mut buffer = Vec::new();
    let mut count = 0;
    while let Some(transmit) = from.poll_transmit(start(), 1, &mut buffer) {
        let data = BytesMut::from(&buffer[..transmit.size]);
        to.handle_receive(start(), Receive { remote: source, local_ip: None, ecn: None, data });
        buffer.clear();
        count += 1;
    }
    count
}

/// Lets the two talk until neither has anything to say, and returns the events of both.
fn talk(client: &mut Endpoint, server: &mut Endpoint) -> (Vec<Event>, Vec<Event>) {
    while send(client, server, CLIENT) + send(server, client, SERVER) > 0 {}
    let events =
        |endpoint: &mut Endpoint| std::iter::from_fn(|| endpoint.poll_event()).map(|(_, event)| event).collect();
    (events(client), events(server))
}

fn connected(events: &[Event]) -> usize {
    events.iter().filter(|event| **event == Event::Connected).count()
}

fn refused(events: &[Event]) -> usize {
    // CONNECTION_REFUSED (RFC 9000, section 20.1).
    let is = |event: &&Event| {
        matches!(event, Event::ConnectionLost { error: crate::ConnectionError::Transport { code: 2, .. } })
    };
    events.iter().filter(is).count()
}

#[test]
fn connections_over_the_limit_are_refused() {
    let mut server = server(Config { max_connections: 2, ..Config::default() });
    let mut client = client(3);
    let (ours, theirs) = talk(&mut client, &mut server);
    assert_eq!((connected(&ours), refused(&ours), connected(&theirs)), (2, 1, 2));
    let stats = server.stats();
    assert_eq!((stats.connections_open, stats.connections_accepted, stats.connections_refused), (2, 2, 1));
}

#[test]
fn handshakes_over_the_limit_get_no_answer() {
    let mut server = server(Config { max_handshakes: 1, ..Config::default() });
    let mut client = client(2);
    // Both begin before either is done.
    assert_eq!(send(&mut client, &mut server, CLIENT), 2);
    let (ours, _) = talk(&mut client, &mut server);
    assert_eq!((connected(&ours), refused(&ours), server.stats().connections_refused), (1, 0, 1));
}

#[test]
fn many_handshakes_make_new_clients_prove_their_address() {
    let mut server = server(Config { retry_above: 0, ..Config::default() });
    let mut client = client(1);
    assert_eq!(send(&mut client, &mut server, CLIENT), 1);
    assert_eq!(server.poll_timeout(), Some(start()), "an answer waits");
    assert_eq!((server.stats().connections_accepted, server.answers.len()), (0, 1), "a Retry, and no connection yet");
    let (ours, theirs) = talk(&mut client, &mut server);
    assert_eq!((connected(&ours), connected(&theirs), server.stats().connections_accepted), (1, 1, 1));
}

#[test]
fn answers_without_a_connection_are_few() {
    let mut server = server(Config { retry_above: 0, ..Config::default() });
    let mut client = client(STATELESS_ANSWERS + 10);
    send(&mut client, &mut server, CLIENT);
    assert_eq!(server.answers.len(), STATELESS_ANSWERS);
}

#[test]
fn an_endpoint_that_drains_takes_and_makes_no_connections() {
    let mut server = server(Config::default());
    server.drain(start());
    let mut client = client(1);
    let (ours, theirs) = talk(&mut client, &mut server);
    assert_eq!((refused(&ours), theirs.len()), (1, 0));
    assert_eq!(server.connect_with(start(), CLIENT, Arc::new(Plain)), Err(ConnectError::Closing));
    assert!(server.is_drained());
    assert_eq!(format!("{server:?}"), "Endpoint { connections: 0, closing: true, .. }");
}

#[test]
fn a_close_reaches_the_peer_and_is_forgotten_in_time() {
    let (mut server, mut client) = (server(Config::default()), client(1));
    talk(&mut client, &mut server);
    client.close(start(), ErrorCode::H3_NO_ERROR, "done");
    let (ours, theirs) = talk(&mut client, &mut server);
    let closed = crate::ConnectionError::ClosedByPeer { code: ErrorCode::H3_NO_ERROR, reason: "done".into() };
    assert_eq!(theirs, [Event::ConnectionLost { error: closed }]);
    assert_eq!(ours.len(), 1);
    for endpoint in [&mut client, &mut server] {
        assert!(!endpoint.is_drained(), "packets may still come");
        endpoint.handle_timeout(start() + Duration::from_secs(60));
        while endpoint.poll_transmit(start(), 1, &mut Vec::new()).is_some() {}
        assert!(endpoint.poll_event().is_none() && endpoint.is_drained());
    }
}

#[test]
fn a_client_keeps_to_its_own_limit() {
    let mut client = Endpoint::client(Config { max_connections: 1, ..Config::default() }).expect("a client");
    let id = client.connect_with(start(), SERVER, Arc::new(Plain)).expect("room for one");
    assert_eq!(client.connect_with(start(), SERVER, Arc::new(Plain)), Err(ConnectError::TooMany));
    let connection = client.connection(id).expect("it is under way");
    assert_eq!((connection.remote_address(), connection.error(), connection.dialect()), (SERVER, None, None));
    assert_eq!(connection.stats().packets_lost, 0);
    assert!(format!("{connection:?}").contains("10.0.0.2:443"));
}

/// Lets time pass for an endpoint that nobody hears.
fn forget(endpoint: &mut Endpoint, now: Instant) {
    endpoint.handle_timeout(now);
    while endpoint.poll_transmit(now, 1, &mut Vec::new()).is_some() {}
}

#[test]
fn the_place_of_a_connection_is_used_again_and_its_id_is_not() {
    let mut client = client(0);
    let first = client.connect_with(start(), SERVER, Arc::new(Plain)).expect("room for a connection");
    client.connection(first).expect("it is under way").close(ErrorCode::H3_NO_ERROR, "");
    forget(&mut client, start());
    while client.poll_event().is_some() {}
    forget(&mut client, start() + Duration::from_secs(60));
    while client.poll_event().is_some() {}
    assert!(client.is_drained());
    let second = client.connect_with(start(), SERVER, Arc::new(Plain)).expect("room for a connection");
    assert_eq!((first.index, second.index), (0, 0));
    assert!(client.connection(first).is_none() && client.connection(second).is_some());
}

#[test]
fn a_connection_that_is_forgotten_late_does_not_take_a_newer_one_with_it() {
    let (mut server, mut old) = (server(Config::default()), client(1));
    while send(&mut old, &mut server, CLIENT) + send(&mut server, &mut old, SERVER) > 0 {}
    old.close(start(), ErrorCode::H3_NO_ERROR, "");
    while send(&mut old, &mut server, CLIENT) + send(&mut server, &mut old, SERVER) > 0 {}
    // QUIC has forgotten it and gives its handle to the next one, while nobody has taken its events.
    forget(&mut server, start() + Duration::from_secs(60));
    let mut new = client(1);
    send(&mut new, &mut server, CLIENT);
    assert_eq!(server.stats().connections_open, 2);
    while server.poll_event().is_some() {}
    assert_eq!(server.stats().connections_open, 1);
    let (ours, theirs) = talk(&mut new, &mut server);
    assert_eq!((connected(&ours), connected(&theirs)), (1, 1));
}

#[test]
fn a_handshake_that_is_over_leaves_room_for_the_next() {
    let mut server = server(Config { max_handshakes: 1, ..Config::default() });
    for _ in 0..2 {
        let (ours, theirs) = talk(&mut client(1), &mut server);
        assert_eq!((connected(&ours), connected(&theirs)), (1, 1));
    }
    // One that never comes to its end.
    send(&mut client(1), &mut server, CLIENT);
    forget(&mut server, start());
    assert_eq!(connected(&talk(&mut client(1), &mut server).0), 0);
    let later = start() + Duration::from_secs(15);
    forget(&mut server, later);
    let mut client = client(0);
    client.connect_with(later, SERVER, Arc::new(Plain)).expect("room for a connection");
    assert_eq!(connected(&talk(&mut client, &mut server).0), 1);
}

#[test]
fn events_do_not_wait_for_somebody_to_ask_for_packets() {
    let (mut server, mut client) = (server(Config::default()), client(1));
    talk(&mut client, &mut server);
    client.close(start(), ErrorCode::H3_NO_ERROR, "");
    send(&mut client, &mut server, CLIENT);
    let Some((id, Event::ConnectionLost { .. })) = server.poll_event() else { panic!("nothing happened") };
    assert!(server.connection(id).is_none(), "its end was told");
}

#[test]
fn an_endpoint_that_has_nothing_to_do_rests() {
    let (mut server, mut client) = (server(Config::default()), client(0));
    let id = client.connect_with(start(), SERVER, Arc::new(Plain)).expect("room for a connection");
    talk(&mut client, &mut server);
    assert!(client.connection(id).is_some());
    assert_eq!(client.poll_timeout(), Some(start()), "whatever was done with it may have something to send");
    assert!(client.poll_transmit(start(), 1, &mut Vec::new()).is_none());
    assert_eq!(client.poll_timeout(), Some(start()), "or may have made an event");
    assert!(client.poll_event().is_none());
    assert!(client.poll_timeout() > Some(start()));
    // The same when it was asked the other way round.
    client.connection(id);
    assert!(client.poll_event().is_none());
    assert_eq!(client.poll_timeout(), Some(start()));
    assert!(client.poll_transmit(start(), 1, &mut Vec::new()).is_none());
    assert!(client.poll_timeout() > Some(start()));
}

/// A probe for a larger MTU leaves when QUIC has nothing else to send, and so must be asked for.
#[test]
fn quic_is_asked_for_more_after_some_small_packets_and_not_after_each() {
    let (mut server, mut client) = (server(Config::default()), client(0));
    let id = client.connect_with(start(), SERVER, Arc::new(Plain)).expect("room for a connection");
    talk(&mut client, &mut server);
    let stream = client.connection(id).expect("alive").quic().open(crate::Direction::Unidirectional).expect("room");
    // There is much to ask about a new path.
    for _ in 0..40 {
        client.connection(id);
        assert!(client.poll_transmit(start(), 1, &mut Vec::new()).is_none());
    }
    let mut asked = Vec::new();
    for round in 0..60 {
        client.connection(id).expect("alive").quic().write(stream, b"small");
        assert!(client.poll_transmit(start(), 1, &mut Vec::new()).is_some());
        if !client.connection(id).expect("alive").quic().is_spent() {
            asked.push(round);
            while client.poll_transmit(start(), 1, &mut Vec::new()).is_some() {}
        }
    }
    assert_eq!(asked, [16, 33, 50]);
}

#[test]
fn figures_are_of_now_and_not_of_the_last_packet() {
    let (mut server, mut client) = (server(Config::default()), client(1));
    talk(&mut client, &mut server);
    server.close(start(), ErrorCode::H3_NO_ERROR, "");
    assert_eq!(server.stats().connections_lost, 1);
}

fn tls(versions: &[&'static rustls::SupportedProtocolVersion]) -> (rustls::ServerConfig, rustls::ClientConfig) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(identity.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("a known version")
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .expect("matching key");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("a known version")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    (server, client)
}

#[test]
fn quic_needs_the_newest_tls() {
    let (old_server, old_client) = tls(&[&rustls::version::TLS12]);
    let (new_server, new_client) = tls(&[&rustls::version::TLS13]);
    let error = Endpoint::server(Config::default(), old_server.clone()).expect_err("no TLS 1.3");
    assert!(error.to_string().contains("TLS"), "{error}");
    let mut server = Endpoint::server(Config::default(), new_server.clone()).expect("TLS 1.3");
    assert!(server.set_server_tls(old_server).is_err());
    assert_eq!(server.set_server_tls(new_server), Ok(()));
    let old = server.connect(start(), CLIENT, "localhost", old_client);
    assert!(matches!(old, Err(ConnectError::Tls(_))), "{old:?}");
    for (address, name, expected) in [
        (SocketAddr::from(([10, 0, 0, 1], 0)), "localhost", "invalid remote address 10.0.0.1:0"),
        (CLIENT, "a b", "invalid server name \"a b\""),
    ] {
        let error = server.connect(start(), address, name, new_client.clone()).expect_err("a mistake");
        assert_eq!(error.to_string(), expected);
    }
    assert!(server.connect(start(), CLIENT, "localhost", new_client).is_ok());
}

#[test]
fn values_that_cannot_work_are_named() {
    for (config, name) in [
        (Config { initial_mtu: 1_199, ..Config::default() }, "initial_mtu"),
        (Config { idle_timeout: Duration::from_secs(u64::MAX), ..Config::default() }, "idle_timeout"),
    ] {
        let error = Endpoint::client(config).expect_err("out of range");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_connection_survives_damaged_packets_up_to_the_limit_of_its_cipher() {
    let (mut server, mut client) = (server(Config::default()), client(1));
    let (mut buffer, mut damaged) = (Vec::new(), None);
    // What the client sends last of the handshake has a short header; with a wrong tag it opens to nobody.
    for _ in 0..8 {
        while let Some(transmit) = client.poll_transmit(start(), 1, &mut buffer) {
            let data = BytesMut::from(&buffer[..transmit.size]);
            if data[0] & 0x80 == 0 {
                let mut copy = data.clone();
                copy[transmit.size - 1] ^= 1;
                damaged = Some(copy);
            }
            server.handle_receive(start(), Receive { remote: CLIENT, local_ip: None, ecn: None, data });
            buffer.clear();
        }
        send(&mut server, &mut client, SERVER);
    }
    let damaged = damaged.expect("a packet with a short header");
    assert_eq!(connected(&talk(&mut client, &mut server).1), 1);
    let mut damage = |count| {
        for _ in 0..count {
            let data = damaged.clone();
            server.handle_receive(start(), Receive { remote: CLIENT, local_ip: None, ecn: None, data });
        }
        talk(&mut client, &mut server)
    };
    let (ours, theirs) = damage(INTEGRITY_LIMIT);
    assert_eq!((ours, theirs), (vec![], vec![]), "nothing happens");
    // AEAD_LIMIT_REACHED (RFC 9000, section 20.1).
    let lost = |event: &Event| {
        matches!(event, Event::ConnectionLost { error: crate::ConnectionError::Transport { code: 0xf, .. } })
    };
    let (_, theirs) = damage(1);
    // quinn-proto says nothing to the peer then: it sends nothing more with these keys.
    assert!(theirs.iter().any(lost), "{theirs:?}");
}
