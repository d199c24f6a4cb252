//! What the integration tests share: every runtime, a server on loopback, and clients that trust it.

#![allow(dead_code, unreachable_pub, unused_imports, unused_macros, reason = "each test takes what it needs")]

#[macro_use]
pub mod runtimes;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use transom::{Client, ClientBuilder, Server, ServerApp, Session, SessionError, Tls};

pub use runtimes::{sleep, spawn, timeout, yield_now};

/// A server under test and how to reach it.
pub struct Running {
    pub server: Server,
    pub address: SocketAddr,
    hash: [u8; 32],
}

impl Running {
    /// Serves an app on loopback.
    pub fn start<S: Clone + Send + Sync + 'static>(app: ServerApp<S>) -> Self {
        let tls = Tls::self_signed(["localhost", "127.0.0.1"]).unwrap();
        let hash = tls.certificate_sha256();
        let server = app.bind("127.0.0.1:0", tls).start().unwrap();
        let address = server.local_addrs()[0];
        Self { server, address, hash }
    }

    /// Serves an app that has hooks on loopback.
    pub async fn launch<S: Clone + Send + Sync + 'static>(app: ServerApp<S>) -> Self {
        let tls = Tls::self_signed(["localhost", "127.0.0.1"]).unwrap();
        let hash = tls.certificate_sha256();
        let server = within(app.bind("127.0.0.1:0", tls).launch()).await.unwrap();
        let address = server.local_addrs()[0];
        Self { server, address, hash }
    }

    /// A client that trusts this server.
    pub fn client(&self) -> ClientBuilder {
        Client::builder().certificate_hash(self.hash)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// A session for a path.
    pub async fn session(&self, path: &str) -> Session {
        within(self.client().connect(&self.url(path))).await.unwrap()
    }
}

/// A test that hangs is a test that fails.
pub fn within<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let future = Box::pin(future);
    async { timeout(Duration::from_secs(30), future).await.expect("the test hangs") }
}

/// Echoes bidirectional streams one after the other, answers unidirectional ones, echoes datagrams.
pub async fn echo(session: Session) -> Result<(), SessionError> {
    let streams = async {
        while let Some(stream) = session.accept_bi().await? {
            spawn(echo_stream(stream));
        }
        Ok::<(), SessionError>(())
    };
    let uni = async {
        while let Some(mut stream) = session.accept_uni().await? {
            let session = session.clone();
            spawn(async move {
                let message = stream.read_to_end(1 << 20).await?;
                let mut answer = session.open_uni().await?;
                answer.write_all(&message).await?;
                answer.finish()?;
                Ok::<(), SessionError>(())
            });
        }
        Ok::<(), SessionError>(())
    };
    let datagrams = async {
        while let Some(datagram) = session.recv_datagram().await? {
            session.send_datagram(datagram)?;
        }
        Ok::<(), SessionError>(())
    };
    tokio::try_join!(streams, uni, datagrams).map(|_| ())
}

async fn echo_stream(mut stream: transom::BiStream) -> Result<(), SessionError> {
    while let Some(bytes) = stream.recv.read_bytes(64 * 1024).await? {
        stream.send.write_bytes(bytes).await?;
    }
    stream.send.finish()?;
    Ok(())
}
