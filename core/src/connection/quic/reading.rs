//! Reading streams.

use bytes::Bytes;
use quinn_proto as quinn;

use super::Quic;
use super::words::quinn_id;
use crate::{ErrorCode, StreamId};

/// Result of a read: bytes, the end, or nothing yet.
#[derive(Debug)]
pub(crate) enum Read {
    Bytes(Bytes),
    End,
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

impl Quic {
    pub(crate) fn read(&mut self, stream: StreamId, max: usize) -> Read {
        self.read_and_look(stream, max, false).0
    }

    /// Reads the first `max` bytes of a stream that the peer opened. Then `ahead` looks at them, and may ask for so many of
    /// those that follow as well, as far as they arrived in one piece. To read on costs less than to read again.
    pub(crate) fn read_first(
        &mut self,
        stream: StreamId,
        max: usize,
        ahead: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> (Read, Ahead) {
        let mut recv = self.inner.recv_stream(quinn_id(stream));
        let Ok(mut chunks) = recv.read(true) else { return (Read::Closed, Ahead::default()) };
        let first = next(&mut chunks, max);
        let wanted = if let Read::Bytes(bytes) = &first { ahead(bytes) } else { None };
        let ahead = wanted.map(|most| match next(&mut chunks, most) {
            Read::Bytes(bytes) => Ahead { bytes, at_end: is_at_end(&mut chunks) },
            read => Ahead { bytes: Bytes::new(), at_end: matches!(read, Read::End) },
        });
        // As in `read_and_look`.
        let _ = chunks.finalize();
        self.spent.disturb();
        (first, ahead.unwrap_or_default())
    }

    /// Reads, and may look whether what was read was the last of the stream, which is then over for QUIC. To look with the
    /// bytes costs less than to ask again.
    pub(crate) fn read_and_look(&mut self, stream: StreamId, max: usize, look_for_end: bool) -> (Read, bool) {
        if !self.receives(stream) {
            return (Read::Closed, false);
        }
        let mut recv = self.inner.recv_stream(quinn_id(stream));
        let mut chunks = match recv.read(true) {
            Ok(chunks) => chunks,
            Err(quinn::ReadableError::ClosedStream | quinn::ReadableError::IllegalOrderedRead) => {
                return (Read::Closed, false);
            }
        };
        let read = next(&mut chunks, max);
        let at_end = look_for_end && matches!(read, Read::Bytes(_)) && is_at_end(&mut chunks);
        // Whether flow control credit must leave shows in the next poll_transmit, which follows.
        let _ = chunks.finalize();
        self.spent.disturb();
        (read, at_end)
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
        Ok(Some(chunk)) => Read::Bytes(chunk.bytes),
        Ok(None) => Read::End,
        Err(quinn::ReadError::Blocked) => Read::Blocked,
        Err(quinn::ReadError::Reset(code)) => Read::Reset(ErrorCode(code.into_inner())),
    }
}

/// Whether nothing follows; nothing of what may follow is taken.
fn is_at_end(chunks: &mut quinn::Chunks<'_>) -> bool {
    matches!(chunks.next(0), Ok(None))
}
