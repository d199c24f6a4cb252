//! Datagrams waiting to be sent: the higher priority first, the older first within one.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::queue::Queue;
use crate::DatagramPriority;

/// The send queue of one session.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    normal: Class,
    /// The other priorities. Boxed: few use them.
    others: Option<Box<Others>>,
    len: usize,
    bytes: usize,
    /// Somebody was told that there is no room.
    pub(crate) blocked: bool,
    /// It waits for its turn.
    pub(crate) in_turn: bool,
    /// Bytes that may leave before another session has its turn; below zero after a datagram larger than that.
    pub(crate) credit: i64,
}

#[derive(Debug, Default)]
struct Others {
    high: Class,
    low: Class,
}

/// Datagrams of one priority, in the order in which they were given.
#[derive(Debug, Default)]
struct Class {
    waiting: Queue<Waiting>,
    /// So many at the back came from commands since the time was last known.
    untimed: usize,
}

#[derive(Debug)]
struct Waiting {
    datagram: Bytes,
    since: Option<Instant>,
}

/// Charged for each datagram beside its bytes: what its place in the queue takes.
pub(crate) const OVERHEAD: usize = 48;

impl Outgoing {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is charged for all that waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a datagram.
    pub(crate) fn push(&mut self, datagram: Bytes, priority: DatagramPriority) {
        self.len += 1;
        self.bytes += datagram.len() + OVERHEAD;
        let class = match priority {
            DatagramPriority::Low => &mut self.others.get_or_insert_default().low,
            DatagramPriority::Normal => &mut self.normal,
            DatagramPriority::High => &mut self.others.get_or_insert_default().high,
        };
        class.waiting.push(Waiting { datagram, since: None });
        class.untimed += 1;
    }

    /// Takes the datagram that is to be sent next, and how many before it were too old.
    pub(crate) fn pop(&mut self, now: Instant, max_age: Option<Duration>) -> (Option<Bytes>, u64) {
        let mut expired = 0;
        loop {
            let first = self.classes().into_iter().flatten().find_map(Class::pop);
            let Some(waiting) = first else { return (None, expired) };
            self.popped(&waiting);
            if !waiting.is_over(now, max_age) {
                return (Some(waiting.datagram), expired);
            }
            expired += 1;
        }
    }

    /// Drops the oldest of the lowest priority, unless that is above the one given; returns whether there was one.
    pub(crate) fn drop_oldest(&mut self, at_most: DatagramPriority) -> bool {
        let from_the_lowest = self.classes().into_iter().rev().take(at_most as usize + 1);
        let oldest = from_the_lowest.flatten().find_map(Class::pop);
        oldest.inspect(|waiting| self.popped(waiting)).is_some()
    }

    /// Drops what is too old; returns how many that were.
    pub(crate) fn expire(&mut self, now: Instant, max_age: Option<Duration>) -> u64 {
        let (mut expired, mut bytes) = (0, 0);
        for class in self.classes().into_iter().flatten() {
            while class.waiting.first().is_some_and(|waiting| waiting.is_over(now, max_age)) {
                bytes += class.pop().map_or(0, |waiting| waiting.cost());
                expired += 1;
            }
        }
        self.len -= expired;
        self.bytes -= bytes;
        expired as u64
    }

    /// The time is known: the age of what came since the last time is counted from now. Returns whether there was any.
    pub(crate) fn time(&mut self, now: Instant) -> bool {
        let mut any = false;
        for class in self.classes().into_iter().flatten() {
            let untimed = std::mem::take(&mut class.untimed);
            any |= untimed > 0;
            for waiting in class.waiting.newest_mut().take(untimed) {
                waiting.since = Some(now);
            }
        }
        any
    }

    /// Since when the oldest that has a time has been waiting.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let others = self.others.as_deref().map(|others| [&others.high, &others.low]);
        let classes = others.into_iter().flatten().chain([&self.normal]);
        classes.filter_map(|class| class.waiting.first()?.since).min()
    }

    /// By priority, the highest first.
    fn classes(&mut self) -> [Option<&mut Class>; 3] {
        let Some(Others { high, low }) = self.others.as_deref_mut() else {
            return [None, Some(&mut self.normal), None];
        };
        [Some(high), Some(&mut self.normal), Some(low)]
    }

    fn popped(&mut self, waiting: &Waiting) {
        self.len -= 1;
        self.bytes -= waiting.cost();
    }
}

impl Class {
    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop()?;
        self.untimed = self.untimed.min(self.waiting.len());
        Some(waiting)
    }
}

impl Waiting {
    fn cost(&self) -> usize {
        self.datagram.len() + OVERHEAD
    }

    fn is_over(&self, now: Instant, max_age: Option<Duration>) -> bool {
        let (Some(since), Some(max_age)) = (self.since, max_age) else { return false };
        now.saturating_duration_since(since) > max_age
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens to a queue.
    #[derive(Debug, Clone)]
    enum Step {
        Push(DatagramPriority, usize),
        Pop,
        Drop(DatagramPriority),
        Expire,
        Pass(u64),
    }

    fn priority() -> impl Strategy<Value = DatagramPriority> {
        prop_oneof![Just(DatagramPriority::Low), Just(DatagramPriority::Normal), Just(DatagramPriority::High)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (priority(), 4usize..40).prop_map(|(priority, size)| Step::Push(priority, size)),
            2 => Just(Step::Pop),
            1 => priority().prop_map(Step::Drop),
            1 => Just(Step::Expire),
            2 => (1u64..30).prop_map(Step::Pass),
        ]
    }

    /// The same, searched by hand: number, priority, size, since when.
    type Model = Vec<(u32, DatagramPriority, usize, Option<Instant>)>;

    fn number(datagram: &Bytes) -> u32 {
        u32::from_be_bytes(datagram[..4].try_into().expect("four bytes"))
    }

    proptest! {
        #[test]
        fn behaves_like_a_list_searched_by_hand(
            script in prop::collection::vec(step(), 0..120),
            max_age in prop::option::of((0u64..40).prop_map(Duration::from_millis)),
        ) {
            #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
            let mut now = Instant::now();
            let (mut queue, mut model, mut next) = (Outgoing::default(), Model::new(), 0u32);
            let over = |since: Option<Instant>, now: Instant| {
                max_age.is_some_and(|age| since.is_some_and(|since| now - since > age))
            };
            for step in script {
                match step {
                    Step::Push(priority, size) => {
                        let mut datagram = vec![0; size];
                        datagram[..4].copy_from_slice(&next.to_be_bytes());
                        queue.push(datagram.into(), priority);
                        model.push((next, priority, size, None));
                        next += 1;
                    }
                    Step::Pop => {
                        let highest = |model: &Model| {
                            let best = model.iter().map(|entry| entry.1).max()?;
                            model.iter().position(|entry| entry.1 == best)
                        };
                        let (mut expected, mut expired) = (None, 0);
                        while let Some(at) = highest(&model) {
                            let entry = model.remove(at);
                            if !over(entry.3, now) {
                                expected = Some(entry.0);
                                break;
                            }
                            expired += 1;
                        }
                        let (popped, count) = queue.pop(now, max_age);
                        prop_assert_eq!((popped.as_ref().map(number), count), (expected, expired));
                    }
                    Step::Drop(at_most) => {
                        let lowest = model.iter().map(|entry| entry.1).min().filter(|lowest| *lowest <= at_most);
                        let at = lowest.and_then(|lowest| model.iter().position(|entry| entry.1 == lowest));
                        prop_assert_eq!(queue.drop_oldest(at_most), at.map(|at| model.remove(at)).is_some());
                    }
                    Step::Expire => {
                        let before = model.len();
                        model.retain(|entry| !over(entry.3, now));
                        prop_assert_eq!(queue.expire(now, max_age), (before - model.len()) as u64);
                    }
                    Step::Pass(millis) => {
                        now += Duration::from_millis(millis);
                        queue.time(now);
                        for entry in &mut model {
                            entry.3 = entry.3.or(Some(now));
                        }
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.bytes(), model.iter().map(|entry| entry.2 + OVERHEAD).sum::<usize>());
                prop_assert_eq!(queue.oldest(), model.iter().filter_map(|entry| entry.3).min());
            }
        }
    }
}
