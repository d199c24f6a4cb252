//! Transom judged from outside.
//!
//! - [`captures`]: what real clients sent, and its replay against our server.
//! - [`raw`]: a client on bare QUIC that says whatever it is told, right or wrong.
//! - [`forge`]: a QUIC client whose packets are written by hand.
//! - [`hostile`]: the table of bad inputs and the reaction each must get.
//! - [`peers`]: other people's WebTransport servers, for our client.
//! - [`demo`]: the server under test, `transom demo`, as a child process.
//! - [`simulation`]: two real cores on virtual time over a bad network.
//! - [`siege`]: a real server core and a raw client on virtual time.
//! - [`drift`]: what that server keeps of what is over.
//!
//! Nothing but [`simulation`], [`drift`], the server's half of [`siege`], and [`captures`] and [`forge`] through simulations
//! uses a Transom crate: what judges our code must not be made of it.

pub mod captures;
pub mod demo;
pub mod drift;
pub mod forge;
pub mod hostile;
pub mod hot_paths;
pub mod peers;
pub mod raw;
pub mod siege;
pub mod simulation;
