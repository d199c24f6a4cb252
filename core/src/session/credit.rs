//! Counters of session flow control: what the peer lets us use, and what we let it use.

/// What the peer allows us of one kind, over the whole life of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credit {
    limit: u64,
    used: u64,
    /// The limit at which the peer was last told that we are stuck.
    told: Option<u64>,
    /// What was used, and the limit has not been raised by since.
    unreturned: u64,
}

/// What we allow the peer of one kind, over the whole life of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Sum we have told the peer it may use.
    granted: u64,
    /// Sum it is known to have used.
    used: u64,
    /// Sum of which we are rid again, or more where QUIC does not say how much it was.
    consumed: u64,
    /// How far ahead of `consumed` the peer may be.
    size: u64,
    max: u64,
}

/// The peer used more than it was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded;

/// A limit did not grow, which draft-ietf-webtrans-http3-16, sections 5.6.2 and 5.6.4, forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DidNotGrow;

impl Credit {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: 0, told: None, unreturned: 0 }
    }

    pub(crate) fn available(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    pub(crate) fn spend(&mut self, amount: u64) {
        debug_assert!(amount <= self.available(), "more was used than allowed");
        self.used = self.used.saturating_add(amount);
        self.unreturned = self.unreturned.saturating_add(amount);
    }

    /// Whether more was used than the limit was raised by, so that it is of use to raise it.
    pub(crate) fn is_spent(&self) -> bool {
        self.unreturned > 0
    }

    /// A new limit from the peer. Returns whether nothing was left before.
    pub(crate) fn raise(&mut self, limit: u64) -> Result<bool, DidNotGrow> {
        if limit <= self.limit {
            return Err(DidNotGrow);
        }
        let was_stuck = self.available() == 0;
        self.unreturned = self.unreturned.saturating_sub(limit - self.limit);
        self.limit = limit;
        Ok(was_stuck)
    }

    /// We are stuck: the limit to tell the peer, once for each limit.
    pub(crate) fn stuck(&mut self) -> Option<u64> {
        (self.told.replace(self.limit) != Some(self.limit)).then_some(self.limit)
    }
}

impl Window {
    /// A window of `size` at first. `max`: the largest sum the wire can say.
    pub(crate) fn new(size: u64, max: u64) -> Self {
        Self { granted: size.min(max), used: 0, consumed: 0, size, max }
    }

    /// The peer used some.
    pub(crate) fn receive(&mut self, amount: u64) -> Result<(), Exceeded> {
        self.used = self.used.saturating_add(amount);
        if self.used > self.granted { Err(Exceeded) } else { Ok(()) }
    }

    /// We are rid of some of it.
    pub(crate) fn consume(&mut self, amount: u64) {
        self.consumed = self.consumed.saturating_add(amount);
    }

    /// The peer gave up an unknown amount of at most `most`. It cannot have used more than it had been granted.
    pub(crate) fn consume_unknown(&mut self, most: u64) {
        let most = most.min(self.granted.saturating_sub(self.consumed));
        self.consume(most);
    }

    /// Whether there is enough to grant: half a window, so that not every byte costs a capsule.
    pub(crate) fn is_due(&self) -> bool {
        let more = self.target().saturating_sub(self.granted);
        more > 0 && (more >= self.size.div_ceil(2) || self.target() == self.max)
    }

    /// The new limit to tell the peer with a window of `size` from now on, if it is time.
    ///
    /// When the window becomes smaller nothing is taken back: the sum stands until it is consumed.
    pub(crate) fn grant(&mut self, size: u64) -> Option<u64> {
        self.size = size;
        if !self.is_due() {
            return None;
        }
        self.granted = self.target();
        Some(self.granted)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    fn target(&self) -> u64 {
        self.consumed.saturating_add(self.size).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credit_is_exact_and_complains_once_for_each_limit() {
        let mut credit = Credit::new(2);
        credit.spend(1);
        assert_eq!(credit.raise(2), Err(DidNotGrow));
        assert_eq!(credit.raise(3), Ok(false), "one was left");
        credit.spend(2);
        assert_eq!((credit.available(), credit.stuck(), credit.stuck()), (0, Some(3), None));
        assert_eq!(credit.raise(4), Ok(true));
        credit.spend(1);
        assert_eq!((credit.stuck(), credit.stuck()), (Some(4), None));
    }

    #[test]
    fn a_window_is_exact_at_its_limit() {
        let mut window = Window::new(10, 1_000);
        assert_eq!(window.receive(10), Ok(()));
        assert_eq!(window.receive(1), Err(Exceeded));
    }

    #[test]
    fn half_a_window_consumed_is_granted_again() {
        let mut window = Window::new(10, 1_000);
        window.consume(4);
        assert_eq!(window.grant(10), None);
        window.consume(1);
        assert_eq!(window.grant(10), Some(15));
        assert_eq!(window.grant(10), None);
    }

    #[test]
    fn a_window_grows_at_once_and_shrinks_without_taking_back() {
        let mut window = Window::new(8, u64::MAX);
        assert_eq!(window.grant(32), Some(32));
        window.consume(16);
        assert_eq!(window.grant(4), None, "16 and 4 are below the 32 that stand");
        window.consume(14);
        assert_eq!(window.grant(4), Some(34));
        assert_eq!(window.size(), 4);
    }

    #[test]
    fn what_quic_does_not_say_is_taken_for_the_most_it_can_be() {
        let mut window = Window::new(10, 1_000);
        window.consume_unknown(100);
        assert_eq!(window.grant(10), Some(20), "no more than was granted");
    }

    #[test]
    fn the_largest_sum_is_reached_and_not_passed() {
        let mut window = Window::new(10, 13);
        window.consume(5);
        assert_eq!((window.grant(10), window.grant(10)), (Some(13), None));
        window.consume(8);
        assert_eq!(window.grant(10), None);
    }

    proptest! {
        /// Whatever is used and consumed in whatever pieces: a peer that is stuck gets a grant, and limits only grow.
        #[test]
        fn nobody_is_stuck_for_ever(size in 1u64..50, steps in prop::collection::vec((1u64..30, 1u64..50), 1..60)) {
            let mut window = Window::new(size, 500);
            let mut credit = Credit::new(size);
            let mut total = 0;
            for (want, size) in steps {
                let taken = want.min(credit.available());
                credit.spend(taken);
                prop_assert_eq!(window.receive(taken), Ok(()));
                window.consume(taken);
                total += taken;
                if let Some(limit) = window.grant(size) {
                    prop_assert!(credit.raise(limit).is_ok());
                }
                prop_assert!(credit.available() > 0 || total == 500, "stuck at {}", total);
            }
        }
    }
}
