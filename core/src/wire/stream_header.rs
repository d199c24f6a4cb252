//! The first bytes of a stream, which say what it is for (RFC 9114, section 6.2; draft-ietf-webtrans-http3-16,
//! sections 4.2 and 4.3).

use bytes::BufMut;

use super::varint;
use crate::Direction;

/// Stream types, and the signal of a WebTransport bidirectional stream.
pub mod kind {
    /// The control stream (RFC 9114, section 6.2.1).
    pub const CONTROL: u64 = 0x0;
    /// A push stream (RFC 9114, section 6.2.2).
    pub const PUSH: u64 = 0x1;
    /// The QPACK encoder stream (RFC 9204, section 4.2).
    pub const QPACK_ENCODER: u64 = 0x2;
    /// The QPACK decoder stream (RFC 9204, section 4.2).
    pub const QPACK_DECODER: u64 = 0x3;
    /// A WebTransport unidirectional stream (draft-ietf-webtrans-http3-16, section 4.2).
    pub const WEBTRANSPORT_UNI: u64 = 0x54;
    /// A WebTransport bidirectional stream (draft-ietf-webtrans-http3-16, section 4.3).
    pub const WEBTRANSPORT_BIDI: u64 = 0x41;
}

/// Writes what opens a WebTransport unidirectional stream of `session`, at most 10 bytes
/// (draft-ietf-webtrans-http3-16, section 4.2).
pub fn encode_uni(session: u64, out: &mut impl BufMut) {
    varint::encode(kind::WEBTRANSPORT_UNI, out);
    varint::encode(session, out);
}

/// Writes what opens a WebTransport bidirectional stream of `session`, at most 10 bytes
/// (draft-ietf-webtrans-http3-16, section 4.3).
pub fn encode_bidi(session: u64, out: &mut impl BufMut) {
    varint::encode(kind::WEBTRANSPORT_BIDI, out);
    varint::encode(session, out);
}

/// The session that a stream names in its first bytes, unchecked; `None` when they are too few or those of another stream.
pub fn decode(direction: Direction, bytes: &[u8]) -> Option<u64> {
    let (kind, used) = varint::decode(bytes)?;
    let expected = match direction {
        Direction::Bidirectional => kind::WEBTRANSPORT_BIDI,
        Direction::Unidirectional => kind::WEBTRANSPORT_UNI,
    };
    if kind != expected {
        return None;
    }
    varint::decode(bytes.get(used..)?).map(|(session, _)| session)
}

/// Tells whether `id` can name a session, being the ID of a client-initiated bidirectional stream
/// (RFC 9000, section 2.1; draft-ietf-webtrans-http3-16, section 4).
///
/// It looks only at the two low bits; an ID above [`varint::MAX`] cannot come out of a decoder.
pub const fn is_session_id(id: u64) -> bool {
    id.is_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_headers() {
        let mut out = Vec::new();
        encode_uni(4, &mut out);
        encode_bidi(0x40, &mut out);
        assert_eq!(out, [0x40, 0x54, 0x04, 0x40, 0x41, 0x40, 0x40]);
    }

    #[test]
    fn only_client_bidirectional_streams_name_sessions() {
        let ids: Vec<u64> = (0..10).filter(|&id| is_session_id(id)).collect();
        assert_eq!(ids, [0, 4, 8]);
        assert!(is_session_id(varint::MAX - 3));
        assert!(!is_session_id(varint::MAX));
    }

    proptest! {
        #[test]
        fn headers_are_two_integers(session in 0..=varint::MAX, shift in 0_u32..62) {
            let session = session >> shift;
            let (mut uni, mut bidi) = (Vec::new(), Vec::new());
            encode_uni(session, &mut uni);
            encode_bidi(session, &mut bidi);
            for (header, kind) in [(uni, kind::WEBTRANSPORT_UNI), (bidi, kind::WEBTRANSPORT_BIDI)] {
                prop_assert_eq!(varint::decode(&header), Some((kind, 2)));
                prop_assert_eq!(varint::decode(&header[2..]), Some((session, header.len() - 2)));
                prop_assert!(header.len() <= 10);
            }
        }
    }
}
