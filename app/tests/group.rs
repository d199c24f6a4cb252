//! Groups of sessions, the list of live ones, calls when they come and go, and several servers.

#[macro_use]
mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{Running, sleep, within};
use transom::{
    CloseCode, Cluster, Config, Group, Groups, Path, ServerApp, Session, SessionEnd, SessionError, SessionRequest,
    SlowReceivers, State, Tls,
};

/// Waits until something is so.
async fn until(so: impl Fn() -> bool) {
    within(async {
        while !so() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn stay(session: Session) {
    session.closed().await;
}

async fn member(session: Session, State(group): State<Group>) {
    group.join(&session);
    session.closed().await;
}

async fn message(session: &Session) -> Bytes {
    let mut stream = within(session.accept_uni()).await.unwrap().unwrap();
    within(stream.read_to_end(1 << 20)).await.unwrap()
}

async fn members(running: &Running, group: &Group, count: usize) -> Vec<Session> {
    let mut sessions = Vec::new();
    for index in 0..count {
        sessions.push(running.session("/").await);
        until(|| group.len() > index).await;
    }
    sessions
}

async fn everybody_but_one_is_told() {
    let group = Group::new();
    let running = Running::start(ServerApp::with_state(group.clone()).route("/", member));
    let sessions = members(&running, &group, 4).await;
    let sent = group.send("to all");
    assert_eq!((sent.sessions, sent.dropped, sent.disconnected), (4, 0, 0));
    for session in &sessions {
        assert_eq!(message(session).await, "to all");
    }
    assert_eq!(group.send_datagram("quick").sessions, 4);
    for session in &sessions {
        assert_eq!(within(session.recv_datagram()).await.unwrap().unwrap(), "quick");
    }
    let other = group.sessions().swap_remove(0);
    let sent = (group.send_except(&other, "not to one"), group.send_datagram_except(&other, "not to one"));
    assert_eq!((sent.0.sessions, sent.1.sessions), (3, 3));
    group.send("last");
    let mut left_out = 0;
    for session in &sessions {
        match message(session).await {
            text if text == "last" => left_out += 1,
            text => {
                assert_eq!(text, "not to one");
                assert_eq!(message(session).await, "last", "messages come in the order of the calls");
            }
        }
    }
    assert_eq!(left_out, 1);
}

async fn who_ends_leaves_and_who_leaves_is_not_told() {
    let group = Group::new();
    let running = Running::start(ServerApp::with_state(group.clone()).route("/", member));
    let sessions = members(&running, &group, 3).await;
    let one = group.sessions().swap_remove(0);
    assert!(group.contains(&one) && !group.join(&one));
    assert!(group.leave(&one) && !group.leave(&one) && !group.contains(&one));
    assert_eq!(group.send_datagram("x").sessions, 2);
    assert!(group.join(&one));
    assert_eq!(group.send_datagram("x").sessions, 3);
    // Handles out of the group keep nothing open.
    drop(one);
    drop(group.sessions());
    assert_eq!(group.len(), 3);
    sessions[0].close(0, "");
    until(|| group.len() == 2).await;
    drop(sessions);
    until(|| group.is_empty()).await;
    assert_eq!(group.send("nobody hears"), transom::Sent::default());
}

/// A peer that allows three unidirectional streams for HTTP/3 and one more, and reads nothing.
async fn slow_member(running: &Running, group: &Group) -> Session {
    let mut config = Config::default();
    config.max_uni_streams = 4;
    config.session_uni_streams = 1;
    let session = within(running.client().config(config).connect(&running.url("/"))).await.unwrap();
    until(|| group.len() == 1).await;
    session
}

/// Sends numbers until the group says that one was too many; returns that one.
fn overfill(group: &Group) -> u64 {
    for number in 0.. {
        let sent = group.send(number.to_string());
        if sent.dropped + sent.disconnected > 0 {
            assert!(number >= 3, "as many as may wait are not too many");
            return number;
        }
        assert!(number < 1_000, "nothing bounds what waits");
    }
    unreachable!()
}

async fn numbers(session: &Session, count: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(std::str::from_utf8(&message(session).await).unwrap().parse().unwrap());
    }
    numbers
}

async fn slow_receivers_lose_the_oldest_messages() {
    let group = Group::with_policy(SlowReceivers::DropOldest, 3);
    let running = Running::start(ServerApp::with_state(group.clone()).route("/", member));
    let session = slow_member(&running, &group).await;
    let last = overfill(&group);
    let numbers = numbers(&session, last).await;
    assert_eq!(numbers.last(), Some(&last), "{numbers:?}");
    assert!(numbers.is_sorted() && numbers[numbers.len() - 3..] == [last - 2, last - 1, last], "{numbers:?}");
}

async fn slow_receivers_lose_the_newest_messages() {
    let group = Group::with_policy(SlowReceivers::DropNewest, 3);
    let running = Running::start(ServerApp::with_state(group.clone()).route("/", member));
    let session = slow_member(&running, &group).await;
    let last = overfill(&group);
    assert_eq!(numbers(&session, last).await, (0..last).collect::<Vec<u64>>());
}

async fn slow_receivers_are_disconnected() {
    let group = Group::with_policy(SlowReceivers::Disconnect(CloseCode::new(77, "too slow")), 3);
    let running = Running::start(ServerApp::with_state(group.clone()).route("/", member));
    let session = slow_member(&running, &group).await;
    overfill(&group);
    assert_eq!(within(session.closed()).await, SessionEnd::ClosedByPeer { code: 77, reason: String::from("too slow") });
    assert!(group.is_empty());
}

async fn groups_come_and_go_by_name() {
    async fn room(session: Session, Path(name): Path<String>, State(rooms): State<Groups<String>>) {
        rooms.join(name, &session);
        session.closed().await;
    }
    let rooms = Groups::<String>::new();
    let running = Running::start(ServerApp::with_state(rooms.clone()).route("/rooms/{name}", room));
    let (red, blue) = (running.session("/rooms/red").await, running.session("/rooms/blue").await);
    until(|| rooms.names() == ["blue", "red"]).await;
    assert_eq!(rooms.get(&String::from("red")).unwrap().send("red only").sessions, 1);
    assert_eq!(message(&red).await, "red only");
    blue.close(0, "");
    until(|| rooms.names() == ["red"]).await;
    assert!(rooms.get(&String::from("blue")).is_none());
}

async fn live_sessions_are_listed() {
    let running = Running::start(ServerApp::new().route("/a", stay).route("/b", stay));
    let (a, b) = (running.session("/a").await, running.session("/b").await);
    let server = running.server.handle();
    until(|| server.live_sessions().len() == 2).await;
    let mut paths: Vec<String> = server.live_sessions().iter().map(|s| s.request().path().to_owned()).collect();
    paths.sort();
    assert_eq!(paths, ["/a", "/b"]);
    let to_one = server.live_sessions().into_iter().find(|session| session.request().path() == "/b").unwrap();
    to_one.send_datagram("just you").unwrap();
    assert_eq!(within(b.recv_datagram()).await.unwrap().unwrap(), "just you");
    to_one.close(5, "enough");
    assert_eq!(within(b.closed()).await, SessionEnd::ClosedByPeer { code: 5, reason: String::from("enough") });
    until(|| server.live_sessions().len() == 1).await;
    assert!(a.end().is_none());
}

async fn calls_when_sessions_come_and_go() {
    async fn accepts(request: SessionRequest) -> Result<(), SessionError> {
        request.accept()?.closed().await;
        Ok(())
    }
    async fn lingers(session: Session) {
        session.closed().await;
        std::future::pending::<()>().await;
    }
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let note = |word: &'static str| {
        let seen = Arc::clone(&seen);
        move |session: &Session| seen.lock().unwrap().push(format!("{word} {}", session.request().path()))
    };
    let (came, went) = (note("came"), note("went"));
    let running = Running::start(
        ServerApp::new()
            .route("/session", lingers)
            .route("/request", accepts)
            .on_connect(|_| panic!("one call must not harm another"))
            .on_connect(move |session| {
                session.send_datagram("usable").unwrap();
                came(session);
            })
            .on_disconnect(move |session, end| {
                assert_eq!(*end, SessionEnd::ClosedByPeer { code: 3, reason: String::from("bye") });
                went(session);
            }),
    );
    let has = |line: &str| seen.lock().unwrap().iter().any(|seen| seen == line);
    for path in ["/session", "/request"] {
        let session = running.session(path).await;
        assert_eq!(within(session.recv_datagram()).await.unwrap().unwrap(), "usable");
        assert!(has(&format!("came {path}")) && !has(&format!("went {path}")));
        session.close(3, "bye");
        until(|| has(&format!("went {path}"))).await;
    }
    assert_eq!(seen.lock().unwrap().len(), 4, "{seen:?}");
}

async fn servers_come_and_go() {
    let cluster = Cluster::new();
    let tls = Tls::self_signed(["localhost"]).unwrap();
    let start = || ServerApp::new().route("/", stay).bind("127.0.0.1:0", tls.clone()).start().unwrap();
    for name in ["one", "two"] {
        assert!(cluster.add(name, start()).is_none());
    }
    let connect = async |name: &str| {
        let address = cluster.get(name).unwrap().local_addrs()[0];
        let client = transom::Client::builder().certificate_hash(tls.certificate_sha256());
        within(client.connect(&format!("https://{address}/"))).await.unwrap()
    };
    let (one, two) = (connect("one").await, connect("two").await);
    assert_eq!((cluster.stats().sessions_open, cluster.live_sessions().len()), (2, 2));
    assert!(within(cluster.remove("one", Duration::ZERO)).await.unwrap());
    assert!(!within(cluster.remove("one", Duration::ZERO)).await.unwrap());
    within(one.closed()).await;
    assert!(two.end().is_none(), "the other server goes on");
    assert_eq!(cluster.stats().sessions_open, 1);
    cluster.add("three", start());
    let three = connect("three").await;
    let names: Vec<String> = cluster.list().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["three", "two"]);
    within(cluster.shutdown(Duration::ZERO)).await.unwrap();
    within(async { (two.closed().await, three.closed().await) }).await;
    assert!(cluster.list().is_empty());
}

on_each_runtime! {
    everybody_but_one_is_told,
    who_ends_leaves_and_who_leaves_is_not_told,
    slow_receivers_lose_the_oldest_messages,
    slow_receivers_lose_the_newest_messages,
    slow_receivers_are_disconnected,
    groups_come_and_go_by_name,
    live_sessions_are_listed,
    calls_when_sessions_come_and_go,
    servers_come_and_go,
}
