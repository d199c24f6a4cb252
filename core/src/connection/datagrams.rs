//! Datagrams between QUIC and the queues of sessions.
//!
//! What waits to be sent waits here, per session, and not in QUIC, so that its age and the other sessions' turns are
//! looked at as late as possible: just before a transmit is filled. QUIC is given no more than that transmit can take.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::batch::Batch;
use super::quic::Quic;
use super::{Connection, Timer};
use crate::session::outgoing::{OVERHEAD, Outgoing};
use crate::session::queue::Queue;
use crate::wire::datagram;
use crate::{Config, DatagramOptions, DatagramPriority, DatagramStats, Event, SendDatagramError, SessionId};

/// What the sessions of a connection have waiting, in both directions.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Sessions with something to send, the next one first.
    turns: Queue<SessionId>,
    /// Whether some were given something to send since the time was last known.
    untimed: bool,
    outgoing_bytes: usize,
    incoming_bytes: usize,
    batch: Batch,
}

/// Bytes that a session may send in its turn.
const QUANTUM: i64 = 1_500;
/// Bytes of a DATAGRAM frame beside its payload, at most, for payloads of less than 16 KiB.
const FRAME_OVERHEAD: usize = 3;

impl Connection {
    /// Gives QUIC datagrams for the next transmit: as many as fit `max_segments` packets at most, one more where they do
    /// not fill them evenly.
    pub(crate) fn fill_datagrams(&mut self, now: Instant, max_segments: usize) {
        if self.waiting.turns.is_empty() {
            return;
        }
        let size = self.quic.max_datagram_size().unwrap_or(0);
        let left = self.quic.datagram_bytes_waiting();
        let batch = self.waiting.batch.next(left, max_segments);
        let mut room = (batch * (size + FRAME_OVERHEAD)).saturating_sub(left);
        while room > 0 && self.quic.datagram_space() >= size {
            let Some(id) = self.waiting.turns.first().copied() else { break };
            self.turn(id, now, &mut room);
        }
        self.waiting.batch.filled(self.quic.datagram_bytes_waiting(), !self.waiting.turns.is_empty());
        if std::mem::take(&mut self.waiting.untimed) && !self.waiting.turns.is_empty() {
            self.time_datagrams(now);
        }
    }

    /// The age of what waits, and came since the time was last known, is counted from now.
    fn time_datagrams(&mut self, now: Instant) {
        let waiting: Vec<SessionId> = self.waiting.turns.iter().copied().collect();
        for id in waiting {
            if self.sessions.get_mut(id).is_some_and(|session| session.outgoing.time(now)) {
                self.watch_datagrams(id);
            }
        }
    }

    /// Whether some wait that QUIC has not been given.
    pub(super) fn has_datagrams_to_give(&self) -> bool {
        !self.waiting.turns.is_empty()
    }

    /// Lets the first session in turn give QUIC some of its datagrams.
    fn turn(&mut self, id: SessionId, now: Instant, room: &mut usize) {
        // Who is alone takes from nobody.
        let granted = if self.waiting.turns.len() == 1 { None } else { self.granted(id) };
        let share = granted.map_or(*room, |granted| usize::try_from(granted).unwrap_or(0).min(*room));
        let given = self.give(id, now, share);
        *room = room.saturating_sub(given);
        let Some(session) = self.sessions.get_mut(id) else {
            self.waiting.turns.pop();
            return;
        };
        let outgoing = &mut session.outgoing;
        outgoing.credit = granted.map_or(0, |granted| granted - i64::try_from(given).unwrap_or(i64::MAX));
        if outgoing.is_empty() {
            outgoing.in_turn = false;
            outgoing.credit = 0;
            self.waiting.turns.pop();
        } else if outgoing.credit <= 0 {
            self.waiting.turns.rotate();
        }
    }

    /// What a session may give in its turn.
    fn granted(&self, id: SessionId) -> Option<i64> {
        let credit = self.sessions.get(id)?.outgoing.credit;
        Some(if credit > 0 { credit } else { credit + QUANTUM })
    }

    /// Gives QUIC datagrams of a session until `room` is used up; returns the bytes they take in packets.
    fn give(&mut self, id: SessionId, now: Instant, room: usize) -> usize {
        let max_age = self.datagram_options(id).outgoing_max_age;
        let Some(session) = self.sessions.get_mut(id) else { return 0 };
        let before = session.outgoing.bytes();
        let (given, stats) = give(&mut session.outgoing, &mut self.quic, now, max_age, room);
        let freed = before - session.outgoing.bytes();
        self.waiting.outgoing_bytes -= freed;
        self.unblock(id, freed > 0);
        self.count_datagrams(id, &stats);
        given
    }

    /// The session is about to be closed on our side: what waits goes ahead of that, as far as QUIC has room. How old it
    /// is shows the newest time known.
    pub(super) fn give_all_datagrams(&mut self, id: SessionId) {
        self.give(id, self.now, usize::MAX);
    }

    pub(super) fn send_datagram(
        &mut self,
        id: SessionId,
        payload: &[u8],
        priority: DatagramPriority,
        force: bool,
    ) -> Result<(), SendDatagramError> {
        // Checked first, so that an oversized payload is not copied.
        let max = self.max_datagram_size(id).ok_or(SendDatagramError::Closed)?;
        let is_open = self.sessions.get(id).is_some_and(crate::session::SessionState::is_open);
        if !is_open {
            return Err(SendDatagramError::Closed);
        }
        if payload.len() > max {
            return Err(SendDatagramError::TooLarge { max });
        }
        let cost = datagram::prefix_size(id.0) + payload.len() + OVERHEAD;
        while !self.has_room(id, cost) {
            if !force {
                self.with_outgoing(id, |outgoing| outgoing.blocked = true);
                return Err(SendDatagramError::Blocked);
            }
            let dropped = self.with_outgoing(id, |outgoing| outgoing.drop_oldest(priority));
            self.count_datagrams(id, &DatagramStats { dropped_outgoing: 1, ..DatagramStats::default() });
            if dropped != Some(true) {
                // Everything that waits is more important than this one.
                return Ok(());
            }
        }
        let Some(session) = self.sessions.get_mut(id) else { return Err(SendDatagramError::Closed) };
        session.outgoing.push(datagram::encode(id.0, payload), priority);
        self.waiting.outgoing_bytes += cost;
        if !std::mem::replace(&mut session.outgoing.in_turn, true) {
            self.waiting.turns.push(id);
        }
        self.waiting.untimed = true;
        Ok(())
    }

    /// Whether a datagram may be added to what waits to be sent. One may always wait, so that who is blocked has one
    /// whose leaving unblocks it.
    fn has_room(&self, id: SessionId, cost: usize) -> bool {
        let Some(session) = self.sessions.get(id) else { return false };
        let outgoing = &session.outgoing;
        if outgoing.is_empty() {
            return true;
        }
        let (config, total) = (&self.config, self.waiting.outgoing_bytes);
        let mark = session
            .datagram_options
            .as_deref()
            .map_or(config.datagram_send_queue, |options| options.outgoing_high_water_mark);
        let allowed = allowed(config, outgoing.bytes(), total, config.datagram_send_buffer);
        outgoing.len() < mark && outgoing.bytes() + cost <= allowed
    }

    /// The most payload bytes that are taken; `None` when QUIC takes no datagrams.
    pub(super) fn max_datagram_size(&mut self, id: SessionId) -> Option<usize> {
        let buffer = self.config.datagram_send_buffer.saturating_sub(OVERHEAD);
        let size = self.quic.max_datagram_size()?.min(buffer);
        Some(size.saturating_sub(datagram::prefix_size(id.0)))
    }

    /// Queues a datagram for an open session.
    pub(super) fn queue_datagram(&mut self, id: SessionId, payload: Bytes) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let options = session.datagram_options.as_deref().copied().unwrap_or_else(|| DatagramOptions::of(&self.config));
        let own = session.datagrams.bytes();
        let bytes = allowed(&self.config, own, self.waiting.incoming_bytes, self.config.datagram_queue_bytes);
        let dropped = session.datagrams.push(payload, self.now, options.incoming_high_water_mark, bytes);
        self.waiting.incoming_bytes = self.waiting.incoming_bytes - own + session.datagrams.bytes();
        // As `count_datagrams` does, which looks the session up.
        for stats in [&mut self.datagram_stats, &mut session.stats.datagrams] {
            stats.received += 1;
            stats.dropped_incoming += dropped;
        }
        self.counters.datagrams_received += 1;
        self.counters.datagrams_dropped += dropped;
        if options.incoming_max_age.is_some() {
            self.watch_datagrams(id);
        }
        self.hints.push(Event::DatagramReceived { session: id });
    }

    pub(super) fn recv_datagram(&mut self, id: SessionId) -> Option<Bytes> {
        let session = self.sessions.get_mut(id)?;
        let max_age = session
            .datagram_options
            .as_deref()
            .map_or(self.config.datagram_max_age, |options| options.incoming_max_age);
        let own = session.datagrams.bytes();
        let (datagram, expired_incoming) = session.datagrams.pop(self.now, max_age);
        self.waiting.incoming_bytes = self.waiting.incoming_bytes - own + session.datagrams.bytes();
        if expired_incoming > 0 {
            self.count_datagrams(id, &DatagramStats { expired_incoming, ..DatagramStats::default() });
        }
        datagram
    }

    /// Drops what has grown too old.
    pub(super) fn expire_datagrams(&mut self, id: SessionId) {
        let options = self.datagram_options(id);
        let now = self.now;
        let expired = self.with_outgoing(id, |outgoing| outgoing.expire(now, options.outgoing_max_age));
        let Some(expired_outgoing) = expired else { return };
        let Some(session) = self.sessions.get_mut(id) else { return };
        let own = session.datagrams.bytes();
        let expired_incoming = session.datagrams.expire(now, options.incoming_max_age);
        self.waiting.incoming_bytes = self.waiting.incoming_bytes - own + session.datagrams.bytes();
        let stats = DatagramStats { expired_incoming, expired_outgoing, ..DatagramStats::default() };
        self.count_datagrams(id, &stats);
        self.unblock(id, expired_outgoing > 0);
        self.timers.set(Timer::Datagrams(id), self.datagram_deadline(id));
    }

    /// The session is over: nothing waits for it any more.
    pub(super) fn forget_datagrams(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let (outgoing, incoming) = (std::mem::take(&mut session.outgoing), std::mem::take(&mut session.datagrams));
        self.waiting.outgoing_bytes -= outgoing.bytes();
        self.waiting.incoming_bytes -= incoming.bytes();
        self.timers.set(Timer::Datagrams(id), None);
        let dropped_outgoing = outgoing.len() as u64;
        self.count_datagrams(id, &DatagramStats { dropped_outgoing, ..DatagramStats::default() });
    }

    /// Sees to it that what grows too old goes even if nothing else happens.
    fn watch_datagrams(&mut self, id: SessionId) {
        let options = self.datagram_options(id);
        let ages = options.outgoing_max_age.is_some() || options.incoming_max_age.is_some();
        if ages && !self.timers.contains(Timer::Datagrams(id)) {
            self.timers.set(Timer::Datagrams(id), self.datagram_deadline(id));
        }
    }

    /// When the first of what waits will be too old.
    pub(super) fn datagram_deadline(&self, id: SessionId) -> Option<Instant> {
        let options = self.datagram_options(id);
        let session = self.sessions.get(id)?;
        let after = |oldest: Option<Instant>, max_age: Option<Duration>| {
            // Too old is what is older than the limit, not what is as old.
            oldest?.checked_add(max_age?.checked_add(Duration::from_nanos(1))?)
        };
        let outgoing = after(session.outgoing.oldest(), options.outgoing_max_age);
        let incoming = after(session.datagrams.oldest(), options.incoming_max_age);
        outgoing.into_iter().chain(incoming).min()
    }

    pub(super) fn datagram_options(&self, id: SessionId) -> DatagramOptions {
        let chosen = self.sessions.get(id).and_then(|session| session.datagram_options.as_deref().copied());
        chosen.unwrap_or_else(|| DatagramOptions::of(&self.config))
    }

    /// Something of a session left the queue: who was told that there is no room may try again.
    pub(super) fn unblock(&mut self, id: SessionId, left: bool) {
        if let Some(session) = self.sessions.get_mut(id)
            && left
            && std::mem::take(&mut session.outgoing.blocked)
        {
            self.hints.push(Event::DatagramsUnblocked);
        }
    }

    /// Changes a send queue, and what all of them have together with it.
    fn with_outgoing<T>(&mut self, id: SessionId, change: impl FnOnce(&mut Outgoing) -> T) -> Option<T> {
        let outgoing = &mut self.sessions.get_mut(id)?.outgoing;
        let before = outgoing.bytes();
        let result = change(outgoing);
        self.waiting.outgoing_bytes = self.waiting.outgoing_bytes - before + outgoing.bytes();
        Some(result)
    }
}

/// Bytes that a session may have waiting, at most `most`, where it has `own` and all together have `total`: half of what a
/// connection may have is there for who comes first, the other half is shared out.
fn allowed(config: &Config, own: usize, total: usize, most: usize) -> usize {
    let half = config.connection_datagram_bytes / 2;
    let share = half / config.max_sessions.max(1);
    half.saturating_sub(total - own).max(share).min(most)
}

/// Gives QUIC datagrams until `room` is used up; returns the bytes they take in packets.
fn give(
    outgoing: &mut Outgoing,
    quic: &mut Quic,
    now: Instant,
    max_age: Option<Duration>,
    room: usize,
) -> (usize, DatagramStats) {
    let (mut given, mut stats) = (0, DatagramStats::default());
    let size = quic.max_datagram_size().unwrap_or(0);
    while given < room && quic.datagram_space() >= size {
        let (datagram, expired) = outgoing.pop(now, max_age);
        stats.expired_outgoing += expired;
        let Some(datagram) = datagram else { break };
        given += datagram.len() + FRAME_OVERHEAD;
        // What was queued for a larger path may not fit any more.
        if quic.send_datagram(datagram) {
            stats.sent += 1;
        } else {
            stats.dropped_outgoing += 1;
        }
    }
    (given, stats)
}
