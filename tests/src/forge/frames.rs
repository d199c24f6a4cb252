//! QUIC frames (RFC 9000, section 19): written whatever they say, read as far as a server in good order sends them.

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
pub(super) fn ack(largest: u64) -> Vec<u8> {
    varints(&[0x02, largest, 0, 0, largest])
}

/// STREAM, with offset and length.
pub fn stream(id: u64, offset: u64, data: &[u8]) -> Vec<u8> {
    [varints(&[0x0e, id, offset, data.len() as u64]), data.to_vec()].concat()
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

/// PATH_CHALLENGE.
pub fn path_challenge() -> Vec<u8> {
    [varint(0x1a), vec![1; 8]].concat()
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
            // PATH_CHALLENGE, PATH_RESPONSE.
            0x1a | 0x1b => drop(cursor.bytes(8)?),
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
