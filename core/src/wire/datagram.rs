//! HTTP datagrams in QUIC DATAGRAM frames (RFC 9297, section 2.1).

use bytes::{Buf, Bytes};

use super::varint;

const MAX_QUARTER_STREAM_ID: u64 = (1 << 60) - 1;

/// Why a datagram is not acceptable; both are connection errors (RFC 9297, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// The datagram ends before its Quarter Stream ID does.
    #[error("the datagram is too short for a quarter stream id")]
    Truncated,
    /// The Quarter Stream ID is above 2^60-1, so no stream can have it.
    #[error("the quarter stream id is above 2^60-1")]
    QuarterStreamIdTooLarge,
}

/// Returns how many bytes [`encode`] puts before the payload for `session`: 1, 2, 4 or 8.
pub const fn prefix_size(session: u64) -> usize {
    varint::size(session / 4)
}

/// Builds a datagram of `session` around `payload` (RFC 9297, section 2.1).
///
/// `session` must be the ID of a client-initiated bidirectional stream; anything else is a mistake of the caller,
/// which fails a debug assertion.
pub fn encode(session: u64, payload: &[u8]) -> Bytes {
    debug_assert!(session.is_multiple_of(4), "{session} is not a session id");
    let mut datagram = Vec::with_capacity(prefix_size(session) + payload.len());
    varint::encode(session / 4, &mut datagram);
    datagram.extend_from_slice(payload);
    datagram.into()
}

/// Splits a datagram into its session ID and its payload, which shares the memory of the datagram
/// (RFC 9297, section 2.1).
///
/// # Errors
///
/// See [`DatagramError`].
pub fn decode(mut datagram: Bytes) -> Result<(u64, Bytes), DatagramError> {
    let (quarter, used) = varint::decode(&datagram).ok_or(DatagramError::Truncated)?;
    if quarter > MAX_QUARTER_STREAM_ID {
        return Err(DatagramError::QuarterStreamIdTooLarge);
    }
    datagram.advance(used);
    Ok((quarter * 4, datagram))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use bytes::BytesMut;

    use super::*;

    fn raw(quarter: u64) -> Bytes {
        let mut out = BytesMut::new();
        varint::encode(quarter, &mut out);
        out.freeze()
    }

    #[test]
    fn edges_of_the_quarter_stream_id() {
        assert_eq!(decode(raw(MAX_QUARTER_STREAM_ID)), Ok((varint::MAX - 3, Bytes::new())));
        for quarter in [MAX_QUARTER_STREAM_ID + 1, varint::MAX] {
            assert_eq!(decode(raw(quarter)), Err(DatagramError::QuarterStreamIdTooLarge));
        }
        assert_eq!(decode(Bytes::new()), Err(DatagramError::Truncated));
        assert_eq!(decode(Bytes::from_static(&[0xc0, 0, 0, 0, 0, 0, 0])), Err(DatagramError::Truncated));
        assert_eq!(decode(Bytes::from_static(&[0x40, 0x01, 0xaa])), Ok((4, Bytes::from_static(&[0xaa]))));
    }

    #[test]
    fn payload_shares_the_memory_of_the_datagram() {
        let datagram = encode(8, &[1; 50]);
        let Ok((session, payload)) = decode(datagram.clone()) else { panic!("not decoded") };
        assert_eq!((session, payload.as_ptr()), (8, datagram[1..].as_ptr()));
    }

    proptest! {
        #[test]
        fn round_trip(quarter in 0..=MAX_QUARTER_STREAM_ID, shift in 0_u32..60, payload in any::<Vec<u8>>()) {
            let session = (quarter >> shift) * 4;
            let datagram = encode(session, &payload);
            prop_assert_eq!(datagram.len(), prefix_size(session) + payload.len());
            for cut in 0..prefix_size(session) {
                prop_assert_eq!(decode(datagram.slice(..cut)), Err(DatagramError::Truncated));
            }
            prop_assert_eq!(decode(datagram), Ok((session, Bytes::from(payload))));
        }

        #[test]
        fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            if let Ok((session, payload)) = decode(bytes.clone().into()) {
                prop_assert!(session.is_multiple_of(4) && session <= varint::MAX);
                prop_assert!(bytes.ends_with(&payload));
            }
        }
    }
}
