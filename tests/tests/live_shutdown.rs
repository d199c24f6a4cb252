//! Signals while 2,000 sessions send without pause: nothing that was accepted is lost, and the process ends in time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use transom::{Client, Session};
use transom_tests::demo::{Demo, Signal};

/// What the clients did.
#[derive(Debug, Default)]
struct Tally {
    /// Sessions that have had an answer.
    busy: AtomicU64,
    /// Messages whose every byte, and their end, the server has acknowledged.
    accepted: AtomicU64,
    /// Of these, the ones that came back whole.
    delivered: AtomicU64,
    /// Messages that the end of the session overtook on their way to the server.
    unsent: AtomicU64,
}

impl Tally {
    fn read(&self) -> [u64; 3] {
        [&self.accepted, &self.delivered, &self.unsent].map(|counter| counter.load(Ordering::SeqCst))
    }
}

/// What a client does when the server asks it to wind down.
#[derive(Debug, Clone, Copy, PartialEq)]
enum AtDrain {
    /// It waits for its last answer and closes.
    Leave,
    /// It goes on.
    Stay,
}

/// The server, and clients that are all sending.
struct Siege {
    demo: Demo,
    tally: Arc<Tally>,
    clients: JoinSet<()>,
}

impl Siege {
    async fn lay(at_drain: AtDrain) -> Self {
        let demo = Demo::start().unwrap();
        let (tally, mut clients) = (Arc::new(Tally::default()), JoinSet::new());
        let client = Client::builder().certificate_hash(demo.certificate_sha256()).timeout(PATIENCE);
        let mut connecting = JoinSet::new();
        for number in 0..SESSIONS {
            if number >= AT_ONCE {
                clients.spawn(chatter(connecting.join_next().await.unwrap().unwrap(), Arc::clone(&tally), at_drain));
            }
            let (client, url) = (client.clone(), demo.url("/echo"));
            connecting.spawn(async move { client.connect(&url).await.unwrap() });
        }
        while let Some(session) = connecting.join_next().await {
            clients.spawn(chatter(session.unwrap(), Arc::clone(&tally), at_drain));
        }
        while tally.busy.load(Ordering::SeqCst) < SESSIONS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(clients.try_join_next().is_none(), "all are sending");
        Self { demo, tally, clients }
    }
}

/// Sends one message after the other, each on a stream of its own, and waits for its echo.
async fn chatter(session: Session, tally: Arc<Tally>, at_drain: AtDrain) {
    let mut drained = pin!(session.draining());
    for number in 0u64.. {
        let asked = tokio::select! {
            biased;
            () = &mut drained, if at_drain == AtDrain::Leave => true,
            () = ready(()) => false,
        };
        if asked || !exchange(&session, number, &tally).await {
            break;
        }
        tally.busy.fetch_add(u64::from(number == 0), Ordering::SeqCst);
    }
    session.close(0, "");
    session.closed().await;
}

/// Whether the message came back; counts how far it got.
async fn exchange(session: &Session, number: u64, tally: &Tally) -> bool {
    let message = Bytes::from(number.to_be_bytes().repeat(MESSAGE / 8));
    let Ok(stream) = session.open_bi().await else { return false };
    let (mut send, mut recv) = stream.split();
    if send.write_bytes(message.clone()).await.is_err() || send.acknowledged().await.is_err() {
        tally.unsent.fetch_add(1, Ordering::SeqCst);
        return false;
    }
    tally.accepted.fetch_add(1, Ordering::SeqCst);
    let came_back = recv.read_to_end(2 * MESSAGE).await.is_ok_and(|echo| echo == message);
    tally.delivered.fetch_add(u64::from(came_back), Ordering::SeqCst);
    came_back
}

/// The most memory that the process has held, in MiB.
fn peak_mebibytes(demo: &Demo) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", demo.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_accepted_is_delivered_and_the_server_leaves_within_the_grace_period() {
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay(AtDrain::Leave).await;
    let (before, memory) = (siege.tally.read(), peak_mebibytes(&siege.demo));
    let asked = Instant::now();
    siege.demo.signal(Signal::TERM).unwrap();
    let ending = tokio::task::spawn_blocking(move || siege.demo.wait().map(|stopped| (stopped, asked.elapsed())));
    let (stopped, took) = ending.await.unwrap().unwrap();
    let all = async {
        while let Some(client) = siege.clients.join_next().await {
            client.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("the clients hear of the end");
    let [accepted, delivered, unsent] = siege.tally.read();
    println!(
        "{SESSIONS} sessions, {memory} MiB; {before:?} before SIGTERM, {accepted} accepted, {delivered} delivered, {unsent} unsent at the end, after {took:?}"
    );
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!((delivered, unsent), (accepted, 0), "accepted, and lost on the way");
    assert!(accepted > before[0], "some were on their way");
    // Times are printed above, not judged: the machine may be busy. What cannot be is a server that hangs.
    assert!(took < HANGS, "{took:?} of a grace of {GRACE:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_within_a_second() {
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay(AtDrain::Stay).await;
    siege.demo.signal(Signal::INT).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(siege.demo.is_running(), "the clients stay, and so does the server");
    let asked = Instant::now();
    siege.demo.signal(Signal::INT).unwrap();
    let ending = tokio::task::spawn_blocking(move || siege.demo.wait().map(|stopped| (stopped, asked.elapsed())));
    let (stopped, took) = ending.await.unwrap().unwrap();
    println!("a second signal: {took:?}");
    assert_eq!(stopped.status.code(), Some(130), "{stopped:?}");
    assert!(took < HANGS, "{took:?}");
    // Nobody tells them; they would notice by themselves after the idle timeout.
    siege.clients.abort_all();
}

const SESSIONS: u64 = 2_000;
/// Handshakes under way at a time.
const AT_ONCE: u64 = 64;
/// Bytes of a message.
const MESSAGE: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(60);
/// What the demo gives its sessions.
const GRACE: Duration = Duration::from_secs(2);

/// What no machine is too busy for.
const HANGS: Duration = Duration::from_secs(20);
/// Both at once would measure each other.
static ALONE: Mutex<()> = Mutex::const_new(());
