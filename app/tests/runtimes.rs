//! Which runtime servers and clients are on, and what becomes of them with it.

#[macro_use]
mod common;

use std::thread::ThreadId;
use std::time::Duration;

use common::{Running, echo, within};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use transom::{ServeError, ServerApp, Session, SessionEnd, SessionError, State, Tls};

/// Sends a message there and back.
async fn exchange(session: &Session) {
    let mut stream = session.open_bi().await.unwrap();
    stream.send.write_all(b"hello").await.unwrap();
    stream.send.finish().unwrap();
    assert_eq!(stream.recv.read_to_end(10).await.unwrap(), "hello");
}

/// What a handler says of where it runs.
type Place = (bool, ThreadId);

/// Tells where it runs: inside of tokio or not, and on which thread.
fn telltale() -> (ServerApp<UnboundedSender<Place>>, UnboundedReceiver<Place>) {
    async fn tell(session: Session, State(sender): State<UnboundedSender<Place>>) {
        sender.send((tokio::runtime::Handle::try_current().is_ok(), std::thread::current().id())).unwrap();
        session.closed().await;
    }
    let (sender, receiver) = unbounded_channel();
    (ServerApp::with_state(sender).route("/", tell), receiver)
}

#[test]
fn outside_of_all_runtimes_there_is_smol_or_an_error() {
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    let started = ServerApp::new().route("/echo", echo).bind("127.0.0.1:0", tls).start();
    if cfg!(feature = "smol") {
        assert_eq!(started.unwrap().local_addrs().len(), 1);
    } else {
        assert!(matches!(started, Err(ServeError::NoRuntime)), "{started:?}");
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn inside_of_tokio_it_is_tokio_also_with_smol_there() {
    let (app, mut told) = telltale();
    let running = Running::start(app);
    let _session = running.session("/").await;
    assert_eq!(within(told.recv()).await, Some((true, std::thread::current().id())));
}

#[cfg(feature = "tokio")]
#[test]
fn a_tokio_runtime_that_goes_ends_everything() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = runtime.block_on(async {
        let running = Running::start(ServerApp::new().route("/echo", echo));
        let session = running.session("/echo").await;
        // The server goes with its runtime, not before.
        std::mem::forget(running);
        session
    });
    drop(runtime);
    smol::block_on(async {
        assert!(matches!(within(session.closed()).await, SessionEnd::ConnectionLost(_)));
        assert!(within(session.open_bi()).await.is_err());
    });
}

#[cfg(feature = "testing")]
#[test]
fn inside_of_a_world_it_is_that_world() {
    let world = transom::testing::World::new(1);
    world.run(async {
        let (app, mut told) = telltale();
        let running = Running::start(app);
        let _session = running.session("/").await;
        assert_eq!(within(told.recv()).await, Some((false, std::thread::current().id())));
    });
    assert!(world.network().stats().delivered > 0 && world.elapsed() < Duration::from_secs(1));
}

#[cfg(feature = "tokio")]
#[test]
fn shutdown_hooks_of_a_runtime_that_goes_are_not_waited_for() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(async {
        let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
        let app = ServerApp::new().route("/echo", echo).on_shutdown(async |()| {});
        within(app.bind("127.0.0.1:0", tls).launch()).await.unwrap()
    });
    runtime.shutdown_background();
    let other = tokio::runtime::Runtime::new().unwrap();
    assert!(other.block_on(async { within(server.wait()).await }).is_err());
}

/// tokio, but it watches one socket and no other.
#[cfg(feature = "tokio")]
#[derive(Debug)]
struct OneSocket(transom::Tokio, std::sync::atomic::AtomicBool);

#[cfg(feature = "tokio")]
impl transom::rt::Runtime for OneSocket {
    fn now(&self) -> std::time::Instant {
        self.0.now()
    }

    fn spawn(&self, task: transom::rt::Task) {
        self.0.spawn(task);
    }

    fn timer(&self, deadline: std::time::Instant) -> std::pin::Pin<Box<dyn transom::rt::Timer>> {
        self.0.timer(deadline)
    }

    fn wrap(&self, socket: std::net::UdpSocket) -> std::io::Result<Box<dyn transom::rt::UdpSocket>> {
        if self.1.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Err(std::io::Error::other("no second one"));
        }
        self.0.wrap(socket)
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn nothing_goes_on_of_a_start_that_failed() {
    let address = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let runtime = OneSocket(transom::Tokio::current().unwrap(), false.into());
    let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
    let app = ServerApp::new().route("/echo", echo).runtime(std::sync::Arc::new(runtime));
    let started = app.bind(address, tls).also_bind("127.0.0.2:0").start();
    assert!(matches!(started, Err(ServeError::Bind { .. })), "{started:?}");
    within(async {
        while std::net::UdpSocket::bind(address).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[cfg(feature = "smol")]
mod on_smol {
    use std::sync::{Arc, mpsc};

    use smol::Executor;
    use smol::io::{AsyncReadExt, AsyncWriteExt};
    use transom::{ClientError, Smol};

    use super::*;

    #[test]
    fn outside_of_tokio_it_is_smol_also_with_tokio_there() {
        smol::block_on(async {
            let (app, mut told) = telltale();
            let running = Running::start(app);
            let _session = running.session("/").await;
            let (in_tokio, thread) = within(told.recv()).await.unwrap();
            assert!(!in_tokio && thread != std::thread::current().id(), "smol's executor has a thread of its own");
        });
    }

    #[test]
    fn an_executor_that_was_named_runs_the_handlers() {
        let executor = Arc::new(Executor::new());
        smol::block_on(executor.run(async {
            let (app, mut told) = telltale();
            let running = Running::start(app.runtime(Arc::new(Smol::with_executor(&executor))));
            let _session = running.session("/").await;
            assert_eq!(within(told.recv()).await, Some((false, std::thread::current().id())));
        }));
    }

    #[test]
    fn an_executor_that_goes_ends_everything() {
        let executor = Arc::new(Executor::new());
        let smol = Arc::new(Smol::with_executor(&executor));
        let session = smol::block_on(executor.run(async {
            let running = Running::start(ServerApp::new().runtime(smol.clone()).route("/echo", echo));
            let client = running.client().runtime(smol);
            let session = within(client.connect(&running.url("/echo"))).await.unwrap();
            exchange(&session).await;
            std::mem::forget(running);
            session
        }));
        drop(executor);
        smol::block_on(async {
            assert!(matches!(within(session.closed()).await, SessionEnd::ConnectionLost(_)));
            assert!(within(session.open_bi()).await.is_err());
        });
    }

    #[test]
    fn a_runtime_that_has_ended_is_an_error_for_a_client() {
        let ended = Arc::new(Smol::block_on(async |smol| smol).unwrap());
        smol::block_on(async {
            let running = Running::start(ServerApp::new().route("/echo", echo));
            let client = running.client().runtime(ended);
            let error = within(client.connect(&running.url("/echo"))).await.unwrap_err();
            assert!(matches!(error, ClientError::Connection(_)), "{error}");
        });
    }

    #[test]
    fn several_threads_may_run_one_executor() {
        let executor = Arc::new(Executor::new());
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
                std::thread::spawn(move || smol::block_on(executor.run(stopped.recv())))
            })
            .collect();
        smol::block_on(async {
            let smol = Arc::new(Smol::with_executor(&executor));
            let running = Running::start(ServerApp::new().runtime(smol).route("/echo", echo));
            let sessions = [running.session("/echo").await, running.session("/echo").await];
            for session in &sessions {
                within(exchange(session)).await;
            }
        });
        drop(stop);
        for thread in threads {
            assert!(thread.join().unwrap().is_err(), "the channel is closed");
        }
    }

    #[test]
    fn futures_io_s_traits() {
        smol::block_on(async {
            let running = Running::start(ServerApp::new().route("/echo", echo));
            let session = running.session("/echo").await;
            let mut stream = within(session.open_bi()).await.unwrap();
            within(AsyncWriteExt::write_all(&mut stream, b"line one\nline two\n")).await.unwrap();
            stream.flush().await.unwrap();
            stream.close().await.unwrap();
            stream.close().await.unwrap();
            let mut text = String::new();
            within(stream.read_to_string(&mut text)).await.unwrap();
            assert_eq!(text, "line one\nline two\n");
            assert!(within(AsyncWriteExt::write_all(&mut stream, b"late")).await.is_err());
        });
    }

    /// Blocks, with a worker per core; on smol's executors where there is no tokio.
    #[test]
    fn a_server_runs_where_there_is_no_runtime() {
        let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
        let client = transom::Client::builder().certificate_hash(tls.certificate_sha256());
        let address = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let (seen, threads) = mpsc::channel();
        let serve = ServerApp::with_state(seen)
            .route("/echo", async |session: Session, State(seen): State<mpsc::Sender<Option<String>>>| {
                seen.send(std::thread::current().name().map(str::to_owned)).unwrap();
                echo_one(session).await
            })
            .bind(address, tls)
            .workers(2)
            .with_graceful_shutdown(async move { assert!(stopped.recv().await.is_err()) }, Duration::from_secs(5));
        let server = std::thread::spawn(move || serve.run());
        smol::block_on(async {
            let session = within(client.connect(&format!("https://{address}/echo"))).await.unwrap();
            within(exchange(&session)).await;
        });
        drop(stop);
        server.join().unwrap().unwrap();
        assert!(threads.recv().unwrap().unwrap().starts_with("transom-"));
    }

    async fn echo_one(session: Session) -> Result<(), SessionError> {
        let Some(mut stream) = session.accept_bi().await? else { return Ok(()) };
        let message = stream.recv.read_to_end(10).await?;
        stream.send.write_all(&message).await?;
        stream.send.finish()?;
        // The close of a handler that returns may overtake the client's reading, which is on another thread here.
        session.closed().await;
        Ok(())
    }
}
