//! How an endpoint comes to its end: phases, and the orders that lead from one to the next.

use std::time::{Duration, Instant};

/// Where an endpoint stands on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// Everything works.
    #[default]
    Running,
    /// No new sessions; the open ones may finish.
    Draining {
        /// When they are closed instead.
        deadline: Instant,
    },
    /// No session is open any more; the closes of the last ones are leaving.
    Flushing {
        /// When that was long enough.
        deadline: Instant,
        /// How long the connections may take to close after that.
        linger: Duration,
    },
    /// All connections are being closed.
    Closing {
        /// When they are forgotten.
        deadline: Instant,
    },
    /// Nothing is left.
    Done,
}

/// What somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// Let open sessions finish for at most this long.
    Graceful(Duration),
    /// Close everything without waiting for anybody.
    Now,
}

impl Shutdown {
    /// What two wishes come to: the one for less time.
    pub(crate) fn sooner(self, other: Option<Self>) -> Self {
        match (self, other) {
            (Self::Graceful(one), Some(Self::Graceful(other))) => Self::Graceful(one.min(other)),
            (Self::Graceful(_), None) => self,
            (Self::Now, _) | (_, Some(Self::Now)) => Self::Now,
        }
    }
}

/// What the endpoint has to do on entering a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Refuse new sessions and tell the open ones to wind down.
    Drain,
    /// Close the sessions that are still open.
    CloseSessions,
    /// Close all connections.
    CloseConnections,
}

/// What the phases depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// The time now.
    pub(crate) now: Instant,
    /// Sessions open, and handlers running.
    pub(crate) busy: bool,
    /// Whether no connection is left.
    pub(crate) drained: bool,
    /// When the last session ended, if one has.
    pub(crate) last_end: Option<Instant>,
}

impl Phase {
    /// The next phase, and what to do on entering it; `None` to stay.
    pub(crate) fn next(self, asked: Option<Shutdown>, view: View) -> Option<(Self, Option<Order>)> {
        if asked == Some(Shutdown::Now)
            && let Some(step) = self.hurry(view.now)
        {
            return Some(step);
        }
        match (self, asked) {
            (Self::Running, Some(Shutdown::Graceful(grace))) => {
                // Nobody has to be told to wind down when there is no time for it.
                let order = (!grace.is_zero()).then_some(Order::Drain);
                Some((Self::Draining { deadline: later(view.now, grace) }, order))
            }
            (Self::Draining { deadline }, _) if !view.busy || deadline <= view.now => {
                // With nothing to close, the flush still covers sessions that ended a moment ago.
                let end = if view.busy { Some(view.now) } else { view.last_end };
                let flushed = end.map_or(view.now, |end| later(end, FLUSH_LIMIT));
                let linger = linger(deadline.saturating_duration_since(flushed));
                Some((Self::Flushing { deadline: flushed, linger }, Some(Order::CloseSessions)))
            }
            (Self::Flushing { deadline, linger }, _) if view.drained || deadline <= view.now => {
                Some((Self::Closing { deadline: later(view.now, linger) }, Some(Order::CloseConnections)))
            }
            (Self::Closing { deadline }, _) if view.drained || deadline <= view.now => Some((Self::Done, None)),
            _ => None,
        }
    }

    /// The same with a grace that ends at `deadline`, if it would end later.
    pub(crate) fn hastened(self, deadline: Instant) -> Self {
        match self {
            Self::Draining { deadline: later } => Self::Draining { deadline: later.min(deadline) },
            other => other,
        }
    }

    /// What people read in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Draining { .. } => "draining sessions",
            Self::Flushing { .. } => "closing sessions",
            Self::Closing { .. } => "closing connections",
            Self::Done => "done",
        }
    }

    /// When [`next`](Self::next) has to be asked again without anything else happening.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Running | Self::Done => None,
            Self::Draining { deadline } | Self::Flushing { deadline, .. } | Self::Closing { deadline } => {
                Some(deadline)
            }
        }
    }

    /// The step that skips what is left to wait for.
    ///
    /// One turn of sending still lies between closing the sessions and closing their connections, since a connection
    /// that is being closed sends no stream data any more.
    fn hurry(self, now: Instant) -> Option<(Self, Option<Order>)> {
        match self {
            Self::Running | Self::Draining { .. } => {
                Some((Self::Flushing { deadline: now, linger: Duration::ZERO }, Some(Order::CloseSessions)))
            }
            Self::Flushing { .. } => Some((Self::Closing { deadline: now }, Some(Order::CloseConnections))),
            Self::Closing { .. } => Some((Self::Done, None)),
            Self::Done => None,
        }
    }
}

/// How long connections may take to close when this much of the grace is left: not all of it, so that who ends in time
/// is gone in time.
///
/// Closed connections only wait to repeat their close; a server that closes its socket need not (RFC 9000, section
/// 10.2). Under load QUIC counts three inflated timeouts for it.
fn linger(left: Duration) -> Duration {
    if left.is_zero() { CLOSE_LIMIT } else { (left / 2).clamp(CLOSE_LEAST, CLOSE_LIMIT) }
}

/// `duration` after `now`, or a day where that cannot be represented.
pub(crate) fn later(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(24 * 3600))
}

/// Time for the close of a session to reach the peer, one lost packet included.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);

/// Time for connections to be closed in an orderly way.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Of that at least, for a close that is lost once.
const CLOSE_LEAST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn view(now: Instant) -> View {
        View { now, busy: false, drained: false, last_end: None }
    }

    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn nothing_happens_unasked() {
        assert_eq!(Phase::Running.next(None, view(Instant::now())), None);
        assert_eq!(Phase::Running.deadline(), None);
        assert_eq!(Phase::Done.next(Some(Shutdown::Now), view(Instant::now())), None);
    }

    #[test]
    fn open_sessions_get_their_grace() {
        let now = Instant::now();
        let (phase, order) = Phase::Running.next(Some(Shutdown::Graceful(GRACE)), view(now)).unwrap();
        assert_eq!(order, Some(Order::Drain));
        assert_eq!(phase.deadline(), Some(now + GRACE));

        let busy = View { busy: true, ..view(now + GRACE / 2) };
        assert_eq!(phase.next(None, busy), None);
        // The last session ends: its close gets the time to arrive, then the connections go.
        let ended = now + GRACE / 2;
        let (phase, order) = phase.next(None, View { last_end: Some(ended), ..view(ended) }).unwrap();
        assert_eq!(order, Some(Order::CloseSessions));
        assert_eq!(phase.deadline(), Some(ended + FLUSH_LIMIT));
        assert_eq!(phase.next(None, view(ended)), None);
        let (phase, order) = phase.next(None, view(ended + FLUSH_LIMIT)).unwrap();
        assert_eq!(order, Some(Order::CloseConnections));
        let drained = View { drained: true, ..view(ended + FLUSH_LIMIT) };
        assert_eq!(phase.next(None, drained), Some((Phase::Done, None)));
    }

    #[test]
    fn grace_ends() {
        let now = Instant::now();
        let (phase, _) = Phase::Running.next(Some(Shutdown::Graceful(GRACE)), view(now)).unwrap();
        let late = View { busy: true, ..view(now + GRACE) };
        let (phase, order) = phase.next(None, late).unwrap();
        assert_eq!(order, Some(Order::CloseSessions));
        assert_eq!(phase.deadline(), Some(now + GRACE + FLUSH_LIMIT));
    }

    #[test]
    fn who_ends_in_time_is_gone_in_time() {
        let now = Instant::now();
        let grace = Duration::from_secs(2);
        for (ended, linger) in [(0, 750), (500, 500), (1_000, 250), (1_490, 100), (1_500, 1_000), (2_000, 1_000)] {
            let ended = now + Duration::from_millis(ended);
            let (phase, _) = Phase::Running.next(Some(Shutdown::Graceful(grace)), view(now)).unwrap();
            let (phase, _) = phase.next(None, View { last_end: Some(ended), ..view(ended) }).unwrap();
            let flushed = ended + FLUSH_LIMIT;
            let (phase, _) = phase.next(None, view(flushed)).unwrap();
            assert_eq!(phase.deadline(), Some(flushed + Duration::from_millis(linger)));
        }
    }

    #[test]
    fn without_sessions_nobody_waits() {
        let now = Instant::now();
        let mut phase = Phase::Running.next(Some(Shutdown::Graceful(GRACE)), view(now)).unwrap().0;
        phase = phase.next(None, view(now)).unwrap().0;
        let (phase, order) = phase.next(None, view(now)).unwrap();
        assert_eq!(order, Some(Order::CloseConnections));
        assert_eq!(phase.next(None, view(now + CLOSE_LIMIT)), Some((Phase::Done, None)));
    }

    #[test]
    fn a_wish_for_less_time_counts() {
        let (long, short) = (Shutdown::Graceful(GRACE), Shutdown::Graceful(GRACE / 2));
        assert_eq!([long.sooner(Some(short)), short.sooner(Some(long)), short.sooner(None)], [short; 3]);
        assert_eq!([Shutdown::Now.sooner(Some(long)), long.sooner(Some(Shutdown::Now))], [Shutdown::Now; 2]);
        let now = Instant::now();
        let phase = Phase::Draining { deadline: now + GRACE };
        assert_eq!(phase.hastened(now).deadline(), Some(now));
        assert_eq!(phase.hastened(now + 2 * GRACE), phase);
        assert_eq!(Phase::Running.hastened(now), Phase::Running);
    }

    #[test]
    fn the_second_request_skips_all_waits_but_closes_sessions_first() {
        let now = Instant::now();
        let busy = View { busy: true, ..view(now) };
        let draining = Phase::Running.next(Some(Shutdown::Graceful(GRACE)), busy).unwrap().0;
        for start in [Phase::Running, draining] {
            let mut phase = start;
            let mut orders = Vec::new();
            while let Some((next, order)) = phase.next(Some(Shutdown::Now), busy) {
                phase = next;
                orders.extend(order);
            }
            assert_eq!(phase, Phase::Done);
            assert_eq!(orders, [Order::CloseSessions, Order::CloseConnections]);
        }
    }
}
