//! What every stream owes: each byte in order and unaltered, and all of them if nobody cut it.

use std::collections::BTreeMap;

use transom_core::{SessionId, StreamId};

/// One direction of one stream of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) client: usize,
    pub(super) stream: StreamId,
    /// Whether the server writes.
    pub(super) down: bool,
}

#[derive(Debug)]
struct Entry {
    session: SessionId,
    written: u64,
    read: u64,
    finished: bool,
    ended: bool,
    /// Somebody reset or stopped it, or its session or connection ended: what is missing may be lost.
    cut: bool,
}

/// Every stream there was.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    streams: BTreeMap<Key, Entry>,
    delivered: u64,
}

impl Ledger {
    pub(super) fn opened(&mut self, key: Key, session: SessionId) {
        let entry = Entry { session, written: 0, read: 0, finished: false, ended: false, cut: false };
        self.streams.insert(key, entry);
    }

    /// The bytes to write at the current end of a stream.
    pub(super) fn next_bytes(&self, key: Key, size: usize) -> Vec<u8> {
        let from = self.streams.get(&key).map_or(0, |entry| entry.written);
        (from..from + size as u64).map(|at| byte(key, at)).collect()
    }

    pub(super) fn wrote(&mut self, key: Key, size: usize) {
        if let Some(entry) = self.streams.get_mut(&key) {
            entry.written += size as u64;
        }
    }

    pub(super) fn finished(&mut self, key: Key) {
        if let Some(entry) = self.streams.get_mut(&key) {
            entry.finished = true;
        }
    }

    pub(super) fn cut(&mut self, key: Key) {
        if let Some(entry) = self.streams.get_mut(&key) {
            entry.cut = true;
        }
    }

    /// A session is over: its streams may have lost something.
    pub(super) fn cut_session(&mut self, client: usize, session: SessionId) {
        let of = |key: &Key, entry: &Entry| key.client == client && entry.session == session;
        self.streams.iter_mut().filter(|(key, entry)| of(key, entry)).for_each(|(_, entry)| entry.cut = true);
    }

    /// Bytes were read: they must be the next ones.
    pub(super) fn read(&mut self, key: Key, bytes: &[u8]) -> Result<(), String> {
        let Some(entry) = self.streams.get_mut(&key) else { return Err(format!("{key:?} was never opened")) };
        for value in bytes {
            if entry.read >= entry.written || *value != byte(key, entry.read) {
                return Err(format!("{key:?}: wrong byte at {}, {} were written", entry.read, entry.written));
            }
            entry.read += 1;
        }
        self.delivered += bytes.len() as u64;
        Ok(())
    }

    /// The reader saw the end: it must be the right one.
    pub(super) fn end(&mut self, key: Key) -> Result<(), String> {
        let Some(entry) = self.streams.get_mut(&key) else { return Err(format!("{key:?} was never opened")) };
        if !entry.finished || entry.read != entry.written {
            return Err(format!("{key:?} ended at {} of {}, finished: {}", entry.read, entry.written, entry.finished));
        }
        entry.ended = true;
        Ok(())
    }

    /// Everything that was finished and not cut must have arrived.
    pub(super) fn settle(&self) -> Result<(), String> {
        let owed = self.streams.iter().find(|(_, entry)| entry.finished && !entry.cut && !entry.ended);
        match owed {
            Some((key, entry)) => Err(format!("{key:?} is owed: {} of {} bytes arrived", entry.read, entry.written)),
            None => Ok(()),
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }
}

fn byte(key: Key, at: u64) -> u8 {
    let mixed = at.wrapping_mul(0x9e37_79b9).wrapping_add(key.stream.get()).wrapping_add(u64::from(key.down));
    (mixed >> 7) as u8
}
