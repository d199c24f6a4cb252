//! Order of streams, groups of streams and weights of sessions: what the application says about who goes first.

use std::collections::BTreeSet;
use std::time::Duration;

use super::handles::{SendStream, Session};
use super::streams::SendHalf;
use super::turns::{Group, Writer};
use super::{Connection, Timer};
use crate::{Event, SessionId, StreamId, WriteError};

/// Streams of one session that share their session's part of the connection equally with its other groups (the W3C API's
/// `sendGroup`); made by [`Session::create_send_group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SendGroup {
    session: SessionId,
    number: u32,
}

/// How long somebody whose turn it is may keep others waiting without writing.
const PATIENCE: Duration = Duration::from_millis(10);

impl Session<'_> {
    /// Sets what this session gets of the connection, against others on it, while all have more to send than there is
    /// room for: from 1 to 255, 16 at first. Zero counts as 1.
    pub fn set_weight(&mut self, weight: u8) {
        if let Some(session) = self.connection.sessions.get_mut(self.id) {
            session.weight = weight.max(1);
        }
    }

    /// Makes a group for streams of this session; see [`SendStream::set_send_group`].
    pub fn create_send_group(&mut self) -> SendGroup {
        let number = self.connection.sessions.get_mut(self.id).map_or(1, |session| {
            session.send_groups = session.send_groups.saturating_add(1);
            session.send_groups
        });
        SendGroup { session: self.id, number }
    }
}

impl SendStream<'_> {
    /// Sets the stream's order in its group (the W3C API's `sendOrder`): while a stream of a higher order has data to
    /// write, those of lower orders wait. The default is 0.
    ///
    /// What was written before stays in its place: with one session and no groups QUIC still sends it in order; else up to
    /// [`Config::send_window`](crate::Config::send_window) bytes that QUIC has been given go out evenly.
    ///
    /// # Errors
    ///
    /// `Closed` when the stream is gone.
    pub fn set_priority(&mut self, priority: i32) -> Result<(), WriteError> {
        let entry = self.connection.streams.webtransport(self.id).filter(|entry| !entry.held);
        let entry = entry.filter(|entry| entry.send != SendHalf::Done).ok_or(WriteError::Closed)?;
        entry.order = priority;
        self.connection.ordered |= priority != 0;
        let priority = if self.connection.shared { 0 } else { priority };
        // QUIC may have forgotten a stream that was stopped, of which the application has not been told.
        self.connection.quic.set_priority(self.id, priority);
        Ok(())
    }

    /// Puts the stream into a group of its session, or back among those that are in none, which share like a group.
    /// A group of another session counts as none.
    ///
    /// # Errors
    ///
    /// `Closed` when the stream is gone.
    pub fn set_send_group(&mut self, group: Option<SendGroup>) -> Result<(), WriteError> {
        let entry = self.connection.streams.webtransport(self.id).filter(|entry| !entry.held);
        let entry = entry.ok_or(WriteError::Closed)?;
        let session = entry.session;
        let number = group.filter(|group| group.session == session).map_or(0, |group| group.number);
        let before = Group { session, number: std::mem::replace(&mut entry.group, number) };
        let released = self.connection.turns.forget(before, self.id);
        self.connection.go_on(released);
        if number > 0 {
            self.connection.share();
        }
        Ok(())
    }
}

impl Connection {
    /// From now on several groups share the connection: the order in each is kept where data enters QUIC, and in there
    /// all are equal, since its order would be one for all groups.
    pub(super) fn share(&mut self) {
        if std::mem::replace(&mut self.shared, true) || !self.ordered {
            return;
        }
        for stream in self.streams.webtransport_ids() {
            self.quic.set_priority(stream, 0);
        }
    }

    /// How many of `wanted` bytes it is the stream's turn to write; with none, a hint follows when it is.
    pub(super) fn turn_of(&mut self, stream: StreamId, wanted: usize) -> usize {
        if self.turns.is_idle() {
            return wanted;
        }
        let Some(writer) = self.writer(stream) else { return wanted };
        let allowed = self.turns.allowance(writer, wanted);
        if allowed == 0 {
            self.watch_turns();
        }
        allowed
    }

    /// QUIC took bytes of a stream that had this much to write.
    pub(super) fn took(&mut self, stream: StreamId, bytes: usize, wanted: usize) {
        if !self.turns.is_idle()
            && let Some(writer) = self.writer(stream)
        {
            let released = self.turns.wrote(writer, bytes, bytes == wanted);
            self.go_on(released);
            self.give_time();
        }
    }

    /// QUIC took nothing of a stream for want of room.
    pub(super) fn refused(&mut self, stream: StreamId) {
        if (self.shared || self.ordered)
            && let Some(writer) = self.writer(stream)
        {
            self.turns.full(writer);
        }
    }

    /// QUIC has room for a stream's data.
    pub(super) fn room_for(&mut self, stream: StreamId) {
        if !self.turns.is_idle()
            && let Some(writer) = self.writer(stream)
        {
            self.turns.told(writer.group, stream);
            self.give_time();
        }
    }

    /// Nothing more is written on a stream.
    pub(super) fn writes_no_more(&mut self, stream: StreamId) {
        if !self.turns.is_idle()
            && let Some(writer) = self.writer(stream)
        {
            let released = self.turns.forget(writer.group, stream);
            self.go_on(released);
        }
    }

    pub(super) fn turns_expired(&mut self) {
        let released = self.turns.expire();
        self.go_on(released);
        if self.turns.is_gating() {
            self.watch_turns();
        }
    }

    pub(super) fn go_on(&mut self, released: BTreeSet<StreamId>) {
        for stream in released {
            self.hints.push(Event::StreamWritable { stream });
        }
    }

    /// Something moves: who waits for a turn waits a little longer.
    fn give_time(&mut self) {
        if self.turns.is_gating() {
            self.timers.set(Timer::Turns, None);
            self.watch_turns();
        }
    }

    fn watch_turns(&mut self) {
        if !self.timers.contains(Timer::Turns) && !self.to_arm.iter().any(|(timer, _)| *timer == Timer::Turns) {
            self.to_arm.push((Timer::Turns, PATIENCE));
        }
    }

    fn writer(&mut self, stream: StreamId) -> Option<Writer> {
        let entry = self.streams.webtransport(stream)?;
        let (session, number, order) = (entry.session, entry.group, entry.order);
        let weight = self.sessions.get(session)?.weight;
        Some(Writer { stream, group: Group { session, number }, order, weight })
    }
}
