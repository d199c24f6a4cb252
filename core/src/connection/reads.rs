//! Reading streams, and counting what QUIC need not keep any more.

use bytes::Bytes;

use super::Connection;
use super::quic::Read;
use crate::wire::app_error;
use crate::{ErrorCode, ReadError, StreamId};

impl Connection {
    /// Reads a stream, and counts what QUIC need not keep any more.
    pub(super) fn read_quic(&mut self, stream: StreamId, max: usize) -> Read {
        let read = self.quic.read(stream, max);
        self.streams.read(stream, &read);
        read
    }

    /// Reads a stream of a session for the application: what was read ahead, then what QUIC has. Says whether that was the last
    /// of it, if that is known.
    pub(super) fn take(&mut self, stream: StreamId, max: usize) -> Result<(Bytes, bool), ReadError> {
        let Self { streams, quic, .. } = self;
        let Some(mut readable) = streams.readable(stream).filter(|readable| readable.entry.may_be_read()) else {
            return Err(ReadError::Closed);
        };
        if max == 0 {
            return Ok((Bytes::new(), false));
        }
        if readable.entry.is_read() {
            return Ok((Bytes::new(), true));
        }
        let (read, at_end) = match readable.take_ahead(max) {
            // A reset takes back what was not read, here as in QUIC.
            Some((bytes, at_end)) => {
                let reset = if at_end { None } else { quic.take_reset(stream) };
                (reset.map_or(Read::Bytes(bytes), Read::Reset), at_end)
            }
            // A short stream often ends with its first bytes. Later it costs less to ask once more than to look each time.
            None => quic.read_and_look(stream, max, readable.entry.bytes_read == 0),
        };
        readable.read(&read);
        let bytes = match read {
            Read::Bytes(bytes) => bytes,
            Read::End => return Ok((Bytes::new(), true)),
            Read::Blocked => return Err(ReadError::Blocked),
            Read::Reset(code) => {
                self.dropped(stream, false);
                return Err(self.unreadable(stream, ReadError::Reset(app_error::from_http3(code.0))));
            }
            Read::Closed => return Err(self.unreadable(stream, ReadError::Closed)),
        };
        let entry = readable.entry;
        entry.bytes_read += bytes.len() as u64;
        let (session, counted) = (entry.session, entry.counted);
        if self.consumed(session, counted, bytes.len()) { Ok((bytes, at_end)) } else { Err(ReadError::Closed) }
    }

    /// Nothing more can be read of a stream, for this reason.
    fn unreadable(&mut self, stream: StreamId, error: ReadError) -> ReadError {
        self.set_read(stream);
        error
    }

    /// Stops a stream: QUIC forgets what it keeps of it.
    pub(super) fn stop_quic(&mut self, stream: StreamId, code: ErrorCode) {
        self.quic.stop(stream, code);
        self.streams.nothing_unread(stream);
    }
}
