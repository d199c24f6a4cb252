//! Who waits for what: lists for the many waiters of a session, single slots for a stream.
//!
//! Nothing here calls or drops a waker: both run code of others, and the lock is held. Wakers that are to be called or
//! are no longer needed are handed out.

use std::task::Waker;

/// Tasks that wait, each for something of a kind.
#[derive(Debug)]
pub(crate) struct WaitList<K = ()> {
    last: u64,
    /// In the order of their numbers, so that the longest waiting is woken first.
    waiting: Vec<Waiting<K>>,
}

#[derive(Debug)]
struct Waiting<K> {
    number: u64,
    kind: K,
    waker: Waker,
}

/// One waiter's place in a [`WaitList`]; a number that is never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// A waiter has no place any more: it was woken, or all were.
#[derive(Debug)]
pub(crate) struct NoPlace;

/// All waiters of one session, in one list: an idle one has two or three.
pub(crate) type SessionWaiters = WaitList<Kind>;

impl<K> Default for WaitList<K> {
    fn default() -> Self {
        Self { last: 0, waiting: Vec::new() }
    }
}

impl WaitList {
    /// Registers a waker, at the place of `ticket` if that is still waiting, else at the end.
    ///
    /// Returns the waker that stood there.
    #[must_use]
    pub(crate) fn register(&mut self, ticket: &mut Option<Ticket>, waker: &Waker) -> Option<Waker> {
        self.register_for((), ticket, waker)
    }
}

impl<K: PartialEq> WaitList<K> {
    /// The same for one who waits for something of a kind; a ticket is for one kind all the time.
    #[must_use]
    pub(crate) fn register_for(&mut self, kind: K, ticket: &mut Option<Ticket>, waker: &Waker) -> Option<Waker> {
        if let Some(Ok(replaced)) = ticket.map(|ticket| self.renew(ticket, waker)) {
            return replaced;
        }
        self.last += 1;
        *ticket = Some(Ticket(self.last));
        self.waiting.push(Waiting { number: self.last, kind, waker: waker.clone() });
        None
    }

    /// Registers a waker at the place of `ticket`, if that is still waiting; returns the waker that stood there, if it is not
    /// needed any more.
    pub(crate) fn renew(&mut self, ticket: Ticket, waker: &Waker) -> Result<Option<Waker>, NoPlace> {
        let place = self.place(ticket).ok_or(NoPlace)?;
        Ok(replace_waker(&mut self.waiting[place].waker, waker))
    }

    /// Gives a place up; returns the waker that stood there, if it has not been woken since.
    #[must_use]
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        self.place(ticket).map(|place| self.waiting.remove(place).waker)
    }

    /// Moves the wakers of those who wait for `kind` to `wakes`.
    pub(crate) fn wake(&mut self, kind: K, wakes: &mut Vec<Waker>) {
        wakes.extend(self.waiting.extract_if(.., |waiting| waiting.kind == kind).map(|waiting| waiting.waker));
    }

    /// Moves all wakers to `wakes`.
    pub(crate) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.waiting.drain(..).map(|waiting| waiting.waker));
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn place(&self, Ticket(number): Ticket) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiting| waiting.number).ok()
    }
}

/// What the waiters of a session wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The answer to our request for the session.
    Answer,
    /// A bidirectional stream of the peer.
    AcceptBidirectional,
    /// A unidirectional stream of the peer.
    AcceptUnidirectional,
    /// Room to open a bidirectional stream.
    OpenBidirectional,
    /// Room to open a unidirectional stream.
    OpenUnidirectional,
    /// A datagram to read.
    Datagram,
    /// Room to send a datagram.
    DatagramRoom,
    /// The peer's wish to wind down.
    Draining,
    /// The end of the session.
    End,
    /// A finished stream that the peer has completely.
    Acknowledged,
}

impl Kind {
    /// Whether success leaves the core with something to send.
    pub(crate) fn has_output(self) -> bool {
        matches!(self, Self::OpenBidirectional | Self::OpenUnidirectional | Self::DatagramRoom)
    }

    /// Whether all that can end the waiting wakes who waits. Nobody is told that a stream was reset which had been finished.
    pub(crate) fn is_always_told(self) -> bool {
        self != Self::Acknowledged
    }
}

/// What the handle of a stream waits for; one of each, since each needs the handle for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// The peer's STOP_SENDING.
    Stopped,
    /// The acknowledgement of everything written.
    Finished,
}

/// Number of slots of a stream.
const SLOTS: usize = Slot::Finished as usize + 1;

/// What became of the data of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The peer has everything, the end included.
    Acknowledged,
    /// The peer does not want the rest; the code is absent when it was not an application code.
    Stopped(Option<u32>),
    /// Nobody will know: the session is over.
    Over,
}

/// The waiters of one stream, and what became of its data.
#[derive(Debug, Default)]
pub(crate) struct StreamWaiters {
    slots: [Option<Waker>; SLOTS],
    /// What became of the data, for the task that has been woken to hear it: the session may be over by then.
    pub(crate) delivery: Option<Delivery>,
}

impl StreamWaiters {
    /// Registers a waker; returns the one that stood there.
    #[must_use]
    pub(crate) fn register(&mut self, slot: Slot, waker: &Waker) -> Option<Waker> {
        match &mut self.slots[slot as usize] {
            Some(current) => replace_waker(current, waker),
            empty => empty.replace(waker.clone()),
        }
    }

    /// Empties a slot.
    #[must_use]
    pub(crate) fn take(&mut self, slot: Slot) -> Option<Waker> {
        self.slots[slot as usize].take()
    }

    /// Whether somebody waits in a slot.
    pub(crate) fn waits(&self, slot: Slot) -> bool {
        self.slots[slot as usize].is_some()
    }

    /// Moves all wakers to `wakes`.
    pub(crate) fn wake_everybody(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.slots.iter_mut().filter_map(Option::take));
    }

    /// Whether nothing would be lost with this entry.
    pub(crate) fn is_idle(&self) -> bool {
        self.delivery.is_none() && self.slots.iter().all(Option::is_none)
    }
}

/// Puts `waker` in the place of `current` unless both wake the same task; returns the one that is not needed any more.
fn replace_waker(current: &mut Waker, waker: &Waker) -> Option<Waker> {
    if current.will_wake(waker) { None } else { Some(std::mem::replace(current, waker.clone())) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counter() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (Arc::clone(&counter), counter.into())
    }

    fn woken(list: &mut WaitList) -> usize {
        let mut wakes = Vec::new();
        list.wake_all(&mut wakes);
        let count = wakes.len();
        wakes.into_iter().for_each(Waker::wake);
        count
    }

    #[test]
    fn every_waiter_is_woken_once() {
        let mut list = WaitList::default();
        let ((first, first_waker), (second, second_waker)) = (counter(), counter());
        let (mut first_ticket, mut second_ticket) = (None, None);
        assert!(list.register(&mut first_ticket, &first_waker).is_none());
        assert!(list.register(&mut second_ticket, &second_waker).is_none());
        assert_ne!(first_ticket, second_ticket);
        assert_eq!(woken(&mut list), 2);
        assert_eq!(woken(&mut list), 0);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 1));
    }

    #[test]
    fn registering_again_keeps_the_place_and_returns_the_old_waker() {
        let mut list = WaitList::default();
        let ((first, first_waker), (second, second_waker)) = (counter(), counter());
        let mut ticket = None;
        assert!(list.register(&mut ticket, &first_waker).is_none());
        let place = ticket;
        assert!(list.register(&mut ticket, &first_waker).is_none(), "the same task needs no second waker");
        assert!(list.register(&mut ticket, &second_waker).is_some());
        assert_eq!(ticket, place);
        assert_eq!(woken(&mut list), 1);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn a_place_given_up_is_not_woken_and_a_stale_ticket_harms_nobody() {
        let mut list = WaitList::default();
        let (_, waker) = counter();
        let (mut gone, mut stays) = (None, None);
        assert!(list.register(&mut gone, &waker).is_none());
        assert!(list.remove(gone.unwrap()).is_some());
        assert!(list.register(&mut stays, &waker).is_none());
        assert!(list.remove(gone.unwrap()).is_none());
        assert_eq!(woken(&mut list), 1);
        // Woken meanwhile: the old ticket names nothing, a new place is taken.
        let old = stays;
        assert!(list.register(&mut stays, &waker).is_none());
        assert_ne!(old, stays);
    }

    #[test]
    fn who_waits_for_one_thing_is_not_woken_for_another() {
        let mut list = SessionWaiters::default();
        let ((first, first_waker), (second, second_waker)) = (counter(), counter());
        let (mut first_ticket, mut second_ticket) = (None, None);
        assert!(list.register_for(Kind::Datagram, &mut first_ticket, &first_waker).is_none());
        assert!(list.register_for(Kind::End, &mut second_ticket, &second_waker).is_none());
        let mut wakes = Vec::new();
        list.wake(Kind::Draining, &mut wakes);
        assert!(wakes.is_empty());
        list.wake(Kind::End, &mut wakes);
        wakes.drain(..).for_each(Waker::wake);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
        assert!(list.remove(second_ticket.unwrap()).is_none(), "woken");
        assert!(list.remove(first_ticket.unwrap()).is_some(), "still waiting, at another place than before");
        assert_eq!(list.len(), 0);
    }

    #[test]
    fn a_stream_has_one_waiter_of_each_kind() {
        let (first, first_waker) = counter();
        let (second, second_waker) = counter();
        let mut waiters = StreamWaiters::default();
        assert!(waiters.is_idle());
        assert!(waiters.register(Slot::Read, &first_waker).is_none());
        assert!(waiters.register(Slot::Read, &second_waker).is_some());
        assert!(waiters.register(Slot::Write, &first_waker).is_none());
        assert!(!waiters.is_idle());
        waiters.take(Slot::Write).unwrap().wake();
        let mut wakes = Vec::new();
        waiters.wake_everybody(&mut wakes);
        wakes.into_iter().for_each(Waker::wake);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 1));
        assert!(waiters.is_idle());
        waiters.delivery = Some(Delivery::Acknowledged);
        assert!(!waiters.is_idle(), "an acknowledgement would be missed");
    }
}
