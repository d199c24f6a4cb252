//! The chat room: what one session sends as a datagram, every other one gets.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use transom::Session;

use super::echo;

/// The sessions in the room.
#[derive(Debug, Default)]
pub(super) struct Room {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    /// The number the next member gets.
    next: u64,
    sessions: BTreeMap<u64, Session>,
}

impl Room {
    /// Takes part until the session is over.
    pub(super) async fn join(&self, session: &Session) {
        let Some(seat) = self.enter(session) else {
            session.close(FULL_CODE, "the room is full");
            return;
        };
        let relay = async {
            while let Ok(Some(message)) = session.recv_datagram().await {
                if is_message(&message) {
                    self.relay(seat.number, &message);
                }
            }
        };
        // Streams have no meaning here and are read away, so that they do not use up credit.
        tokio::join!(relay, echo::discard_streams(session));
    }

    /// How many sessions are in the room.
    pub(super) fn members(&self) -> usize {
        self.lock().sessions.len()
    }

    fn enter(&self, session: &Session) -> Option<Seat<'_>> {
        let mut members = self.lock();
        if members.sessions.len() >= MEMBERS {
            return None;
        }
        let number = members.next;
        members.next += 1;
        members.sessions.insert(number, session.clone());
        Some(Seat { room: self, number })
    }

    /// Sends to everyone but `from`; whoever is too slow loses the oldest messages.
    fn relay(&self, from: u64, message: &Bytes) {
        let others: Vec<Session> = {
            let members = self.lock();
            members.sessions.iter().filter(|(number, _)| **number != from).map(|(_, other)| other.clone()).collect()
        };
        for other in others {
            let _ = other.send_datagram(message.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the room, given up when dropped.
#[derive(Debug)]
struct Seat<'a> {
    room: &'a Room,
    number: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let session = self.room.lock().sessions.remove(&self.number);
        // Outside of the lock: the last clone of a session closes it.
        drop(session);
    }
}

fn is_message(datagram: &[u8]) -> bool {
    datagram.len() <= MESSAGE_BYTES && std::str::from_utf8(datagram).is_ok()
}

/// Sessions in the room at a time, at most.
const MEMBERS: usize = 1_000;
/// The close code for one more.
const FULL_CODE: u32 = 1;
/// The length of a message, at most; it fits a datagram on every path.
const MESSAGE_BYTES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::is_message;

    #[test]
    fn messages_are_short_text() {
        assert!(is_message(b"") && is_message("Grüße".as_bytes()) && is_message(&[b'a'; 1_000]));
        assert!(!is_message(&[b'a'; 1_001]) && !is_message(b"\xff"));
    }
}
