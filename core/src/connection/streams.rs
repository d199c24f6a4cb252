//! The streams of one connection: which layer each belongs to and how far its halves are.

use std::collections::{VecDeque, hash_map};

use bytes::Bytes;
use rustc_hash::FxHashMap;

pub(crate) use readable::Readable;
use readable::{forget_frames, most_frames};

use super::quic::{Ahead, NoBytes, Read};
use crate::limits::READ_AHEAD;
use crate::{Direction, ErrorCode, SessionId, StreamId};

mod readable;

/// Every stream that is not over.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    streams: FxHashMap<StreamId, Slot>,
    /// The sum over all streams.
    unread_frames: usize,
    /// What is charged for all that was read ahead.
    ahead: usize,
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    /// STREAM frames that QUIC may still keep: those that arrived, less what can have been in the bytes that were read.
    unread_frames: usize,
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
    pub(crate) preamble: Option<Box<Bytes>>,
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
    /// What was read with the stream's header, and the application has not taken.
    ahead: Bytes,
    /// What is charged for it.
    charged: u16,
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

impl SendHalf {
    /// Whether the application may be told that there is room, or that the peer stopped it.
    pub(crate) fn can_be_told(self) -> bool {
        matches!(self, Self::Open | Self::Stopped(_))
    }
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
            preamble: None,
            finish_after_preamble: false,
            write_blocked: false,
            group: 0,
            order: 0,
            counted: false,
            held,
            ahead: Bytes::new(),
            charged: 0,
            at_end: false,
            bytes_written: 0,
            bytes_read: 0,
        }
    }

    /// A stream we opened. `receives`: it is bidirectional.
    pub(crate) fn outgoing(session: SessionId, receives: bool, counted: bool) -> Self {
        Self {
            session,
            send: SendHalf::Open,
            recv: if receives { RecvHalf::Open } else { RecvHalf::Done },
            preamble: None,
            finish_after_preamble: false,
            write_blocked: false,
            group: 0,
            order: 0,
            counted,
            held: false,
            ahead: Bytes::new(),
            charged: 0,
            at_end: false,
            bytes_written: 0,
            bytes_read: 0,
        }
    }

    /// Keeps what was read with the header.
    pub(crate) fn put_ahead(&mut self, Ahead { bytes, at_end }: Ahead) {
        if at_end || !bytes.is_empty() {
            self.charged = u16::try_from(bytes.len()).unwrap_or(u16::MAX).saturating_add(KEPT_WITH_AHEAD);
            (self.ahead, self.at_end) = (bytes, at_end);
        }
    }

    /// Bytes that were read ahead and the application has not taken.
    pub(crate) fn ahead_len(&self) -> usize {
        self.ahead.len()
    }

    /// Whether the application may read of it.
    pub(crate) fn may_be_read(&self) -> bool {
        !self.held && self.recv == RecvHalf::Open
    }

    /// Whether there is nothing left to read.
    pub(crate) fn is_read(&self) -> bool {
        self.at_end && self.ahead.is_empty()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.send == SendHalf::Done && self.recv == RecvHalf::Done
    }
}

impl StreamTable {
    pub(crate) fn insert(&mut self, id: StreamId, entry: Entry) {
        if let Entry::WebTransport(entry) = &entry {
            self.ahead += usize::from(entry.charged);
        }
        match self.streams.entry(id) {
            hash_map::Entry::Occupied(mut slot) => slot.get_mut().entry = entry,
            hash_map::Entry::Vacant(slot) => _ = slot.insert(Slot { entry, unread_frames: 0 }),
        }
    }

    pub(crate) fn remove(&mut self, id: StreamId) {
        if let Some(slot) = self.streams.remove(&id) {
            self.unread_frames -= slot.unread_frames;
            if let Entry::WebTransport(entry) = slot.entry {
                self.ahead -= usize::from(entry.charged);
            }
        }
    }

    /// How many bytes may be read with the header of a new stream, before the application asks for them; `None` for a stream of
    /// which QUIC must keep them.
    ///
    /// QUIC lets the peer send and open more for what was read. So it is little, and nothing of a unidirectional stream, which
    /// would be over for QUIC with its end.
    pub(crate) fn may_read_ahead(&self, id: StreamId) -> Option<usize> {
        (id.direction() == Direction::Bidirectional && self.ahead < READ_AHEAD).then_some(AHEAD_OF_A_STREAM)
    }

    /// A stream of which the application reads.
    pub(crate) fn readable(&mut self, id: StreamId) -> Option<Readable<'_>> {
        let Self { streams, unread_frames: all_unread_frames, ahead: all_ahead } = self;
        let Slot { entry: Entry::WebTransport(entry), unread_frames } = streams.get_mut(&id)? else { return None };
        Some(Readable { entry, unread_frames, all_unread_frames, all_ahead })
    }

    /// The application reads nothing more of a stream; returns it.
    pub(crate) fn read_out(&mut self, id: StreamId) -> Option<&mut WebTransportStream> {
        let Slot { entry: Entry::WebTransport(entry), unread_frames } = self.streams.get_mut(&id)? else { return None };
        self.ahead -= usize::from(std::mem::take(&mut entry.charged));
        // QUIC keeps nothing of it, though it may have reported frames since its end was read ahead.
        self.unread_frames -= std::mem::take(unread_frames);
        (entry.ahead, entry.recv) = (Bytes::new(), RecvHalf::Done);
        Some(entry)
    }

    /// Counts a STREAM frame that arrived; returns how many of all streams have not been read, and the stream if it belongs
    /// to a session.
    pub(crate) fn frame_arrived(&mut self, id: StreamId) -> (usize, Option<&mut WebTransportStream>) {
        let Some(Slot { entry, unread_frames }) = self.streams.get_mut(&id) else { return (self.unread_frames, None) };
        let of_session = if let Entry::WebTransport(entry) = entry { Some(entry) } else { None };
        // Of what was read to its end before we were told, QUIC keeps nothing.
        let is_kept = of_session.as_ref().is_none_or(|entry| entry.recv == RecvHalf::Open);
        if is_kept && *unread_frames < PIECES_OF_A_STREAM {
            *unread_frames += 1;
            self.unread_frames += 1;
        }
        (self.unread_frames, of_session)
    }

    /// Counts what was read of a stream.
    pub(crate) fn read(&mut self, id: StreamId, read: &Read) {
        if self.unread_frames == 0 {
            return;
        }
        match read {
            Ok(bytes) => self.frames_read(id, most_frames(1, bytes.len())),
            Err(NoBytes::End | NoBytes::Reset(_) | NoBytes::Closed) => self.nothing_unread(id),
            Err(NoBytes::Blocked) => {}
        }
    }

    /// Up to so many frames were read.
    fn frames_read(&mut self, id: StreamId, most: usize) {
        if let Some(slot) = self.streams.get_mut(&id) {
            forget_frames(&mut slot.unread_frames, &mut self.unread_frames, most);
        }
    }

    /// QUIC keeps nothing of the stream any more.
    pub(crate) fn nothing_unread(&mut self, id: StreamId) {
        self.frames_read(id, usize::MAX);
    }

    pub(crate) fn http(&mut self, id: StreamId) -> Option<&mut HttpStream> {
        match &mut self.streams.get_mut(&id)?.entry {
            Entry::Http(http) => Some(http),
            Entry::WebTransport(_) => None,
        }
    }

    /// A stream that the application may use.
    pub(crate) fn webtransport(&mut self, id: StreamId) -> Option<&mut WebTransportStream> {
        match &mut self.streams.get_mut(&id)?.entry {
            Entry::WebTransport(stream) => Some(stream),
            Entry::Http(_) => None,
        }
    }

    /// Streams of sessions, in order of ids.
    pub(crate) fn webtransport_ids(&self) -> Vec<StreamId> {
        let of_session = |(id, slot): (&StreamId, &Slot)| matches!(slot.entry, Entry::WebTransport(_)).then_some(*id);
        let mut ids: Vec<StreamId> = self.streams.iter().filter_map(of_session).collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        (self.unread_frames, self.ahead) = (0, 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }
}

/// Charged for each stream beside its bytes, for the packet that they keep; so that no more than 86 are read ahead.
const KEPT_WITH_AHEAD: u16 = 192;

/// As much as one packet brings.
const AHEAD_OF_A_STREAM: usize = 1_500;

/// quinn-proto 0.11.19 joins what it can of a stream when it has this many pieces, and closes the connection where half of
/// them cannot be joined. More are not counted, so that one stream that waits long does not use up all.
const PIECES_OF_A_STREAM: usize = 2_049;

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[u64]) -> StreamTable {
        let mut table = StreamTable::default();
        for id in ids {
            table.insert(StreamId(*id), Entry::Http(HttpStream::default()));
        }
        table
    }

    /// How many frames are counted after one of this stream arrived.
    fn arrived(table: &mut StreamTable, stream: u64) -> usize {
        table.frame_arrived(StreamId(stream)).0
    }

    fn take_ahead(table: &mut StreamTable, stream: StreamId) -> Option<(Bytes, bool)> {
        table.readable(stream)?.take_ahead(2)
    }

    #[test]
    fn frames_are_counted_until_their_bytes_are_read_or_unwanted() {
        let mut table = table(&[0, 4]);
        for _ in 0..10 {
            table.frame_arrived(StreamId(0));
        }
        assert_eq!(arrived(&mut table, 4), 11);
        assert_eq!(arrived(&mut table, 8), 11, "a stream that nobody knows keeps nothing");
        table.frames_read(StreamId(0), most_frames(1, 1));
        assert_eq!(table.unread_frames, 9, "one byte: one frame, and one that came twice");
        table.insert(StreamId(0), Entry::WebTransport(WebTransportStream::incoming(SessionId(0), true, true)));
        assert_eq!(arrived(&mut table, 0), 10, "what has arrived does not depend on whose stream it is");
        table.frames_read(StreamId(4), 1_000);
        assert_eq!(table.unread_frames, 9, "never less than nothing");
        table.remove(StreamId(0));
        assert_eq!(arrived(&mut table, 4), 1);
        table.nothing_unread(StreamId(4));
        assert_eq!(table.unread_frames, 0);
    }

    #[test]
    fn what_is_read_ahead_is_charged_until_it_is_taken_unwanted_or_gone() {
        let mut table = StreamTable::default();
        let ids = [0, 4, 8, 12].map(StreamId);
        for id in ids {
            let mut entry = WebTransportStream::incoming(SessionId(0), true, false);
            let bytes = if id.0 == 12 { Bytes::new() } else { Bytes::from_static(b"abc") };
            entry.put_ahead(Ahead { bytes, at_end: true });
            table.insert(id, Entry::WebTransport(entry));
        }
        let charged = |streams: usize, bytes: usize| streams * usize::from(KEPT_WITH_AHEAD) + bytes;
        assert_eq!(table.ahead, charged(4, 9), "an end counts as well");
        assert_eq!(take_ahead(&mut table, ids[0]), Some((Bytes::from_static(b"ab"), false)));
        assert_eq!(take_ahead(&mut table, ids[0]), Some((Bytes::from_static(b"c"), true)));
        assert_eq!((take_ahead(&mut table, ids[0]), table.ahead), (None, charged(3, 6)));
        assert_eq!(arrived(&mut table, ids[1].0), 1);
        assert!(table.read_out(ids[1]).is_some_and(|entry| entry.recv == RecvHalf::Done));
        assert_eq!(table.unread_frames, 0, "nobody reads them any more");
        assert_eq!(arrived(&mut table, ids[1].0), 0, "told of late");
        assert_eq!((take_ahead(&mut table, ids[1]), table.ahead), (None, charged(2, 3)));
        table.remove(ids[2]);
        assert!(table.read_out(ids[3]).is_some());
        assert_eq!(table.ahead, 0);
        let full = StreamTable { ahead: READ_AHEAD, ..StreamTable::default() };
        assert_eq!((full.may_read_ahead(ids[0]), table.may_read_ahead(StreamId(2))), (None, None));
        assert_eq!(table.may_read_ahead(ids[0]), Some(AHEAD_OF_A_STREAM));
    }

    #[test]
    fn one_stream_counts_no_more_than_quic_keeps_of_it() {
        let mut table = table(&[0, 4]);
        let counted = (0..10_000).map(|_| arrived(&mut table, 0)).last();
        assert_eq!(counted, Some(PIECES_OF_A_STREAM));
        assert_eq!(arrived(&mut table, 4), PIECES_OF_A_STREAM + 1);
    }
}
