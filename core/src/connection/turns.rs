//! Whose turn it is to hand data to QUIC when there is no room for all: sessions, and groups of streams in a session,
//! share by weight, whatever the number of their streams; in a group a stream of higher order goes first.
//!
//! quinn sends what it has been given round robin over streams, and its send buffer is one for the connection. So the
//! sharing happens where data enters that buffer. Who wants more than there is room for is known from writes that QUIC
//! refused; each gets a quantum, and who has used up its own waits until nobody has any left (deficit round robin). Nobody
//! is waited for who does not come: one that is stopped by its own stream's limit is seen by what others can still
//! write, and one that does not write at all by a timer.

use std::collections::{BTreeMap, BTreeSet};

use crate::{SessionId, StreamId};

/// Streams that share as one: those of a session that are in no group, or those in one of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) session: SessionId,
    pub(crate) number: u32,
}

/// A stream that wants to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) stream: StreamId,
    pub(crate) group: Group,
    pub(crate) order: i32,
    /// Of the session.
    pub(crate) weight: u8,
}

/// The turns on one connection.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    groups: BTreeMap<Group, Share>,
}

#[derive(Debug)]
struct Share {
    /// Bytes that may still be written in this round.
    left: u64,
    weight: u8,
    waiting: BTreeMap<StreamId, Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    order: i32,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// QUIC had no room.
    Full,
    /// QUIC had none, and nobody has written for a while.
    Suspect,
    /// QUIC had none, and said since that it has.
    Told,
    /// It is somebody else's turn.
    Gated,
}

/// Bytes a session may write in a round for each unit of its weight.
const QUANTUM: u64 = 1024;

impl Turns {
    /// Whether nobody wants more than there is room for.
    pub(crate) fn is_idle(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether somebody waits for a turn.
    pub(crate) fn is_gating(&self) -> bool {
        self.groups.values().any(|share| share.waiting.values().any(|waiting| waiting.why == Why::Gated))
    }

    /// How much of `wanted` may be written now; with none, the stream is among those that are told later.
    pub(crate) fn allowance(&mut self, writer: Writer, wanted: usize) -> usize {
        let ahead = self.groups.get(&writer.group).is_some_and(|share| share.is_ahead(writer.order));
        let others = self.groups.iter().any(|(group, share)| *group != writer.group && share.wants_its_turn());
        let share = self.groups.entry(writer.group).or_insert_with(|| Share::new(writer.weight));
        if !ahead && !others {
            return wanted;
        }
        if ahead || share.left == 0 {
            share.waiting.insert(writer.stream, Waiting { order: writer.order, why: Why::Gated });
            return 0;
        }
        usize::try_from(share.left).unwrap_or(usize::MAX).min(wanted)
    }

    /// QUIC took bytes of a stream; `all`: the stream has nothing more to write now. Returns who may go on.
    pub(crate) fn wrote(&mut self, writer: Writer, bytes: usize, all: bool) -> BTreeSet<StreamId> {
        if let Some(share) = self.groups.get_mut(&writer.group) {
            share.left = share.left.saturating_sub(bytes as u64);
            if all {
                share.waiting.remove(&writer.stream);
            } else {
                share.waiting.insert(writer.stream, Waiting { order: writer.order, why: Why::Told });
            }
        }
        // There was room. Who was refused and has not been told of any is stopped by the limit of its own stream.
        for share in self.groups.values_mut() {
            share.waiting.retain(|_, waiting| !matches!(waiting.why, Why::Full | Why::Suspect));
        }
        self.advance()
    }

    /// QUIC had no room for a stream's data.
    pub(crate) fn full(&mut self, writer: Writer) {
        let share = self.groups.entry(writer.group).or_insert_with(|| Share::new(writer.weight));
        share.weight = writer.weight;
        share.waiting.insert(writer.stream, Waiting { order: writer.order, why: Why::Full });
    }

    /// QUIC says that there is room for a stream's data.
    pub(crate) fn told(&mut self, group: Group, stream: StreamId) {
        let waiting = self.groups.get_mut(&group).and_then(|share| share.waiting.get_mut(&stream));
        if let Some(waiting) = waiting.filter(|waiting| matches!(waiting.why, Why::Full | Why::Suspect)) {
            waiting.why = Why::Told;
        }
    }

    /// A stream writes no more. Returns who may go on.
    pub(crate) fn forget(&mut self, group: Group, stream: StreamId) -> BTreeSet<StreamId> {
        if let Some(share) = self.groups.get_mut(&group) {
            share.waiting.remove(&stream);
        }
        self.advance()
    }

    /// A session is over. Returns who may go on.
    pub(crate) fn forget_session(&mut self, session: SessionId) -> BTreeSet<StreamId> {
        self.groups.retain(|group, _| group.session != session);
        self.advance()
    }

    /// Nobody has written for a while. Those that had their turn and did not come lose it. Those that QUIC refused may have
    /// met the limit of their own stream: others need not wait for them until QUIC has told them. Returns who may go on.
    pub(crate) fn expire(&mut self) -> BTreeSet<StreamId> {
        let mut released = BTreeSet::new();
        for share in self.groups.values_mut() {
            share.waiting.retain(|_, waiting| waiting.why != Why::Told);
            for waiting in share.waiting.values_mut().filter(|waiting| waiting.why == Why::Full) {
                waiting.why = Why::Suspect;
            }
            share.release(&mut released);
        }
        released
    }

    /// Begins a new round when nobody has anything left of this one, and lets go who need not wait any more.
    fn advance(&mut self) -> BTreeSet<StreamId> {
        if !self.groups.values().any(Share::wants_its_turn) {
            self.groups.retain(|_, share| !share.waiting.is_empty());
            let mut groups_of: BTreeMap<SessionId, u64> = BTreeMap::new();
            for group in self.groups.keys() {
                *groups_of.entry(group.session).or_default() += 1;
            }
            for (group, share) in &mut self.groups {
                let groups = groups_of.get(&group.session).copied().unwrap_or(1);
                share.left = (QUANTUM * u64::from(share.weight.max(1)) / groups).max(1);
            }
        }
        let mut released = BTreeSet::new();
        for share in self.groups.values_mut().filter(|share| share.left > 0) {
            share.release(&mut released);
        }
        released
    }
}

impl Share {
    fn new(weight: u8) -> Self {
        Self { left: QUANTUM * u64::from(weight.max(1)), weight, waiting: BTreeMap::new() }
    }

    fn wants_its_turn(&self) -> bool {
        self.left > 0 && self.waiting.values().any(|waiting| waiting.why != Why::Suspect)
    }

    /// Whether a stream of higher order waits.
    fn is_ahead(&self, order: i32) -> bool {
        self.waiting.values().any(|waiting| waiting.order > order && waiting.why != Why::Suspect)
    }

    /// Lets go those that wait for their turn and have nobody of higher order before them.
    fn release(&mut self, released: &mut BTreeSet<StreamId>) {
        let known = self.waiting.values().filter(|waiting| waiting.why != Why::Suspect);
        let Some(highest) = known.map(|waiting| waiting.order).max() else { return };
        for (stream, waiting) in &mut self.waiting {
            if waiting.order == highest && waiting.why == Why::Gated {
                waiting.why = Why::Told;
                released.insert(*stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What weight 16 comes to.
    const SHARE: usize = 16 * QUANTUM as usize;

    fn writer(session: u64, number: u32, stream: u64, order: i32) -> Writer {
        let group = Group { session: SessionId(session * 4), number };
        Writer { stream: StreamId(stream), group, order, weight: 16 }
    }

    #[test]
    fn alone_nobody_waits() {
        let mut turns = Turns::default();
        let only = writer(0, 0, 1, 0);
        assert_eq!(turns.allowance(only, 1 << 30), 1 << 30);
        turns.full(only);
        turns.told(only.group, only.stream);
        assert_eq!(turns.allowance(only, 1 << 30), 1 << 30);
    }

    #[test]
    fn who_used_its_share_waits_for_the_other() {
        let mut turns = Turns::default();
        let (greedy, modest) = (writer(0, 0, 1, 0), writer(1, 0, 2, 0));
        turns.full(greedy);
        turns.full(modest);
        turns.told(greedy.group, greedy.stream);
        turns.told(modest.group, modest.stream);
        assert_eq!(turns.allowance(greedy, 1 << 30), SHARE);
        assert_eq!(turns.wrote(greedy, SHARE, false), BTreeSet::new());
        assert_eq!(turns.allowance(greedy, 1), 0);
        assert!(turns.is_gating());
        let released = turns.wrote(modest, 10, true);
        assert_eq!(released, BTreeSet::from([greedy.stream]), "the modest one wants no more");
        assert_eq!(turns.allowance(greedy, 1 << 30), 1 << 30);
    }

    #[test]
    fn who_is_stopped_by_its_own_limit_holds_up_nobody() {
        let mut turns = Turns::default();
        let (stuck, free) = (writer(0, 0, 1, 0), writer(1, 0, 2, 0));
        turns.full(stuck);
        assert_eq!(turns.allowance(free, 1 << 30), SHARE);
        turns.wrote(free, 1, true);
        assert_eq!(turns.allowance(free, 1 << 30), 1 << 30);
    }

    #[test]
    fn who_does_not_come_is_not_waited_for_longer_than_the_timer() {
        let mut turns = Turns::default();
        let (absent, free) = (writer(0, 0, 1, 0), writer(1, 0, 2, 0));
        turns.full(absent);
        turns.told(absent.group, absent.stream);
        turns.wrote(free, SHARE, false);
        assert_eq!(turns.allowance(free, SHARE), SHARE);
        turns.wrote(free, SHARE, false);
        assert_eq!(turns.allowance(free, 1), 0);
        assert_eq!(turns.expire(), BTreeSet::from([free.stream]));
        assert_eq!(turns.allowance(free, 1 << 30), 1 << 30);
    }

    #[test]
    fn who_is_refused_is_waited_for_no_longer_than_the_timer_until_it_is_told() {
        let mut turns = Turns::default();
        let (stuck, free) = (writer(0, 0, 1, 0), writer(1, 0, 2, 0));
        turns.full(free);
        turns.told(free.group, free.stream);
        turns.wrote(free, SHARE, false);
        turns.told(free.group, free.stream);
        turns.full(stuck);
        turns.groups.get_mut(&free.group).expect("known").left = 0;
        assert_eq!(turns.allowance(free, 1), 0, "it may be the connection that has no room");
        assert_eq!(turns.expire(), BTreeSet::from([free.stream]));
        assert_eq!(turns.allowance(free, 1 << 30), 1 << 30);
        turns.told(stuck.group, stuck.stream);
        assert_eq!(turns.allowance(free, 1), 0, "it was the connection");
    }

    #[test]
    fn a_higher_order_goes_first_in_its_group_only() {
        let mut turns = Turns::default();
        let (high, low, other) = (writer(0, 1, 1, 5), writer(0, 1, 2, 0), writer(0, 2, 3, 0));
        turns.full(high);
        assert_eq!(turns.allowance(low, 1), 0);
        assert!(turns.allowance(other, 1) > 0);
        assert_eq!(turns.forget(high.group, high.stream), BTreeSet::from([low.stream]));
    }

    proptest! {
        /// Whatever happens in whatever order: after a timer, or after everybody has written, nobody is left waiting unheard.
        #[test]
        fn nobody_waits_for_ever(
            script in prop::collection::vec((0u64..3, 0u32..2, 0u64..4, -1i32..2, 0u8..5), 1..200),
        ) {
            let mut turns = Turns::default();
            let mut gated = BTreeSet::new();
            for (session, number, stream, order, does) in script {
                let stream = session * 100 + u64::from(number) * 10 + stream;
                let writer = writer(session, number, stream, order);
                let mut released = BTreeSet::new();
                match does {
                    0 => turns.full(writer),
                    1 => turns.told(writer.group, writer.stream),
                    2 => released = turns.forget(writer.group, writer.stream),
                    3 => released = turns.expire(),
                    _ => match turns.allowance(writer, 10_000) {
                        0 => _ = gated.insert(writer.stream),
                        allowed => released = turns.wrote(writer, allowed, allowed == 10_000),
                    },
                }
                for stream in released {
                    gated.remove(&stream);
                }
            }
            prop_assert_eq!(turns.is_idle(), turns.groups.is_empty());
            for _ in 0..gated.len() + 2 {
                turns.expire();

            }
            prop_assert!(!turns.is_gating(), "{:?}", turns);
        }
    }
}
