//! Field sections read without a dynamic table (RFC 9204, section 4.5).

use std::ops::Range;

use bytes::Bytes;

use super::huffman::{self, HuffmanError};
use super::prefix::{self, PrefixError};
use super::{FIELD_OVERHEAD, Field, static_table};

/// How much a field section may hold once decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest size: name, value and 32 for every field (RFC 9114, section 4.2.2).
    pub max_size: usize,
    /// Largest number of fields.
    pub max_fields: usize,
}

/// Why a field section is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The section is not valid, which ends the connection with QPACK_DECOMPRESSION_FAILED (RFC 9204, section 6).
    #[error("{0}")]
    Decompression(&'static str),
    /// The section goes beyond a limit; this concerns only its request (RFC 9114, section 4.2.2).
    #[error("the field section is too large")]
    TooLarge,
}

impl From<PrefixError> for DecodeError {
    fn from(error: PrefixError) -> Self {
        Self::Decompression(match error {
            PrefixError::Truncated => "an integer is cut short",
            PrefixError::TooLarge => "an integer is too large",
        })
    }
}

impl From<HuffmanError> for DecodeError {
    fn from(error: HuffmanError) -> Self {
        match error {
            HuffmanError::Invalid => Self::Decompression("a Huffman code is invalid"),
            HuffmanError::TooLong => Self::TooLarge,
        }
    }
}

/// Decodes a whole field section (RFC 9204, section 4.5).
///
/// Anything that needs a dynamic table is an error, as its capacity is zero. Memory and time grow with what is
/// really in `block` and stop at `limits`; the literals of a section share one allocation.
///
/// # Errors
///
/// See [`DecodeError`]. Whichever the block runs into first is reported: past a limit, nothing more is looked at.
pub fn decode(block: &[u8], limits: Limits) -> Result<Vec<Field>, DecodeError> {
    let mut reader = Reader { rest: block, text: Vec::new(), remaining: limits.max_size };
    reader.section_prefix()?;
    let mut lines = Vec::new();
    while let Some(&first) = reader.rest.first() {
        if lines.len() == limits.max_fields {
            return Err(DecodeError::TooLarge);
        }
        reader.spend(FIELD_OVERHEAD)?;
        lines.push(reader.line(first)?);
    }
    let text = Bytes::from(reader.text);
    Ok(lines
        .into_iter()
        .map(|(name, value)| Field { name: name.into_bytes(&text), value: value.into_bytes(&text) })
        .collect())
}

/// A name or a value: an entry of the static table, or a part of the reader's text.
enum Part {
    Static(&'static str),
    Text(Range<usize>),
}

impl Part {
    fn into_bytes(self, text: &Bytes) -> Bytes {
        match self {
            Self::Static(part) => Bytes::from_static(part.as_bytes()),
            Self::Text(range) => text.slice(range),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    text: Vec<u8>,
    remaining: usize,
}

impl Reader<'_> {
    fn section_prefix(&mut self) -> Result<(), DecodeError> {
        if self.integer(8)? != 0 {
            return Err(DecodeError::Decompression("the section requires dynamic table entries"));
        }
        if self.rest.first().is_some_and(|byte| byte & 0x80 != 0) {
            return Err(DecodeError::Decompression("the base is negative"));
        }
        // With no entry required the base is of no use, whatever it is.
        self.integer(7)?;
        Ok(())
    }

    fn line(&mut self, first: u8) -> Result<(Part, Part), DecodeError> {
        match first {
            0xc0.. => {
                let (name, value) = self.static_entry(6)?;
                self.spend(name.len())?;
                self.spend(value.len())?;
                Ok((Part::Static(name), Part::Static(value)))
            }
            0x80..0xc0 => Err(DecodeError::Decompression("a field refers to the dynamic table")),
            0x40..0x80 if first & 0x10 == 0 => {
                Err(DecodeError::Decompression("a field name refers to the dynamic table"))
            }
            0x40..0x80 => {
                let (name, _) = self.static_entry(4)?;
                self.spend(name.len())?;
                Ok((Part::Static(name), self.literal(7)?))
            }
            0x20..0x40 => Ok((self.literal(3)?, self.literal(7)?)),
            0x10..0x20 => Err(DecodeError::Decompression("a field refers past the base")),
            0x00..0x10 => Err(DecodeError::Decompression("a field name refers past the base")),
        }
    }

    fn integer(&mut self, prefix_bits: u32) -> Result<u64, DecodeError> {
        let (value, used) = prefix::decode(self.rest, prefix_bits)?;
        self.rest = self.rest.get(used..).unwrap_or_default();
        Ok(value)
    }

    fn static_entry(&mut self, prefix_bits: u32) -> Result<(&'static str, &'static str), DecodeError> {
        let index = self.integer(prefix_bits)?;
        static_table::get(index).ok_or(DecodeError::Decompression("a static table index is out of range"))
    }

    /// Reads a string whose length has `prefix_bits` bits below the flag for Huffman coding.
    fn literal(&mut self, prefix_bits: u32) -> Result<Part, DecodeError> {
        let is_huffman = self.rest.first().is_some_and(|byte| byte >> prefix_bits & 1 == 1);
        let length = self.integer(prefix_bits)?;
        let (raw, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
            .ok_or(DecodeError::Decompression("a literal is longer than the section"))?;
        self.rest = rest;
        let start = self.text.len();
        if is_huffman {
            huffman::decode(raw, self.remaining, &mut self.text)?;
        } else if raw.len() <= self.remaining {
            self.text.extend_from_slice(raw);
        } else {
            return Err(DecodeError::TooLarge);
        }
        let end = self.text.len();
        self.spend(end - start)?;
        Ok(Part::Text(start..end))
    }

    fn spend(&mut self, size: usize) -> Result<(), DecodeError> {
        self.remaining = self.remaining.checked_sub(size).ok_or(DecodeError::TooLarge)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::encode;
    use super::*;

    const WIDE: Limits = Limits { max_size: usize::MAX, max_fields: usize::MAX };

    fn field(name: &[u8], value: &[u8]) -> Field {
        Field { name: Bytes::copy_from_slice(name), value: Bytes::copy_from_slice(value) }
    }

    fn encoded(fields: &[Field]) -> Vec<u8> {
        let mut block = Vec::new();
        encode(fields.iter().map(|field| (field.name.as_ref(), field.value.as_ref())), &mut block);
        block
    }

    fn is_decompression(result: &Result<Vec<Field>, DecodeError>) -> bool {
        matches!(result, Err(DecodeError::Decompression(_)))
    }

    fn fields() -> impl Strategy<Value = Vec<Field>> {
        let entry = (0..static_table::LENGTH).prop_map(|index| static_table::ENTRIES[index]);
        let one = prop_oneof![
            entry.clone().prop_map(|(name, value)| field(name.as_bytes(), value.as_bytes())),
            (entry, any::<Vec<u8>>()).prop_map(|((name, _), value)| field(name.as_bytes(), &value)),
            (any::<String>(), any::<String>()).prop_map(|(name, value)| field(name.as_bytes(), value.as_bytes())),
            ("[a-z-]{0,300}", any::<Vec<u8>>()).prop_map(|(name, value)| field(name.as_bytes(), &value)),
        ];
        proptest::collection::vec(one, 0..12)
    }

    #[test]
    fn known_vector() {
        // RFC 9204, appendix B.1.
        let block = b"\x00\x00\x51\x0b/index.html";
        assert_eq!(decode(block, WIDE), Ok(vec![field(b":path", b"/index.html")]));
    }

    #[test]
    fn every_form_of_a_line() {
        let block = b"\x00\x05\xd9\x7f\x2f\x02ok\x34name\x00\x2b\x9b\xd9\xab\x83\x9b\xd9\xab\xff\x23";
        let expected = [
            field(b":status", b"200"),
            field(b"x-xss-protection", b"ok"),
            field(b"name", b""),
            field(b"gzip", b"gzip"),
            field(b"x-frame-options", b"sameorigin"),
        ];
        assert_eq!(decode(block, WIDE).as_deref(), Ok(&expected[..]));
        assert_eq!(decode(&[0, 0], WIDE), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_decompressed() {
        let blocks: [&[u8]; 22] = [
            b"",
            b"\x00",
            b"\x01\x00",
            b"\xff\x00",
            b"\x00\x80",
            b"\x00\x81\xc1",
            b"\x00\x7f",
            b"\x00\x00\x80",
            b"\x00\x00\xbf\x00",
            b"\x00\x00\x40\x00",
            b"\x00\x00\x60\x00",
            b"\x00\x00\x10",
            b"\x00\x00\x00\x00",
            b"\x00\x00\x08\x00",
            b"\x00\x00\xff\x24",
            b"\x00\x00\x5f\x54\x00",
            b"\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x00\x00\x51",
            b"\x00\x00\x51\x01",
            b"\x00\x00\x51\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x3f",
            b"\x00\x00\x51\x81\xff",
            b"\x00\x00\x21a",
        ];
        for block in blocks {
            assert!(is_decompression(&decode(block, WIDE)), "{block:x?}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let fields = [field(b":method", b"GET"), field(b":path", b"/0000000000"), field(b"name", b"\x00\x01\x02")];
        let block = encoded(&fields);
        let size = fields.iter().map(Field::size).sum();
        let exact = Limits { max_size: size, max_fields: 3 };
        assert_eq!(decode(&block, exact).as_deref(), Ok(&fields[..]));
        for max_size in 0..size {
            assert_eq!(decode(&block, Limits { max_size, ..exact }), Err(DecodeError::TooLarge));
        }
        for max_fields in 0..3 {
            assert_eq!(decode(&block, Limits { max_fields, ..exact }), Err(DecodeError::TooLarge));
        }
        assert_eq!(decode(&[0, 0], Limits { max_size: 0, max_fields: 0 }), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn round_trip(fields in fields()) {
            prop_assert_eq!(decode(&encoded(&fields), WIDE), Ok(fields));
        }

        #[test]
        fn prefixes_are_shorter_lists_or_errors(fields in fields()) {
            let block = encoded(&fields);
            let ends: Vec<usize> = (0..=fields.len()).map(|count| encoded(&fields[..count]).len()).collect();
            for cut in 0..block.len() {
                let result = decode(&block[..cut], WIDE);
                match ends.iter().position(|&end| end == cut) {
                    Some(count) => prop_assert_eq!(result.as_deref(), Ok(&fields[..count])),
                    None => prop_assert!(is_decompression(&result)),
                }
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in any::<Vec<u8>>(), max_size in 0_usize..2000, max_fields in 0_usize..20) {
            for bytes in [[&[0, 0][..], bytes.as_slice()].concat(), bytes] {
                if let Ok(fields) = decode(&bytes, Limits { max_size, max_fields }) {
                    prop_assert!(fields.len() <= max_fields);
                    prop_assert!(fields.iter().map(Field::size).sum::<usize>() <= max_size);
                    prop_assert_eq!(decode(&encoded(&fields), WIDE), Ok(fields));
                }
            }
        }
    }
}
