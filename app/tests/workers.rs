//! Several workers behind one address. About sockets and threads, so only on real ones.

#![cfg(feature = "tokio")]

mod common;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{echo, within};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use transom::{Client, ClientBuilder, ServeError, ServerApp, Session, Tls};

fn tls() -> (Tls, ClientBuilder) {
    let tls = Tls::self_signed(["localhost", "127.0.0.1"]).unwrap();
    let client = Client::builder().certificate_hash(tls.certificate_sha256());
    (tls, client)
}

/// A NAT that forgets: every so many packets of a client, its address outside is another.
struct Nat {
    front: Arc<UdpSocket>,
    server: SocketAddr,
    every: usize,
    outside: HashMap<SocketAddr, (Arc<UdpSocket>, JoinHandle<()>, usize)>,
    rebound: Arc<Mutex<usize>>,
}

impl Nat {
    async fn start(server: SocketAddr, every: usize) -> (SocketAddr, Arc<Mutex<usize>>) {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (address, rebound) = (front.local_addr().unwrap(), Arc::default());
        let mut nat = Self { front, server, every, outside: HashMap::new(), rebound: Arc::clone(&rebound) };
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((size, client)) = nat.front.recv_from(&mut buffer).await {
                let outside = nat.outside_of(client).await;
                let _ = outside.send_to(&buffer[..size], nat.server).await;
            }
        });
        (address, rebound)
    }

    async fn outside_of(&mut self, client: SocketAddr) -> Arc<UdpSocket> {
        match self.outside.get_mut(&client) {
            Some((socket, _, left)) if *left > 0 => {
                *left -= 1;
                return Arc::clone(socket);
            }
            Some((_, back, _)) => {
                back.abort();
                *self.rebound.lock().unwrap() += 1;
            }
            None => {}
        }
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (front, outside) = (Arc::clone(&self.front), Arc::clone(&socket));
        let back = tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((size, _)) = outside.recv_from(&mut buffer).await {
                let _ = front.send_to(&buffer[..size], client).await;
            }
        });
        self.outside.insert(client, (Arc::clone(&socket), back, self.every));
        socket
    }
}

async fn messages(session: &Session, seed: u8, count: usize) {
    for round in 0..count {
        let message: Vec<u8> = (0..60_000).map(|index: usize| (index * 3 + round) as u8 ^ seed).collect();
        let mut stream = session.open_bi().await.unwrap();
        stream.send.write_all(&message).await.unwrap();
        stream.send.finish().unwrap();
        assert_eq!(stream.recv.read_to_end(100_000).await.unwrap(), message, "client {seed}, message {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_whose_addresses_change_under_load_lose_nothing() {
    let (tls, client) = tls();
    let server = ServerApp::new().route("/echo", echo).bind("127.0.0.1:0", tls).workers(4).start().unwrap();
    let (nat, rebound) = Nat::start(server.local_addrs()[0], 100).await;
    let clients: Vec<_> = (0..8_u8)
        .map(|seed| {
            let (client, url) = (client.clone(), format!("https://{nat}/echo"));
            tokio::spawn(async move {
                let session = client.connect(&url).await.unwrap();
                messages(&session, seed, 20).await;
                session.close(0, "");
            })
        })
        .collect();
    for client in clients {
        within(client).await.unwrap();
    }
    let (stats, rebound) = (server.stats(), *rebound.lock().unwrap());
    assert!(rebound >= 16, "{rebound} rebindings");
    assert!(stats.udp_datagrams_handed_on > 0, "{rebound} rebindings: {stats:?}");
    assert_eq!((stats.connections_accepted, stats.sessions_accepted), (8, 8), "{stats:?}");
    server.handle().shutdown(Duration::from_secs(5));
    within(server.wait()).await.unwrap();
}

#[tokio::test]
async fn each_worker_runs_the_handlers_of_its_sessions() {
    let (tls, client) = tls();
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let app = ServerApp::with_state(Arc::clone(&seen)).route(
        "/where",
        async |session: Session, transom::State(seen): transom::State<Arc<Mutex<HashSet<String>>>>| {
            seen.lock().unwrap().insert(std::thread::current().name().unwrap_or_default().to_owned());
            session.closed().await;
        },
    );
    let server = app.bind("127.0.0.1:0", tls).workers(2).start().unwrap();
    let url = format!("https://{}/where", server.local_addrs()[0]);
    // Which worker gets a client is the system's choice: all on one happens once in 2^31.
    for _ in 0..32 {
        within(client.connect(&url)).await.unwrap().close(0, "");
    }
    server.handle().shutdown(Duration::from_secs(5));
    within(server.wait()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, HashSet::from(["transom-0".to_owned(), "transom-1".to_owned()]));
}

#[test]
fn a_server_runs_where_there_is_no_runtime() {
    let (tls, client) = tls();
    let (tell, told) = tokio::sync::oneshot::channel();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let serve = ServerApp::new()
        .route("/echo", echo)
        .bind(address, tls)
        .with_graceful_shutdown(async move { drop(told.await) }, Duration::from_secs(5));
    let thread = std::thread::spawn(move || serve.run());
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let session = within(client.connect(&format!("https://{address}/echo"))).await.unwrap();
        within(messages(&session, 1, 2)).await;
        session.close(0, "");
    });
    tell.send(()).unwrap();
    thread.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_runtime_is_not_blocked() {
    let error = ServerApp::new().route("/echo", echo).bind("127.0.0.1:0", tls().0).run().unwrap_err();
    assert!(matches!(error, ServeError::InsideRuntime), "{error}");
}

#[test]
fn what_keeps_a_worker_from_starting_is_said() {
    let (first, second) = (tls().0, tls().0);
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = ServerApp::new().bind(taken.local_addr().unwrap(), first).workers(2).run().unwrap_err();
    assert!(matches!(error, ServeError::Bind { .. }), "{error}");
    let mut config = transom::Config::default();
    config.initial_mtu = 100;
    let error = ServerApp::new().config(config).bind("127.0.0.1:0", second).workers(2).run().unwrap_err();
    assert!(matches!(error, ServeError::Config(_)), "{error}");
}
