//! QPACK without its dynamic table: static table, literals and Huffman coding only (RFC 9204).
//!
//! An endpoint that announces a table capacity of zero needs no more, and then neither the order in which field
//! sections arrive nor any earlier section matters.

use bytes::Bytes;

pub mod decode;
pub mod encode;
pub mod huffman;
pub mod huffman_table;
pub mod instructions;
pub mod prefix;
pub mod static_table;

pub use decode::{DecodeError, Limits, decode};
pub use encode::encode;
pub use instructions::{DecoderStream, EncoderStream, InstructionError};

/// What a field counts in the size of a section besides its name and value (RFC 9114, section 4.2.2).
pub const FIELD_OVERHEAD: usize = 32;

/// One field line as decoded, with nothing checked about its name or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name; a pseudo-header field keeps its colon.
    pub name: Bytes,
    /// The value.
    pub value: Bytes,
}

impl Field {
    /// Returns what the field counts in the size of its section (RFC 9114, section 4.2.2).
    pub fn size(&self) -> usize {
        self.name.len().saturating_add(self.value.len()).saturating_add(FIELD_OVERHEAD)
    }
}
