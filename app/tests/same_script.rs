//! One script on every runtime, and what client and server saw of it: no runtime makes a difference that an application
//! could see.

#![cfg(all(feature = "tokio", feature = "smol", feature = "testing"))]

mod common;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use common::runtimes::{on_smol, on_tokio};
use common::{Running, within};
use transom::testing::World;
use transom::{ClientError, ServerApp, Session, SessionError, State};

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: &str, seen: impl Debug) {
        self.0.lock().unwrap().push(format!("{what}: {seen:?}"));
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Answers each stream according to its first byte, and logs what becomes of it.
async fn serve(session: Session, State(log): State<Log>) -> Result<(), SessionError> {
    log.add("server: path", session.request().path());
    while let Some(mut stream) = session.accept_bi().await? {
        let mut order = [0; 1];
        stream.recv.read_exact(&mut order).await?;
        match order[0] {
            b'e' => {
                let message = stream.recv.read_to_end(1 << 20).await?;
                log.add("server: echoes", message.len());
                stream.send.write_all(&message).await?;
                stream.send.finish()?;
                log.add("server: acknowledged", stream.send.acknowledged().await);
            }
            b'r' => {
                log.add("server: reset", stream.send.reset(77));
                log.add("server: stop", stream.recv.stop(78));
            }
            b's' => {
                stream.send.write_all(b"!").await?;
                log.add("server: stopped", stream.send.stopped().await);
            }
            _ => {
                let reason = stream.recv.read_to_end(100).await?;
                log.add("server: closes", &reason);
                session.close(u32::from(order[0]), &String::from_utf8_lossy(&reason));
                log.add("server: end", session.closed().await);
            }
        }
    }
    Ok(())
}

/// A client does one thing after another, and waits for what it leads to.
async fn script(log: Log) {
    let running = Running::start(ServerApp::with_state(log.clone()).route("/a", serve).route("/b", serve));
    match within(running.client().connect(&running.url("/c"))).await {
        Err(ClientError::Refused { status, .. }) => log.add("client: refused", status),
        other => log.add("client: not refused", other.is_ok()),
    }
    for (path, size) in [("/a", 10), ("/b", 200_000)] {
        let session = running.session(path).await;
        let mut stream = within(session.open_bi()).await.unwrap();
        within(stream.send.write_all(b"e")).await.unwrap();
        let message: Vec<u8> = (0..size).map(|index: usize| (index * 3) as u8).collect();
        let (mut send, mut recv) = stream.split();
        let both = async {
            tokio::join!(
                async {
                    send.write_all(&message).await?;
                    send.finish()
                },
                recv.read_to_end(size)
            )
        };
        let (written, echoed) = within(both).await;
        log.add("client: written", written);
        log.add("client: echoed", echoed.is_ok_and(|echoed| echoed == message));
        drop((send, recv));

        let mut stream = within(session.open_bi()).await.unwrap();
        within(stream.send.write_all(b"r")).await.unwrap();
        log.add("client: stopped", within(stream.send.stopped()).await);
        log.add("client: read", within(stream.recv.read_bytes(10)).await);
        log.add("client: write", within(stream.send.write(b"x")).await);

        let mut stream = within(session.open_bi()).await.unwrap();
        within(stream.send.write_all(b"s")).await.unwrap();
        within(stream.recv.read_exact(&mut [0; 1])).await.unwrap();
        log.add("client: stop", stream.recv.stop(79));

        let mut stream = within(session.open_bi()).await.unwrap();
        within(stream.send.write_all(b"cgood bye")).await.unwrap();
        stream.send.finish().unwrap();
        log.add("client: end", within(session.closed()).await);
        log.add("client: late", within(session.open_uni()).await.map(|_| ()));
    }
    running.server.handle().shutdown(std::time::Duration::from_secs(3600));
    log.add("server: done", within(running.server.wait()).await.is_ok());
}

#[test]
fn every_runtime_sees_the_same() {
    let run = |on: &dyn Fn(Log)| {
        let log = Log::default();
        on(log.clone());
        let (mut client, mut server) = (Vec::new(), Vec::new());
        for line in log.lines() {
            if line.starts_with("client") { client.push(line) } else { server.push(line) }
        }
        (client, server)
    };
    let tokio = run(&|log| on_tokio(1, script(log)));
    assert!(tokio.0.len() == 17 && tokio.1.len() == 17, "{tokio:?}");
    assert_eq!(run(&|log| on_tokio(4, script(log))), tokio);
    assert_eq!(run(&|log| on_smol(script(log))), tokio);
    for seed in 1..=10 {
        assert_eq!(run(&|log| World::new(seed).run(script(log))), tokio, "seed {seed}");
    }
}
