//! Reading streams.

use bytes::Bytes;
use quinn_proto as quinn;

use super::Quic;
use super::words::quinn_id;
use crate::{ErrorCode, StreamId};

/// Result of a read.
pub(crate) type Read = Result<Bytes, NoBytes>;

/// Why there are no bytes, or no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBytes {
    End,
    /// Nothing yet.
    Blocked,
    Reset(ErrorCode),
    Closed,
}

/// What was read of a stream behind its first bytes.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) bytes: Bytes,
    /// Whether they are the last, and the stream is over for QUIC.
    pub(crate) at_end: bool,
}

/// What was read in several pieces.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) count: usize,
    /// How long they are together.
    pub(crate) bytes: usize,
    /// Why there were no more, if that is known.
    pub(crate) after: Option<NoBytes>,
}

impl Pieces {
    fn then(self, after: NoBytes) -> Self {
        Self { after: Some(after), ..self }
    }
}

impl Quic {
    pub(crate) fn read(&mut self, stream: StreamId, max: usize) -> Read {
        let mut piece = Bytes::new();
        let pieces = self.read_chunks(stream, max, std::slice::from_mut(&mut piece), false);
        pieces.after.map_or(Ok(piece), Err)
    }

    /// Reads the first `max` bytes of a stream that the peer opened. Then `ahead` looks at them, and may ask for so many of
    /// those that follow as well, as far as they arrived in one piece. To read on costs less than to read again.
    pub(crate) fn read_first(
        &mut self,
        stream: StreamId,
        max: usize,
        ahead: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> (Read, Ahead) {
        let oversized = self.oversized;
        // Kept for long, perhaps.
        let owned = |bytes: Bytes| if oversized { Bytes::copy_from_slice(&bytes) } else { bytes };
        let mut recv = self.inner.recv_stream(quinn_id(stream));
        let Ok(mut chunks) = recv.read(true) else { return (Err(NoBytes::Closed), Ahead::default()) };
        let first = next(&mut chunks, max);
        let wanted = if let Ok(bytes) = &first { ahead(bytes) } else { None };
        let ahead = wanted.map(|most| match next(&mut chunks, most) {
            Ok(bytes) => Ahead { bytes: owned(bytes), at_end: is_at_end(&mut chunks) },
            Err(after) => Ahead { bytes: Bytes::new(), at_end: after == NoBytes::End },
        });
        // As in `read_chunks`.
        let _ = chunks.finalize();
        self.spent.disturb();
        (first, ahead.unwrap_or_default())
    }

    /// Reads up to `max` bytes in as many pieces as there is room for, which costs less than to read each. May look whether they
    /// were the last where that does not show: the stream is then over for QUIC.
    pub(crate) fn read_chunks(
        &mut self,
        stream: StreamId,
        max: usize,
        room: &mut [Bytes],
        look_for_end: bool,
    ) -> Pieces {
        let mut pieces = Pieces::default();
        if !self.receives(stream) {
            return pieces.then(NoBytes::Closed);
        }
        let mut recv = self.inner.recv_stream(quinn_id(stream));
        let Ok(mut chunks) = recv.read(true) else { return pieces.then(NoBytes::Closed) };
        for piece in room {
            match next(&mut chunks, max - pieces.bytes) {
                Ok(bytes) => {
                    pieces.count += 1;
                    pieces.bytes += bytes.len();
                    *piece = bytes;
                }
                Err(after) => {
                    pieces.after = Some(after);
                    break;
                }
            }
            if pieces.bytes == max {
                break;
            }
        }
        if look_for_end && pieces.after.is_none() && is_at_end(&mut chunks) {
            pieces.after = Some(NoBytes::End);
        }
        // Whether flow control credit must leave shows in the next poll_transmit, which follows.
        let _ = chunks.finalize();
        self.spent.disturb();
        pieces
    }

    /// Looks for a reset without reading data; the stream is forgotten once one was found.
    pub(crate) fn take_reset(&mut self, stream: StreamId) -> Option<ErrorCode> {
        if !self.receives(stream) {
            return None;
        }
        let code = self.inner.recv_stream(quinn_id(stream)).received_reset().ok()??;
        // The peer may open another stream for it.
        self.spent.disturb();
        Some(ErrorCode(code.into_inner()))
    }
}

fn next(chunks: &mut quinn::Chunks<'_>, max: usize) -> Read {
    match chunks.next(max) {
        Ok(Some(chunk)) => Ok(chunk.bytes),
        Ok(None) => Err(NoBytes::End),
        Err(quinn::ReadError::Blocked) => Err(NoBytes::Blocked),
        Err(quinn::ReadError::Reset(code)) => Err(NoBytes::Reset(ErrorCode(code.into_inner()))),
    }
}

/// Whether nothing follows; nothing of what may follow is taken.
fn is_at_end(chunks: &mut quinn::Chunks<'_>) -> bool {
    matches!(chunks.next(0), Ok(None))
}
