//! Field sections written without a dynamic table (RFC 9204, section 4.5).

use super::static_table::{self, Match};
use super::{huffman, prefix};

/// Appends a field section to `out` (RFC 9204, section 4.5).
///
/// Every field becomes the shortest of what the static table offers: an index, a literal with the name of an entry,
/// or a literal. Literals are Huffman-coded where that is shorter. Names must be lower case already, and nothing is
/// checked about names or values.
pub fn encode<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>, out: &mut Vec<u8>) {
    // Required Insert Count and Delta Base, both zero (section 4.5.1).
    out.extend_from_slice(&[0, 0]);
    for (name, value) in fields {
        match static_table::find(name, value) {
            Some(Match::Field(index)) => prefix::encode(index.into(), 6, 0xc0, out),
            Some(Match::Name(index)) => {
                prefix::encode(index.into(), 4, 0x50, out);
                encode_string(value, 7, 0, out);
            }
            None => {
                encode_string(name, 3, 0x20, out);
                encode_string(value, 7, 0, out);
            }
        }
    }
}

/// Writes a string whose length has `prefix_bits` bits below the flag for Huffman coding (RFC 9204, section 4.1.2).
fn encode_string(string: &[u8], prefix_bits: u32, flags: u8, out: &mut Vec<u8>) {
    let coded_size = huffman::encoded_size(string);
    if coded_size < string.len() {
        prefix::encode(coded_size as u64, prefix_bits, flags | 1 << prefix_bits, out);
        huffman::encode(string, out);
    } else {
        prefix::encode(string.len() as u64, prefix_bits, flags, out);
        out.extend_from_slice(string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(name: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode([(name, value)], &mut out);
        out
    }

    #[test]
    fn each_field_takes_its_shortest_form() {
        assert_eq!(encoded(b":status", b"200"), [0x00, 0x00, 0xd9]);
        assert_eq!(encoded(b"x-frame-options", b"deny"), [0x00, 0x00, 0xff, 0x22]);
        assert_eq!(encoded(b":status", b"302"), [0x00, 0x00, 0xff, 0x03]);
        assert_eq!(encoded(b"content-length", b""), [0x00, 0x00, 0x54, 0x00]);
        assert_eq!(encoded(b"user-agent", b"gzip"), [0x00, 0x00, 0x5f, 0x50, 0x83, 0x9b, 0xd9, 0xab]);
        assert_eq!(encoded(b"gzip", b"\x00"), [0x00, 0x00, 0x2b, 0x9b, 0xd9, 0xab, 0x01, 0x00]);
        assert_eq!(encoded(b"\x00", b""), [0x00, 0x00, 0x21, 0x00, 0x00]);
    }

    #[test]
    fn no_field_leaves_the_prefix() {
        let mut out = vec![7];
        encode([], &mut out);
        assert_eq!(out, [7, 0, 0]);
    }

    #[test]
    fn long_strings_have_long_lengths() {
        let value = [0xff; 1000];
        let block = encoded(b":path", &value);
        assert_eq!(block[..5], [0x00, 0x00, 0x51, 0x7f, 0xe9]);
        assert_eq!((block[5], &block[6..]), (0x06, &value[..]));
    }
}
