use std::time::Duration;

use super::attacker::Attacker;
use super::{Case, Reaction, Scene, Scope};
use crate::raw::Failure;

/// Bytes for one stream and the reaction they must get, written at once and, as a second case, byte by byte.
pub(super) struct Script {
    rows: &'static str,
    name: String,
    on: On,
    bytes: Vec<u8>,
    end: End,
    expected: Vec<Reaction>,
    scope: Scope,
}

/// Where the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// A unidirectional stream that is the first of the connection; no SETTINGS were sent before.
    Opening,
    /// The control stream, after well-formed SETTINGS, beside a session.
    Control,
    /// A new unidirectional stream, beside a session.
    Uni,
    /// A new bidirectional stream, beside a session.
    Bidi,
    /// A new bidirectional stream, with no session on the connection.
    Request,
    /// The CONNECT stream of a session, after its 200.
    Connect,
}

/// What follows the bytes.
#[derive(Debug, Clone, Copy)]
enum End {
    Open,
    Fin,
    Reset(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Whole,
    ByteByByte,
}

/// A script that leaves its stream open.
pub(super) fn script(
    rows: &'static str,
    name: impl Into<String>,
    on: On,
    bytes: impl Into<Vec<u8>>,
    expected: &[Reaction],
) -> Script {
    Script {
        rows,
        name: name.into(),
        on,
        bytes: bytes.into(),
        end: End::Open,
        expected: expected.to_vec(),
        scope: Scope::Everyone,
    }
}

impl Script {
    /// Ends the stream with FIN.
    pub(super) fn fin(mut self) -> Self {
        self.end = End::Fin;
        self
    }

    /// Ends the stream with a reset.
    pub(super) fn reset(mut self, code: u64) -> Self {
        self.end = End::Reset(code);
        self
    }

    /// Says for whom its cases count, if not for everyone.
    pub(super) fn counts_for(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The case with the bytes in one piece, and the one with each byte in a packet of its own.
    pub(super) fn cases(self) -> Vec<Case> {
        let Self { rows, name, on, bytes, end, expected, scope } = self;
        let mut cases = Vec::new();
        if (2..=DRIP_LIMIT).contains(&bytes.len()) {
            let bytes = bytes.clone();
            let name = format!("{name}, byte by byte");
            let attack = move |scene: &Scene<'_>| play(scene, on, &bytes, end, Feed::ByteByByte);
            cases.push(Case::new(rows, name, &expected, attack).counts_for(scope));
        }
        let attack = move |scene: &Scene<'_>| play(scene, on, &bytes, end, Feed::Whole);
        cases.insert(0, Case::new(rows, name, &expected, attack).counts_for(scope));
        cases
    }
}

fn play(scene: &Scene<'_>, on: On, bytes: &[u8], end: End, feed: Feed) -> Result<Reaction, Failure> {
    let (mut attacker, stream) = stage(scene, on)?;
    match write(&mut attacker, stream, bytes, feed).and_then(|()| finish(&mut attacker, stream, end)) {
        // The server reacted before it had seen everything.
        Ok(()) | Err(Failure::Closed(_)) => {}
        Err(failure) => return Err(failure),
    }
    match on {
        On::Opening | On::Control => attacker.reaction_of_connection(),
        On::Connect => attacker.reaction_of_session(),
        On::Request => react_to_request(&mut attacker, stream),
        On::Uni | On::Bidi => attacker.reaction(stream),
    }
}

fn stage(scene: &Scene<'_>, on: On) -> Result<(Attacker, u64), Failure> {
    let mut attacker = match on {
        On::Opening => scene.silent()?,
        On::Request => scene.greeted()?,
        On::Control | On::Uni | On::Bidi | On::Connect => scene.in_session()?,
    };
    let stream = match on {
        On::Opening | On::Uni => attacker.peer.client.open_uni()?,
        On::Bidi | On::Request => attacker.peer.client.open_bidi()?,
        On::Control => attacker.peer.control()?,
        On::Connect => attacker.session()?,
    };
    Ok((attacker, stream))
}

fn write(attacker: &mut Attacker, stream: u64, bytes: &[u8], feed: Feed) -> Result<(), Failure> {
    if feed == Feed::Whole {
        return attacker.peer.client.write(stream, bytes);
    }
    for byte in bytes.chunks(1) {
        attacker.peer.client.write(stream, byte)?;
        attacker.peer.client.rest(BETWEEN_BYTES);
    }
    Ok(())
}

fn finish(attacker: &mut Attacker, stream: u64, end: End) -> Result<(), Failure> {
    match end {
        End::Open => Ok(()),
        End::Fin => attacker.peer.client.finish(stream),
        End::Reset(code) => {
            // A reset takes unread bytes with it: let the server read them first.
            attacker.peer.client.rest(BEFORE_RESET);
            attacker.peer.client.reset(stream, code)
        }
    }
}

/// An accepted request is the session that must go on; after any other answer the connection must take a new one.
fn react_to_request(attacker: &mut Attacker, stream: u64) -> Result<Reaction, Failure> {
    if attacker.wait_for_reaction(stream).is_some_and(|response| response.status == 200) {
        attacker.adopt(stream)?;
    }
    attacker.reaction(stream)
}

/// Longer scripts only run in one piece.
const DRIP_LIMIT: usize = 400;

/// Long enough for the server to have read one byte before the next one comes.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);

const BEFORE_RESET: Duration = Duration::from_millis(100);
