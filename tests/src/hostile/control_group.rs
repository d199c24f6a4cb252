use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::place::echo;
use crate::raw::{DRAFT_02, Failure, Options, Peer};

/// Well-behaved sessions that echo on connections of their own for as long as the attacks last.
pub(super) struct ControlGroup {
    shared: Arc<Shared>,
    members: Vec<JoinHandle<u64>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    alarms: AtomicUsize,
    /// What the first session that did not get through has suffered.
    suffered: Mutex<Option<String>>,
}

impl ControlGroup {
    /// Starts this many sessions, each on its own thread and connection. One that suffers notes it and begins again, where
    /// the server is then.
    pub(super) fn start(address: &Arc<Mutex<SocketAddr>>, members: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let members = (0..members).map(|member| {
            let (shared, address) = (Arc::clone(&shared), Arc::clone(address));
            thread::spawn(move || {
                let mut rounds = 0;
                while !shared.over.load(Ordering::Relaxed) {
                    let address = *address.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Err(failure) = behave(address, member, &shared.over, &mut rounds) {
                        shared.note(format!("session {member}: {failure}"));
                        thread::sleep(PAUSE);
                    }
                }
                rounds
            })
        });
        let members = members.collect();
        Self { shared, members }
    }

    /// How often a session has suffered so far.
    pub(super) fn alarms(&self) -> usize {
        self.shared.alarms.load(Ordering::Relaxed)
    }

    /// Ends the sessions. Gives the number of rounds of all of them.
    ///
    /// # Errors
    /// Says what the first session that did not get through has suffered.
    pub(super) fn finish(self) -> Result<u64, String> {
        self.shared.over.store(true, Ordering::Relaxed);
        let mut rounds = 0;
        for (member, thread) in self.members.into_iter().enumerate() {
            rounds += thread.join().map_err(|_| format!("session {member}: its thread panicked"))?;
        }
        let suffered = self.shared.suffered.lock().unwrap_or_else(PoisonError::into_inner).take();
        suffered
            .map_or(Ok(rounds), |words| Err(format!("{words} ({} in all)", self.shared.alarms.load(Ordering::Relaxed))))
    }
}

impl Shared {
    fn note(&self, words: String) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
        self.suffered.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
    }
}

/// One session for the whole time: an open stream, new streams of both kinds, datagrams; every byte must come back.
fn behave(address: SocketAddr, member: usize, over: &AtomicBool, rounds: &mut u64) -> Result<(), Failure> {
    let options = Options { congestion_control: true, ..Options::default() };
    let mut peer = Peer::connect(address, &options)?;
    peer.send_settings(DRAFT_02)?;
    let session = peer.open_session(echo())?;
    let open = peer.open_wt_bidi(session, b"")?;
    let first = *rounds;
    while *rounds == first || !over.load(Ordering::Relaxed) {
        let message = message(member, *rounds);
        peer.say(open, &message)?;
        peer.echo_bidi(session, &message)?;
        peer.echo_uni(session, &message)?;
        peer.echo_datagram(session, &message[..message.len().min(800)])?;
        *rounds += 1;
        peer.client.rest(BREATH);
    }
    Ok(())
}

/// Bytes that differ between members and rounds, of many lengths.
fn message(member: usize, round: u64) -> Vec<u8> {
    let length = 1 + (round as usize * 379) % 5000;
    (0..length).map(|index| (index + member * 31 + round as usize * 7) as u8).collect()
}

/// The group shows that service goes on; it need not be a load.
const BREATH: Duration = Duration::from_millis(100);

/// Before a session that suffered begins again.
const PAUSE: Duration = Duration::from_secs(1);
