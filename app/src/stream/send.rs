//! The sending half of a stream.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use transom_core::{Connection, SendGroup, SendStreamStats, StreamId};

use crate::driver::{Delivery, Slot, StreamRef};
use crate::error::WriteError;

/// The sending half of a stream.
///
/// Dropped without [`finish`](Self::finish) it is reset with code 0: the peer then knows that something is missing.
/// What is written and not yet acknowledged is bounded by [`Config::send_window`](crate::Config::send_window) for the
/// whole connection, and by what the peer allows.
#[derive(Debug)]
#[must_use = "a stream is reset when it is dropped unfinished"]
pub struct SendStream {
    stream: StreamRef,
    writing: Writing,
    /// Counted here as well as in the core, which forgets streams that are over.
    bytes_written: u64,
    /// Whether our waker may stand in one of the stream's slots.
    registered: bool,
}

/// What writing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// More can be written.
    Open,
    /// The end was written.
    Finished,
    /// The peer does not want more.
    Stopped(Option<u32>),
    /// The stream was reset, or its session is over.
    Closed,
}

impl SendStream {
    pub(crate) fn new(stream: StreamRef) -> Self {
        Self { stream, writing: Writing::Open, bytes_written: 0, registered: false }
    }

    /// The stream's name within its connection.
    pub fn id(&self) -> StreamId {
        self.stream.id
    }

    /// Writes some of `data`: the number of bytes taken, at least one unless `data` is empty.
    ///
    /// Waits while there is no room. Bytes taken are copied and sent as the path allows.
    ///
    /// # Errors
    ///
    /// [`WriteError::Stopped`] when the peer does not want more, [`WriteError::SessionEnded`] when the session is
    /// over, [`WriteError::Closed`] after [`finish`](Self::finish) or [`reset`](Self::reset).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready writes nothing.
    pub async fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        poll_fn(|context| self.poll_write(context, data)).await
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write); a part may have been written by then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: when the future is dropped, a beginning of `data` of unknown length has been written. Use
    /// [`write`](Self::write) where that matters.
    pub async fn write_all(&mut self, mut data: &[u8]) -> Result<(), WriteError> {
        while !data.is_empty() {
            let count = self.write(data).await?;
            data = &data[count..];
        }
        Ok(())
    }

    /// Writes all of `data` without copying it.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write); a part may have been written by then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: when the future is dropped, a beginning of `data` of unknown length has been written.
    pub async fn write_bytes(&mut self, mut data: Bytes) -> Result<(), WriteError> {
        while !data.is_empty() {
            poll_fn(|context| {
                self.poll_attempt(context, |connection, id| connection.send_stream(id).write_bytes(&mut data))
            })
            .await?;
        }
        Ok(())
    }

    /// Ends the stream: nothing more can be written, and the peer reads the end after everything written.
    ///
    /// Does not wait; see [`acknowledged`](Self::acknowledged).
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] when the stream was finished or reset before, [`WriteError::Stopped`] when the peer does
    /// not want it, [`WriteError::SessionEnded`] when the session is over.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        if self.writing != Writing::Open {
            return Err(self.closed());
        }
        match self.stream.act(|connection, id| connection.send_stream(id).finish()) {
            Some(Ok(())) => {
                self.writing = Writing::Finished;
                Ok(())
            }
            result => Err(self.fail(result.and_then(Result::err))),
        }
    }

    /// Gives the stream up with an application's code; what was written may not reach the peer.
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] when the stream was reset or stopped before, or has been acknowledged completely;
    /// [`WriteError::SessionEnded`] when the session is over.
    pub fn reset(&mut self, code: u32) -> Result<(), WriteError> {
        if !matches!(self.writing, Writing::Open | Writing::Finished) {
            return Err(self.closed());
        }
        match self.stream.act(|connection, id| connection.send_stream(id).reset(code)) {
            Some(Ok(())) => {
                self.writing = Writing::Closed;
                Ok(())
            }
            result => Err(self.fail(result.and_then(Result::err))),
        }
    }

    /// Waits until the peer asks us to stop sending, and says with which code.
    ///
    /// `None` when it gave no application code, and when it will not ask any more: everything was acknowledged, the
    /// stream was reset, or the session ended.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; the peer's wish is remembered.
    pub async fn stopped(&mut self) -> Option<u32> {
        match self.writing {
            Writing::Stopped(code) => return code,
            Writing::Closed => return None,
            Writing::Open | Writing::Finished => {}
        }
        match poll_fn(|context| self.stream.poll_delivery(context, Slot::Stopped, &mut self.registered)).await {
            Delivery::Stopped(code) => code,
            Delivery::Acknowledged | Delivery::Over => None,
        }
    }

    /// Waits until the peer has everything, its acknowledgement included; finishes the stream first if it is open.
    ///
    /// # Errors
    ///
    /// [`WriteError::Stopped`] when the peer does not want the rest, [`WriteError::SessionEnded`] when the session
    /// ended first, [`WriteError::Closed`] when the stream was reset.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; the stream stays finished.
    pub async fn acknowledged(&mut self) -> Result<(), WriteError> {
        if self.writing == Writing::Open {
            self.finish()?;
        }
        if !self.is_finished() {
            return Err(self.closed());
        }
        match poll_fn(|context| self.stream.poll_delivery(context, Slot::Finished, &mut self.registered)).await {
            Delivery::Acknowledged => Ok(()),
            Delivery::Stopped(code) => Err(WriteError::Stopped(code)),
            Delivery::Over => Err(self.closed()),
        }
    }

    /// Sets the stream's order in its group (the W3C API's `sendOrder`): while one of a larger order has data to write, the
    /// others wait; 0 to begin with. Sessions and groups share the connection whatever the orders in them.
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] or [`WriteError::SessionEnded`] when there is nothing left to order.
    pub fn set_priority(&mut self, priority: i32) -> Result<(), WriteError> {
        match self.stream.act(|connection, id| connection.send_stream(id).set_priority(priority)) {
            Some(Ok(())) => Ok(()),
            Some(Err(transom_core::WriteError::Stopped(code))) => Err(WriteError::Stopped(code)),
            _ => Err(self.closed()),
        }
    }

    /// Puts the stream into a group of its session, or back among those that are in none (the W3C API's `sendGroup`). A
    /// group of another session counts as none.
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] or [`WriteError::SessionEnded`] when the stream is gone.
    pub fn set_send_group(&mut self, group: Option<SendGroup>) -> Result<(), WriteError> {
        match self.stream.act(|connection, id| connection.send_stream(id).set_send_group(group)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.closed()),
        }
    }

    /// Figures of this half up to now, also when it is over.
    pub fn stats(&self) -> SendStreamStats {
        SendStreamStats::new(self.bytes_written)
    }

    /// Writes some of `data` if there is room.
    pub(crate) fn poll_write(&mut self, context: &Context<'_>, data: &[u8]) -> Poll<Result<usize, WriteError>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_attempt(context, |connection, id| connection.send_stream(id).write(data))
    }

    /// Whether the end was written.
    pub(crate) fn is_finished(&self) -> bool {
        self.writing == Writing::Finished
    }

    fn poll_attempt(
        &mut self,
        context: &Context<'_>,
        write: impl FnOnce(&mut Connection, StreamId) -> Result<usize, transom_core::WriteError>,
    ) -> Poll<Result<usize, WriteError>> {
        if self.writing != Writing::Open {
            return Poll::Ready(Err(self.closed()));
        }
        let attempt = |connection: &mut Connection, id| match write(connection, id) {
            Err(transom_core::WriteError::Blocked) => None,
            result => Some(result),
        };
        let result = ready!(self.stream.poll(context, Slot::Write, &mut self.registered, attempt));
        if let Some(Ok(count)) = result {
            self.bytes_written += count as u64;
            return Poll::Ready(Ok(count));
        }
        Poll::Ready(Err(self.fail(result.and_then(Result::err))))
    }

    /// Notes that nothing can be written any more, and says why.
    fn fail(&mut self, error: Option<transom_core::WriteError>) -> WriteError {
        self.writing = match error {
            Some(transom_core::WriteError::Stopped(code)) => Writing::Stopped(code),
            _ => Writing::Closed,
        };
        self.closed()
    }

    /// Why nothing can be written.
    fn closed(&self) -> WriteError {
        match (self.writing, self.stream.cell.end()) {
            (Writing::Stopped(code), _) => WriteError::Stopped(code),
            (_, Some(end)) => WriteError::SessionEnded(end.clone()),
            (_, None) => WriteError::Closed,
        }
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if matches!(self.writing, Writing::Open | Writing::Stopped(_)) {
            // The stream or its session may be over; then there is nobody to tell.
            let _ = self.stream.act(|connection, id| connection.send_stream(id).reset(0));
        }
        if self.registered {
            self.stream.forget(&[Slot::Write, Slot::Stopped, Slot::Finished]);
        }
    }
}
