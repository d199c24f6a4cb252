//! WebTransport over HTTP/3 without input or output: the core of Transom.
//!
//! [`Endpoint`] is one UDP socket's worth of connections, client or server or both. Bytes and time go in, bytes, events
//! and deadlines come out; whoever drives it owns the socket and the clock. An event loop of your own needs five calls:
//!
//! ```text
//!   UDP in ──► handle_receive ─┐                  ┌─► poll_event ───► application
//!   clock ───► handle_timeout ─┤     Endpoint     ├─► poll_transmit ► UDP out
//!   commands ► connection(id) ─┘                  └─► poll_timeout ─► timer
//! ```
//!
//! # The contract
//!
//! - **C1 Time.** `now` never goes back; an older `now` counts as the newest seen. The core never reads a clock.
//! - **C2 Order-free.** Inputs, commands and polls interleave in any order. There is no "you must drain first" error.
//! - **C3 Nothing to sleep through.** While any output may be pending, [`Endpoint::poll_timeout`] is already due.
//!   (Sending can produce events: room in the datagram buffer appears while a packet is being written.)
//! - **C4 Polls do not fail.** Failures are events, or results of commands.
//! - **C5 Hints, not payloads.** An [`Event`] carries no stream or datagram bytes; at most one hint of each kind is
//!   pending per stream and session. Queue memory is bounded by [`Config`], not by the peer.
//! - **C6 `Drop` is silent.** Dropping a proxy, an event or the endpoint sends nothing and leaks nothing.
//! - **C7 No peer-triggered panic.** Wrong identifiers and closed streams give `UnknownSession` and `Closed`, never an
//!   assertion.
//! - **C8 Replay.** The same seed and inputs give the same events and actions. (TLS bytes are outside.)
//!
//! # Layers
//!
//! Three parts that do not know each other, connected by whoever drives: **bytes** ([`wire`]), **machines** (`h3`,
//! `session`, `connection`, [`Endpoint`]), **judgement** ([`router`], [`middleware`], [`admission`]).

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("turn on one of the features `ring` and `aws-lc-rs`: TLS needs somebody who does the cryptography");

pub mod admission;
mod config;
mod connection;
mod datagrams;
mod deadlines;
mod endpoint;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod h3;
mod http_request;
mod id;
mod io;
mod limits;
pub mod middleware;
#[cfg(feature = "qlog")]
pub mod qlog;
mod request;
pub mod router;
pub mod rt;
mod session;
pub mod stats;
pub mod wire;
mod worker;

pub use config::Config;
pub use connection::{Connection, RecvStream, SendGroup, SendStream, Session};
pub use datagrams::{DatagramOptions, DatagramPriority};
pub use endpoint::{Endpoint, EndpointStats};
pub use error::{
    ConfigError, ConnectError, ConnectionError, ErrorCode, ExportError, OpenError, ReadError, SendDatagramError,
    SessionEnd, UnknownRequest, UnknownSession, WriteError,
};
pub use event::Event;
pub use http_request::HttpRequest;
pub use id::{ConnectionId, Direction, Role, SessionId, StreamId};
pub use io::{Ecn, Receive, Transmit};
pub use request::{Dialect, Request, Response};
pub use stats::{ConnectionStats, DatagramStats, RecvStreamStats, SendStreamStats, SessionStats};
pub use worker::Worker;
