//! Several drivers behind one address: each packet reaches the one that it is for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use transom_core::{Receive, Worker};

/// The drivers that share an address.
#[derive(Debug)]
pub(crate) struct Crew {
    inboxes: Vec<Inbox>,
}

/// One driver's place among them.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    crew: Arc<Crew>,
    worker: Worker,
    /// Who is woken for what others hand on, unless it has been since.
    registered: Option<Waker>,
}

/// Datagrams that other drivers' sockets received for one.
#[derive(Debug, Default)]
struct Inbox {
    /// Whether there are any, so that looking costs no lock.
    filled: AtomicBool,
    received: AtomicU64,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    datagrams: Vec<Receive>,
    waker: Option<Waker>,
}

impl Crew {
    /// Places for `workers` drivers; `key` makes their connection ids.
    pub(crate) fn posts(workers: u8, key: [u8; 16]) -> Vec<Post> {
        let inboxes = (0..workers).map(|_| Inbox::default()).collect();
        let crew = Arc::new(Self { inboxes });
        (0..workers).map(|index| Post::new(&crew, Worker::new(index, key))).collect()
    }
}

impl Post {
    fn new(crew: &Arc<Crew>, worker: Worker) -> Self {
        Self { crew: Arc::clone(crew), worker, registered: None }
    }

    /// What the connection ids of this driver's endpoint say.
    pub(crate) fn worker(&self) -> Worker {
        self.worker
    }

    /// Hands a datagram on to the driver that it is for; gives it back if that is this one.
    pub(super) fn hand_on(&self, datagram: Receive) -> Option<Receive> {
        let owner = self.worker.owner(&datagram.data).filter(|owner| *owner != self.worker.index());
        let Some(inbox) = owner.and_then(|owner| self.crew.inboxes.get(usize::from(owner))) else {
            return Some(datagram);
        };
        inbox.put(datagram);
        None
    }

    /// Takes what other drivers received for this one, and has it woken when there is more.
    pub(super) fn collect(&mut self, waker: &Waker, sink: &mut VecDeque<Receive>) {
        let Some(inbox) = self.crew.inboxes.get(usize::from(self.worker.index())) else { return };
        let registered = self.registered.as_ref().is_some_and(|registered| registered.will_wake(waker));
        if registered && !inbox.filled.load(Ordering::Acquire) {
            return;
        }
        inbox.take(waker, sink);
        self.registered = Some(waker.clone());
    }

    /// Datagrams that other drivers received for this one.
    pub(super) fn handed_on(&self) -> u64 {
        let inbox = self.crew.inboxes.get(usize::from(self.worker.index()));
        inbox.map_or(0, |inbox| inbox.received.load(Ordering::Relaxed))
    }
}

impl Inbox {
    fn put(&self, datagram: Receive) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        // Beyond that it is loss, which QUIC repairs.
        if slot.datagrams.len() >= MAX_WAITING {
            return;
        }
        slot.datagrams.push(datagram);
        self.received.fetch_add(1, Ordering::Relaxed);
        self.filled.store(true, Ordering::Release);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self, waker: &Waker, sink: &mut VecDeque<Receive>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        self.filled.store(false, Ordering::Release);
        sink.extend(slot.datagrams.drain(..));
        let replaced = match &slot.waker {
            Some(registered) if registered.will_wake(waker) => None,
            _ => slot.waker.replace(waker.clone()),
        };
        drop(slot);
        // Dropping a waker may run code of others.
        drop(replaced);
    }
}

/// Datagrams that wait for a driver: a few batches.
const MAX_WAITING: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use bytes::BytesMut;

    use super::*;

    const KEY: [u8; 16] = [3; 16];

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A packet with a short header and this connection id.
    fn packet(id: &[u8]) -> Receive {
        let data = BytesMut::from(&[&[0x40], id, &[0; 20]].concat()[..]);
        Receive { remote: ([127, 0, 0, 1], 9).into(), local_ip: None, ecn: None, data }
    }

    #[test]
    fn a_packet_reaches_the_driver_it_is_for_and_wakes_it() {
        let mut posts = Crew::posts(2, KEY);
        let (id, bell) = (Worker::new(1, KEY).id(5), Arc::new(Bell::default()));
        let waker = Waker::from(Arc::clone(&bell));
        let mut received = VecDeque::new();
        posts[1].collect(&waker, &mut received);
        assert!(posts[1].hand_on(packet(&id)).is_some(), "its own");
        for round in 1..=3 {
            assert!(posts[0].hand_on(packet(&id)).is_none());
            assert_eq!(bell.0.load(Ordering::SeqCst), round, "woken each time");
            posts[1].collect(&waker, &mut received);
            assert_eq!((received.len(), posts[1].handed_on(), posts[0].handed_on()), (round, round as u64, 0));
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut posts = Crew::posts(2, KEY);
        for count in 0..MAX_WAITING + 10 {
            assert!(posts[0].hand_on(packet(&Worker::new(1, KEY).id(count as u64))).is_none());
        }
        let mut received = VecDeque::new();
        posts[1].collect(Waker::noop(), &mut received);
        assert_eq!(received.len(), MAX_WAITING);
    }

    #[test]
    fn what_is_nobody_s_is_for_who_got_it() {
        let posts = Crew::posts(2, KEY);
        assert!(posts[0].hand_on(packet(&[])).is_some());
        assert!(posts[0].hand_on(packet(&Worker::new(9, KEY).id(0))).is_some(), "there is no such driver");
    }
}
