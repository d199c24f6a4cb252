//! What a peer may say on its QPACK streams to an endpoint without a dynamic table (RFC 9204, sections 4.3 and 4.4).

use super::prefix::{self, Partial, Progress};

/// An instruction that is invalid, or makes no sense without a dynamic table; it ends the connection.
///
/// The code is QPACK_ENCODER_STREAM_ERROR or QPACK_DECODER_STREAM_ERROR, after the stream (RFC 9204, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InstructionError(
    /// What is wrong, for a log.
    pub &'static str,
);

/// Checks the peer's encoder stream, which may only set the capacity to zero (RFC 9204, section 4.3).
///
/// It holds no bytes: an instruction that is allowed is one byte long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncoderStream {
    failed: Option<InstructionError>,
}

impl EncoderStream {
    /// Checks the next bytes of the stream, without the stream type at its beginning.
    ///
    /// # Errors
    ///
    /// Any capacity above zero, insertion or duplication. After an error every call returns it again.
    pub fn push(&mut self, input: &[u8]) -> Result<(), InstructionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let message = match input.iter().find(|&&byte| byte != 0x20) {
            None => return Ok(()),
            Some(0x20..0x40) => "the dynamic table capacity is above the limit of zero",
            Some(0x00..0x20) => "an entry is duplicated in a dynamic table of capacity zero",
            Some(0x40..) => "an entry is inserted in a dynamic table of capacity zero",
        };
        let error = InstructionError(message);
        self.failed = Some(error);
        Err(error)
    }
}

/// Checks the peer's decoder stream, which may only cancel streams (RFC 9204, section 4.4).
///
/// It holds one unfinished integer at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecoderStream {
    partial: Option<Partial>,
    failed: Option<InstructionError>,
}

impl DecoderStream {
    /// Checks the next bytes of the stream, without the stream type at its beginning, and returns how many Stream
    /// Cancellations they completed.
    ///
    /// # Errors
    ///
    /// Any acknowledgment or increment, as no section we send uses the table, and a stream ID above 2^62-1. After an
    /// error every call returns it again.
    pub fn push(&mut self, input: &[u8]) -> Result<u32, InstructionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut cancellations = 0_u32;
        for &byte in input {
            match self.step(byte) {
                Ok(Progress::Done(_)) => {
                    self.partial = None;
                    cancellations = cancellations.saturating_add(1);
                }
                Ok(Progress::More(partial)) => self.partial = Some(partial),
                Err(error) => {
                    self.failed = Some(error);
                    return Err(error);
                }
            }
        }
        Ok(cancellations)
    }

    fn step(&self, byte: u8) -> Result<Progress, InstructionError> {
        match (self.partial, byte) {
            (Some(partial), _) => partial.push(byte).map_err(|_| InstructionError("a stream ID is too large")),
            (None, 0x40..0x80) => Ok(prefix::start(byte, 6)),
            (None, 0x80..) => Err(InstructionError("a section that uses no dynamic table is acknowledged")),
            (None, 0x00..0x40) => Err(InstructionError("the insert count grows though nothing was inserted")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_encoder_stream_may_only_set_zero() {
        for byte in 0..=u8::MAX {
            let mut stream = EncoderStream::default();
            assert_eq!(stream.push(&[0x20, 0x20]), Ok(()));
            assert_eq!(stream.push(&[byte]).is_ok(), byte == 0x20);
            assert_eq!(stream.push(&[0x20]).is_ok(), byte == 0x20);
        }
        // RFC 9204, appendix B.2: a capacity of 220.
        let error = InstructionError("the dynamic table capacity is above the limit of zero");
        assert_eq!(EncoderStream::default().push(&[0x3f, 0xbd, 0x01]), Err(error));
    }

    #[test]
    fn the_decoder_stream_may_only_cancel() {
        for byte in 0..=u8::MAX {
            let mut stream = DecoderStream::default();
            let complete = u32::from(byte != 0x7f);
            let result = stream.push(&[byte]);
            if (0x40..0x80).contains(&byte) {
                assert_eq!(result, Ok(complete));
            } else {
                assert!(result.is_err());
                assert_eq!(stream.push(&[0x44]), result);
            }
        }
        // RFC 9204, appendix B.3: stream 8 is cancelled.
        assert_eq!(DecoderStream::default().push(&[0x48]), Ok(1));
        assert!(DecoderStream::default().push(&[&[0x7f][..], &[0xff; 9]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn cancellations_are_counted_in_any_feeding(ids in proptest::collection::vec(0..=prefix::MAX, 0..20), shift in 0_u32..62) {
            let mut bytes = Vec::new();
            for id in &ids {
                prefix::encode(id >> shift, 6, 0x40, &mut bytes);
            }
            prop_assert_eq!(DecoderStream::default().push(&bytes), Ok(ids.len() as u32));
            let mut stream = DecoderStream::default();
            let mut total = 0;
            for byte in bytes {
                total += stream.push(&[byte]).unwrap_or(1000);
            }
            prop_assert_eq!(total, ids.len() as u32);
            prop_assert_eq!(stream, DecoderStream::default());
        }

        #[test]
        fn random_bytes_feed_alike(bytes in any::<Vec<u8>>(), cancel: bool) {
            let bytes: Vec<u8> = if cancel { bytes.iter().map(|byte| byte & 0x3f | 0x40).collect() } else { bytes };
            let (mut bulk, mut single) = (DecoderStream::default(), DecoderStream::default());
            let whole = bulk.push(&bytes);
            let parts: Result<u32, _> = bytes.iter().map(|&byte| single.push(&[byte])).sum();
            prop_assert_eq!(whole, parts);
            prop_assert_eq!(bulk, single);
            let mut single = EncoderStream::default();
            let parts = bytes.iter().try_for_each(|&byte| single.push(&[byte]));
            prop_assert_eq!(EncoderStream::default().push(&bytes), parts);
        }
    }
}
