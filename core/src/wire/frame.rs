//! HTTP/3 frames (RFC 9114, section 7): headers written, and frames read as their bytes arrive.

use bytes::{BufMut, Bytes};

use super::varint::{self, PairDecoder};

/// Frame types this stack sends or treats specially.
pub mod kind {
    /// DATA (RFC 9114, section 7.2.1).
    pub const DATA: u64 = 0x0;
    /// HEADERS (RFC 9114, section 7.2.2).
    pub const HEADERS: u64 = 0x1;
    /// CANCEL_PUSH (RFC 9114, section 7.2.3).
    pub const CANCEL_PUSH: u64 = 0x3;
    /// SETTINGS (RFC 9114, section 7.2.4).
    pub const SETTINGS: u64 = 0x4;
    /// PUSH_PROMISE (RFC 9114, section 7.2.5).
    pub const PUSH_PROMISE: u64 = 0x5;
    /// GOAWAY (RFC 9114, section 7.2.6).
    pub const GOAWAY: u64 = 0x7;
    /// MAX_PUSH_ID (RFC 9114, section 7.2.7).
    pub const MAX_PUSH_ID: u64 = 0xd;
    /// WT_STREAM, the signal that opens a WebTransport bidirectional stream (draft-ietf-webtrans-http3-16, section 4.3).
    ///
    /// It is not a frame: what [`super::FrameDecoder`] reports as its length is the session ID, and everything after
    /// the header belongs to the stream.
    pub const WEBTRANSPORT_STREAM: u64 = 0x41;
    /// PRIORITY_UPDATE for a request stream (RFC 9218, section 7.2).
    pub const PRIORITY_UPDATE_REQUEST: u64 = 0xf0700;
    /// PRIORITY_UPDATE for a push stream (RFC 9218, section 7.2).
    pub const PRIORITY_UPDATE_PUSH: u64 = 0xf0701;
}

/// Tells whether `kind` belongs to an HTTP/2 frame that must not appear in HTTP/3 (RFC 9114, section 7.2.8).
pub const fn is_http2_only(kind: u64) -> bool {
    matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
}

/// Writes the type and length that open a frame (RFC 9114, section 7.1).
///
/// Both must fit a variable-length integer; see [`varint::encode`] for what happens otherwise.
pub fn encode_header(kind: u64, length: u64, out: &mut impl BufMut) {
    varint::encode(kind, out);
    varint::encode(length, out);
}

/// Writes a whole frame (RFC 9114, section 7.1).
pub fn encode(kind: u64, payload: &[u8], out: &mut impl BufMut) {
    encode_header(kind, payload.len() as u64, out);
    out.put_slice(payload);
}

/// What [`FrameDecoder`] reports: one header, any number of payload parts and one end for every frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A frame begins.
    Header {
        /// The frame type; see [`kind`].
        kind: u64,
        /// The payload length the peer declared, not checked against anything.
        length: u64,
    },
    /// The next bytes of the current frame's payload, never empty, shared with the input.
    Payload(Bytes),
    /// The current frame is complete.
    End {
        /// The frame type, as in its header.
        kind: u64,
    },
}

/// Cuts the bytes of a stream into frames, as they arrive (RFC 9114, section 7.1).
///
/// It holds at most 16 bytes, those of an unfinished frame header; payload passes through uncopied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameDecoder {
    header: PairDecoder,
    current: Option<Current>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Current {
    kind: u64,
    remaining: u64,
}

impl FrameDecoder {
    /// Takes bytes from the front of `input` and returns the next piece.
    ///
    /// `None` means that `input` is used up. Call it until then: the end of a frame can come with `input` empty.
    pub fn push(&mut self, input: &mut Bytes) -> Option<Piece> {
        let Some(current) = &mut self.current else {
            let (kind, length) = self.header.push(input)?;
            self.current = Some(Current { kind, remaining: length });
            return Some(Piece::Header { kind, length });
        };
        if current.remaining == 0 {
            let kind = current.kind;
            self.current = None;
            return Some(Piece::End { kind });
        }
        if input.is_empty() {
            return None;
        }
        let available = input.len() as u64;
        if available <= current.remaining {
            current.remaining -= available;
            return Some(Piece::Payload(std::mem::take(input)));
        }
        let payload = input.split_to(current.remaining as usize);
        current.remaining = 0;
        Some(Piece::Payload(payload))
    }

    /// Tells whether the stream could end here without cutting a frame (RFC 9114, section 7.1).
    pub fn is_at_boundary(&self) -> bool {
        match &self.current {
            None => self.header.is_empty(),
            Some(current) => current.remaining == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `bytes` in parts of `step` bytes and joins what the payload parts of a frame have.
    fn decode_all(bytes: &Bytes, step: usize) -> (Vec<Piece>, FrameDecoder) {
        let mut decoder = FrameDecoder::default();
        let mut pieces = Vec::new();
        for part in bytes.chunks(step) {
            let mut input = bytes.slice_ref(part);
            while let Some(piece) = decoder.push(&mut input) {
                match (pieces.last_mut(), piece) {
                    (Some(Piece::Payload(joined)), Piece::Payload(next)) => {
                        *joined = [joined.as_ref(), next.as_ref()].concat().into();
                    }
                    (_, piece) => pieces.push(piece),
                }
            }
            assert!(input.is_empty());
        }
        (pieces, decoder)
    }

    fn frames() -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
        let kind = prop_oneof![0_u64..0x50, 0..=varint::MAX];
        proptest::collection::vec((kind, proptest::collection::vec(any::<u8>(), 0..200)), 0..6)
    }

    fn encode_all(frames: &[(u64, Vec<u8>)]) -> Bytes {
        let mut out = Vec::new();
        for (kind, payload) in frames {
            encode(*kind, payload, &mut out);
        }
        out.into()
    }

    fn expected(frames: &[(u64, Vec<u8>)]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (kind, payload) in frames {
            pieces.push(Piece::Header { kind: *kind, length: payload.len() as u64 });
            if !payload.is_empty() {
                pieces.push(Piece::Payload(payload.clone().into()));
            }
            pieces.push(Piece::End { kind: *kind });
        }
        pieces
    }

    #[test]
    fn empty_frames_have_a_header_and_an_end() {
        let (pieces, decoder) = decode_all(&Bytes::from_static(&[0x4, 0x0]), 2);
        assert_eq!(pieces, [Piece::Header { kind: 4, length: 0 }, Piece::End { kind: 4 }]);
        assert!(decoder.is_at_boundary());
    }

    #[test]
    fn payload_shares_the_memory_of_the_input() {
        let bytes = encode_all(&[(kind::DATA, vec![7; 100])]);
        let mut input = bytes.clone();
        let mut decoder = FrameDecoder::default();
        assert!(matches!(decoder.push(&mut input), Some(Piece::Header { kind: kind::DATA, length: 100 })));
        let Some(Piece::Payload(payload)) = decoder.push(&mut input) else { panic!("no payload") };
        assert_eq!(payload.as_ptr(), bytes[3..].as_ptr());
        assert!(decoder.is_at_boundary());
        assert_eq!(decoder.push(&mut input), Some(Piece::End { kind: kind::DATA }));
    }

    #[test]
    fn a_huge_length_is_only_a_number() {
        let mut out = Vec::new();
        encode_header(kind::HEADERS, varint::MAX, &mut out);
        out.extend([0; 64]);
        let (pieces, decoder) = decode_all(&out.into(), 5);
        assert_eq!(pieces.len(), 2);
        assert!(!decoder.is_at_boundary());
    }

    #[test]
    fn a_stream_signal_leaves_the_rest_of_the_input() {
        let mut input = Bytes::from_static(&[0x40, 0x41, 0x04, 0xaa, 0xbb]);
        let mut decoder = FrameDecoder::default();
        let header = Piece::Header { kind: kind::WEBTRANSPORT_STREAM, length: 4 };
        assert_eq!(decoder.push(&mut input), Some(header));
        assert_eq!(input.as_ref(), [0xaa, 0xbb]);
    }

    #[test]
    fn http2_frames_are_known() {
        let kinds: Vec<u64> = (0..0x100).filter(|&kind| is_http2_only(kind)).collect();
        assert_eq!(kinds, [0x2, 0x6, 0x8, 0x9]);
    }

    proptest! {
        #[test]
        fn any_feeding_gives_the_frames(frames in frames(), step in 1_usize..300) {
            let bytes = encode_all(&frames);
            for step in [1, step, usize::MAX] {
                let (pieces, decoder) = decode_all(&bytes, step);
                prop_assert_eq!(pieces, expected(&frames));
                prop_assert!(decoder.is_at_boundary());
            }
        }

        #[test]
        fn boundaries_are_where_frames_end(frames in frames()) {
            let bytes = encode_all(&frames);
            let mut ends = vec![0];
            for (kind, payload) in &frames {
                let header = varint::size(*kind) + varint::size(payload.len() as u64);
                ends.push(ends.last().copied().unwrap_or_default() + header + payload.len());
            }
            for cut in 0..=bytes.len() {
                let (_, decoder) = decode_all(&bytes.slice(..cut), 64);
                prop_assert_eq!(decoder.is_at_boundary(), ends.contains(&cut));
            }
        }

        #[test]
        fn random_bytes_feed_alike(bytes in any::<Vec<u8>>()) {
            let bytes = Bytes::from(bytes);
            prop_assert_eq!(decode_all(&bytes, 1), decode_all(&bytes, usize::MAX));
        }
    }
}
