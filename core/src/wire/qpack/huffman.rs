//! Huffman coding of string literals (RFC 7541, section 5.2, as used by RFC 9204, section 4.1.2).

#![expect(
    clippy::indexing_slicing,
    reason = "tables of fixed size indexed by values below it; most of it runs at compile time"
)]

use super::huffman_table::{CODES, Outcome, STEPS, Step};

/// Why a Huffman-coded string cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HuffmanError {
    /// The string contains EOS, or ends with padding that is not up to seven ones (RFC 7541, section 5.2).
    #[error("the Huffman code is invalid")]
    Invalid,
    /// The decoded string would be longer than the caller allows.
    #[error("the decoded string is too long")]
    TooLong,
}

/// Returns how many bytes [`encode`] appends for `input`.
pub fn encoded_size(input: &[u8]) -> usize {
    let bits: usize = input.iter().map(|&byte| usize::from(CODES[usize::from(byte)].1)).sum();
    bits.div_ceil(8)
}

/// Appends the code of `input` to `out`, padded with ones to a whole byte (RFC 7541, section 5.2).
pub fn encode(input: &[u8], out: &mut Vec<u8>) {
    let mut pending = 0_u64;
    let mut count = 0;
    for &byte in input {
        let (code, length) = CODES[usize::from(byte)];
        pending = pending << length | u64::from(code);
        count += u32::from(length);
        while count >= 8 {
            count -= 8;
            out.push((pending >> count) as u8);
        }
    }
    if count > 0 {
        out.push((pending << (8 - count)) as u8 | 0xff >> count);
    }
}

/// Decodes `input` and appends the result, at most `limit` bytes, to `out` (RFC 7541, section 5.2).
///
/// # Errors
///
/// See [`HuffmanError`]. `out` then keeps what was decoded before the error, never more than `limit` bytes.
pub fn decode(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), HuffmanError> {
    let mut room = limit;
    let mut node = 0;
    let mut may_end = true;
    for &byte in input {
        for bits in [byte >> 4, byte & 0xf] {
            // A node is a byte and there are 256 of them, so neither index can be out of range.
            let Step { next, symbol, outcome, may_end: end } = STEPS[usize::from(node)][usize::from(bits)];
            match outcome {
                Outcome::Continue => {}
                Outcome::Symbol => {
                    room = room.checked_sub(1).ok_or(HuffmanError::TooLong)?;
                    out.push(symbol);
                }
                Outcome::EndOfString => return Err(HuffmanError::Invalid),
            }
            node = next;
            may_end = end;
        }
    }
    if may_end { Ok(()) } else { Err(HuffmanError::Invalid) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(input, &mut out);
        out
    }

    fn decoded(input: &[u8]) -> Result<Vec<u8>, HuffmanError> {
        let mut out = Vec::new();
        decode(input, usize::MAX, &mut out).map(|()| out)
    }

    fn from_hex(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// The same rules, bit by bit over the codes.
    fn slow_decoded(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let (mut code, mut length) = (0_u32, 0_u8);
        for bit in input.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1)) {
            (code, length) = (code << 1 | u32::from(bit), length + 1);
            if let Some(symbol) = CODES.iter().position(|&entry| entry == (code, length)) {
                out.push(u8::try_from(symbol).ok()?);
                (code, length) = (0, 0);
            }
        }
        (length < 8 && code == (1 << length) - 1).then_some(out)
    }

    #[test]
    fn known_vectors() {
        // RFC 7541, appendices C.4 and C.6.
        let vectors = [
            ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
            ("no-cache", "a8eb10649cbf"),
            ("custom-key", "25a849e95ba97d7f"),
            ("custom-value", "25a849e95bb8e8b4bf"),
            ("302", "6402"),
            ("private", "aec3771a4b"),
            ("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
            ("https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"),
            ("307", "640eff"),
            ("Mon, 21 Oct 2013 20:13:22 GMT", "d07abe941054d444a8200595040b8166e084a62d1bff"),
            ("gzip", "9bd9ab"),
            (
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            ),
        ];
        for (text, hex) in vectors {
            assert_eq!(encoded(text.as_bytes()), from_hex(hex), "{text}");
            assert_eq!(decoded(&from_hex(hex)).as_deref(), Ok(text.as_bytes()));
            assert_eq!(encoded_size(text.as_bytes()), hex.len() / 2);
        }
    }

    #[test]
    fn every_byte_alone() {
        for byte in 0..=u8::MAX {
            assert_eq!(decoded(&encoded(&[byte])), Ok(vec![byte]));
            assert_eq!(encoded(&[byte]).len(), encoded_size(&[byte]));
        }
    }

    #[test]
    fn all_tails_of_two_bytes() {
        for head in [&b""[..], b"a", b"http", &[22], &[0, 249]] {
            let start = encoded(head);
            for tail in 0..=u16::MAX {
                let input = [start.as_slice(), &tail.to_be_bytes()].concat();
                match decoded(&input) {
                    // Padding is shorter than a byte and all ones, so a string has only one encoding.
                    Ok(text) => assert_eq!(encoded(&text), input),
                    Err(error) => assert_eq!(error, HuffmanError::Invalid),
                }
            }
        }
    }

    #[test]
    fn end_of_string_and_bad_padding_are_invalid() {
        assert_eq!(decoded(&[]), Ok(vec![]));
        // EOS itself, eight ones after no symbol and after eight of them, zeros as padding, fifteen ones.
        for input in [&[0xff, 0xff, 0xff, 0xff][..], &[0xff], &[0, 0, 0, 0, 0, 0xff], &[0x00], &[0x1f, 0xff]] {
            assert_eq!(decoded(input), Err(HuffmanError::Invalid), "{input:?}");
        }
    }

    #[test]
    fn output_stops_at_the_limit() {
        let input = encoded(&[b'0'; 100]);
        for limit in 0..100 {
            let mut out = vec![9];
            assert_eq!(decode(&input, limit, &mut out), Err(HuffmanError::TooLong));
            assert_eq!(out.len(), 1 + limit);
        }
        assert_eq!(decode(&input, 100, &mut Vec::new()), Ok(()));
    }

    proptest! {
        #[test]
        fn round_trip(input in any::<Vec<u8>>()) {
            let coded = encoded(&input);
            prop_assert_eq!(coded.len(), encoded_size(&input));
            prop_assert_eq!(decoded(&coded), Ok(input));
        }

        #[test]
        fn random_bytes_follow_the_rules(input in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decoded(&input).ok(), slow_decoded(&input));
        }
    }
}
