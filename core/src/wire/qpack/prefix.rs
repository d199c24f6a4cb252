//! Integers that begin in the low bits of a byte (RFC 9204, section 4.1.1; RFC 7541, section 5.1).

/// Largest integer that is read: 62 bits, which is also what must be read (RFC 9204, section 4.1.1).
pub const MAX: u64 = (1 << 62) - 1;

/// Bits that nine bytes after the first carry; a tenth could only pad or exceed [`MAX`].
const LAST_SHIFT: u32 = 56;

/// Why an integer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The bytes end inside the integer.
    #[error("the integer is cut short")]
    Truncated,
    /// The integer is above [`MAX`], or padded to more than ten bytes.
    #[error("the integer is above 2^62-1 or padded to more than ten bytes")]
    TooLarge,
}

/// How far an integer has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The integer is complete.
    Done(u64),
    /// More bytes belong to it.
    More(Partial),
}

/// An integer whose last byte has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    value: u64,
    shift: u32,
}

impl Partial {
    /// Reads on with the next byte.
    ///
    /// # Errors
    ///
    /// [`PrefixError::TooLarge`]; no more than ten bytes of an integer are ever accepted.
    pub fn push(self, byte: u8) -> Result<Progress, PrefixError> {
        if self.shift > LAST_SHIFT {
            return Err(PrefixError::TooLarge);
        }
        // Both summands stay below 2^63: the value was checked against MAX, and seven bits move by 56 at most.
        let value = self.value + (u64::from(byte & 0x7f) << self.shift);
        if value > MAX {
            return Err(PrefixError::TooLarge);
        }
        if byte & 0x80 == 0 {
            return Ok(Progress::Done(value));
        }
        Ok(Progress::More(Partial { value, shift: self.shift + 7 }))
    }
}

/// Begins an integer in the low `prefix_bits` bits of `first`; the other bits are ignored.
///
/// `prefix_bits` is 1 to 8.
pub const fn start(first: u8, prefix_bits: u32) -> Progress {
    let mask = mask(prefix_bits);
    let value = (first & mask) as u64;
    if value < mask as u64 { Progress::Done(value) } else { Progress::More(Partial { value, shift: 0 }) }
}

/// Reads the integer at the front of `bytes` and returns it with the number of bytes it took.
///
/// `prefix_bits` is 1 to 8; the other bits of the first byte are ignored.
///
/// # Errors
///
/// See [`PrefixError`].
pub fn decode(bytes: &[u8], prefix_bits: u32) -> Result<(u64, usize), PrefixError> {
    let mut bytes = bytes.iter();
    let mut used = 1;
    let mut progress = start(*bytes.next().ok_or(PrefixError::Truncated)?, prefix_bits);
    loop {
        match progress {
            Progress::Done(value) => return Ok((value, used)),
            Progress::More(partial) => progress = partial.push(*bytes.next().ok_or(PrefixError::Truncated)?)?,
        }
        used += 1;
    }
}

/// Writes `value` with its beginning in the low `prefix_bits` bits of a byte, whose other bits come from `flags`.
///
/// `prefix_bits` is 1 to 8, and `flags` has no bit set among them; a value above [`MAX`] could not be read back.
pub fn encode(value: u64, prefix_bits: u32, flags: u8, out: &mut Vec<u8>) {
    let mask = mask(prefix_bits);
    debug_assert!(flags & mask == 0, "flags {flags:#x} overlap a prefix of {prefix_bits} bits");
    let Some(mut rest) = value.checked_sub(u64::from(mask)) else {
        out.push(flags | value as u8);
        return;
    };
    out.push(flags | mask);
    while rest > 0x7f {
        out.push(0x80 | rest as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

const fn mask(prefix_bits: u32) -> u8 {
    debug_assert!(prefix_bits >= 1 && prefix_bits <= 8);
    (0xff_u16 >> 8_u32.saturating_sub(prefix_bits)) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: u64, prefix_bits: u32, flags: u8) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, prefix_bits, flags, &mut out);
        out
    }

    #[test]
    fn known_vectors() {
        // RFC 7541, appendix C.1.
        assert_eq!(encoded(10, 5, 0xa0), [0xaa]);
        assert_eq!(encoded(1337, 5, 0), [0x1f, 0x9a, 0x0a]);
        assert_eq!(encoded(42, 8, 0), [0x2a]);
        assert_eq!(decode(&[0xff, 0x9a, 0x0a, 0x99], 5), Ok((1337, 3)));
    }

    #[test]
    fn edges_of_the_range() {
        for prefix_bits in 1..=8 {
            let mask = u64::from(mask(prefix_bits));
            let shortest =
                [(0, 1), (mask - 1, 1), (mask, 2), (mask + 127, 2), (mask + 128, 3), (MAX - 1, 10), (MAX, 10)];
            for (value, length) in shortest {
                let bytes = encoded(value, prefix_bits, 0);
                assert_eq!(bytes.len(), length);
                assert_eq!(decode(&bytes, prefix_bits), Ok((value, length)));
            }
            for value in [1 << 62, u64::MAX / 2, u64::MAX] {
                assert_eq!(decode(&encoded(value, prefix_bits, 0), prefix_bits), Err(PrefixError::TooLarge));
            }
        }
    }

    #[test]
    fn padding_ends_after_ten_bytes() {
        let padded = |zeros: usize| [&[0xff][..], &vec![0x80; zeros], &[0]].concat();
        assert_eq!(decode(&padded(8), 8), Ok((255, 10)));
        assert_eq!(decode(&padded(9), 8), Err(PrefixError::TooLarge));
        assert_eq!(decode(&[0xff; 1000], 3), Err(PrefixError::TooLarge));
    }

    proptest! {
        #[test]
        fn round_trip(value in 0..=MAX, shift in 0_u32..62, prefix_bits in 1_u32..9, flags: u8) {
            let value = value >> shift;
            let mut bytes = encoded(value, prefix_bits, flags & !mask(prefix_bits));
            let length = bytes.len();
            for cut in 0..length {
                prop_assert_eq!(decode(&bytes[..cut], prefix_bits), Err(PrefixError::Truncated));
            }
            bytes.push(0xff);
            prop_assert_eq!(decode(&bytes, prefix_bits), Ok((value, length)));
        }

        #[test]
        fn random_bytes_never_panic(bytes in any::<Vec<u8>>(), prefix_bits in 1_u32..9) {
            if let Ok((value, used)) = decode(&bytes, prefix_bits) {
                prop_assert!(value <= MAX && used <= bytes.len());
            }
        }
    }
}
