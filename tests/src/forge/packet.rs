//! Packets of QUIC v1 (RFC 9000, section 17; RFC 9001, section 5), one packet a datagram when written.

use rustls::quic::{DirectionalKeys, Keys};

use crate::raw::wire::{read_varint, varint};

/// A packet number space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Initial packets.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 1-RTT packets.
    Data,
}

/// Whether the two bits of the first byte that must be zero are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservedBits {
    /// As they must be.
    Zero,
    /// Both ones.
    Ones,
}

/// What stands in the headers of all packets.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) destination: Vec<u8>,
    pub(super) source: Vec<u8>,
    /// In Initial packets.
    pub(super) token: Vec<u8>,
    /// In 1-RTT packets.
    pub(super) key_phase: bool,
}

/// A packet of the server, opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) space: Space,
    pub(super) number: u64,
    /// What the server calls itself, where the header says.
    pub(super) source: Option<Vec<u8>>,
    pub(super) payload: Vec<u8>,
}

/// Writes and protects a packet.
pub(super) fn seal(
    space: Space,
    fields: &Fields,
    number: u64,
    payload: &[u8],
    reserved: ReservedBits,
    keys: &Keys,
) -> Vec<u8> {
    let mut header = Vec::new();
    let ones = reserved == ReservedBits::Ones;
    let kind = match space {
        Space::Initial => 0x00,
        Space::Handshake => 0x20,
        Space::Data => {
            header.push(0x43 | if ones { 0x18 } else { 0 } | if fields.key_phase { 0x04 } else { 0 });
            header.extend(&fields.destination);
            return protect(header, number, payload, &keys.local);
        }
    };
    header.push(0xc3 | kind | if ones { 0x0c } else { 0 });
    header.extend(VERSION.to_be_bytes());
    for id in [&fields.destination, &fields.source] {
        header.push(id.len() as u8);
        header.extend(id);
    }
    if space == Space::Initial {
        header.extend(varint(fields.token.len() as u64));
        header.extend(&fields.token);
    }
    header.extend(varint((NUMBER_SIZE + payload.len() + keys.local.packet.tag_len()) as u64));
    protect(header, number, payload, &keys.local)
}

fn protect(mut packet: Vec<u8>, number: u64, payload: &[u8], keys: &DirectionalKeys) -> Vec<u8> {
    let number_at = packet.len();
    packet.extend((number as u32).to_be_bytes());
    let mut payload = payload.to_vec();
    let tag = keys.packet.encrypt_in_place(number, &packet, &mut payload).expect("a key that is not worn out");
    packet.extend(payload);
    packet.extend(tag.as_ref());
    let (front, sample) = packet.split_at_mut(number_at + NUMBER_SIZE);
    let (head, number) = front.split_at_mut(number_at);
    let sample = &sample[..keys.header.sample_len()];
    keys.header.encrypt_in_place(sample, &mut head[0], number).expect("a sample of the right size");
    packet
}

/// Takes the first packet off a datagram and opens it, if there are keys for it.
///
/// # Errors
/// Says in words what is wrong with the packet.
pub(super) fn open<'k>(
    datagram: &mut Vec<u8>,
    own_id_length: usize,
    largest: impl Fn(Space) -> u64,
    keys: impl Fn(Space) -> Option<&'k Keys>,
) -> Result<Option<Opened>, String> {
    let (space, source, number_at, end) = if datagram[0] & 0x80 == 0 {
        (Space::Data, None, 1 + own_id_length, datagram.len())
    } else {
        long_header(datagram)?
    };
    let rest = datagram.split_off(end);
    let mut packet = std::mem::replace(datagram, rest);
    let Some(keys) = keys(space) else { return Ok(None) };
    let keys = &keys.remote;
    if packet.len() < number_at + NUMBER_SIZE + keys.header.sample_len() {
        return Err("a packet is too short".to_owned());
    }
    let (front, sample) = packet.split_at_mut(number_at + NUMBER_SIZE);
    let (head, number) = front.split_at_mut(number_at);
    let sample = &sample[..keys.header.sample_len()];
    keys.header.decrypt_in_place(sample, &mut head[0], number).map_err(|error| error.to_string())?;
    let size = usize::from(head[0] & 3) + 1;
    let short = number[..size].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let number = full_number(short, size as u32, largest(space));
    let mut payload = packet.split_off(number_at + size);
    let payload = keys.packet.decrypt_in_place(number, &packet, &mut payload).map_err(|error| error.to_string())?;
    Ok(Some(Opened { space, number, source, payload: payload.to_vec() }))
}

/// Space, source id, where the packet number stands and where the packet ends.
type LongHeader = (Space, Option<Vec<u8>>, usize, usize);

fn long_header(packet: &[u8]) -> Result<LongHeader, String> {
    let cut = "a long header is cut";
    let space = match packet[0] >> 4 & 3 {
        0 => Space::Initial,
        2 => Space::Handshake,
        _ => return Err(format!("a packet that begins with {:#x}", packet[0])),
    };
    let destination = usize::from(*packet.get(5).ok_or(cut)?);
    let source_at = 6 + destination;
    let source = usize::from(*packet.get(source_at).ok_or(cut)?);
    let mut at = source_at + 1 + source;
    let id = packet.get(source_at + 1..at).ok_or(cut)?.to_vec();
    if space == Space::Initial {
        let (token, used) = read_varint(&packet[at..]).ok_or(cut)?;
        at += used + token as usize;
    }
    let (length, used) = read_varint(packet.get(at..).ok_or(cut)?).ok_or(cut)?;
    let end = at + used + length as usize;
    if end > packet.len() { Err(cut.to_owned()) } else { Ok((space, Some(id), at + used, end)) }
}

/// The number that ends in `short` and is nearest to the one after `largest` (RFC 9000, appendix A.3).
fn full_number(short: u64, size: u32, largest: u64) -> u64 {
    let window = 1 << (8 * size);
    let near = (largest + 1) / window * window + short;
    let candidates = [near.checked_sub(window), Some(near), Some(near + window)];
    candidates.into_iter().flatten().min_by_key(|number| number.abs_diff(largest + 1)).unwrap_or(near)
}

const VERSION: u32 = 1;

/// Packet numbers are written in four bytes.
const NUMBER_SIZE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_numbers_are_completed_as_in_the_example_of_rfc_9000() {
        assert_eq!(full_number(0x9b32, 2, 0xa82f_30ea), 0xa82f_9b32);
        assert_eq!(full_number(0, 1, 0), 0);
        assert_eq!(full_number(1, 1, 0xff), 0x101);
    }
}
