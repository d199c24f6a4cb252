//! Real cores on virtual time over a network made from a seed.
//!
//! [`Pair`] is one client and one server for tests that tell a story; [`World`] is several clients with random scripts
//! and oracles that judge what came of them.

mod ledger;
mod link;
mod pair;
mod random;
mod tls;
mod world;

pub use link::{Link, LinkConfig};
pub use pair::{Pair, Side};
pub use random::Random;
pub use world::{Report, World};
