//! The script: one random thing at a time, by either side of a connection or by its network.

use std::time::Duration;

use transom_core::{Connection, Direction, ErrorCode, Request, SessionId, StreamId};

use super::World;
use super::app::{App, Sending};
use super::client::Peer;
use super::model::{Half, Phase, Verdict};
use super::shared::Shared;
use crate::simulation::tls;

impl World {
    /// One random thing at one client.
    pub(super) fn act(&mut self, index: usize) -> Verdict {
        if !matches!(self.clients[index].peer, Peer::Unborn { .. }) {
            match self.shared.random.below(1_000) {
                0..=7 => self.rebind(index),
                8..=11 => self.darken(index),
                12..=15 => self.change_path(index),
                16..=17 => return self.reload(),
                _ => {}
            }
        }
        let down = match &mut self.clients[index].peer {
            Peer::Unborn { .. } => return self.connect(index),
            Peer::Raw(offender) if self.shared.random.below(3) > 0 => {
                offender.act(&mut self.shared);
                return Ok(());
            }
            Peer::Raw(offender) if self.shared.random.below(60) == 0 => {
                offender.leave(&mut self.shared);
                return Ok(());
            }
            Peer::Raw(_) => true,
            Peer::Core(_) => self.shared.random.below(2) == 0,
        };
        self.command(index, down, App::act)
    }

    fn rebind(&mut self, index: usize) {
        let ends = self.shared.ends(index);
        // A server takes no other address before the handshake is done.
        if ends.connected == [true; 2] && !ends.over[1] {
            let address = self.network.hosts[index].rebind();
            let strict = !matches!(self.clients[index].peer, Peer::Raw(_));
            self.owners.insert(address, (index, strict));
            self.shared.ends(index).rebound = true;
            self.shared.counts.rebindings += 1;
            self.shared.note(&(index, "rebind", address));
        }
    }

    fn darken(&mut self, index: usize) {
        let most = if self.shared.random.below(4) == 0 { 40_000 } else { SHORT_HOLE };
        let time = Duration::from_millis(self.shared.random.below(most));
        let which = self.shared.random.below(4);
        self.network.hosts[index].darken(which != 0, which != 1, self.shared.now + time);
        self.shared.counts.holes += 1;
        self.shared.note(&(index, "dark", which, time));
        let fair = self.network.hosts[index].is_fair();
        // Of several in a row nobody knows how long nothing was heard.
        let ends = self.shared.ends(index);
        ends.dark += time;
        ends.may_fail_to_connect = true;
        let most = if fair { SHORT_HOLE } else { SHORT_HOLE / 4 };
        ends.may_be_silent |= ends.dark > Duration::from_millis(most);
    }

    fn change_path(&mut self, index: usize) {
        let host = &mut self.network.hosts[index];
        if self.shared.random.below(2) == 0 {
            host.set_mtu(1_200 + self.shared.random.below(400) as usize);
        } else {
            host.reroute(&mut self.shared.random);
        }
        self.shared.ends(index).may_fail_to_connect = true;
        self.shared.counts.path_changes += 1;
        self.excuse(index);
    }

    /// The server changes its certificate for those who come later.
    fn reload(&mut self) -> Verdict {
        self.shared.note(&"reload");
        let (server, _) = tls::configs();
        self.server.endpoint.set_server_tls(server).map_err(|error| error.to_string())
    }
}

impl App {
    /// One random command.
    fn act(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        match shared.random.below(100) {
            0..=27 => self.open(connection, shared),
            28..=51 => self.write_more(connection, shared),
            52..=55 => self.reset(connection, shared),
            56..=59 => self.stop(connection, shared),
            60..=73 => self.datagram(connection, shared),
            74 => self.close(connection, shared),
            75 => self.finish_session(connection, shared),
            76 => self.drain(connection, shared),
            77..=80 => self.prioritize(connection, shared),
            81..=84 => self.resume(connection, shared),
            85..=90 => self.ask(connection, shared),
            91..=94 => self.misuse(connection, shared),
            95 if shared.random.below(8) == 0 => {
                self.close_connection(connection, shared);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A client asks for a session, and sometimes closes it before the answer.
    pub(super) fn ask(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        if self.down || !shared.script {
            return Ok(());
        }
        let path = format!("/{}/{}", self.number, shared.random.below(1_000));
        let mut request = Request::new("localhost", path.clone());
        if shared.random.below(3) == 0 {
            request = request.protocol("first").protocol("second");
        }
        let result = connection.request_session(request);
        shared.note(&(self.number, "ask", result));
        self.model.asked(result).map_err(|reason| self.blame(&format!("asking: {reason}")))?;
        let Ok(session) = result else { return Ok(()) };
        shared.ledger.session(self.number, session).path = path;
        if shared.random.below(30) == 0 { self.close_one(connection, shared, session) } else { Ok(()) }
    }

    fn open(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let sessions = self.model.in_phase(Phase::Open);
        let Some(session) = shared.random.pick(&sessions).copied() else { return self.ask(connection, shared) };
        let direction = if shared.random.below(2) == 0 { Direction::Bidirectional } else { Direction::Unidirectional };
        let Some(stream) = self.open_in(connection, shared, session, direction)? else { return Ok(()) };
        let (left, finish) = (shared.any_size(), shared.random.below(2) == 0);
        self.begin(connection, shared, stream, Sending { left, finish })
    }

    /// Opens a stream; `None` when the peer allows no more for now.
    pub(super) fn open_in(
        &mut self,
        connection: &mut Connection,
        shared: &mut Shared,
        session: SessionId,
        direction: Direction,
    ) -> Result<Option<StreamId>, String> {
        let Some(mut proxy) = self.proxy(connection, session)? else { return Ok(None) };
        let result = proxy.open(direction);
        shared.note(&(self.number, self.down, "open", result));
        self.model.open(session, direction, result).map_err(|reason| self.blame(&format!("opening: {reason}")))?;
        let Ok(stream) = result else { return Ok(None) };
        let both = direction == Direction::Bidirectional;
        if self.strict {
            shared.ledger.opened(self.key(stream, self.down), session);
        }
        if self.strict && both {
            shared.ledger.opened(self.key(stream, !self.down), session);
        }
        if both {
            self.watch(shared, stream);
        }
        Ok(Some(stream))
    }

    /// A session as the core has it; the model knows whether it must be there.
    fn proxy<'a>(
        &self,
        connection: &'a mut Connection,
        session: SessionId,
    ) -> Result<Option<transom_core::Session<'a>>, String> {
        let proxy = connection.session(session);
        self.model.looked_for(session, proxy.is_some()).map_err(|reason| self.blame(&reason))?;
        Ok(proxy)
    }

    fn write_more(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let streams = self.model.sending(Half::Open);
        let Some(stream) = shared.random.pick(&streams).copied() else { return Ok(()) };
        let (left, finish) = (shared.any_size(), shared.random.below(3) == 0);
        self.begin(connection, shared, stream, Sending { left, finish })
    }

    fn reset(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let half = if shared.random.below(3) == 0 { Half::Finished } else { Half::Open };
        let streams = self.model.sending(half);
        let Some(stream) = shared.random.pick(&streams).copied() else { return Ok(()) };
        let code = shared.random.number() as u32;
        let result = connection.send_stream(stream).reset(code);
        shared.counts.resets += 1;
        shared.ledger.reset(self.key(stream, self.down), code);
        self.let_go(stream, true);
        self.model.reset(stream, result).map_err(|reason| self.blame(&format!("resetting {stream}: {reason}")))
    }

    fn stop(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let streams = self.model.receiving();
        let Some(stream) = shared.random.pick(&streams).copied() else { return Ok(()) };
        let code = shared.random.number() as u32;
        let result = connection.recv_stream(stream).stop(code);
        shared.counts.stops += 1;
        shared.ledger.stopped(self.key(stream, !self.down), code);
        self.let_go(stream, false);
        self.model.stop(stream, result).map_err(|reason| self.blame(&format!("stopping {stream}: {reason}")))
    }

    fn datagram(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let sessions = self.model.in_phase(Phase::Open);
        let Some(session) = shared.random.pick(&sessions).copied() else { return Ok(()) };
        for _ in 0..=shared.random.below(4) {
            let size = shared.random.below(1_400) as usize;
            let payload = shared.ledger.next_datagram(self.number, session, self.down, size);
            let Some(mut proxy) = self.proxy(connection, session)? else { return Ok(()) };
            let result = if shared.random.below(2) == 0 {
                proxy.send_datagram(&payload)
            } else {
                proxy.force_datagram(&payload)
            };
            shared.note(&(self.number, self.down, "datagram", size, result));
        }
        Ok(())
    }

    fn close(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let sessions: Vec<SessionId> = self.model.sessions.keys().copied().collect();
        match shared.random.pick(&sessions).copied() {
            Some(session) => self.close_one(connection, shared, session),
            None => Ok(()),
        }
    }

    pub(super) fn close_one(
        &mut self,
        connection: &mut Connection,
        shared: &mut Shared,
        session: SessionId,
    ) -> Verdict {
        let reason = "r".repeat([0, 0, 1, 20, 1_024].get(shared.random.below(5) as usize).copied().unwrap_or(0));
        let code = shared.random.number() as u32 >> shared.random.below(32);
        if let Some(mut proxy) = self.proxy(connection, session)? {
            proxy.close(code, &reason);
            self.model.closed(session, code, &reason);
        }
        Ok(())
    }

    fn finish_session(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let sessions = self.model.in_phase(Phase::Open);
        let Some(session) = shared.random.pick(&sessions).copied() else { return Ok(()) };
        if let Some(mut proxy) = self.proxy(connection, session)? {
            proxy.finish();
            self.model.finishing(session);
        }
        Ok(())
    }

    fn drain(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let sessions = self.model.in_phase(Phase::Open);
        let Some(session) = shared.random.pick(&sessions).copied() else { return Ok(()) };
        if let Some(mut proxy) = self.proxy(connection, session)? {
            proxy.drain();
            shared.ledger.session(self.number, session).drained[usize::from(self.down)] = true;
        }
        Ok(())
    }

    fn prioritize(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let streams = self.model.sending(Half::Open);
        let Some(stream) = shared.random.pick(&streams).copied() else { return Ok(()) };
        let priority = shared.random.below(5) as i32 - 2;
        let result = connection.send_stream(stream).set_priority(priority);
        // A stream that the peer has stopped may be gone already.
        let gone = !self.strict || shared.ledger.is_cut(self.key(stream, self.down));
        if result.is_ok() || gone { Ok(()) } else { Err(self.blame(&format!("priority of open {stream}: {result:?}"))) }
    }

    /// Commands on streams of any state: model and core must agree on what is over.
    fn misuse(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        let streams: Vec<StreamId> = self.model.streams.keys().copied().collect();
        let Some(stream) = shared.random.pick(&streams).copied() else { return Ok(()) };
        let Some(known) = self.model.streams.get(&stream) else { return Ok(()) };
        let (send, recv) = (known.send, known.recv);
        match shared.random.below(4) {
            0 if send != Half::Open => self.write(connection, shared, stream, 1).map(|_| ()),
            1 if send != Half::Open => self.finish(connection, shared, stream),
            2 if recv == Half::Over => {
                let result = connection.recv_stream(stream).read(1);
                self.judge_read(shared, stream, 1, &result)
            }
            3 if recv == Half::Over => {
                let result = connection.recv_stream(stream).stop(1);
                self.model.stop(stream, result).map_err(|reason| self.blame(&reason))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn close_connection(&mut self, connection: &mut Connection, shared: &mut Shared) {
        let code = ErrorCode(0x100 + shared.random.below(0x10));
        connection.close(code, "done");
        self.model.connection_closed();
        let ends = shared.ends(self.number);
        ends.closed[usize::from(self.down)].get_or_insert(code);
    }
}

/// The longest darkness that no connection may die of, milliseconds; a quarter of it where losses come on top.
pub(super) const SHORT_HOLE: u64 = 8_000;
