//! Reading streams, and counting what QUIC need not keep any more.

use super::Connection;
use super::quic::Read;
use crate::{ErrorCode, StreamId};

impl Connection {
    /// Reads a stream, and counts what QUIC need not keep any more.
    pub(super) fn read_quic(&mut self, stream: StreamId, max: usize) -> Read {
        let read = self.quic.read(stream, max);
        self.streams.read(stream, &read);
        read
    }

    /// Reads a stream of a session, and says whether that was the last of it: what was read ahead, then what QUIC has.
    pub(super) fn read_to_end(&mut self, stream: StreamId, max: usize) -> (Read, bool) {
        let (read, at_end) = match self.streams.take_ahead(stream, max) {
            // A reset takes back what was not read, here as in QUIC.
            Some((bytes, at_end)) => {
                let reset = if at_end { None } else { self.quic.take_reset(stream) };
                (reset.map_or(Read::Bytes(bytes), Read::Reset), at_end)
            }
            None => self.quic.read_to_end(stream, max),
        };
        self.streams.read(stream, &read);
        (read, at_end)
    }

    /// Stops a stream: QUIC forgets what it keeps of it.
    pub(super) fn stop_quic(&mut self, stream: StreamId, code: ErrorCode) {
        self.quic.stop(stream, code);
        self.streams.nothing_unread(stream);
    }
}
