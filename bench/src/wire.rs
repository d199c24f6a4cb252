//! The least of HTTP/3 and WebTransport that a server or client needs, written for speed and not for hostile peers.

/// Reads a variable-length integer off the front (RFC 9000, section 16).
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let size = 1 << (first >> 6);
    if bytes.len() < size {
        return None;
    }
    let (integer, rest) = bytes.split_at(size);
    let value = integer[1..].iter().fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte));
    *bytes = rest;
    Some(value)
}

/// Writes a variable-length integer in its shortest form.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// The head of a control stream with its SETTINGS: what the older drafts of WebTransport want, from either side.
pub fn control_stream(server: bool, sessions: u64) -> Vec<u8> {
    let mut settings = Vec::new();
    for (id, value) in
        [(0x08, u64::from(server)), (0x33, 1), (0x00ff_d277, 1), (0x2b60_3742, 1), (0xc671_706a, sessions)]
    {
        put_varint(&mut settings, id);
        put_varint(&mut settings, value);
    }
    let mut stream = vec![CONTROL as u8, SETTINGS as u8];
    put_varint(&mut stream, settings.len() as u64);
    stream.extend_from_slice(&settings);
    stream
}

/// A HEADERS frame that asks for a session.
pub fn connect_request(authority: &str, path: &str) -> Vec<u8> {
    // Required insert count 0, base 0.
    let mut block = vec![0, 0];
    // Static table: 15 is `:method: CONNECT`, 23 `:scheme: https`.
    block.extend_from_slice(&[0xc0 + 15, 0xc0 + 23]);
    // Literals with a name of the static table: 0 is `:authority`, 1 `:path`.
    block.push(0x50);
    put_literal(&mut block, authority);
    block.push(0x51);
    put_literal(&mut block, path);
    // A literal with a literal name: 3 bits of length prefix, 9 bytes are 7 and 2.
    block.extend_from_slice(&[0x27, 2]);
    block.extend_from_slice(b":protocol");
    put_literal(&mut block, "webtransport");
    frame(HEADERS, &block)
}

/// The HEADERS frame that opens a session: `:status: 200` is entry 25 of the static table.
pub const ACCEPTED: [u8; 5] = [HEADERS as u8, 3, 0, 0, 0xc0 + 25];

/// The path of a request that [`connect_request`] wrote, or anybody else without Huffman coding.
pub fn path(mut block: &[u8]) -> Option<&[u8]> {
    block = block.get(2..)?;
    while let Some(&first) = block.first() {
        if first & 0x80 != 0 {
            // Indexed in the static table.
            prefixed(&mut block, 6)?;
        } else if first & 0x40 != 0 {
            let name = prefixed(&mut block, 4)?;
            let value = literal(&mut block, 7)?;
            if name == 1 {
                return Some(value);
            }
        } else {
            literal(&mut block, 3)?;
            literal(&mut block, 7)?;
        }
    }
    None
}

/// Whether a block begins with `:status: 200`, however it is written.
pub fn is_accepted(mut block: &[u8]) -> bool {
    let Some(rest) = block.get(2..) else { return false };
    block = rest;
    match block.first() {
        Some(first) if first & 0x80 != 0 => prefixed(&mut block, 6) == Some(25),
        // 24 to 28 and 63 to 71 are names `:status`; the value stands there plainly or as Huffman's 0x1001.
        Some(first) if first & 0x40 != 0 => {
            prefixed(&mut block, 4).is_some() && (block.starts_with(b"\x03200") || block.starts_with(b"\x82\x10\x01"))
        }
        _ => false,
    }
}

/// Takes a whole frame off the front: its type and what is in it.
pub fn take_frame<'a>(bytes: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let mut rest = *bytes;
    let kind = varint(&mut rest)?;
    let size = usize::try_from(varint(&mut rest)?).ok()?;
    if rest.len() < size {
        return None;
    }
    let (payload, rest) = rest.split_at(size);
    *bytes = rest;
    Some((kind, payload))
}

/// What stands in front of a bidirectional stream of a session.
pub fn stream_header(session: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(10);
    put_varint(&mut header, BIDI);
    put_varint(&mut header, session);
    header
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind as u8];
    put_varint(&mut frame, payload.len() as u64);
    frame.extend_from_slice(payload);
    frame
}

fn put_literal(out: &mut Vec<u8>, text: &str) {
    // Not Huffman-coded, less than 127 bytes.
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// QPACK's integer with a prefix of so many bits (RFC 7541, section 5.1).
fn prefixed(bytes: &mut &[u8], bits: u32) -> Option<usize> {
    let (&first, mut rest) = bytes.split_first()?;
    let most = (1 << bits) - 1;
    let mut value = usize::from(first) & most;
    if value == most {
        for shift in (0..28).step_by(7) {
            let (&next, after) = rest.split_first()?;
            rest = after;
            value += (usize::from(next) & 0x7f) << shift;
            if next & 0x80 == 0 {
                break;
            }
        }
    }
    *bytes = rest;
    Some(value)
}

fn literal<'a>(bytes: &mut &'a [u8], bits: u32) -> Option<&'a [u8]> {
    let size = prefixed(bytes, bits)?;
    let (value, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(value)
}

/// Type of a control stream, and of what begins a bidirectional stream of a session.
pub const CONTROL: u64 = 0;
pub const BIDI: u64 = 0x41;

/// Types of frames.
pub const HEADERS: u64 = 1;
pub const SETTINGS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_its_path() {
        let request = connect_request("127.0.0.1:4433", "/echo");
        let mut rest = &request[..];
        let (kind, block) = take_frame(&mut rest).unwrap();
        assert_eq!((kind, rest.len()), (HEADERS, 0));
        assert_eq!(path(block), Some(&b"/echo"[..]));
        let mut rest = &ACCEPTED[..];
        assert!(is_accepted(take_frame(&mut rest).unwrap().1));
        assert!(!is_accepted(&[0, 0, 0xc0 + 27]));
    }

    #[test]
    fn integers_come_back() {
        for value in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, 1 << 61] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut rest = &bytes[..];
            assert_eq!((varint(&mut rest), rest.len()), (Some(value), 0));
            assert_eq!(varint(&mut &bytes[..bytes.len() - 1]), None);
        }
    }
}
