//! Several sessions on one connection.

#[macro_use]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Running, echo, sleep, spawn, timeout, within};
use tokio::sync::Barrier;
use transom::{ClientBuilder, ClientError, Config, ServerApp, Session, SessionEnd};

fn many() -> Config {
    let mut config = Config::default();
    config.max_sessions = 64;
    config.connect_burst = 64;
    config.max_bidi_streams = 256;
    config.max_uni_streams = 256;
    config
}

async fn pool(running: &Running, client: &ClientBuilder, count: usize) -> Vec<Session> {
    let mut sessions = vec![within(client.connect(&running.url("/echo"))).await.unwrap()];
    while sessions.len() < count {
        let next = within(client.connect_over(&sessions[0], &running.url("/echo"))).await.unwrap();
        sessions.push(next);
    }
    sessions
}

/// Sends and checks messages until told that it was enough; the total is far above a session's window.
async fn exchange(session: &Session, seed: u8, rounds: usize) {
    for round in 0..rounds {
        let message: Vec<u8> = (0..20_000).map(|index: usize| (index * 7 + round) as u8 ^ seed).collect();
        let mut stream = session.open_bi().await.unwrap();
        stream.send.write_all(&message).await.unwrap();
        stream.send.finish().unwrap();
        assert_eq!(stream.recv.read_to_end(30_000).await.unwrap(), message, "session {seed}, round {round}");
    }
}

async fn each_of_64_sessions_can_close_without_cost_to_the_others() {
    let running = Running::start(ServerApp::new().config(many()).route("/echo", echo));
    let client = running.client().config(many());
    let sessions = pool(&running, &client, 64).await;
    let remote: Vec<_> = sessions.iter().map(Session::id).collect();
    assert_eq!(remote.len(), 64);
    let start = Arc::new(Barrier::new(64));
    let tasks: Vec<_> = sessions
        .into_iter()
        .enumerate()
        .map(|(number, session)| {
            let start = Arc::clone(&start);
            spawn(async move {
                exchange(&session, number as u8, 2).await;
                start.wait().await;
                // They close one after another while the others go on.
                exchange(&session, number as u8, number / 4).await;
                session.close(number as u32, "done");
                session.closed().await
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let end = timeout(Duration::from_secs(120), task).await.expect("the test hangs").unwrap();
        assert_eq!(end, SessionEnd::ClosedLocally { code: number as u32, reason: "done".into() });
    }
}

async fn a_session_that_nobody_reads_does_not_hold_up_the_others() {
    let app = ServerApp::new().route("/echo", echo).route("/deaf", |session: Session| async move {
        session.closed().await;
        Ok::<(), transom::SessionError>(())
    });
    let running = Running::start(app);
    let client = running.client();
    let deaf = running.session("/deaf").await;
    let other = within(client.connect_over(&deaf, &running.url("/echo"))).await.unwrap();
    for _ in 0..4 {
        let mut stream = within(deaf.open_uni()).await.unwrap();
        let filled = timeout(Duration::from_millis(300), stream.write_all(&vec![0; 300_000])).await;
        assert!(filled.is_none(), "more than a stream's window without a reader");
        std::mem::forget(stream);
    }
    within(exchange(&other, 1, 20)).await;
}

async fn the_connection_goes_with_its_last_session() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let client = running.client();
    let mut sessions = pool(&running, &client, 3).await;
    let last = sessions.pop().unwrap();
    for session in sessions {
        within(session.shutdown(0, "")).await;
        within(exchange(&last, 2, 1)).await;
    }
    within(last.shutdown(0, "")).await;
    within(async {
        while running.server.handle().stats().connections_open > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn a_surplus_session_waits_for_room_or_is_refused() {
    let mut config = Config::default();
    config.max_sessions = 2;
    let running = Running::start(ServerApp::new().config(config.clone()).route("/echo", echo));
    // The client knows of two, and waits; one that does not is refused by the server.
    let patient = running.client().config(config);
    let sessions = pool(&running, &patient, 2).await;
    let url = running.url("/echo");
    let hasty = patient.clone().timeout(Duration::from_millis(200));
    assert!(matches!(within(hasty.connect_over(&sessions[0], &url)).await, Err(ClientError::TimedOut)));
    let eager = running.client();
    let others = pool(&running, &eager, 2).await;
    let refused = within(eager.connect_over(&others[0], &url)).await;
    assert!(matches!(refused, Err(ClientError::Session(SessionEnd::NotProcessed))));
    let waiting = patient.connect_over(&sessions[0], &url);
    let (third, ()) = tokio::join!(within(waiting), async {
        sleep(Duration::from_millis(50)).await;
        sessions[1].close(0, "");
    });
    within(exchange(&third.unwrap(), 3, 1)).await;
}

async fn where_there_is_room_for_one_the_next_waits_for_its_end() {
    let mut config = Config::default();
    config.max_sessions = 1;
    let running = Running::start(ServerApp::new().config(config.clone()).route("/echo", echo));
    let client = running.client().config(config);
    let first = within(client.connect(&running.url("/echo"))).await.unwrap();
    let url = running.url("/echo");
    let hasty = client.clone().timeout(Duration::from_millis(100));
    assert!(matches!(within(hasty.connect_over(&first, &url)).await, Err(ClientError::TimedOut)));
    let (second, ()) = tokio::join!(within(client.connect_over(&first, &url)), async {
        sleep(Duration::from_millis(50)).await;
        first.close(0, "");
    });
    let second = second.unwrap();
    within(exchange(&second, 6, 1)).await;
    assert_eq!(running.server.stats().connections_accepted, 1);
    // With the last one goes the connection, and with the connection what is asked for on it.
    second.close(0, "");
    within(second.closed()).await;
    let late = within(client.connect_over(&second, &url)).await;
    assert!(matches!(late, Err(ClientError::Connection(_))), "{late:?}");
}

async fn a_request_that_nobody_waits_for_is_taken_back() {
    let mut config = Config::default();
    config.max_sessions = 2;
    let app = ServerApp::new().config(config.clone()).route("/echo", echo);
    let running = Running::start(app);
    let client = running.client().config(config);
    let first = within(client.connect(&running.url("/echo"))).await.unwrap();
    for _ in 0..5 {
        let url = running.url("/echo");
        let request = client.connect_over(&first, &url);
        let _ = timeout(Duration::from_micros(1), request).await;
    }
    let second = within(client.connect_over(&first, &running.url("/echo"))).await.unwrap();
    within(exchange(&second, 4, 1)).await;
}

async fn weights_orders_and_groups_can_be_set() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let client = running.client();
    let sessions = pool(&running, &client, 2).await;
    sessions[0].set_weight(200);
    let group = sessions[0].create_send_group().unwrap();
    let mut stream = within(sessions[0].open_uni()).await.unwrap();
    stream.set_send_group(Some(group)).unwrap();
    stream.set_priority(5).unwrap();
    stream.finish().unwrap();
    within(exchange(&sessions[0], 5, 2)).await;
    sessions[0].close(0, "");
    within(sessions[0].closed()).await;
    assert!(sessions[0].create_send_group().is_err());
    assert!(stream.set_send_group(None).is_err());
}

on_each_runtime! {
    a_session_that_nobody_reads_does_not_hold_up_the_others,
    the_connection_goes_with_its_last_session,
    a_surplus_session_waits_for_room_or_is_refused,
    where_there_is_room_for_one_the_next_waits_for_its_end,
    a_request_that_nobody_waits_for_is_taken_back,
    weights_orders_and_groups_can_be_set,
    ; threads:
    each_of_64_sessions_can_close_without_cost_to_the_others,
}
