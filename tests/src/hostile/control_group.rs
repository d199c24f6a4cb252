use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Target;
use crate::raw::{DRAFT_02, Failure, Options, Peer};

/// Well-behaved sessions that echo on connections of their own for as long as the attacks last.
pub(super) struct ControlGroup {
    over: Arc<AtomicBool>,
    members: Vec<JoinHandle<Result<u64, Failure>>>,
}

impl ControlGroup {
    /// Starts this many sessions, each on its own thread and connection.
    pub(super) fn start(target: &Target, members: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let members = (0..members).map(|member| {
            let (over, address) = (over.clone(), target.address);
            thread::spawn(move || behave(address, member, &over))
        });
        let members = members.collect();
        Self { over, members }
    }

    /// Ends the sessions. Gives the number of rounds of all of them.
    ///
    /// # Errors
    /// Says what the first session that did not get through has suffered.
    pub(super) fn finish(self) -> Result<u64, String> {
        self.over.store(true, Ordering::Relaxed);
        let mut rounds = 0;
        for (member, thread) in self.members.into_iter().enumerate() {
            match thread.join() {
                Ok(Ok(more)) => rounds += more,
                Ok(Err(failure)) => return Err(format!("session {member}: {failure}")),
                Err(_) => return Err(format!("session {member}: its thread panicked")),
            }
        }
        Ok(rounds)
    }
}

/// One session for the whole time: an open stream, new streams of both kinds, datagrams; every byte must come back.
fn behave(address: std::net::SocketAddr, member: usize, over: &AtomicBool) -> Result<u64, Failure> {
    let options = Options { congestion_control: true, ..Options::default() };
    let mut peer = Peer::connect(address, &options)?;
    peer.send_settings(DRAFT_02)?;
    let session = peer.open_session("/echo")?;
    let open = peer.open_wt_bidi(session, b"")?;
    let mut rounds = 0;
    while rounds == 0 || !over.load(Ordering::Relaxed) {
        let message = message(member, rounds);
        peer.say(open, &message)?;
        peer.echo_bidi(session, &message)?;
        peer.echo_uni(session, &message)?;
        peer.echo_datagram(session, &message[..message.len().min(800)])?;
        rounds += 1;
        peer.client.rest(BREATH);
    }
    Ok(rounds)
}

/// Bytes that differ between members and rounds, of many lengths.
fn message(member: usize, round: u64) -> Vec<u8> {
    let length = 1 + (round as usize * 379) % 5000;
    (0..length).map(|index| (index + member * 31 + round as usize * 7) as u8).collect()
}

/// The group shows that service goes on; it need not be a load.
const BREATH: Duration = Duration::from_millis(100);
