//! WebTransport servers and clients: sessions over QUIC with streams, datagrams, and nothing in between.
//!
//! A server is an app with routes; a route is an async function that gets a [`Session`]. This one echoes streams and
//! datagrams to every browser or client that comes, with a certificate made on the spot:
//!
//! ```no_run
//! use transom::{ServerApp, Session, SessionError, Tls};
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
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let tls = Tls::self_signed(["localhost", "127.0.0.1", "::1"])?;
//!     println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
//!     ServerApp::new().route("/echo", echo).bind("[::]:4433", tls).await?;
//!     Ok(())
//! }
//! ```
//!
//! [`Client`] is the other side. Both run the sans-IO core of the crate `transom-core`.
//!
//! # Runtimes
//!
//! Servers and clients run on what is given to [`ServerApp::runtime`] and [`ClientBuilder::runtime`], which can be
//! anything that implements [`rt::Runtime`]. Without that, the first of these that applies is used:
//!
//! 1. with the feature `tokio` (on by default), the tokio runtime we are called in;
//! 2. with the feature `smol`, smol's global executor.
//!
//! Both features can be on, as happens when two crates of one program ask for one each, and neither changes what a
//! program written for the other does: inside tokio it is tokio, and a program for smol is never inside tokio, unless it
//! says so with an adapter such as `async-compat`; such a program names its runtime. The one difference is that what was
//! an error with tokio alone, a server outside of any runtime, works once smol is there. [`Serve::run`], which makes
//! executors of its own, makes those of tokio where both are there, since what is written for smol runs in them, too.
//!
//! With the feature `testing` there is a third one, for tests: in `transom::testing` time is virtual and the network is in
//! memory.
//!
//! # How it runs
//!
//! One task per UDP socket drives all connections of the socket; handles like [`Session`] and [`SendStream`] act on the
//! core directly. There is no task per connection and there are no channels in between, so back-pressure is QUIC's own:
//! what is not read here is not sent there.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod client;
mod datagrams;
mod diagnostics;
mod driver;
mod error;
mod for_each;
mod group;
#[cfg(doctest)]
mod guide;
mod qlog;
mod runtime;
mod server;
mod session;
#[cfg(feature = "config")]
mod settings;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;

pub use client::{Client, ClientBuilder};
pub use diagnostics::{
    CertificateDiagnostics, ConnectionDiagnostics, Issue, LimitDiagnostics, RouteDiagnostics, ServerDiagnostics,
    ServerState, SessionDiagnostics, Thresholds,
};
pub use error::{ClientError, ReadError, ReadExactError, ReadToEndError, ServeError, SessionError, WriteError};
pub use group::{Group, Groups, Sent, SlowReceivers};
pub use runtime::*;
pub use server::{
    CloseCode, Cluster, Events, FromRequest, FromState, Handler, HandlerFailure, HttpResponse, Identity, IdentityType,
    IntoOutcome, Job, Origin, Outcome, Parts, Path, PeerAddress, Query, Serve, Server, ServerApp, ServerEvent,
    ServerHandle, SessionRequest, State, StatefulMiddleware, Subprotocol,
};
pub use session::Session;
#[cfg(feature = "config")]
pub use settings::{Settings, SettingsError, TlsSettings};
pub use stream::{BiStream, RecvStream, SendStream};
pub use tls::{ClientCertificates, Tls, TlsError};

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
pub use transom_core::middleware::{
    AllowOrigins, Arrival, Decision, HeaderRules, Middleware, OriginError, Permit, RateLimit, Rejection, SessionLimit,
};
pub use transom_core::router::{Params, RouteInfo, RouteKind, RouterStats};
pub use transom_core::{
    Config, ConfigError, ConnectError, ConnectionError, ConnectionStats, DatagramOptions, DatagramPriority,
    DatagramStats, Dialect, EndpointStats, ErrorCode, ExportError, HttpRequest, RecvStreamStats, Request, Response,
    SendDatagramError, SendGroup, SendStreamStats, SessionEnd, SessionId, SessionStats, StreamId,
};
