//! Waiting for what tasks have to say before anything is sent.

/// Turns in which nothing is sent, for the sake of tasks that were woken.
///
/// What they write then leaves in one packet with the acknowledgement of what woke them, and in one system call with what
/// their like write. They have the time of two turns: one for those that were woken, one for those that they start.
#[derive(Debug, Default)]
pub(super) struct Patience {
    waited: u8,
}

impl Patience {
    /// Whether to send nothing in this turn. `woke`: it has tasks to wake; `asked`: there is somebody whose words wait.
    pub(super) fn waits(&mut self, woke: bool, asked: bool) -> bool {
        let waits = !asked && (woke || self.waited > 0) && self.waited < MAX_WAITED;
        self.waited = if waits { self.waited + 1 } else { 0 };
        waits
    }

    /// Whether to do nothing at all in this turn, since the last one waited and nobody has said anything yet.
    pub(super) fn goes_on(&mut self, asked: impl FnOnce() -> bool) -> bool {
        let goes_on = (1..MAX_WAITED).contains(&self.waited) && !asked();
        self.waited += u8::from(goes_on);
        goes_on
    }
}

const MAX_WAITED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_get_two_turns_and_no_more() {
        let mut patience = Patience::default();
        let turns: Vec<bool> = (0..6).map(|_| patience.waits(true, false)).collect();
        assert_eq!(
            turns,
            [true, true, false, true, true, false],
            "something is sent though tasks are woken all the time"
        );
    }

    #[test]
    fn waiting_costs_no_turn_and_no_more_time() {
        let mut patience = Patience::default();
        assert!(!patience.goes_on(|| false), "nobody was woken");
        assert!(patience.waits(true, false));
        assert!(!patience.goes_on(|| true), "somebody has spoken");
        assert!(patience.goes_on(|| false));
        assert!(!patience.goes_on(|| false), "two turns are over");
        assert!(!patience.waits(true, false), "and something is sent");
    }

    #[test]
    fn nobody_is_waited_for_without_need() {
        let mut patience = Patience::default();
        assert!(!patience.waits(false, false));
        assert!(!patience.waits(true, true));
        assert!(patience.waits(true, false));
        assert!(!patience.waits(false, true), "the answer is there");
        assert!(!patience.waits(false, false), "and with it the waiting is over");
    }
}
