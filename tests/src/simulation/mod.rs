//! Real cores on virtual time over a network made from a seed.
//!
//! - [`Pair`] is one client and one server for tests that tell a story.
//! - [`Facing`] is one core and a peer that says whatever it is told.
//! - [`Lone`] is a server on its own, for those who bring the packets, and [`Bare`] a QUIC client that brings them.
//! - [`World`] is a server and several clients, some of them misbehaving, with random scripts and oracles that judge what
//!   came of them.

mod bare;
mod facing;
mod judge;
mod ledger;
mod lone;
mod pair;
mod presets;
mod tls;
mod world;

pub use bare::{Announced, Bare};
pub use facing::Facing;
pub use judge::{judge, judge_all};
pub use lone::Lone;
pub use pair::{Pair, Side};
pub(crate) use tls::configs;
pub use transom::testing::{EcnPath, Link, LinkConfig, Parcel, Random};
pub use world::{Counts, Report, World};
