//! What the fuzzers call: one function per target, each fed any bytes at all. They stand in the core because most of what
//! they drive is not public; builds other than tests and fuzzers leave them out.
//!
//! A target panics when a property does not hold. `docs/fuzzing.md` has the table of targets and how to run them; the unit
//! tests here run each function over its checked-in corpus.

mod codecs;
mod input;
mod messages;
mod qpack;
#[cfg(test)]
mod tests;

pub use codecs::{capsules, datagram, frames, settings, varint};
pub use messages::{protocols, request, router};
pub use qpack::{field_section, instructions};

/// A target: what to do with one input.
pub type Target = fn(&[u8]);

/// Every target by the name of its binary and of its corpus.
pub const TARGETS: [(&str, Target); 10] = [
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
];
