//! Servers to compare, and the load client that compares them.
//!
//! [`bare`] is a plain loop over quinn-proto; the floor and the load client stand on it. Nothing of Transom is in what
//! judges it: only [`servers`] names the crates that are measured.

pub mod bare;
pub mod certificate;
pub mod client;
pub mod payload;
pub mod process;
pub mod quic;
pub mod scenarios;
pub mod servers;
pub mod socket;
pub mod wire;
