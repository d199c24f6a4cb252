//! Two real cores on virtual time over a network made from a seed.

mod link;
mod pair;
mod tls;

pub use link::{Link, LinkConfig};
pub use pair::{Pair, Side};
