//! QUIC frames (RFC 9000, section 19): written whatever they say, read as far as a server in good order sends them.

use std::collections::BTreeSet;

use crate::raw::wire::{read_varint, varint, varints};

/// PING.
pub fn ping() -> Vec<u8> {
    vec![0x01]
}

/// CRYPTO.
pub fn crypto(offset: u64, data: &[u8]) -> Vec<u8> {
    [varints(&[0x06, offset, data.len() as u64]), data.to_vec()].concat()
}

/// ACK of all packets up to `largest`.
pub fn ack(largest: u64) -> Vec<u8> {
    varints(&[0x02, largest, 0, 0, largest])
}

/// ACK of exactly these packets, which must be at least one, and all of which came with ECT(0).
pub fn ack_exactly(numbers: &BTreeSet<u64>) -> Vec<u8> {
    let mut fields = ack_fields(numbers);
    fields.extend([numbers.len() as u64, 0, 0]);
    varints(&fields)
}

/// The same, which claims that many more had come.
pub fn ack_with_impossible_ecn(numbers: &BTreeSet<u64>) -> Vec<u8> {
    let mut fields = ack_fields(numbers);
    fields.extend([1_000_000, 1_000_000, 0]);
    varints(&fields)
}

/// All of ACK_ECN but the three counts at its end.
fn ack_fields(numbers: &BTreeSet<u64>) -> Vec<u64> {
    // From the highest down, as (first, last).
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers.iter().rev() {
        match ranges.last_mut() {
            Some((first, _)) if *first == number + 1 => *first = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let (mut first, last) = ranges[0];
    let mut fields = vec![0x03, last, 0, ranges.len() as u64 - 1, last - first];
    for (next_first, next_last) in &ranges[1..] {
        // A gap is one less than the number of packets in it.
        fields.extend([first - next_last - 2, next_last - next_first]);
        first = *next_first;
    }
    fields
}

/// STREAM, with offset and length.
pub fn stream(id: u64, offset: u64, data: &[u8]) -> Vec<u8> {
    [varints(&[0x0e, id, offset, data.len() as u64]), data.to_vec()].concat()
}

/// DATAGRAM with a length (RFC 9221, section 4).
pub fn datagram(data: &[u8]) -> Vec<u8> {
    [varints(&[0x31, data.len() as u64]), data.to_vec()].concat()
}

/// STREAM with offset and length, the last of its stream.
pub fn last_of_stream(id: u64, offset: u64, data: &[u8]) -> Vec<u8> {
    [varints(&[0x0f, id, offset, data.len() as u64]), data.to_vec()].concat()
}

/// RESET_STREAM.
pub fn reset_stream(id: u64, code: u64, final_size: u64) -> Vec<u8> {
    varints(&[0x04, id, code, final_size])
}

/// STOP_SENDING.
pub fn stop_sending(id: u64, code: u64) -> Vec<u8> {
    varints(&[0x05, id, code])
}

/// NEW_TOKEN.
pub fn new_token(token: &[u8]) -> Vec<u8> {
    [varints(&[0x07, token.len() as u64]), token.to_vec()].concat()
}

/// MAX_STREAM_DATA.
pub fn max_stream_data(id: u64, limit: u64) -> Vec<u8> {
    varints(&[0x11, id, limit])
}

/// MAX_STREAMS for bidirectional streams.
pub fn max_streams(limit: u64) -> Vec<u8> {
    varints(&[0x12, limit])
}

/// STREAMS_BLOCKED for bidirectional streams.
pub fn streams_blocked(limit: u64) -> Vec<u8> {
    varints(&[0x16, limit])
}

/// NEW_CONNECTION_ID.
pub fn new_connection_id(number: u64, retire_prior_to: u64, id: &[u8]) -> Vec<u8> {
    [varints(&[0x18, number, retire_prior_to]), vec![id.len() as u8], id.to_vec(), vec![7; 16]].concat()
}

/// RETIRE_CONNECTION_ID.
pub fn retire_connection_id(number: u64) -> Vec<u8> {
    varints(&[0x19, number])
}

/// PATH_CHALLENGE.
pub fn path_challenge() -> Vec<u8> {
    [varint(0x1a), vec![1; 8]].concat()
}

/// PATH_RESPONSE.
pub fn path_response(challenge: &[u8]) -> Vec<u8> {
    [varint(0x1b), challenge.to_vec()].concat()
}

/// HANDSHAKE_DONE.
pub fn handshake_done() -> Vec<u8> {
    varint(0x1e)
}

/// What of a server's packet matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    Crypto { offset: u64, data: Vec<u8> },
    HandshakeDone,
    PathChallenge { challenge: Vec<u8> },
    Close { application: bool, code: u64, reason: String },
}

/// Reads the frames of a packet.
///
/// # Errors
/// Says in words what it does not know.
pub(super) fn read(mut payload: &[u8]) -> Result<Vec<Read>, String> {
    let mut found = Vec::new();
    while !payload.is_empty() {
        let mut cursor = Cursor(payload);
        let kind = cursor.integer()?;
        match kind {
            // PADDING, PING.
            0x00 | 0x01 => {}
            0x02 | 0x03 => cursor.skip_ack(kind)?,
            0x06 => {
                let (offset, length) = (cursor.integer()?, cursor.integer()?);
                found.push(Read::Crypto { offset, data: cursor.bytes(length)?.to_vec() });
            }
            // NEW_TOKEN, DATAGRAM with length.
            0x07 | 0x31 => {
                let length = cursor.integer()?;
                cursor.bytes(length)?;
            }
            // STREAM with its three flags: offset, length, end.
            0x08..=0x0f => {
                cursor.integers(1 + (kind >> 2 & 1))?;
                let length = if kind & 2 == 2 { cursor.integer()? } else { cursor.0.len() as u64 };
                cursor.bytes(length)?;
            }
            // MAX_DATA, MAX_STREAMS, DATA_BLOCKED, STREAMS_BLOCKED, RETIRE_CONNECTION_ID.
            0x10 | 0x12 | 0x13 | 0x14 | 0x16 | 0x17 | 0x19 => cursor.integers(1)?,
            // STOP_SENDING, MAX_STREAM_DATA, STREAM_DATA_BLOCKED.
            0x05 | 0x11 | 0x15 => cursor.integers(2)?,
            // RESET_STREAM.
            0x04 => cursor.integers(3)?,
            0x18 => {
                cursor.integers(2)?;
                let length = cursor.bytes(1)?[0];
                cursor.bytes(u64::from(length) + 16)?;
            }
            0x1c | 0x1d => {
                let code = cursor.integer()?;
                cursor.integers(u64::from(kind == 0x1c))?;
                let length = cursor.integer()?;
                let reason = String::from_utf8_lossy(cursor.bytes(length)?).into_owned();
                found.push(Read::Close { application: kind == 0x1d, code, reason });
            }
            0x1a => found.push(Read::PathChallenge { challenge: cursor.bytes(8)?.to_vec() }),
            // PATH_RESPONSE.
            0x1b => drop(cursor.bytes(8)?),
            0x1e => found.push(Read::HandshakeDone),
            _ => return Err(format!("frame type {kind:#x}")),
        }
        payload = cursor.0;
    }
    Ok(found)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn integer(&mut self) -> Result<u64, String> {
        let (value, used) = read_varint(self.0).ok_or("a frame is cut")?;
        self.0 = &self.0[used..];
        Ok(value)
    }

    fn integers(&mut self, count: u64) -> Result<(), String> {
        (0..count).try_for_each(|_| self.integer().map(drop))
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], String> {
        let (bytes, rest) = self.0.split_at_checked(length as usize).ok_or("a frame is cut")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn skip_ack(&mut self, kind: u64) -> Result<(), String> {
        self.integers(2)?;
        let ranges = self.integer()?;
        // The first range, pairs of gap and range, and three ECN counts.
        self.integers(1 + 2 * ranges + if kind == 0x03 { 3 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_have_exactly_the_ranges_of_what_came() {
        assert_eq!(ack_exactly(&BTreeSet::from([0])), [3, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(ack_exactly(&BTreeSet::from([3, 4, 5])), [3, 5, 0, 0, 2, 3, 0, 0]);
        assert_eq!(ack_exactly(&BTreeSet::from([0, 1, 3, 6, 7])), [3, 7, 0, 2, 1, 1, 0, 0, 1, 5, 0, 0]);
    }
}
