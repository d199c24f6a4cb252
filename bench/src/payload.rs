//! What is sent, such that the other side can tell whether it is right.

use bytes::Bytes;

/// The chunk that a source repeats: byte `i` of a stream is `i` mod 251.
pub fn chunk() -> Bytes {
    (0..CHUNK).map(|index| (index % PERIOD) as u8).collect()
}

/// A message with its number in front, `size` (at least 8) bytes long.
pub fn message(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.resize(size, number as u8);
    bytes
}

/// The number of a message, if every byte of it is right.
pub fn number(bytes: &[u8], size: usize) -> Option<u64> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*head);
    (bytes.len() == size && rest.iter().all(|&byte| byte == number as u8)).then_some(number)
}

/// Whether these are bytes `offset..` of a source's stream.
pub fn is_right(chunk: &[u8], offset: u64, bytes: &[u8]) -> bool {
    let mut at = (offset % PERIOD as u64) as usize;
    let mut left = bytes;
    while !left.is_empty() {
        let size = left.len().min(chunk.len() - at);
        let (now, later) = left.split_at(size);
        if now != &chunk[at..at + size] {
            return false;
        }
        at = (at + size) % PERIOD;
        left = later;
    }
    true
}

/// Places for what a sink takes at a time.
pub(crate) fn places() -> [Bytes; 16] {
    [const { Bytes::new() }; 16]
}

/// How long some pieces are together.
pub(crate) fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|bytes| bytes.len() as u64).sum()
}

const PERIOD: usize = 251;

/// Bytes of a chunk: a multiple of the period, about 64 KiB.
pub const CHUNK: usize = PERIOD * 261;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_is_seen() {
        let chunk = chunk();
        assert!(is_right(&chunk, 0, &chunk) && is_right(&chunk, 5, &chunk[5..]) && is_right(&chunk, 251, &chunk[..9]));
        assert!(!is_right(&chunk, 1, &chunk) && !is_right(&chunk, 0, &[0, 1, 3]));
        let mut bytes = message(7, 64);
        assert_eq!(number(&bytes, 64), Some(7));
        bytes[63] ^= 1;
        assert_eq!(number(&bytes, 64), None);
        assert_eq!(number(&bytes[..60], 64), None);
    }
}
