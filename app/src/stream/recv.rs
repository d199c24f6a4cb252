//! The receiving half of a stream.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use transom_core::{Connection, RecvStreamStats, StreamId};

use crate::driver::{Slot, StreamRef};
use crate::error::{ReadError, ReadExactError, ReadToEndError};

/// The receiving half of a stream.
///
/// Dropped before the end of the stream was read, it asks the peer to stop sending, with code 0. What the peer may send
/// ahead of our reading is bounded by [`Config::stream_window`](crate::Config::stream_window).
#[derive(Debug)]
#[must_use = "a stream is stopped when it is dropped unread"]
pub struct RecvStream {
    stream: StreamRef,
    reading: Reading,
    /// Counted here as well as in the core, which forgets streams that are over.
    bytes_read: u64,
    /// Whether our waker may stand in the stream's slot.
    registered: bool,
}

/// What reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// There may be more.
    Open,
    /// Everything was read, and the end is known.
    AtEnd,
    /// The end was read.
    Finished,
    /// The stream was stopped, or an error was reported.
    Closed,
}

impl RecvStream {
    pub(crate) fn new(stream: StreamRef) -> Self {
        Self { stream, reading: Reading::Open, bytes_read: 0, registered: false }
    }

    /// The stream's name within its connection.
    pub fn id(&self) -> StreamId {
        self.stream.id
    }

    /// Reads into `buffer`: the number of bytes, or `None` at the end of the stream.
    ///
    /// Waits until there is at least one byte. An empty buffer gives 0 at once.
    ///
    /// # Errors
    ///
    /// [`ReadError::Reset`] when the peer gave the stream up, [`ReadError::SessionEnded`] when the session ended
    /// first, [`ReadError::Closed`] after [`stop`](Self::stop) or such an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no bytes.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
        if buffer.is_empty() {
            return Ok(Some(0));
        }
        let Some(bytes) = self.read_bytes(buffer.len()).await? else { return Ok(None) };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(Some(bytes.len()))
    }

    /// Reads at most `max` bytes without copying them, or `None` at the end of the stream.
    ///
    /// Waits until there is at least one byte. With a `max` of 0 the bytes are empty and there at once.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no bytes.
    pub async fn read_bytes(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        poll_fn(|context| self.poll_read_bytes(context, max)).await
    }

    /// Reads what is there without copying it, into the first places of `chunks`: how many it filled, or `None` at the end of
    /// the stream.
    ///
    /// Waits until there is at least one piece. No places give 0 at once. What is in the places is dropped first. A packet brings
    /// a piece or two, so that a handler of long streams saves time if it takes 16 or 32 of them together.
    ///
    /// ```
    /// # async fn example(mut recv: transom::RecvStream) -> Result<(), transom::ReadError> {
    /// let mut chunks = [const { bytes::Bytes::new() }; 32];
    /// while let Some(filled) = recv.read_chunks(&mut chunks).await? {
    ///     for bytes in &chunks[..filled] {
    ///         println!("{} bytes", bytes.len());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no bytes.
    pub async fn read_chunks(&mut self, chunks: &mut [Bytes]) -> Result<Option<usize>, ReadError> {
        // Nothing of the last call is kept while the next one waits: whoever keeps a piece keeps what it came with.
        chunks.fill(Bytes::new());
        poll_fn(|context| self.poll_read_chunks(context, usize::MAX, chunks)).await
    }

    /// Fills `buffer`.
    ///
    /// # Errors
    ///
    /// [`ReadExactError::FinishedEarly`] when the stream ends first, and those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: bytes read so far are lost with the future.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReadExactError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]).await? {
                Some(count) => filled += count,
                None => return Err(ReadExactError::FinishedEarly(filled)),
            }
        }
        Ok(())
    }

    /// Reads the rest of the stream, which may be at most `limit` bytes long.
    ///
    /// # Errors
    ///
    /// [`ReadToEndError::TooLong`] when there is more, which also stops the stream with code 0; and those of
    /// [`read`](Self::read). Nothing is cut silently.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: bytes read so far are lost with the future.
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Bytes, ReadToEndError> {
        let (mut whole, mut joined, mut length) = (Bytes::new(), BytesMut::new(), 0);
        let mut chunks = [const { Bytes::new() }; CHUNKS];
        loop {
            // One byte more than allowed is asked for, since only that tells a full stream from a longer one.
            let most = (limit - length).saturating_add(1);
            let read = poll_fn(|context| self.poll_read_chunks(context, most, &mut chunks)).await?;
            let Some(filled) = read else { break };
            for bytes in chunks.iter_mut().take(filled).map(std::mem::take) {
                length += bytes.len();
                if joined.is_empty() && whole.is_empty() {
                    // A stream in one piece, as short ones are, is not copied.
                    whole = bytes;
                    continue;
                }
                if joined.is_empty() {
                    joined.extend_from_slice(&std::mem::take(&mut whole));
                }
                joined.extend_from_slice(&bytes);
            }
            if length > limit {
                // The caller learns that it is too long; whether the stop still matters to anybody is not its concern.
                let _ = self.stop(0);
                return Err(ReadToEndError::TooLong { limit });
            }
        }
        Ok(if joined.is_empty() { whole } else { joined.freeze() })
    }

    /// Asks the peer to stop sending, with an application's code; nothing more can be read.
    ///
    /// # Errors
    ///
    /// [`ReadError::Closed`] when the end was read or the stream was stopped before, [`ReadError::SessionEnded`] when
    /// the session is over.
    pub fn stop(&mut self, code: u32) -> Result<(), ReadError> {
        match self.reading {
            Reading::Open => self.reading = Reading::Closed,
            // Nothing is left that the peer could stop.
            Reading::AtEnd => {
                self.reading = Reading::Closed;
                return Ok(());
            }
            Reading::Finished | Reading::Closed => return Err(ReadError::Closed),
        }
        match self.stream.act(|connection, id| connection.recv_stream(id).stop(code)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.closed()),
        }
    }

    /// Figures of this half up to now, also when it is over.
    pub fn stats(&self) -> RecvStreamStats {
        RecvStreamStats::new(self.bytes_read)
    }

    /// Reads at most `max` bytes if there are any; `None` at the end, pending while there is nothing.
    pub(crate) fn poll_read_bytes(
        &mut self,
        context: &Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        let mut bytes = Bytes::new();
        let read = ready!(self.poll_read_chunks(context, max, std::slice::from_mut(&mut bytes)))?;
        Poll::Ready(Ok(read.map(|_| bytes)))
    }

    /// The same in several pieces; says how many.
    fn poll_read_chunks(
        &mut self,
        context: &Context<'_>,
        max: usize,
        chunks: &mut [Bytes],
    ) -> Poll<Result<Option<usize>, ReadError>> {
        if max == 0 || chunks.is_empty() {
            return Poll::Ready(Ok(Some(0)));
        }
        match self.reading {
            Reading::Open => {}
            Reading::AtEnd | Reading::Finished => {
                self.reading = Reading::Finished;
                return Poll::Ready(Ok(None));
            }
            Reading::Closed => return Poll::Ready(Err(self.closed())),
        }
        let attempt = |connection: &mut Connection, id| match connection.recv_stream(id).read_chunks(max, chunks) {
            Err(transom_core::ReadError::Blocked) => None,
            result => Some(result),
        };
        let result = ready!(self.stream.poll(context, Slot::Read, &mut self.registered, attempt));
        Poll::Ready(match result {
            Some(Ok((filled, at_end))) => {
                self.bytes_read += chunks.iter().take(filled).map(|bytes| bytes.len() as u64).sum::<u64>();
                self.reading = match (at_end, filled) {
                    (false, _) => Reading::Open,
                    (true, 0) => Reading::Finished,
                    (true, _) => Reading::AtEnd,
                };
                Ok((self.reading != Reading::Finished).then_some(filled))
            }
            Some(Err(transom_core::ReadError::Reset(code))) => {
                self.reading = Reading::Closed;
                Err(ReadError::Reset(code))
            }
            Some(Err(_)) | None => {
                self.reading = Reading::Closed;
                Err(self.closed())
            }
        })
    }

    /// Why nothing can be read.
    fn closed(&self) -> ReadError {
        self.stream.cell.end().cloned().map_or(ReadError::Closed, ReadError::SessionEnded)
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        if self.reading == Reading::Open {
            // The session may be over; then there is nobody to tell.
            let _ = self.stop(0);
        }
        if self.registered {
            self.stream.forget(&[Slot::Read]);
        }
    }
}

/// Pieces taken together where all of a stream is read.
const CHUNKS: usize = 8;
