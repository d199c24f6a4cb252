//! Reading streams, and counting what QUIC need not keep any more.

use bytes::Bytes;

use super::Connection;
use super::quic::{NoBytes, Pieces, Quic, Read};
use super::streams::Readable;
use crate::wire::app_error;
use crate::{ErrorCode, ReadError, StreamId};

impl Connection {
    /// Reads a stream, and counts what QUIC need not keep any more.
    pub(super) fn read_quic(&mut self, stream: StreamId, max: usize) -> Read {
        let read = self.quic.read(stream, max);
        self.streams.read(stream, &read);
        read
    }

    /// Reads a stream of a session for the application: what was read ahead, then what QUIC has, up to `max` bytes in as many
    /// pieces as there is room for. Says how many, and whether that was the last of it, if that is known.
    pub(super) fn take(
        &mut self,
        stream: StreamId,
        max: usize,
        room: &mut [Bytes],
    ) -> Result<(usize, bool), ReadError> {
        let Self { streams, quic, .. } = self;
        let Some(mut readable) = streams.readable(stream).filter(|readable| readable.entry.may_be_read()) else {
            return Err(ReadError::Closed);
        };
        if max == 0 || room.is_empty() {
            return Ok((0, false));
        }
        if readable.entry.is_read() {
            return Ok((0, true));
        }
        let pieces = read(quic, &mut readable, stream, max, room);
        readable.read(&pieces);
        let at_end = match pieces.after {
            Some(NoBytes::Reset(code)) => {
                self.dropped(stream, pieces.bytes, false);
                return Err(self.unreadable(stream, ReadError::Reset(app_error::from_http3(code.0))));
            }
            Some(NoBytes::Closed) if pieces.count == 0 => return Err(self.unreadable(stream, ReadError::Closed)),
            Some(NoBytes::Blocked) if pieces.count == 0 => return Err(ReadError::Blocked),
            Some(NoBytes::End) => true,
            _ => false,
        };
        let entry = readable.entry;
        entry.bytes_read += pieces.bytes as u64;
        let (session, counted) = (entry.session, entry.counted);
        if self.consumed(session, counted, pieces.bytes) { Ok((pieces.count, at_end)) } else { Err(ReadError::Closed) }
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

/// Reads what was read ahead of a stream, then what QUIC has.
fn read(quic: &mut Quic, readable: &mut Readable<'_>, stream: StreamId, max: usize, room: &mut [Bytes]) -> Pieces {
    // A short stream often ends with its first bytes. Later it costs less to ask once more than to look each time.
    let look_for_end = readable.entry.bytes_read == 0;
    let Some((first, rest)) = room.split_first_mut() else { return Pieces::default() };
    let Some((ahead, at_end)) = readable.take_ahead(max) else {
        return quic.read_chunks(stream, max, room, look_for_end);
    };
    let taken = Pieces { count: 1, bytes: ahead.len(), after: at_end.then_some(NoBytes::End) };
    *first = ahead;
    if at_end {
        return taken;
    }
    // A reset takes back what was not read, here as in QUIC.
    if let Some(code) = quic.take_reset(stream) {
        return Pieces { after: Some(NoBytes::Reset(code)), ..taken };
    }
    if rest.is_empty() || taken.bytes == max {
        return taken;
    }
    let more = quic.read_chunks(stream, max - taken.bytes, rest, false);
    Pieces { count: 1 + more.count, bytes: taken.bytes + more.bytes, after: more.after }
}
