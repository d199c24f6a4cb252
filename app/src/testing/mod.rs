//! Tests of servers and clients without sockets and without waiting: a [`World`] has a clock, a scheduler and a network of
//! its own.
//!
//! Time stands still while anything runs and jumps to the next event when nothing does, so that an hour of keep-alives
//! takes a moment. Everything that is left to chance (which task runs next, which datagram is lost) follows from one seed:
//! a test that fails, fails again with the same seed.
//!
//! Inside [`World::run`] servers and clients use the world by themselves:
//!
//! ```
//! use std::time::Duration;
//!
//! use transom::testing::{self, LinkConfig, World};
//! use transom::{Client, ServerApp, Session, SessionError};
//!
//! async fn echo(session: Session) -> Result<(), SessionError> {
//!     while let Some(mut stream) = session.accept_bi().await? {
//!         let message = stream.recv.read_to_end(64 * 1024).await?;
//!         stream.send.write_all(&message).await?;
//!         stream.send.finish()?;
//!     }
//!     Ok(())
//! }
//!
//! let world = World::new(7);
//! world.network().set(LinkConfig { delay: Duration::from_millis(100), loss_per_mille: 50, ..LinkConfig::good() });
//! world.network().name("chat.example", [10, 0, 0, 1]);
//! let answer = world.run(async {
//!     let tls = testing::tls();
//!     let client = Client::builder().certificate_hash(tls.certificate_sha256());
//!     let _server = ServerApp::new().route("/echo", echo).bind("10.0.0.1:443", tls).start()?;
//!
//!     let session = client.connect("https://chat.example/echo").await?;
//!     let mut stream = session.open_bi().await?;
//!     stream.send.write_all(b"hello").await?;
//!     stream.send.finish()?;
//!     Ok::<_, Box<dyn std::error::Error>>(stream.recv.read_to_end(1024).await?)
//! });
//! assert_eq!(answer.unwrap(), "hello");
//! // Three round trips at least, and not one of them was waited for.
//! assert!(world.elapsed() >= Duration::from_millis(600));
//! ```
//!
//! # Handlers that need tokio
//!
//! A world is no tokio runtime: what a handler calls of `tokio::time`, `tokio::spawn` and `tokio::net` is not there
//! (channels and locks are). Either the handler takes what it needs from the world ([`World::spawn`], [`World::sleep`]), or
//! the test runs on tokio with tokio's own virtual time and takes the [`Network`] alone:
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
//! // In a #[tokio::test(start_paused = true)]:
//! use std::sync::Arc;
//!
//! use transom::testing::{self, Network};
//! use transom::{Client, ServerApp, Session, Tokio};
//!
//! async fn patient(session: Session) {
//!     tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
//!     session.close(7, "an hour is over");
//! }
//!
//! let tokio = Arc::new(Tokio::current().unwrap());
//! let machine = Network::new(7).machine(tokio, [[127, 0, 0, 1]]);
//! let tls = testing::tls();
//! let client = Client::builder().certificate_hash(tls.certificate_sha256()).runtime(machine.clone());
//! let server = ServerApp::new().route("/", patient).runtime(machine).bind("127.0.0.1:443", tls).start().unwrap();
//! let session = client.connect("https://127.0.0.1/").await.unwrap();
//! assert!(session.closed().await.to_string().contains("an hour is over"));
//! # drop(server);
//! # });
//! ```
//!
//! # What is not from the seed
//!
//! TLS makes its keys from the system's random numbers: the bytes of packets differ from run to run, their number, length
//! and time do not, if the certificate is that of [`tls`]. What your own code takes from the system (clocks, threads, the
//! order of a `HashMap`) is its own affair.

mod executor;
mod link;
mod machine;
mod network;
mod random;
mod socket;
mod timer;
mod tls;
mod world;

pub use link::{EcnPath, Link, LinkConfig, Parcel};
pub use network::{Network, NetworkStats};
pub use random::Random;
pub use tls::tls;
pub use world::{Joined, World};
