//! One session of a group, and what waits for it.

use std::collections::VecDeque;
use std::sync::Weak;

use bytes::Bytes;
use transom_core::SendDatagramError;

use super::{Shared, SlowReceivers};
use crate::error::SessionError;
use crate::session::Session;

/// One session of a group.
pub(super) struct Member {
    pub(super) session: Session,
    /// Tells it from itself before it left and came back.
    pub(super) ticket: u64,
    waiting: VecDeque<Bytes>,
    /// Whether a task is writing what waits.
    writing: bool,
    /// It left while a task was writing, and is kept for as long as that is so: one that comes and goes has one task.
    left: bool,
}

/// What became of a message to one member.
pub(super) enum Taken {
    Whole,
    InsteadOfOlder,
    Not,
    TooSlow,
}

impl Member {
    pub(super) fn new(session: Session, ticket: u64) -> Self {
        Self { session, ticket, waiting: VecDeque::new(), writing: false, left: false }
    }

    /// Whether its session is open and in the group.
    pub(super) fn is_here(&self) -> bool {
        !self.left && self.session.end().is_none()
    }

    /// Takes it back in; whether it had left.
    pub(super) fn comes_back(&mut self) -> bool {
        std::mem::take(&mut self.left)
    }

    /// Lets it go; whether nothing is left to be kept.
    pub(super) fn leaves(&mut self) -> bool {
        self.left = true;
        self.waiting.clear();
        !self.writing || self.session.end().is_some()
    }

    /// Queues a message for the task that writes.
    pub(super) fn take(&mut self, message: &Bytes, policy: &SlowReceivers, room: usize) -> Taken {
        let full = self.waiting.len() >= room;
        match policy {
            SlowReceivers::DropNewest if full => return Taken::Not,
            SlowReceivers::Disconnect(_) if full => return Taken::TooSlow,
            _ => {}
        }
        if full {
            self.waiting.pop_front();
        }
        self.waiting.push_back(message.clone());
        if full { Taken::InsteadOfOlder } else { Taken::Whole }
    }

    /// Hands a datagram to the session, which has a queue of its own.
    pub(super) fn take_datagram(&self, payload: &Bytes, policy: &SlowReceivers) -> Taken {
        let sent = match policy {
            SlowReceivers::DropOldest => self.session.send_datagram(payload.clone()),
            SlowReceivers::DropNewest | SlowReceivers::Disconnect(_) => self.session.try_send_datagram(payload),
        };
        match (sent, policy) {
            (Ok(()), _) => Taken::Whole,
            (Err(SendDatagramError::Blocked), SlowReceivers::Disconnect(_)) => Taken::TooSlow,
            (Err(_), _) => Taken::Not,
        }
    }

    /// Whether a task has to be started to write what waits.
    pub(super) fn begins_to_write(&mut self) -> bool {
        !self.waiting.is_empty() && !std::mem::replace(&mut self.writing, true)
    }
}

/// Writes what waits for a member until nothing does, or the group or the session is gone.
pub(super) async fn write(group: Weak<Shared>, key: usize, ticket: u64, session: Session) {
    while let Some(message) = next(&group, key, ticket) {
        let result = write_one(&session, message).await;
        if session.end().is_some() {
            return;
        }
        // A peer may stop a stream that it does not want; the next message is another one.
        if let Err(error) = result {
            tracing::debug!(%error, "a message to a group was not taken");
        }
    }
}

fn next(group: &Weak<Shared>, key: usize, ticket: u64) -> Option<Bytes> {
    let group = group.upgrade()?;
    let mut members = group.members();
    let member = members.by_key.get_mut(&key).filter(|member| member.ticket == ticket)?;
    if member.left {
        members.by_key.remove(&key);
        return None;
    }
    let message = member.waiting.pop_front();
    member.writing = message.is_some();
    message
}

async fn write_one(session: &Session, message: Bytes) -> Result<(), SessionError> {
    let mut stream = session.open_uni().await?;
    stream.write_bytes(message).await?;
    stream.finish()?;
    Ok(())
}
