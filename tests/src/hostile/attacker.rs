use std::time::Duration;

use super::place::{authority, echo};
use super::{Reaction, Scene};
use crate::raw::{Close, DRAFT_02, Failure, Options, Peer, Request, Response, StreamSeen, code};

/// A peer that is about to misbehave, with what must survive it on its own connection.
pub(super) struct Attacker {
    pub(super) peer: Peer,
    /// The session that must live on, with an open stream that must keep echoing.
    session: Option<(u64, u64)>,
    patient: bool,
}

impl Scene<'_> {
    /// A connection on which nothing of HTTP/3 was sent.
    pub(super) fn silent(&self) -> Result<Attacker, Failure> {
        self.silent_with(&Options::default())
    }

    /// The same, with other transport parameters.
    pub(super) fn silent_with(&self, options: &Options) -> Result<Attacker, Failure> {
        let mut options = Options { end: Some(self.end), ..options.clone() };
        host(authority()).clone_into(&mut options.server_name);
        let mut peer = Peer::connect(self.target.address, &options)?;
        peer.patience = if self.slow { BEYOND_DEADLINES } else { self.target.patience };
        let patient = !self.expected.contains(&Reaction::GoesOn);
        Ok(Attacker { peer, session: None, patient })
    }

    /// A connection with a well-formed control stream.
    pub(super) fn greeted(&self) -> Result<Attacker, Failure> {
        self.greeted_with(DRAFT_02)
    }

    /// The same, with other settings.
    pub(super) fn greeted_with(&self, settings: &[(u64, u64)]) -> Result<Attacker, Failure> {
        let mut attacker = self.silent()?;
        attacker.peer.send_settings(settings)?;
        Ok(attacker)
    }

    /// A connection with an echo session and an open stream on it.
    pub(super) fn in_session(&self) -> Result<Attacker, Failure> {
        let mut attacker = self.greeted()?;
        attacker.open_witness()?;
        Ok(attacker)
    }
}

impl Attacker {
    /// The session that was opened with [`Scene::in_session`].
    pub(super) fn session(&self) -> Result<u64, Failure> {
        self.session.map(|(session, _)| session).ok_or_else(|| Failure::unexpected("no session is open"))
    }

    /// The open echo stream of that session.
    pub(super) fn witness(&self) -> Result<u64, Failure> {
        self.session.map(|(_, witness)| witness).ok_or_else(|| Failure::unexpected("no session is open"))
    }

    /// Says that the session is meant to be over: the connection must then take a new one.
    pub(super) fn give_up_session(&mut self) {
        self.session = None;
    }

    /// Opens an echo session and a stream on it that must go on.
    pub(super) fn open_witness(&mut self) -> Result<u64, Failure> {
        let session = self.peer.open_session(echo())?;
        self.adopt(session)?;
        Ok(session)
    }

    /// Takes an accepted echo session as the one that must live on.
    pub(super) fn adopt(&mut self, session: u64) -> Result<(), Failure> {
        let witness = self.peer.open_wt_bidi(session, b"")?;
        self.peer.say(witness, b"here")?;
        self.session = Some((session, witness));
        Ok(())
    }

    /// Sends a request for `path` and gives its stream.
    pub(super) fn request(&mut self, path: &str) -> Result<u64, Failure> {
        self.peer.send(&Request::webtransport(authority(), path))
    }

    /// The open session still carries everything; without one, a new session opens on this connection.
    pub(super) fn others_go_on(&mut self) -> Result<(), Failure> {
        if self.session.is_none() {
            self.open_witness()?;
        }
        let (session, witness) = (self.session()?, self.witness()?);
        self.peer.say(witness, b"still there?")?;
        self.peer.echo_bidi(session, b"a new stream")?;
        self.peer.echo_datagram(session, b"a datagram")
    }

    /// How the server reacted, as shown by `stream` and by the connection; everything that may live must be alive.
    pub(super) fn reaction(&mut self, stream: u64) -> Result<Reaction, Failure> {
        if self.patient {
            self.wait_for_reaction(stream);
        }
        let mut others = self.others_go_on();
        // Once more: what was still under way to us is here now.
        if others.is_ok() {
            self.peer.client.rest(SETTLE);
            others = self.others_go_on();
        }
        let reaction = self.classify(stream)?;
        match (reaction, others) {
            (Reaction::Closes(_) | Reaction::ClosesTransport(_), _) | (_, Ok(())) => Ok(reaction),
            (_, Err(failure)) => self.aftermath(reaction, &failure),
        }
    }

    /// A reaction after which nothing else works on the connection. That hurts nobody who was on it if nobody was.
    fn aftermath(&self, reaction: Reaction, failure: &Failure) -> Result<Reaction, Failure> {
        let alone = if self.session.is_none() { reaction.for_good() } else { None };
        alone.ok_or_else(|| Failure::unexpected(format!("{reaction}, but then: {failure}")))
    }

    /// How the server reacted, for an attack that has looked after the others itself.
    pub(super) fn reaction_alone(&mut self, stream: u64) -> Result<Reaction, Failure> {
        self.classify(stream)
    }

    /// Waits until the stream or the connection shows something final, and gives the response if there is one.
    pub(super) fn wait_for_reaction(&mut self, stream: u64) -> Option<Response> {
        let patience = self.peer.patience;
        self.peer.client.wait(patience, |seen| {
            let settled = seen.close.is_some() || has_reacted(seen.stream(stream));
            settled.then_some(())
        });
        Response::parse(&self.peer.client.seen().stream(stream).data).unwrap_or(None)
    }

    /// How the connection reacted where no stream shows it.
    pub(super) fn reaction_of_connection(&mut self) -> Result<Reaction, Failure> {
        if self.patient {
            let patience = self.peer.patience;
            self.peer.client.wait(patience, |seen| seen.close.clone());
        }
        let others = self.others_go_on();
        if let Some(reaction) = self.closed() {
            return reaction;
        }
        others.map(|()| Reaction::GoesOn)
    }

    /// How a session's CONNECT stream reacted. When it has ended, the connection must take a new session.
    pub(super) fn reaction_of_session(&mut self) -> Result<Reaction, Failure> {
        let connect = self.session()?;
        if self.patient {
            let patience = self.peer.patience;
            self.peer.client.wait(patience, |seen| {
                let stream = seen.stream(connect);
                (seen.close.is_some() || stream.ended() || stream.aborted()).then_some(())
            });
        } else {
            let _ = self.others_go_on();
        }
        if self.patient || self.peer.client.seen().stream(connect).ended() {
            self.give_up_session();
        }
        let others = self.others_go_on();
        if let Some(reaction) = self.closed() {
            return reaction;
        }
        let stream = self.peer.client.seen().stream(connect);
        let reaction = match abort_code(stream, None)? {
            Some(code) => Reaction::Aborts(code),
            None if stream.fin => Reaction::Finishes,
            None => Reaction::GoesOn,
        };
        others.map_or_else(|failure| self.aftermath(reaction, &failure), |()| Ok(reaction))
    }

    fn classify(&mut self, stream: u64) -> Result<Reaction, Failure> {
        if let Some(reaction) = self.closed() {
            return reaction;
        }
        let seen = self.peer.client.seen().stream(stream);
        let is_request = stream.is_multiple_of(4);
        let response = if is_request { Response::parse(&seen.data).unwrap_or(None) } else { None };
        if let Some(code) = abort_code(seen, response.as_ref())? {
            return Ok(Reaction::Aborts(code));
        }
        Ok(response.map_or(Reaction::GoesOn, |response| Reaction::Answers(response.status)))
    }

    fn closed(&self) -> Option<Result<Reaction, Failure>> {
        match self.peer.client.seen().close.clone()? {
            Close::Application { code, .. } => Some(Ok(Reaction::Closes(code))),
            Close::Transport { code, .. } => Some(Ok(Reaction::ClosesTransport(code))),
            other @ Close::Other(_) => Some(Err(Failure::Closed(other))),
        }
    }
}

/// The host of an authority. A server may be known by its address only; the name in the handshake is `localhost` then.
fn host(authority: &str) -> &str {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if host.parse::<std::net::Ipv4Addr>().is_ok() || host.contains(['[', ':']) { "localhost" } else { host }
}

/// Whether a stream has shown something that counts as a reaction.
fn has_reacted(stream: &StreamSeen) -> bool {
    let answered = Response::parse(&stream.data)
        .is_ok_and(|response| response.is_some_and(|response| stream.ended() || (200..300).contains(&response.status)));
    answered || stream.aborted()
}

/// The one code with which a stream was reset and stopped. After a response, stopping with H3_NO_ERROR says only that
/// the rest of the request is not needed.
fn abort_code(stream: &StreamSeen, response: Option<&Response>) -> Result<Option<u64>, Failure> {
    let stop = stream.stop.filter(|code| response.is_none() || *code != code::H3_NO_ERROR);
    match (stream.reset, stop) {
        (Some(reset), Some(stop)) if reset != stop => {
            let words = format!("reset with {}, but stopped with {}", code::name(reset), code::name(stop));
            Err(Failure::Unexpected(words))
        }
        (reset, stop) => Ok(reset.or(stop)),
    }
}

/// The server's longest deadline is ten seconds.
const BEYOND_DEADLINES: Duration = Duration::from_secs(25);

const SETTLE: Duration = Duration::from_millis(20);
