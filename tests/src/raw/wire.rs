//! Encoders of varints, frames, SETTINGS, capsules and stream headers, and the reading of varints.
//!
//! They write what they are given: a second SETTINGS, a frame on the wrong stream, a length that lies.

/// Frame type DATA.
pub const DATA: u64 = 0x00;
/// Frame type HEADERS.
pub const HEADERS: u64 = 0x01;
/// Frame type CANCEL_PUSH.
pub const CANCEL_PUSH: u64 = 0x03;
/// Frame type SETTINGS.
pub const SETTINGS: u64 = 0x04;
/// Frame type PUSH_PROMISE.
pub const PUSH_PROMISE: u64 = 0x05;
/// Frame type GOAWAY.
pub const GOAWAY: u64 = 0x07;
/// Frame type MAX_PUSH_ID.
pub const MAX_PUSH_ID: u64 = 0x0d;
/// Frame type PRIORITY_UPDATE for a request (RFC 9218).
pub const PRIORITY_UPDATE: u64 = 0xf_0700;

/// Type of the control stream.
pub const CONTROL_STREAM: u64 = 0x00;
/// Type of a push stream.
pub const PUSH_STREAM: u64 = 0x01;
/// Type of the QPACK encoder stream.
pub const ENCODER_STREAM: u64 = 0x02;
/// Type of the QPACK decoder stream.
pub const DECODER_STREAM: u64 = 0x03;
/// Type of a unidirectional WebTransport stream.
pub const WT_UNI: u64 = 0x54;
/// Signal value of a bidirectional WebTransport stream.
pub const WT_BIDI: u64 = 0x41;

/// Capsule type DATAGRAM (RFC 9297).
pub const CAPSULE_DATAGRAM: u64 = 0x00;
/// Capsule type WT_CLOSE_SESSION.
pub const CAPSULE_CLOSE: u64 = 0x2843;
/// Capsule type WT_DRAIN_SESSION.
pub const CAPSULE_DRAIN: u64 = 0x78ae;

/// The largest number a varint can hold.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// A varint in its shortest form.
pub fn varint(value: u64) -> Vec<u8> {
    let width = match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    };
    varint_of_width(value, width)
}

/// A varint in 1, 2, 4 or 8 bytes, shortest or not.
pub fn varint_of_width(value: u64, width: usize) -> Vec<u8> {
    assert!(value <= VARINT_MAX, "a varint holds 62 bits");
    let mut bytes = value.to_be_bytes()[8 - width..].to_vec();
    bytes[0] |= match width {
        1 => 0x00,
        2 => 0x40,
        4 => 0x80,
        8 => 0xc0,
        _ => panic!("a varint has 1, 2, 4 or 8 bytes"),
    };
    bytes
}

/// Reads a varint: its value and how many bytes it took. `None` when it is cut short.
pub fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let width = 1 << (first >> 6);
    let rest = bytes.get(1..width)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((value, width))
}

/// Varints one after the other, each in its shortest form.
pub fn varints(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| varint(*value)).collect()
}

/// Type, length, payload: a frame or a capsule.
pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    claim(kind, payload.len() as u64, payload)
}

/// A frame or capsule whose length field says `length`, whatever the payload is.
pub fn claim(kind: u64, length: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = varints(&[kind, length]);
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame or capsule with type and length in eight-byte form.
pub fn wide_frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = varint_of_width(kind, 8);
    bytes.extend(varint_of_width(payload.len() as u64, 8));
    bytes.extend_from_slice(payload);
    bytes
}

/// A SETTINGS frame.
pub fn settings(pairs: &[(u64, u64)]) -> Vec<u8> {
    let payload: Vec<u8> = pairs.iter().flat_map(|(id, value)| varints(&[*id, *value])).collect();
    frame(SETTINGS, &payload)
}

/// A DATA frame.
pub fn data(payload: &[u8]) -> Vec<u8> {
    frame(DATA, payload)
}

/// The payload of a WT_CLOSE_SESSION capsule.
pub fn close_payload(code: u32, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// A WT_CLOSE_SESSION capsule.
pub fn close(code: u32, reason: &[u8]) -> Vec<u8> {
    frame(CAPSULE_CLOSE, &close_payload(code, reason))
}

/// What comes before the body of a unidirectional WebTransport stream.
pub fn uni_header(session: u64) -> Vec<u8> {
    varints(&[WT_UNI, session])
}

/// What comes before the body of a bidirectional WebTransport stream.
pub fn bidi_header(session: u64) -> Vec<u8> {
    varints(&[WT_BIDI, session])
}

/// The payload of a DATAGRAM frame for a session.
pub fn datagram(session: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = varint(session / 4);
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_match_the_examples_of_rfc_9000() {
        assert_eq!(varint(37), [0x25]);
        assert_eq!(varint(15_293), [0x7b, 0xbd]);
        assert_eq!(varint(494_878_333), [0x9d, 0x7f, 0x3e, 0x7d]);
        assert_eq!(varint(151_288_809_941_952_652), [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]);
        assert_eq!(varint_of_width(37, 2), [0x40, 0x25]);
        assert_eq!(varint(VARINT_MAX), [0xff; 8]);
    }

    #[test]
    fn varints_read_back_and_cut_ones_do_not() {
        for value in [0, 63, 64, 16_383, 16_384, 0x3fff_ffff, 0x4000_0000, VARINT_MAX] {
            let bytes = varint(value);
            assert_eq!(read_varint(&bytes), Some((value, bytes.len())));
            assert_eq!(read_varint(&bytes[..bytes.len() - 1]), None);
        }
    }
}
