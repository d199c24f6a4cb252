//! What the fuzzers call: one function per target, each fed any bytes at all. They stand in the core because most of what
//! they drive is not public; builds other than tests and fuzzers leave them out.
//!
//! A target panics when a property does not hold. `docs/fuzzing.md` has the table of targets and how to run them; the unit
//! tests here run each function over its checked-in corpus.

mod application;
mod codecs;
mod input;
mod judgement;
mod machine;
mod messages;
mod model;
mod network;
mod pair;
mod plain;
mod qpack;
mod raw;
mod script;
mod server;
#[cfg(test)]
mod tests;

pub use codecs::{capsules, datagram, frames, settings, varint};
pub use judgement::admission;
pub use machine::chunking;
pub use messages::{protocols, request, router};
pub use pair::pair;
pub use qpack::{field_section, instructions};
pub use server::server;

#[cfg(test)]
pub(crate) use plain::{INTEGRITY_LIMIT, Plain};

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::LazyLock;
use std::time::Instant;

/// A target: what to do with one input.
pub type Target = fn(&[u8]);

/// Every target by the name of its binary and of its corpus.
pub const TARGETS: [(&str, Target); 14] = [
    ("varint", varint),
    ("frames", frames),
    ("settings", settings),
    ("field_section", field_section),
    ("instructions", instructions),
    ("capsules", capsules),
    ("protocols", protocols),
    ("request", request),
    ("datagram", datagram),
    ("router", router),
    ("admission", admission),
    ("chunking", chunking),
    ("server", server),
    ("pair", pair),
];

/// Where the two ends of a connection are.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 443);
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 4433);

/// When virtual time begins.
pub(crate) fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "virtual time has to count from some instant")]
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}
