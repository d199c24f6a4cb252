//! The context of keying material exported for a session (draft-ietf-webtrans-http3-16, section 4.8).

use bytes::{BufMut, BytesMut};

/// The TLS label under which every session exports; what tells sessions and applications apart is the context.
pub const LABEL: &[u8] = b"EXPORTER-WebTransport";

/// Most bytes of an application's label or context: their lengths have one byte.
pub const MAX_LENGTH: usize = u8::MAX as usize;

/// Builds the TLS context of a session: its id, the application's label and the application's context.
///
/// `None` when one of the latter is longer than [`MAX_LENGTH`].
pub fn context(session: u64, label: &[u8], context: &[u8]) -> Option<BytesMut> {
    let mut out = BytesMut::with_capacity(size_of::<u64>() + 2 + label.len() + context.len());
    out.put_u64(session);
    for part in [label, context] {
        out.put_u8(u8::try_from(part.len()).ok()?);
        out.put_slice(part);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fixed_vectors() {
        let built = |session, label, application| context(session, label, application).expect("short enough").to_vec();
        assert_eq!(built(0, b"", b""), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(built(4, b"ab", b"c"), [0, 0, 0, 0, 0, 0, 0, 4, 2, b'a', b'b', 1, b'c']);
        assert_eq!(
            built(0x1122_3344_5566_7788, b"k", &[0xff; 3]),
            [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 1, b'k', 3, 0xff, 0xff, 0xff]
        );
    }

    #[test]
    fn lengths_end_where_their_byte_does() {
        for (label, application) in [(255, 255), (0, 255), (255, 0)] {
            let built = context(8, &vec![1; label], &vec![2; application]).expect("short enough");
            assert_eq!(built.len(), 10 + label + application);
        }
        assert_eq!(context(8, &[1; 256], b""), None);
        assert_eq!(context(8, b"", &[1; 256]), None);
    }

    proptest! {
        /// What differs in any part differs as a whole: bytes cannot wander between label and context.
        #[test]
        fn no_two_inputs_give_the_same_context(
            one in (0u64..3, prop::collection::vec(0u8..3, 0..4), prop::collection::vec(0u8..3, 0..4)),
            other in (0u64..3, prop::collection::vec(0u8..3, 0..4), prop::collection::vec(0u8..3, 0..4)),
        ) {
            let built = |of: &(u64, Vec<u8>, Vec<u8>)| context(of.0, &of.1, &of.2);
            prop_assert_eq!(built(&one) == built(&other), one == other);
        }
    }
}
