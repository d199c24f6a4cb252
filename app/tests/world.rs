//! Servers and clients in virtual time, on networks good and bad.

#![cfg(feature = "testing")]

use std::time::{Duration, Instant};

use transom::testing::{self, LinkConfig, NetworkStats, World};
use transom::{
    Client, ClientBuilder, ClientError, Config, ConnectionError, Server, ServerApp, Session, SessionEnd, SessionError,
};

async fn echo(session: Session) -> Result<(), SessionError> {
    while let Some(mut stream) = session.accept_bi().await? {
        let message = stream.recv.read_to_end(1 << 20).await?;
        stream.send.write_all(&message).await?;
        stream.send.finish()?;
    }
    Ok(())
}

fn start() -> (Server, ClientBuilder) {
    let tls = testing::tls();
    let client = Client::builder().certificate_hash(tls.certificate_sha256());
    (ServerApp::new().route("/echo", echo).bind("10.0.0.1:443", tls).start().unwrap(), client)
}

async fn exchange(session: &Session, size: usize) {
    let mut stream = session.open_bi().await.unwrap();
    let message: Vec<u8> = (0..size).map(|index| (index * 7) as u8).collect();
    stream.send.write_all(&message).await.unwrap();
    stream.send.finish().unwrap();
    assert_eq!(stream.recv.read_to_end(size).await.unwrap(), message);
}

/// What happens in a world with a bad network.
fn bad_day(seed: u64) -> (Duration, NetworkStats) {
    let world = World::new(seed);
    world.network().set(LinkConfig::bad());
    world.run(async {
        let (server, client) = start();
        let session = client.connect("https://10.0.0.1/echo").await.unwrap();
        for _ in 0..5 {
            exchange(&session, 50_000).await;
        }
        session.shutdown(0, "").await;
        server.handle().shutdown(Duration::from_secs(10));
        server.wait().await.unwrap();
    });
    (world.elapsed(), world.network().stats())
}

#[test]
fn a_seed_is_a_day_that_can_be_lived_again() {
    let days: Vec<_> = (0..4).map(bad_day).collect();
    assert_eq!((0..4).map(bad_day).collect::<Vec<_>>(), days);
    assert!(days.iter().any(|day| *day != days[0]), "{days:?}");
}

#[test]
fn an_hour_of_silence_takes_a_moment() {
    let (world, real) = (World::new(1).time_limit(Duration::from_secs(4000)), Instant::now());
    world.run(async {
        let (server, client) = start();
        let session = client.connect("https://10.0.0.1/echo").await.unwrap();
        world.sleep(Duration::from_secs(3600)).await;
        exchange(&session, 10).await;
        assert_eq!(server.stats().connections_accepted, 1, "kept alive");
    });
    assert!(real.elapsed() < Duration::from_secs(600));
}

#[test]
fn a_cable_that_is_cut_is_noticed() {
    let world = World::new(1);
    world.run(async {
        let (server, client) = start();
        let session = client.connect("https://10.0.0.1/echo").await.unwrap();
        world.network().set(LinkConfig { cut: true, ..LinkConfig::good() });
        let before = world.now();
        assert_eq!(session.closed().await, SessionEnd::ConnectionLost(ConnectionError::TimedOut));
        let silence = world.now() - before;
        let idle = Config::default().idle_timeout;
        assert!(idle <= silence && silence < idle + Duration::from_secs(11), "{silence:?}");
        assert!(matches!(
            client.connect("https://10.0.0.1/echo").await,
            Err(ClientError::TimedOut | ClientError::Connection(_))
        ));
        drop(server);
    });
}

#[test]
fn machines_have_links_of_their_own() {
    let world = World::new(1);
    let far = LinkConfig { delay: Duration::from_secs(1), ..LinkConfig::good() };
    world.network().set_path([10, 0, 0, 1], [10, 0, 0, 7], far);
    world.run(async {
        let (_server, client) = start();
        let mut times = Vec::new();
        for address in [[10, 0, 0, 7], [10, 0, 0, 8]] {
            let before = world.now();
            let session =
                client.clone().runtime(world.machine(address)).connect("https://10.0.0.1/echo").await.unwrap();
            exchange(&session, 10).await;
            times.push(world.now() - before);
        }
        assert!(times[0] > Duration::from_secs(3) && times[1] < Duration::from_millis(100), "{times:?}");
    });
}

#[test]
fn names_are_those_of_the_network() {
    let world = World::new(1);
    // The first address leads nowhere.
    world.network().name("echo.example", [10, 9, 9, 9]);
    world.network().name("echo.example", [10, 0, 0, 1]);
    world.run(async {
        let (_server, client) = start();
        exchange(&client.connect("https://echo.example/echo").await.unwrap(), 10).await;
        let unknown = client.connect("https://elsewhere.example/echo").await;
        assert!(matches!(unknown, Err(ClientError::Resolve(_))), "{unknown:?}");
    });
}

#[test]
fn a_server_with_workers_has_one_here() {
    let world = World::new(1);
    world.run(async {
        let tls = testing::tls();
        let client = Client::builder().certificate_hash(tls.certificate_sha256());
        let serve = ServerApp::new().route("/echo", echo).bind("10.0.0.1:443", tls);
        let server = serve.workers(4).start().unwrap();
        assert_eq!(server.local_addrs().len(), 1);
        exchange(&client.connect("https://10.0.0.1/echo").await.unwrap(), 10).await;
    });
}
