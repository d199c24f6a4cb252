//! A client that says whatever it is told to say.
//!
//! It stands directly on `quinn_proto` and a blocking UDP socket: no Transom code and nobody's HTTP/3 code takes part,
//! so that what judges the server shares no mistake with it. Bytes go out as given, right or wrong; what comes back is
//! collected as plain data in [`Seen`], so that a test can ask for exact codes.
//!
//! - [`Client`] is one QUIC connection: streams, resets, stops, DATAGRAM frames.
//! - [`Memory`] is the same as either end, without socket and clock, for cores in virtual time.
//! - [`Peer`] adds the well-formed parts (SETTINGS, CONNECT, responses, echoes) around which an attack is built.
//! - [`wire`] and [`qpack`] are the encoders; they refuse nothing.

mod client;
pub mod code;
mod congestion;
mod memory;
mod observe;
mod peer;
pub mod qpack;
mod request;
mod response;
mod static_table;
mod tls;
pub mod wire;

pub(crate) use client::client_config;
pub use client::{Client, Options};
pub use memory::Memory;
pub use observe::{Close, Failure, Seen, StreamSeen};
pub use peer::{DRAFT_02, DRAFT_15, Peer};
pub use request::Request;
pub use response::Response;
pub use tls::accept_any_certificate;
