//! What the two sides of a connection owe each other: each byte in order and unaltered, all of them if nobody cut the
//! stream, and no code or reason that the other side did not give.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use transom_core::{Role, SessionId, StreamId};

/// One direction of one stream of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) connection: usize,
    pub(super) stream: StreamId,
    /// Whether the server writes.
    pub(super) down: bool,
}

#[derive(Debug, Default)]
struct Entry {
    written: u64,
    read: u64,
    finished: bool,
    ended: bool,
    accepted: bool,
    /// Somebody reset or stopped it, or its session or connection ended: what is missing may be lost.
    cut: bool,
    reset: Option<u32>,
    stop: Option<u32>,
}

/// What both sides of a session have done; the index says whether it was the server.
#[derive(Debug, Default)]
pub(super) struct SessionFacts {
    pub(super) path: String,
    pub(super) refused: Option<u16>,
    pub(super) accepted: bool,
    pub(super) closed: [Option<(u32, String)>; 2],
    pub(super) over: [bool; 2],
    pub(super) drained: [bool; 2],
    datagrams: BTreeMap<(bool, u64), usize>,
}

/// Every stream and session there was between well-behaved peers.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    streams: BTreeMap<Key, (SessionId, Entry)>,
    sessions: BTreeMap<(usize, SessionId), SessionFacts>,
    delivered: u64,
    next_datagram: u64,
    /// The server turns streams away whose header is late.
    pub(super) hasty: bool,
}

impl Ledger {
    /// Facts about a session; made when first asked for.
    pub(super) fn session(&mut self, connection: usize, session: SessionId) -> &mut SessionFacts {
        self.sessions.entry((connection, session)).or_default()
    }

    pub(super) fn opened(&mut self, key: Key, session: SessionId) {
        self.streams.insert(key, (session, Entry::default()));
    }

    /// The peer took a stream out of its queue: it was opened in that session, and is taken once.
    pub(super) fn accepted(&mut self, key: Key, session: SessionId) -> Result<(), String> {
        match self.streams.get_mut(&key) {
            Some((of, entry)) if *of == session && !entry.accepted => {
                entry.accepted = true;
                Ok(())
            }
            other => Err(format!("{key:?} came out of session {session}, known is {other:?}")),
        }
    }

    pub(super) fn is_opened(&self, key: Key) -> bool {
        self.streams.contains_key(&key)
    }

    /// At most `size` bytes to write at the current end of a stream.
    pub(super) fn next_bytes(&self, key: Key, size: u64) -> &'static [u8] {
        let from = self.streams.get(&key).map_or(0, |(_, entry)| entry.written);
        pattern(key, from, size.min(CHUNK) as usize)
    }

    pub(super) fn wrote(&mut self, key: Key, size: usize) {
        self.change(key, |entry| entry.written += size as u64);
    }

    pub(super) fn finished(&mut self, key: Key) {
        self.change(key, |entry| entry.finished = true);
    }

    pub(super) fn reset(&mut self, key: Key, code: u32) {
        self.change(key, |entry| {
            entry.cut = true;
            entry.reset.get_or_insert(code);
        });
    }

    pub(super) fn stopped(&mut self, key: Key, code: u32) {
        self.change(key, |entry| {
            entry.cut = true;
            entry.stop.get_or_insert(code);
        });
    }

    /// A session is over on one side: its streams may have lost something.
    pub(super) fn session_over(&mut self, connection: usize, session: SessionId, down: bool) {
        self.session(connection, session).over[usize::from(down)] = true;
        let of = |key: &Key, session_of: SessionId| key.connection == connection && session_of == session;
        self.streams.iter_mut().filter(|(key, (id, _))| of(key, *id)).for_each(|(_, (_, entry))| entry.cut = true);
    }

    /// Bytes were read: they must be the next ones.
    pub(super) fn read(&mut self, key: Key, bytes: &[u8]) -> Result<(), String> {
        let Some((_, entry)) = self.streams.get_mut(&key) else { return Err(format!("{key:?} was never opened")) };
        for chunk in bytes.chunks(CHUNK as usize) {
            let end = entry.read + chunk.len() as u64;
            if end > entry.written || chunk != pattern(key, entry.read, chunk.len()) {
                return Err(format!("{key:?}: wrong bytes at {}, {} were written", entry.read, entry.written));
            }
            entry.read = end;
        }
        self.delivered += bytes.len() as u64;
        Ok(())
    }

    /// The reader saw the end: it must be the right one.
    pub(super) fn end(&mut self, key: Key) -> Result<(), String> {
        let Some((_, entry)) = self.streams.get_mut(&key) else { return Err(format!("{key:?} was never opened")) };
        if !entry.finished || entry.read != entry.written {
            return Err(format!("{key:?} ended at {} of {}, finished: {}", entry.read, entry.written, entry.finished));
        }
        entry.ended = true;
        Ok(())
    }

    /// The reader saw a reset with this code.
    pub(super) fn saw_reset(&mut self, key: Key, code: Option<u32>) -> Result<(), String> {
        let refused = self.may_be_refused(key);
        let Some((_, entry)) = self.streams.get_mut(&key) else { return Err(format!("{key:?} was never opened")) };
        entry.cut = true;
        let allowed = if code.is_some() { entry.reset == code } else { refused };
        if allowed { Ok(()) } else { Err(format!("{key:?} was reset with {code:?}, known is {entry:?}")) }
    }

    /// The writer was told that the reader stopped with this code.
    pub(super) fn saw_stop(&mut self, key: Key, code: Option<u32>) -> Result<(), String> {
        let refused = self.may_be_refused(key);
        let Some((_, entry)) = self.streams.get_mut(&key) else { return Err(format!("{key:?} was never opened")) };
        entry.cut = true;
        let allowed = if code.is_some() { entry.stop == code } else { refused };
        if allowed { Ok(()) } else { Err(format!("{key:?} was stopped with {code:?}, known is {entry:?}")) }
    }

    /// Whether a stream may end with a code that is no application's: its session is over, or the peer's application
    /// never saw it, because it was reset or stopped before its header arrived, or that took too long.
    fn may_be_refused(&self, key: Key) -> bool {
        let opened = Key { down: key.stream.initiator() == Role::Server, ..key };
        let Some((session, entry)) = self.streams.get(&opened) else { return false };
        let back = self.streams.get(&Key { down: !opened.down, ..key }).and_then(|(_, back)| back.stop);
        let unseen = !entry.accepted && (entry.reset.is_some() || back.is_some() || self.hasty);
        unseen || self.is_over(key, *session)
    }

    /// Whether the reader has stopped a stream or its session is over.
    pub(super) fn is_cut(&self, key: Key) -> bool {
        self.streams.get(&key).is_none_or(|(_, entry)| entry.cut)
    }

    /// A datagram to send: it names itself, so that it can be known again.
    pub(super) fn next_datagram(&mut self, connection: usize, session: SessionId, down: bool, size: usize) -> Vec<u8> {
        self.next_datagram += 1;
        let number = self.next_datagram;
        let mut payload = vec![number as u8; size];
        if let Some(head) = payload.get_mut(..8) {
            head.copy_from_slice(&number.to_be_bytes());
            self.session(connection, session).datagrams.insert((down, number), size);
        }
        payload
    }

    /// A datagram arrived: it was sent in this session and direction, comes once and unaltered. Short ones have no name.
    pub(super) fn got_datagram(
        &mut self,
        connection: usize,
        session: SessionId,
        down: bool,
        payload: &[u8],
    ) -> Result<(), String> {
        let Some(head) = payload.first_chunk::<8>() else { return Ok(()) };
        let number = u64::from_be_bytes(*head);
        let sent = self.session(connection, session).datagrams.remove(&(down, number));
        let intact = payload.get(8..).unwrap_or_default().iter().all(|byte| *byte == number as u8);
        if sent == Some(payload.len()) && intact {
            return Ok(());
        }
        Err(format!("datagram {number} of {} bytes in session {session}, sent was {sent:?}", payload.len()))
    }

    /// Everything that was finished and not cut must have arrived.
    pub(super) fn settle(&self) -> Result<(), String> {
        let owed = self.streams.iter().find(|(_, (_, entry))| entry.finished && !entry.cut && !entry.ended);
        match owed {
            Some((key, (session, entry))) => Err(format!("{key:?} of session {session} is owed: {entry:?}")),
            None => Ok(()),
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    fn is_over(&self, key: Key, session: SessionId) -> bool {
        self.sessions.get(&(key.connection, session)).is_some_and(|facts| facts.over[0] || facts.over[1])
    }

    fn change(&mut self, key: Key, change: impl FnOnce(&mut Entry)) {
        if let Some((_, entry)) = self.streams.get_mut(&key) {
            change(entry);
        }
    }
}

/// Bytes of a stream from a position on: each stream has its own place in one long pattern.
fn pattern(key: Key, from: u64, size: usize) -> &'static [u8] {
    let salt = key.stream.get().wrapping_mul(7_919) + u64::from(key.down) * 104_729 + key.connection as u64 * 1_299_709;
    let start = ((from + salt) % PERIOD) as usize;
    PATTERN.get(start..start + size).unwrap_or_default()
}

/// A prime, so that the pattern does not fit any packet or buffer size.
const PERIOD: u64 = 65_521;

/// The longest piece of the pattern at a time.
pub(super) const CHUNK: u64 = 64 * 1024;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let byte = |at: u64| ((at % PERIOD).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    (0..PERIOD + CHUNK).map(byte).collect()
});
