//! Session flow control (draft-ietf-webtrans-http3-16, section 5): one session's limits in both directions.
//!
//! What QUIC lets us see decides how exact this is. Data we send is counted exactly, resets included: quinn's final size
//! of a stream is what we wrote. Data of the peer is counted when the application reads it; of a stream that is reset or
//! stopped, quinn tells no final size, so the peer is given back the most it can have sent, one stream window. It never
//! gets stuck that way, and what it may send beyond is bounded by QUIC's own windows.

use std::collections::BTreeSet;

use super::credit::{Credit, DidNotGrow, Exceeded, Window};
use crate::wire::capsule::Capsule;
use crate::wire::settings::{MAX_STREAMS, Settings};
use crate::wire::varint;
use crate::{Direction, StreamId};

/// The limits a side announces in SETTINGS (draft-16, section 5.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SessionLimits {
    pub(crate) data: u64,
    pub(crate) bidi: u64,
    pub(crate) uni: u64,
}

/// Flow control of one session.
#[derive(Debug)]
pub(crate) struct Flow {
    data: Credit,
    bidi: Credit,
    uni: Credit,
    data_window: Window,
    bidi_window: Window,
    uni_window: Window,
    /// Streams whose writers wait for data credit.
    waiting: BTreeSet<StreamId>,
    /// Smallest the data window gets, bytes.
    floor: u64,
    /// Whether both sides keep to limits; if not, ours are raised and nothing else is done about them.
    strict: bool,
}

/// What a capsule of the peer makes possible again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// Nothing that anybody waits for.
    Nothing,
    /// These streams can be written.
    Streams(BTreeSet<StreamId>),
    /// Streams of this kind can be opened.
    Opening(Direction),
}

/// The peer broke a rule of flow control; the session ends with WT_FLOW_CONTROL_ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowViolation;

impl Flow {
    pub(crate) fn new(ours: SessionLimits, peers: SessionLimits) -> Self {
        Self {
            data: Credit::new(peers.data),
            bidi: Credit::new(peers.bidi),
            uni: Credit::new(peers.uni),
            data_window: Window::new(ours.data, varint::MAX),
            bidi_window: Window::new(ours.bidi, MAX_STREAMS),
            uni_window: Window::new(ours.uni, MAX_STREAMS),
            waiting: BTreeSet::new(),
            floor: ours.data,
            strict: true,
        }
    }

    /// That of a session in which nobody has to keep to limits, for a peer that may do so by itself.
    pub(crate) fn courtesy(ours: SessionLimits) -> Self {
        let unlimited = SessionLimits { data: u64::MAX, bidi: u64::MAX, uni: u64::MAX };
        Self { strict: false, ..Self::new(ours, unlimited) }
    }

    // What we send.

    /// How many of `wanted` bytes may be written on a stream; with none, the stream is remembered.
    pub(crate) fn allowance(&mut self, stream: StreamId, wanted: usize) -> usize {
        let allowed = usize::try_from(self.data.available()).unwrap_or(usize::MAX).min(wanted);
        if allowed == 0 {
            self.waiting.insert(stream);
        }
        allowed
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.data.spend(bytes as u64);
    }

    pub(crate) fn can_open(&self, direction: Direction) -> bool {
        self.opening(direction).available() > 0
    }

    pub(crate) fn opened(&mut self, direction: Direction) {
        self.opening_mut(direction).spend(1);
    }

    /// The capsule that says that no stream can be opened, once for each limit.
    pub(crate) fn streams_blocked(&mut self, direction: Direction) -> Option<Capsule> {
        let limit = self.opening_mut(direction).stuck()?;
        Some(match direction {
            Direction::Bidirectional => Capsule::StreamsBlockedBidi(limit),
            Direction::Unidirectional => Capsule::StreamsBlockedUni(limit),
        })
    }

    /// The capsule that says that no data can be sent, once for each limit.
    pub(crate) fn data_blocked(&mut self) -> Option<Capsule> {
        self.data.stuck().map(Capsule::DataBlocked)
    }

    /// A stream is gone; nobody waits for credit on it.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
    }

    // What the peer says.

    /// Whether a capsule raises a limit of which we have used more than it was raised by.
    pub(crate) fn is_of_use(&self, capsule: &Capsule) -> bool {
        match capsule {
            _ if !self.strict => false,
            Capsule::MaxData(_) => self.data.is_spent(),
            Capsule::MaxStreamsBidi(_) => self.bidi.is_spent(),
            Capsule::MaxStreamsUni(_) => self.uni.is_spent(),
            _ => false,
        }
    }

    /// Takes a capsule of flow control; others mean nothing here.
    pub(crate) fn receive_capsule(&mut self, capsule: &Capsule) -> Result<Released, FlowViolation> {
        match *capsule {
            _ if !self.strict => Ok(Released::Nothing),
            Capsule::MaxData(limit) => {
                let was_stuck = self.data.raise(limit)?;
                let waiting = if was_stuck { std::mem::take(&mut self.waiting) } else { BTreeSet::new() };
                Ok(if waiting.is_empty() { Released::Nothing } else { Released::Streams(waiting) })
            }
            Capsule::MaxStreamsBidi(limit) => self.raise_streams(Direction::Bidirectional, limit),
            Capsule::MaxStreamsUni(limit) => self.raise_streams(Direction::Unidirectional, limit),
            Capsule::StreamsBlockedBidi(limit) | Capsule::StreamsBlockedUni(limit) if limit > MAX_STREAMS => {
                Err(FlowViolation)
            }
            _ => Ok(Released::Nothing),
        }
    }

    fn raise_streams(&mut self, direction: Direction, limit: u64) -> Result<Released, FlowViolation> {
        if limit > MAX_STREAMS {
            return Err(FlowViolation);
        }
        let was_stuck = self.opening_mut(direction).raise(limit)?;
        Ok(if was_stuck { Released::Opening(direction) } else { Released::Nothing })
    }

    // What the peer sends.

    /// The peer opened a stream.
    pub(crate) fn stream_received(&mut self, direction: Direction) -> Result<(), FlowViolation> {
        let received = self.opened_window(direction).receive(1);
        self.kept(received)
    }

    /// A stream of the peer is gone. Returns whether the peer should be told.
    pub(crate) fn stream_over(&mut self, direction: Direction) -> bool {
        let window = self.opened_window(direction);
        window.consume(1);
        window.is_due()
    }

    /// The application read bytes of the peer. Returns whether the peer should be told.
    pub(crate) fn read(&mut self, bytes: usize) -> Result<bool, FlowViolation> {
        let received = self.data_window.receive(bytes as u64);
        self.kept(received)?;
        self.data_window.consume(bytes as u64);
        Ok(self.data_window.is_due())
    }

    /// The peer reset a stream: at most `most` bytes are unread. Returns whether the peer should be told.
    pub(crate) fn reset(&mut self, most: u64) -> bool {
        self.data_window.consume_unknown(most);
        self.data_window.is_due()
    }

    /// We stopped a stream: at most `most` bytes are unread or will still come, also with credit that is granted before
    /// the peer hears of it. Returns whether the peer should be told.
    pub(crate) fn stopped(&mut self, most: u64) -> bool {
        self.data_window.consume(most);
        self.data_window.is_due()
    }

    /// A stream that nobody will see is gone; it was, or may have been, one of this session's. Returns whether the peer
    /// should be told.
    pub(crate) fn lost(&mut self, direction: Direction, most: u64) -> bool {
        self.opened_window(direction).consume_unknown(1);
        self.data_window.consume(most);
        self.opened_window(direction).is_due() || self.data_window.is_due()
    }

    /// The capsules by which the peer learns what it may use now. `share`: the data window there is room for.
    pub(crate) fn grants(&mut self, share: u64) -> Vec<Capsule> {
        let data = self.data_window.grant(share.max(self.floor)).map(Capsule::MaxData);
        let bidi = self.bidi_window.grant(self.bidi_window.size()).map(Capsule::MaxStreamsBidi);
        let uni = self.uni_window.grant(self.uni_window.size()).map(Capsule::MaxStreamsUni);
        data.into_iter().chain(bidi).chain(uni).collect()
    }

    /// A limit of ours that was exceeded matters only where limits are kept.
    fn kept(&self, received: Result<(), Exceeded>) -> Result<(), FlowViolation> {
        if self.strict { Ok(received?) } else { Ok(()) }
    }

    fn opening(&self, direction: Direction) -> &Credit {
        match direction {
            Direction::Bidirectional => &self.bidi,
            Direction::Unidirectional => &self.uni,
        }
    }

    fn opening_mut(&mut self, direction: Direction) -> &mut Credit {
        match direction {
            Direction::Bidirectional => &mut self.bidi,
            Direction::Unidirectional => &mut self.uni,
        }
    }

    fn opened_window(&mut self, direction: Direction) -> &mut Window {
        match direction {
            Direction::Bidirectional => &mut self.bidi_window,
            Direction::Unidirectional => &mut self.uni_window,
        }
    }
}

impl From<&Settings> for SessionLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            data: settings.initial_max_data,
            bidi: settings.initial_max_streams_bidi,
            uni: settings.initial_max_streams_uni,
        }
    }
}

impl From<DidNotGrow> for FlowViolation {
    fn from(_: DidNotGrow) -> Self {
        Self
    }
}

impl From<Exceeded> for FlowViolation {
    fn from(_: Exceeded) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        let limits = SessionLimits { data: 10, bidi: 2, uni: 1 };
        Flow::new(limits, limits)
    }

    #[test]
    fn writers_wait_for_credit_and_are_released_together() {
        let mut flow = flow();
        assert_eq!(flow.allowance(StreamId(0), 7), 7);
        flow.sent(7);
        assert_eq!(flow.allowance(StreamId(4), 7), 3);
        flow.sent(3);
        assert_eq!((flow.allowance(StreamId(0), 1), flow.allowance(StreamId(4), 1)), (0, 0));
        assert_eq!((flow.data_blocked(), flow.data_blocked()), (Some(Capsule::DataBlocked(10)), None));
        flow.forget(StreamId(0));
        let released = flow.receive_capsule(&Capsule::MaxData(11));
        assert_eq!(released, Ok(Released::Streams(BTreeSet::from([StreamId(4)]))));
        assert_eq!(flow.allowance(StreamId(4), 7), 1);
    }

    #[test]
    fn only_those_without_credit_wait_for_it() {
        let mut flow = flow();
        assert_eq!(flow.allowance(StreamId(0), 20), 10);
        flow.sent(10);
        assert_eq!(flow.allowance(StreamId(8), 1), 0);
        let waiting = BTreeSet::from([StreamId(8)]);
        assert_eq!(flow.receive_capsule(&Capsule::MaxData(11)), Ok(Released::Streams(waiting)));
    }

    #[test]
    fn a_limit_that_does_not_grow_or_is_too_large_ends_the_session() {
        for capsule in [
            Capsule::MaxData(10),
            Capsule::MaxData(0),
            Capsule::MaxStreamsBidi(2),
            Capsule::MaxStreamsUni(1),
            Capsule::MaxStreamsUni(MAX_STREAMS + 1),
            Capsule::MaxStreamsBidi(MAX_STREAMS + 1),
            Capsule::StreamsBlockedBidi(MAX_STREAMS + 1),
            Capsule::StreamsBlockedUni(MAX_STREAMS + 1),
        ] {
            assert_eq!(flow().receive_capsule(&capsule), Err(FlowViolation), "{capsule:?}");
        }
        for capsule in [
            Capsule::MaxData(11),
            Capsule::MaxStreamsBidi(MAX_STREAMS),
            Capsule::StreamsBlockedUni(MAX_STREAMS),
            Capsule::DataBlocked(0),
        ] {
            assert_eq!(flow().receive_capsule(&capsule), Ok(Released::Nothing), "{capsule:?}");
        }
    }

    #[test]
    fn streams_are_counted_both_ways() {
        let mut flow = flow();
        for direction in [Direction::Bidirectional, Direction::Unidirectional] {
            while flow.can_open(direction) {
                flow.opened(direction);
                assert_eq!(flow.stream_received(direction), Ok(()));
            }
            assert_eq!(flow.stream_received(direction), Err(FlowViolation));
            assert!(flow.streams_blocked(direction).is_some());
        }
        assert_eq!(flow.receive_capsule(&Capsule::MaxStreamsUni(2)), Ok(Released::Opening(Direction::Unidirectional)));
        assert!(flow.stream_over(Direction::Unidirectional));
        let grants = flow.grants(10);
        assert_eq!(grants, [Capsule::MaxStreamsUni(2)]);
    }

    #[test]
    fn one_byte_too_many_is_a_violation() {
        let mut flow = flow();
        assert_eq!(flow.read(4), Ok(false));
        assert_eq!(flow.read(6), Ok(true));
        assert_eq!(flow.read(1), Err(FlowViolation));
    }

    #[test]
    fn the_window_never_gets_smaller_than_announced() {
        let mut flow = flow();
        assert_eq!(flow.read(10), Ok(true));
        assert_eq!(flow.grants(0), [Capsule::MaxData(20)]);
    }

    /// The peer may use what is granted after we stopped a stream, on that stream, before it hears of the stop.
    #[test]
    fn what_overtakes_a_stop_comes_back() {
        let mut flow = flow();
        assert_eq!(flow.read(10), Ok(true));
        flow.stopped(10);
        assert_eq!(flow.grants(10), [Capsule::MaxData(30)]);
        let mut reset = self::flow();
        assert_eq!(reset.read(10), Ok(true));
        reset.reset(10);
        assert_eq!(reset.grants(10), [Capsule::MaxData(20)], "nothing can be on a stream that was over before");
    }

    #[test]
    fn the_peer_is_told_when_half_a_window_came_back_of_either_kind() {
        assert_eq!((flow().reset(4), flow().reset(5)), (false, true));
        assert_eq!((flow().stopped(4), flow().stopped(5)), (false, true));
        assert!(flow().lost(Direction::Unidirectional, 0), "the one stream of its kind");
        let limits = SessionLimits { data: 10, bidi: 10, uni: 10 };
        let mut flow = Flow::new(limits, limits);
        assert!(!flow.lost(Direction::Bidirectional, 1));
        assert!(flow.lost(Direction::Bidirectional, 4), "five bytes of ten");
    }

    #[test]
    fn settings_say_where_limits_begin() {
        let settings = Settings {
            initial_max_data: 1,
            initial_max_streams_bidi: 2,
            initial_max_streams_uni: 3,
            ..Settings::default()
        };
        assert_eq!(SessionLimits::from(&settings), SessionLimits { data: 1, bidi: 2, uni: 3 });
    }

    #[test]
    fn what_was_lost_unseen_comes_back() {
        let mut flow = flow();
        assert!(flow.lost(Direction::Unidirectional, 100));
        let grants = flow.grants(10);
        assert_eq!(grants, [Capsule::MaxData(110), Capsule::MaxStreamsUni(2)]);
    }
}
