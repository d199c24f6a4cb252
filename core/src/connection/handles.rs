//! What an application calls: short-lived proxies that borrow the connection.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::Connection;
use super::qlog;
use super::quic::Write;
use super::streams::{Entry, SendHalf, WebTransportStream};
use crate::session::SessionState;
use crate::session::transition::Input;
use crate::wire::{app_error, capsule, stream_header};
use crate::{Direction, ErrorCode, OpenError, ReadError, Request, Response, SessionId, StreamId, WriteError};

/// A session that has been asked for or is open; borrowed from [`Connection::session`].
#[derive(Debug)]
pub struct Session<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) id: SessionId,
}

/// The sending half of a stream; borrowed from [`Connection::send_stream`].
#[derive(Debug)]
pub struct SendStream<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) id: StreamId,
}

/// The receiving half of a stream; borrowed from [`Connection::recv_stream`].
#[derive(Debug)]
pub struct RecvStream<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) id: StreamId,
}

impl Session<'_> {
    /// Its identifier.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The request that asked for it, of which a clone can be kept; `None` only if the session ended through this proxy.
    pub fn request(&self) -> Option<&Arc<Request>> {
        self.state().map(|session| &session.request)
    }

    /// The answer to the request, once there is one; a clone of it can be kept.
    pub fn response(&self) -> Option<&Arc<Response>> {
        self.state().and_then(|session| session.response.as_ref())
    }

    /// Opens a stream; its header leaves at once, before any data.
    ///
    /// # Errors
    ///
    /// `Blocked` when the peer allows no more streams of the kind for now, `Closed` when the session is not open.
    pub fn open(&mut self, direction: Direction) -> Result<StreamId, OpenError> {
        if !self.is_open() {
            return Err(OpenError::Closed);
        }
        let connection = &mut *self.connection;
        if !connection.may_open(self.id, direction) {
            return Err(OpenError::Blocked);
        }
        let stream = connection.quic.open(direction).ok_or(OpenError::Blocked)?;
        let mut preamble = BytesMut::with_capacity(8);
        match direction {
            Direction::Bidirectional => stream_header::encode_bidi(self.id.0, &mut preamble),
            Direction::Unidirectional => stream_header::encode_uni(self.id.0, &mut preamble),
        }
        let receives = direction == Direction::Bidirectional;
        let mut counted = false;
        if let Some(session) = connection.sessions.get_mut(self.id) {
            session.streams.insert(stream);
            if let Some(flow) = &mut session.flow {
                flow.opened(direction);
                counted = true;
            }
            session.stats.opened(direction);
        }
        let entry = WebTransportStream::outgoing(self.id, receives, counted);
        connection.streams.insert(stream, Entry::WebTransport(entry));
        connection.counters.streams_opened += 1;
        connection.qlog.write(connection.now, self.id, qlog::Entry::Opened(stream));
        connection.write_preamble(stream, preamble.freeze());
        Ok(stream)
    }

    /// Takes the next stream the peer opened, in order of arrival.
    pub fn accept(&mut self, direction: Direction) -> Option<StreamId> {
        self.connection.sessions.get_mut(self.id)?.pop_incoming(direction)
    }

    /// Whether [`accept`](Self::accept) would return a stream.
    pub fn has_incoming(&self, direction: Direction) -> bool {
        self.state().is_some_and(|session| session.has_incoming(direction))
    }

    /// Asks the peer to wind the session down; nothing is closed by it.
    pub fn drain(&mut self) {
        self.end(Input::Drain);
    }

    /// Ends the session: its streams are reset, the peer is told code and reason. The connection lives on.
    ///
    /// A reason over 1024 bytes is cut at a character.
    pub fn close(&mut self, code: u32, reason: &str) {
        // What `finish` has begun says the same.
        if code == 0 && reason.is_empty() && self.connection.finishes_soon(self.id) {
            return;
        }
        let reason = capsule::truncate_reason(reason).to_owned();
        self.connection.give_all_datagrams(self.id);
        self.end(Input::Close { code, reason });
    }

    /// Ends the session by a plain end of its CONNECT stream: code 0 and no reason at the peer.
    ///
    /// It takes effect 50 ms later, so that the end does not travel in one packet with the answer to the request, which
    /// Firefox 153 takes for a refusal.
    pub fn finish(&mut self) {
        if self.is_open() {
            self.connection.finish_soon(self.id);
        }
    }

    /// Streams we finished whose data has not been acknowledged: closing now would cut them.
    pub fn unacknowledged_streams(&self) -> usize {
        self.state().map_or(0, |session| session.unacknowledged)
    }

    fn state(&self) -> Option<&SessionState> {
        self.connection.sessions.get(self.id)
    }

    fn is_open(&self) -> bool {
        self.state().is_some_and(SessionState::is_open)
    }

    fn end(&mut self, input: Input) {
        self.connection.apply(self.id, input);
        self.connection.act();
    }
}

impl SendStream<'_> {
    /// Writes some of the data and says how much.
    ///
    /// # Errors
    ///
    /// `Blocked` when nothing could be taken; [`Event::StreamWritable`](crate::Event::StreamWritable) follows.
    pub fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        self.ready()?;
        if data.is_empty() {
            return Ok(0);
        }
        let allowed = self.allowance(data.len())?;
        let write = self.connection.quic.write(self.id, data.get(..allowed).unwrap_or(data));
        self.written(write, data.len())
    }

    /// Writes some of the data without copying it and says how much; what was taken is gone from `data`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_bytes(&mut self, data: &mut Bytes) -> Result<usize, WriteError> {
        self.ready()?;
        if data.is_empty() {
            return Ok(0);
        }
        let allowed = self.allowance(data.len())?;
        let mut part = data.slice(..allowed);
        let write = self.connection.quic.write_bytes(self.id, &mut part);
        let (wanted, taken) = (data.len(), allowed - part.len());
        data.advance(taken);
        self.written(write, wanted)
    }

    /// Says that no more data follows; [`Event::StreamFinished`](crate::Event::StreamFinished) tells when all arrived.
    ///
    /// # Errors
    ///
    /// Never `Blocked`.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        match self.ready() {
            Ok(()) => match self.connection.quic.finish(self.id) {
                Write::Taken(_) => {}
                Write::Stopped(code) => return Err(self.stop_seen(code)),
                Write::Blocked | Write::Closed => {
                    self.connection.set_send(self.id, SendHalf::Done);
                    return Err(WriteError::Closed);
                }
            },
            Err(WriteError::Blocked) => {
                // Only the stream header is missing; the end follows it.
                if let Some(entry) = self.connection.streams.webtransport(self.id) {
                    entry.finish_after_preamble = true;
                }
            }
            Err(error) => return Err(error),
        }
        self.connection.set_send(self.id, SendHalf::Finishing);
        Ok(())
    }

    /// Gives the stream up; the peer sees the code, and data on its way may be lost. A stream that the peer stopped is
    /// reset with the peer's code, whatever is given here (RFC 9000, section 3.5).
    ///
    /// # Errors
    ///
    /// `Closed` when everything was acknowledged or the stream was reset before.
    pub fn reset(&mut self, code: u32) -> Result<(), WriteError> {
        match self.half() {
            None | Some(SendHalf::Done) => return Err(WriteError::Closed),
            // Answered already, or soon, with the peer's own code.
            Some(SendHalf::Stopped(_)) => {}
            Some(SendHalf::Open | SendHalf::Finishing) => {
                self.connection.quic.reset(self.id, ErrorCode(app_error::to_http3(code)));
            }
        }
        self.connection.set_send(self.id, SendHalf::Done);
        Ok(())
    }

    /// The code with which the peer stopped the stream, if it did; the inner value is absent when it was not an
    /// application code. A reset answers it without anybody's doing; call [`reset`](Self::reset) to let go of the stream.
    pub fn stopped(&mut self) -> Option<Option<u32>> {
        match self.half() {
            Some(SendHalf::Stopped(code)) => Some(app_error::from_http3(code.0)),
            _ => None,
        }
    }

    /// Whether the stream can still be written, finished or reset.
    pub fn is_open(&mut self) -> bool {
        matches!(self.half(), Some(SendHalf::Open))
    }

    /// Whether everything written was acknowledged, or the stream is gone.
    pub fn is_done(&mut self) -> bool {
        matches!(self.half(), None | Some(SendHalf::Done))
    }

    fn half(&mut self) -> Option<SendHalf> {
        self.connection.streams.webtransport(self.id).filter(|entry| !entry.held).map(|entry| entry.send)
    }

    /// Whether data can be given to QUIC: the header must have left.
    fn ready(&mut self) -> Result<(), WriteError> {
        let entry = self.connection.streams.webtransport(self.id).filter(|entry| !entry.held);
        match entry.map(|entry| (entry.send, entry.preamble.is_none())) {
            Some((SendHalf::Open, true)) => Ok(()),
            None | Some((SendHalf::Finishing | SendHalf::Done, _)) => Err(WriteError::Closed),
            Some((SendHalf::Stopped(code), _)) => {
                // Told, so that nobody has to ask for this half to be forgotten.
                self.connection.set_send(self.id, SendHalf::Done);
                Err(WriteError::Stopped(app_error::from_http3(code.0)))
            }
            Some((SendHalf::Open, false)) if self.connection.flush_preamble(self.id) => Ok(()),
            Some((SendHalf::Open, false)) => self.blocked(),
        }
    }

    /// How much the session's flow control lets go, and whose turn it is.
    fn allowance(&mut self, wanted: usize) -> Result<usize, WriteError> {
        match self.connection.allowance(self.id, wanted) {
            0 => Err(WriteError::Blocked),
            allowed => Ok(allowed),
        }
    }

    fn blocked<T>(&mut self) -> Result<T, WriteError> {
        if let Some(entry) = self.connection.streams.webtransport(self.id) {
            entry.write_blocked = true;
        }
        Err(WriteError::Blocked)
    }

    fn written(&mut self, write: Write, wanted: usize) -> Result<usize, WriteError> {
        match write {
            Write::Taken(taken) => {
                self.connection.sent(self.id, taken);
                self.connection.took(self.id, taken, wanted);
                Ok(taken)
            }
            Write::Blocked => {
                self.connection.refused(self.id);
                self.blocked()
            }
            Write::Stopped(code) => Err(self.stop_seen(code)),
            Write::Closed => {
                self.connection.set_send(self.id, SendHalf::Done);
                Err(WriteError::Closed)
            }
        }
    }

    /// QUIC knows of a STOP_SENDING whose event has not been taken yet.
    fn stop_seen(&mut self, code: ErrorCode) -> WriteError {
        self.connection.webtransport_stopped(self.id, code);
        self.connection.set_send(self.id, SendHalf::Done);
        WriteError::Stopped(app_error::from_http3(code.0))
    }
}

impl RecvStream<'_> {
    /// Reads at most `max` bytes, in order; `None` is the end of the stream.
    ///
    /// # Errors
    ///
    /// `Blocked` when nothing is there yet; [`Event::StreamReadable`](crate::Event::StreamReadable) follows.
    pub fn read(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        let mut bytes = Bytes::new();
        let (_, at_end) = self.connection.take(self.id, max, std::slice::from_mut(&mut bytes))?;
        if !at_end {
            return Ok(Some(bytes));
        }
        if bytes.is_empty() {
            self.done();
            return Ok(None);
        }
        if let Some(entry) = self.open() {
            entry.at_end = true;
        }
        Ok(Some(bytes))
    }

    /// Reads at most `max` bytes, in order, and says whether they were the last, if that is known: then nothing more can be read.
    /// Cheaper than to [`read`](Self::read) until the end, which often comes with the last bytes; the last ones may also be none.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_with_end(&mut self, max: usize) -> Result<(Bytes, bool), ReadError> {
        let mut bytes = Bytes::new();
        let (_, at_end) = self.read_chunks(max, std::slice::from_mut(&mut bytes))?;
        Ok((bytes, at_end))
    }

    /// Reads at most `max` bytes, in order, into the first places of `chunks`, as they arrived. Says how many places it filled, and
    /// whether that was the end, if that is known: then nothing more can be read. The last places may also be none.
    ///
    /// A packet brings a piece or two, and to read all that are there costs less than to read each.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_chunks(&mut self, max: usize, chunks: &mut [Bytes]) -> Result<(usize, bool), ReadError> {
        let (filled, at_end) = self.connection.take(self.id, max, chunks)?;
        if at_end {
            self.done();
        }
        Ok((filled, at_end))
    }

    /// Tells the peer that nothing more will be read; unread data is dropped.
    ///
    /// # Errors
    ///
    /// `Closed` when the end or a reset was read before, or the stream was stopped.
    pub fn stop(&mut self, code: u32) -> Result<(), ReadError> {
        let Some(entry) = self.open() else { return Err(ReadError::Closed) };
        // With the end there is nothing left that anybody could stop.
        let (at_end, unread) = (entry.at_end, !entry.is_read());
        if !at_end {
            self.connection.stop_quic(self.id, ErrorCode(app_error::to_http3(code)));
        }
        if unread {
            self.connection.dropped(self.id, 0, true);
        }
        self.done();
        Ok(())
    }

    fn open(&mut self) -> Option<&mut WebTransportStream> {
        let entry = self.connection.streams.webtransport(self.id);
        entry.filter(|entry| entry.may_be_read())
    }

    fn done(&mut self) {
        self.connection.set_read(self.id);
    }
}
