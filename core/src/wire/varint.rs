//! Variable-length integers of QUIC (RFC 9000, section 16).

use bytes::{Buf, BufMut, Bytes};

/// Largest value a variable-length integer can carry (RFC 9000, section 16).
pub const MAX: u64 = (1 << 62) - 1;

/// Returns how many bytes the shortest encoding of `value` takes: 1, 2, 4 or 8 (RFC 9000, section 16).
///
/// Values above [`MAX`] count as 8 bytes, which is what [`encode`] writes for them.
pub const fn size(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Writes `value` in its shortest encoding (RFC 9000, section 16).
///
/// A value above [`MAX`] is a mistake of the caller: it fails a debug assertion, and is written as [`MAX`] otherwise.
pub fn encode(value: u64, out: &mut impl BufMut) {
    debug_assert!(value <= MAX, "value {value:#x} does not fit a variable-length integer");
    let value = value.min(MAX);
    match size(value) {
        1 => out.put_u8(value as u8),
        2 => out.put_u16(0x4000 | value as u16),
        4 => out.put_u32(0x8000_0000 | value as u32),
        _ => out.put_u64(0xc000_0000_0000_0000 | value),
    }
}

/// Reads the integer at the front of `bytes` and returns it with the number of bytes it took (RFC 9000, section 16).
///
/// Encodings longer than necessary are accepted. `None` means that more bytes are needed; there is no invalid input.
pub fn decode(bytes: &[u8]) -> Option<(u64, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let length = length_from_first_byte(first);
    let tail = rest.get(..length - 1)?;
    let value = tail.iter().fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte));
    Some((value, length))
}

/// Returns the length in bytes of the integer that begins with `first`: 1, 2, 4 or 8 (RFC 9000, section 16).
pub const fn length_from_first_byte(first: u8) -> usize {
    1 << (first >> 6)
}

/// Reads the two integers, kind and length, that open every HTTP/3 frame and every capsule, in as many pieces as
/// they arrive (RFC 9114, section 7.1; RFC 9297, section 3.2).
///
/// It holds at most 16 bytes, the longest such header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairDecoder {
    held: [u8; 16],
    length: usize,
}

impl PairDecoder {
    /// Takes bytes from the front of `input` and returns the pair once both integers are there.
    ///
    /// `None` means that `input` is used up. After a pair the decoder is ready for the next one.
    pub fn push(&mut self, input: &mut Bytes) -> Option<(u64, u64)> {
        if self.length == 0
            && let Some((first, second, used)) = decode_pair(input)
        {
            input.advance(used);
            return Some((first, second));
        }
        while let Some(&byte) = input.first() {
            input.advance(1);
            if let Some(slot) = self.held.get_mut(self.length) {
                *slot = byte;
                self.length += 1;
            }
            if let Some((first, second, _)) = self.held.get(..self.length).and_then(decode_pair) {
                *self = Self::default();
                return Some((first, second));
            }
        }
        None
    }

    /// Tells whether no byte of an unfinished pair is held.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

fn decode_pair(bytes: &[u8]) -> Option<(u64, u64, usize)> {
    let (first, first_size) = decode(bytes)?;
    let (second, second_size) = decode(bytes.get(first_size..)?)?;
    Some((first, second, first_size + second_size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out);
        out
    }

    #[test]
    fn known_vectors() {
        // RFC 9000, appendix A.1.
        assert_eq!(decode(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]), Some((151_288_809_941_952_652, 8)));
        assert_eq!(decode(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, 4)));
        assert_eq!(decode(&[0x7b, 0xbd]), Some((15_293, 2)));
        assert_eq!(decode(&[0x25]), Some((37, 1)));
        assert_eq!(decode(&[0x40, 0x25]), Some((37, 2)));
    }

    #[test]
    fn all_short_values_in_every_form() {
        for value in 0..=0x3fff_u64 {
            let minimal = encoded(value);
            assert_eq!(minimal.len(), if value < 0x40 { 1 } else { 2 });
            assert_eq!(decode(&minimal), Some((value, minimal.len())));
            let two = (0x4000 | value as u16).to_be_bytes();
            let four = (0x8000_0000 | value as u32).to_be_bytes();
            let eight = (0xc000_0000_0000_0000 | value).to_be_bytes();
            assert_eq!(decode(&two), Some((value, 2)));
            assert_eq!(decode(&four), Some((value, 4)));
            assert_eq!(decode(&eight), Some((value, 8)));
        }
    }

    #[test]
    fn longer_values_in_every_form() {
        // A prime step of 1,009 makes about a million values of four bytes; one of 2^42 + 15 those of eight.
        for value in (0x4000..=0x3fff_ffff_u64).step_by(1_009) {
            let four = (0x8000_0000 | value as u32).to_be_bytes();
            let eight = (0xc000_0000_0000_0000 | value).to_be_bytes();
            assert_eq!((decode(&four), decode(&eight)), (Some((value, 4)), Some((value, 8))));
            assert_eq!(encoded(value), four);
        }
        for value in (0x4000_0000..=MAX).step_by((1 << 42) + 15) {
            let eight = (0xc000_0000_0000_0000 | value).to_be_bytes();
            assert_eq!((decode(&eight), encoded(value)), (Some((value, 8)), eight.to_vec()));
        }
    }

    #[test]
    fn edges_have_the_right_size() {
        let edges =
            [(0, 1), (0x3f, 1), (0x40, 2), (0x3fff, 2), (0x4000, 4), (0x3fff_ffff, 4), (0x4000_0000, 8), (MAX, 8)];
        for (value, length) in edges {
            let bytes = encoded(value);
            assert_eq!((size(value), bytes.len()), (length, length));
            assert_eq!(bytes.first().map(|&first| length_from_first_byte(first)), Some(length));
            assert_eq!(decode(&bytes), Some((value, length)));
            for end in 0..length {
                assert_eq!(decode(&bytes[..end]), None);
            }
        }
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "does not fit"))]
    fn a_value_too_large_is_saturated() {
        assert_eq!(decode(&encoded(MAX + 1)), Some((MAX, 8)));
    }

    proptest! {
        #[test]
        fn round_trip(value in 0..=MAX, shift in 0_u32..62, tail in any::<Vec<u8>>()) {
            let value = value >> shift;
            let mut bytes = encoded(value);
            let length = bytes.len();
            prop_assert_eq!(length, size(value));
            bytes.extend(tail);
            prop_assert_eq!(decode(&bytes), Some((value, length)));
        }

        #[test]
        fn pairs_survive_any_cut(first in 0..=MAX, second in 0..=MAX, shift in 0_u32..62, cut in 0_usize..17) {
            let (first, second) = (first >> shift, second >> (61 - shift));
            let bytes = Bytes::from([encoded(first), encoded(second), vec![0xff]].concat());
            let cut = cut.min(bytes.len() - 2);
            let mut decoder = PairDecoder::default();
            let (mut head, mut tail) = (bytes.slice(..cut), bytes.slice(cut..));
            prop_assert_eq!(decoder.push(&mut head), None);
            prop_assert_eq!((head.len(), decoder.is_empty()), (0, cut == 0));
            prop_assert_eq!(decoder.push(&mut tail), Some((first, second)));
            prop_assert_eq!((tail.len(), decoder.is_empty()), (1, true));
        }
    }
}
