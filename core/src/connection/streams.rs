//! The streams of one connection: which layer each belongs to and how far its halves are.

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::{ErrorCode, SessionId, StreamId};

/// Every stream that is not over.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    streams: FxHashMap<StreamId, Entry>,
}

/// One stream.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Read by HTTP/3: a stream that has not said what it is, a critical stream, a request.
    Http(HttpStream),
    /// Belongs to a session; its bytes go straight between the application and QUIC.
    WebTransport(WebTransportStream),
}

/// A stream of HTTP/3, with what waits to be written on it.
#[derive(Debug, Default)]
pub(crate) struct HttpStream {
    pub(crate) outbox: VecDeque<Bytes>,
    /// FIN follows the outbox.
    pub(crate) finish: bool,
    /// HTTP/3 is done with it; only the outbox keeps it here.
    pub(crate) forgotten: bool,
    /// The request was answered: whatever is not here yet is not wanted.
    pub(crate) answered: bool,
    /// The peer stopped it before it said what it is; QUIC has reset it in answer.
    pub(crate) stopped: Option<ErrorCode>,
}

/// A stream of a session.
#[derive(Debug)]
pub(crate) struct WebTransportStream {
    pub(crate) session: SessionId,
    pub(crate) send: SendHalf,
    pub(crate) recv: RecvHalf,
    /// What is left of the stream header that QUIC had no room for.
    pub(crate) preamble: Bytes,
    /// The application finished the stream before the header could leave.
    pub(crate) finish_after_preamble: bool,
    /// A write was refused for want of room: tell when there is some.
    pub(crate) write_blocked: bool,
    /// The group it shares with in its session; 0 for those in none.
    pub(crate) group: u32,
    /// Its place in the group: higher ones first.
    pub(crate) order: i32,
    /// Its session counts what is written and read on it.
    pub(crate) counted: bool,
    /// Its session does not exist yet; nobody may see it.
    pub(crate) held: bool,
    /// Everything was read up to the end, of which the application has not been told.
    pub(crate) at_end: bool,
    pub(crate) bytes_written: u64,
    pub(crate) bytes_read: u64,
}

/// The half we send on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendHalf {
    Open,
    /// Finished; not everything has been acknowledged.
    Finishing,
    /// The peer stopped it, and it is or will be reset in answer; the application has not said that it knows.
    Stopped(ErrorCode),
    Done,
}

/// The half we receive on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecvHalf {
    Open,
    Done,
}

impl WebTransportStream {
    /// A stream the peer opened. `sends`: it is bidirectional.
    pub(crate) fn incoming(session: SessionId, sends: bool, held: bool) -> Self {
        Self {
            session,
            send: if sends { SendHalf::Open } else { SendHalf::Done },
            recv: RecvHalf::Open,
            preamble: Bytes::new(),
            finish_after_preamble: false,
            write_blocked: false,
            group: 0,
            order: 0,
            counted: false,
            held,
            at_end: false,
            bytes_written: 0,
            bytes_read: 0,
        }
    }

    /// A stream we opened. `receives`: it is bidirectional.
    pub(crate) fn outgoing(session: SessionId, receives: bool, counted: bool, preamble: Bytes) -> Self {
        Self {
            session,
            send: SendHalf::Open,
            recv: if receives { RecvHalf::Open } else { RecvHalf::Done },
            preamble,
            finish_after_preamble: false,
            write_blocked: false,
            group: 0,
            order: 0,
            counted,
            held: false,
            at_end: false,
            bytes_written: 0,
            bytes_read: 0,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.send == SendHalf::Done && self.recv == RecvHalf::Done
    }
}

impl StreamTable {
    pub(crate) fn insert(&mut self, id: StreamId, entry: Entry) {
        self.streams.insert(id, entry);
    }

    pub(crate) fn remove(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }

    pub(crate) fn http(&mut self, id: StreamId) -> Option<&mut HttpStream> {
        match self.streams.get_mut(&id) {
            Some(Entry::Http(http)) => Some(http),
            _ => None,
        }
    }

    /// A stream that the application may use.
    pub(crate) fn webtransport(&mut self, id: StreamId) -> Option<&mut WebTransportStream> {
        match self.streams.get_mut(&id) {
            Some(Entry::WebTransport(stream)) => Some(stream),
            _ => None,
        }
    }

    /// Streams of sessions, in order of ids.
    pub(crate) fn webtransport_ids(&self) -> Vec<StreamId> {
        let of_session = |(id, entry): (&StreamId, &Entry)| matches!(entry, Entry::WebTransport(_)).then_some(*id);
        let mut ids: Vec<StreamId> = self.streams.iter().filter_map(of_session).collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }
}
