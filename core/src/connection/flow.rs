//! Session flow control on its connection: who may write and open, and when the peer is told that it may go on.

use bytes::BytesMut;

use super::Connection;
use super::streams::{SendHalf, WebTransportStream};
use crate::h3::{FlowControl, Http3};
use crate::session::flow::{Flow, Released};
use crate::session::transition::Input;
use crate::wire::capsule::Capsule;
use crate::{Dialect, Direction, ErrorCode, Event, SessionId, StreamId};

/// Flow control for a new session of this dialect, if both sides announced limits.
pub(crate) fn new_flow(h3: &Http3, dialect: Dialect) -> Option<Flow> {
    let (control, ours, peers) = h3.flow_control(dialect)?;
    Some(match control {
        FlowControl::On => Flow::new(ours.into(), peers.into()),
        FlowControl::Courtesy => Flow::courtesy(ours.into()),
    })
}

impl Connection {
    /// Tells the peers what they may use now, where enough was consumed.
    pub(super) fn grant_credit(&mut self) {
        if self.owing.is_empty() {
            return;
        }
        // One share stays free, so that the next session finds room.
        let share = u64::from(self.config.connection_window) / (self.sessions.live() as u64 + 1);
        for id in std::mem::take(&mut self.owing) {
            // A peer that takes no capsules gets no more of them; they would pile up.
            if !self.is_flushed(id) {
                self.owing.insert(id);
                continue;
            }
            let Some(session) = self.sessions.get_mut(id).filter(|session| session.is_open()) else { continue };
            let Some(flow) = &mut session.flow else { continue };
            let capsules = flow.grants(share);
            self.send_capsules(id, &capsules);
        }
        self.act();
    }

    pub(super) fn send_capsules(&mut self, id: SessionId, capsules: &[Capsule]) {
        if capsules.is_empty() {
            return;
        }
        let mut bytes = BytesMut::new();
        for capsule in capsules {
            capsule.encode(&mut bytes);
        }
        self.h3.send_capsules(id, &bytes);
    }

    /// Whether the session's limit lets us open a stream; the peer is told when it does not.
    pub(super) fn may_open(&mut self, id: SessionId, direction: Direction) -> bool {
        let Some(flow) = self.flow(id) else { return true };
        if flow.can_open(direction) {
            return true;
        }
        let blocked = flow.streams_blocked(direction);
        self.say_blocked(id, blocked);
        false
    }

    /// How many of `wanted` bytes may be given to QUIC now; with none, a hint follows when some may.
    pub(super) fn allowance(&mut self, stream: StreamId, wanted: usize) -> usize {
        match self.credit(stream, wanted) {
            0 => 0,
            allowed => self.turn_of(stream, allowed),
        }
    }

    /// How many of `wanted` bytes the session's limit lets us write.
    fn credit(&mut self, stream: StreamId, wanted: usize) -> usize {
        if !self.sessions.have_flow_control() {
            return wanted;
        }
        let Some(entry) = self.streams.webtransport(stream).filter(|entry| entry.counted) else { return wanted };
        let id = entry.session;
        let Some(flow) = self.flow(id) else { return wanted };
        let allowed = flow.allowance(stream, wanted);
        if allowed == 0 {
            let blocked = flow.data_blocked();
            self.say_blocked(id, blocked);
        }
        allowed
    }

    /// Bytes were written on a stream.
    pub(super) fn sent(&mut self, stream: StreamId, bytes: usize) {
        let Some(entry) = self.streams.webtransport(stream) else { return };
        entry.bytes_written += bytes as u64;
        let counted = entry.counted;
        let Some(session) = self.sessions.get_mut(entry.session) else { return };
        session.stats.bytes_written += bytes as u64;
        if let Some(flow) = session.flow.as_mut().filter(|_| counted) {
            flow.sent(bytes);
        }
    }

    /// The application read bytes of a stream, which the session counts or does not. Returns whether the peer was allowed to
    /// send them; if not, the session is over.
    pub(super) fn consumed(&mut self, id: SessionId, counted: bool, bytes: usize) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return true };
        session.stats.bytes_read += bytes as u64;
        let Some(flow) = session.flow.as_mut().filter(|_| counted) else { return true };
        let Ok(due) = flow.read(bytes) else {
            self.overused(id);
            return false;
        };
        if due {
            self.owing.insert(id);
        }
        true
    }

    /// What is unread of a stream of the peer will not be read: it was reset, or `stopped` by us. `taken`: bytes that QUIC has
    /// handed over and the application did not get, beside those that are kept ahead of it; QUIC let as many more come.
    pub(super) fn dropped(&mut self, stream: StreamId, taken: usize, stopped: bool) {
        let Some(entry) = self.streams.webtransport(stream).filter(|entry| entry.counted) else { return };
        let handed_over = (taken + entry.ahead_len()) as u64;
        let (id, most) = (entry.session, u64::from(self.config.stream_window) + handed_over);
        if self.flow(id).is_some_and(|flow| if stopped { flow.stopped(most) } else { flow.reset(most) }) {
            self.owing.insert(id);
        }
    }

    /// A stream of a session is gone from our tables.
    pub(super) fn stream_over(&mut self, id: SessionId, stream: StreamId) {
        let opened_by_peer = stream.initiator() != self.role();
        let Some(flow) = self.flow(id) else { return };
        flow.forget(stream);
        if opened_by_peer && flow.stream_over(stream.direction()) {
            self.owing.insert(id);
        }
    }

    /// A stream of the peer that nobody will see was turned away or given up. Where its session is unknown, every one may
    /// have been meant: what a session is given too much is bounded by QUIC's limits.
    pub(super) fn unseen(&mut self, session: Option<SessionId>, stream: StreamId) {
        if stream.initiator() == self.role() {
            return;
        }
        let most = u64::from(self.config.stream_window);
        for id in session.map_or_else(|| self.sessions.ids(), |id| vec![id]) {
            if self.flow(id).is_some_and(|flow| flow.lost(stream.direction(), most)) {
                self.owing.insert(id);
            }
        }
    }

    /// The peer raised a limit of ours.
    pub(super) fn released(&mut self, released: Released) {
        match released {
            Released::Nothing => {}
            Released::Opening(direction) => self.hints.push(Event::StreamsAvailable { direction }),
            Released::Streams(streams) => {
                for stream in streams {
                    // It may have been reset or stopped while it waited.
                    let writes = |entry: &mut WebTransportStream| entry.send == SendHalf::Open;
                    if !self.streams.webtransport(stream).is_some_and(writes) {
                        continue;
                    }
                    self.hints.push(Event::StreamWritable { stream });
                }
            }
        }
    }

    /// The peer used more of a session than it was allowed (draft-16, sections 5.6.2 and 5.6.4).
    pub(super) fn overused(&mut self, id: SessionId) {
        self.apply(id, Input::Malformed { code: ErrorCode::WT_FLOW_CONTROL_ERROR });
        self.act();
    }

    fn say_blocked(&mut self, id: SessionId, blocked: Option<Capsule>) {
        if let Some(capsule) = blocked {
            self.send_capsules(id, &[capsule]);
            self.act();
        }
    }

    fn flow(&mut self, id: SessionId) -> Option<&mut Flow> {
        self.sessions.get_mut(id)?.flow.as_deref_mut()
    }
}
