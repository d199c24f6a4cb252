//! One WebTransport session: its state, its queues, and the capsules on its CONNECT stream.

pub(crate) mod credit;
pub(crate) mod datagrams;
pub(crate) mod early;
pub(crate) mod flow;
pub(crate) mod outgoing;
pub(crate) mod queue;
pub(crate) mod registry;
pub(crate) mod transition;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::wire::capsule::{Capsule, CapsuleDecoder};
use crate::{DatagramOptions, Direction, ErrorCode, Request, Response, SessionId, SessionStats, StreamId};
use datagrams::DatagramQueue;
use flow::{Flow, FlowViolation, Released};
use outgoing::Outgoing;
use transition::{Effect, Input, State, step};

/// A session as its connection keeps it: first what datagrams have to do with, see [`Connection`](crate::Connection).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    pub(crate) state: State,
    pub(crate) outgoing: Outgoing,
    /// What the application chose instead of the defaults; boxed, as few choose.
    pub(crate) datagram_options: Option<Box<DatagramOptions>>,
    pub(crate) stats: SessionStats,
    pub(crate) datagrams: DatagramQueue,
    /// Session flow control; `None` when it was not negotiated. Boxed: most clients have none so far, and many sessions are
    /// idle.
    pub(crate) flow: Option<Box<Flow>>,
    /// Every stream of the session that is not over.
    pub(crate) streams: FxHashSet<StreamId>,
    incoming_bidi: VecDeque<StreamId>,
    incoming_uni: VecDeque<StreamId>,
    /// Streams of ours that are finished but not yet acknowledged.
    pub(crate) unacknowledged: usize,
    /// Bytes received that have not been charged yet.
    uncharged: usize,
    /// Groups of streams made so far.
    pub(crate) send_groups: u32,
    /// What it gets of the connection against others.
    pub(crate) weight: u8,
    /// Whether it has ever been open.
    pub(crate) was_open: bool,
    capsules: CapsuleDecoder,
    /// Shared with the application, which mostly keeps both for as long as the session lasts.
    pub(crate) request: Arc<Request>,
    pub(crate) response: Option<Arc<Response>>,
}

/// Bytes of capsules that cost one unit of the peer's budget. Those with a meaning are few and small.
const BYTES_PER_GLITCH: usize = 1024;

/// Weight of a session until the application sets another, in the middle of the scale.
const DEFAULT_WEIGHT: u8 = 16;

/// What the capsules of one read amount to.
#[derive(Debug, Default)]
pub(crate) struct CapsuleOutcome {
    pub(crate) inputs: Vec<Input>,
    pub(crate) released: Vec<Released>,
    pub(crate) glitches: u32,
}

impl SessionState {
    pub(crate) fn new(id: SessionId, request: Request, flow: Option<Flow>) -> Self {
        Self {
            id,
            state: State::Requested,
            request: Arc::new(request),
            response: None,
            streams: FxHashSet::default(),
            datagrams: DatagramQueue::default(),
            outgoing: Outgoing::default(),
            datagram_options: None,
            was_open: false,
            unacknowledged: 0,
            flow: flow.map(Box::new),
            weight: DEFAULT_WEIGHT,
            send_groups: 0,
            stats: SessionStats::default(),
            incoming_bidi: VecDeque::new(),
            incoming_uni: VecDeque::new(),
            capsules: CapsuleDecoder::default(),
            uncharged: 0,
        }
    }

    /// Whether the application still has to do with it.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, State::Requested | State::Open { .. })
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Lets something happen; see [`transition`].
    pub(crate) fn apply(&mut self, input: Input) -> Vec<Effect> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let (state, effects) = step(state, input);
        self.state = state;
        self.was_open |= self.is_open();
        effects
    }

    /// A stream of the peer, to be accepted by the application; an error when it is one too many (draft-16, section
    /// 5.6.2).
    pub(crate) fn push_incoming(&mut self, stream: StreamId) -> Result<(), FlowViolation> {
        if let Some(flow) = &mut self.flow {
            flow.stream_received(stream.direction())?;
        }
        self.streams.insert(stream);
        self.stats.opened_by_peer(stream.direction());
        self.incoming(stream.direction()).push_back(stream);
        Ok(())
    }

    pub(crate) fn pop_incoming(&mut self, direction: Direction) -> Option<StreamId> {
        self.incoming(direction).pop_front()
    }

    pub(crate) fn has_incoming(&self, direction: Direction) -> bool {
        match direction {
            Direction::Bidirectional => !self.incoming_bidi.is_empty(),
            Direction::Unidirectional => !self.incoming_uni.is_empty(),
        }
    }

    fn incoming(&mut self, direction: Direction) -> &mut VecDeque<StreamId> {
        match direction {
            Direction::Bidirectional => &mut self.incoming_bidi,
            Direction::Unidirectional => &mut self.incoming_uni,
        }
    }

    /// Takes bytes of the CONNECT stream's DATA frames.
    pub(crate) fn receive_capsules(&mut self, mut bytes: Bytes) -> CapsuleOutcome {
        let mut charged = self.uncharged + bytes.len();
        let mut outcome = CapsuleOutcome { inputs: Vec::new(), released: Vec::new(), glitches: 0 };
        // Both the capsule before and the end of the session make every further byte a surplus.
        let mut closed = !self.is_live();
        while !bytes.is_empty() {
            if closed {
                outcome.inputs.push(Input::Surplus);
                break;
            }
            match self.capsules.push(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Capsule::CloseSession { code, reason })) => {
                    closed = true;
                    outcome.inputs.push(Input::PeerClose { code, reason });
                }
                Ok(Some(Capsule::DrainSession)) => {
                    // Once is enough.
                    outcome.glitches = outcome.glitches.saturating_add(1);
                    outcome.inputs.push(Input::PeerDrain);
                }
                // Section 5.4 forbids two capsules altogether.
                Ok(Some(Capsule::Prohibited { .. })) => {
                    outcome.inputs.push(Input::Malformed { code: ErrorCode::WT_FLOW_CONTROL_ERROR });
                    break;
                }
                Ok(Some(capsule)) if capsule.is_flow_control() && self.flow.is_some() => {
                    if self.flow.as_ref().is_some_and(|flow| flow.is_of_use(&capsule)) {
                        // The faster we send the more of them there have to be (section 5.6).
                        charged = charged.saturating_sub(capsule.size());
                    }
                    let received = self.flow.as_mut().map_or(Err(FlowViolation), |flow| flow.receive_capsule(&capsule));
                    let Ok(released) = received else {
                        outcome.inputs.push(Input::Malformed { code: ErrorCode::WT_FLOW_CONTROL_ERROR });
                        break;
                    };
                    outcome.released.push(released);
                }
                // Where flow control was not negotiated, its capsules mean nothing (section 5.1).
                Ok(Some(_)) => outcome.glitches = outcome.glitches.saturating_add(1),
                // RFC 9297, section 3.3: a bad capsule makes the message malformed.
                Err(_) => {
                    outcome.inputs.push(Input::Malformed { code: ErrorCode::H3_MESSAGE_ERROR });
                    break;
                }
            }
        }
        self.uncharged = charged % BYTES_PER_GLITCH;
        outcome.glitches =
            outcome.glitches.saturating_add(u32::try_from(charged / BYTES_PER_GLITCH).unwrap_or(u32::MAX));
        outcome
    }

    /// The peer finished the CONNECT stream: an end, unless it cut a capsule.
    pub(crate) fn receive_finish(&self) -> Input {
        if self.is_live() && !self.capsules.is_at_boundary() {
            Input::Malformed { code: ErrorCode::H3_MESSAGE_ERROR }
        } else {
            Input::PeerFinish
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::session::flow::SessionLimits;

    fn session() -> SessionState {
        let limits = SessionLimits { data: 100, bidi: 1, uni: 1 };
        SessionState::new(SessionId(0), Request::new("localhost", "/"), Some(Flow::new(limits, limits)))
    }

    fn max_data(limit: u64) -> Bytes {
        let mut bytes = BytesMut::new();
        Capsule::MaxData(limit).encode(&mut bytes);
        bytes.freeze()
    }

    /// The oddities in so many grants, of which each comes in two pieces.
    fn glitches(session: &mut SessionState, grants: u64, spend: bool) -> u32 {
        let mut glitches = 0;
        for grant in 1..=grants {
            // Two grants for what was sent at once.
            if let Some(flow) = session.flow.as_mut().filter(|_| spend && grant % 2 == 1) {
                flow.sent(2);
            }
            let mut bytes = max_data(100 + grant);
            for part in [bytes.split_to(5), bytes] {
                let outcome = session.receive_capsules(part);
                assert!(outcome.inputs.is_empty());
                glitches += outcome.glitches;
            }
        }
        glitches
    }

    #[test]
    fn grants_are_oddities_only_where_nothing_was_spent() {
        assert_eq!(glitches(&mut session(), 10_000, true), 0);
        assert_eq!(glitches(&mut session(), 10_000, false), 10_000 * 7 / 1024, "7 bytes each");
    }
}
