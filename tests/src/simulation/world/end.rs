//! The end of a world: the network gets well, everything finishes, everybody goes, nothing is left.

use std::time::Duration;

use transom_core::{Connection, Direction, ErrorCode};

use super::World;
use super::app::{App, Sending};
use super::client::Peer;
use super::model::{Half, Phase, Verdict, require};
use super::node::Node;
use super::shared::Shared;

/// Virtual time without a byte delivered in which everything that can finish has to: megabytes through a window of one
/// kilobyte take their time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Virtual time in which even the slowest has finished.
const LONGEST: Duration = Duration::from_secs(1_800);

/// How long an abandoned connection may stay: the idle timeout, three times the longest retransmission timer, the
/// draining period.
const AFTERLIFE: Duration = Duration::from_secs(200);

/// Streams of a connection at rest beside its sessions': control and QPACK streams of both sides.
const CRITICAL_STREAMS: usize = 6;

impl World {
    /// The network gets well; what can finish has to.
    pub(super) fn heal(&mut self) -> Verdict {
        self.shared.script = false;
        self.network.heal();
        self.everybody(|app, connection, shared| {
            app.resume(connection, shared)?;
            app.finish_all(connection, shared)
        })?;
        self.settle("after the network got well")
    }

    /// Every session that is left still works: a stream each way, and nothing of it remains.
    pub(super) fn probe(&mut self) -> Verdict {
        self.everybody(
            |app, connection, shared| {
                if app.is_whole(shared) { app.probe(connection, shared) } else { Ok(()) }
            },
        )?;
        self.settle("after a last message")?;
        self.everybody(
            |app, connection, shared| {
                if app.is_whole(shared) { app.check_tables(connection) } else { Ok(()) }
            },
        )
    }

    /// Runs until nothing is owed.
    fn settle(&mut self, when: &str) -> Verdict {
        let (mut end, longest) = (self.shared.now + PATIENCE, self.shared.now + LONGEST);
        let mut delivered = self.shared.ledger.delivered();
        loop {
            let pause = (self.shared.now + Duration::from_millis(500)).min(end);
            while self.step(pause)? {}
            let owed = self.owed();
            if owed.is_ok() {
                return Ok(());
            }
            let before = std::mem::replace(&mut delivered, self.shared.ledger.delivered());
            if delivered > before {
                end = (self.shared.now + PATIENCE).min(longest);
            }
            if self.shared.now >= end {
                return owed.map_err(|reason| format!("{when}: {reason}"));
            }
        }
    }

    /// What has not finished between well-behaved peers.
    fn owed(&mut self) -> Verdict {
        let clients = self.clients.iter_mut().filter_map(|client| match &mut client.peer {
            Peer::Core(node) => Some(&mut **node),
            Peer::Unborn { .. } | Peer::Raw(_) => None,
        });
        for node in clients.chain([&mut self.server]) {
            for app in node.apps.values() {
                if app.is_whole(&mut self.shared) {
                    app.owed()?;
                }
            }
        }
        self.shared.ledger.settle()
    }

    /// Everybody goes, one way or another; nothing may be left.
    pub(super) fn leave(&mut self) -> Verdict {
        let way = self.shared.random.below(4);
        self.shared.note(&("leaving", way));
        let now = self.shared.now;
        match way {
            0 => {
                self.shared.server_closing = true;
                for app in self.server.apps.values_mut().filter(|app| !app.model.lost) {
                    app.model.connection_closed();
                    self.shared.ends(app.number).closed[1].get_or_insert(ErrorCode::H3_NO_ERROR);
                }
                self.server.endpoint.close(now, ErrorCode::H3_NO_ERROR, "the server goes");
                self.turn_server()?;
            }
            1 => {
                self.shared.server_closing = true;
                self.drain()?;
            }
            _ => {}
        }
        self.everybody_leaves(way)?;
        let end = self.shared.now + AFTERLIFE;
        while !self.is_empty() && self.step(end)? {}
        self.check_empty()
    }

    /// The server winds down: every session is told, and the clients end them.
    fn drain(&mut self) -> Verdict {
        for app in self.server.apps.values() {
            // The core closes a connection that has nothing left to do.
            self.shared.ends(app.number).closed[1].get_or_insert(ErrorCode::H3_NO_ERROR);
            for session in app.model.in_phase(Phase::Open) {
                self.shared.ledger.session(app.number, session).drained[1] = true;
            }
        }
        self.server.endpoint.drain(self.shared.now);
        self.turn_server()?;
        let end = self.shared.now + Duration::from_secs(2);
        while self.step(end)? {}
        self.everybody(|app, connection, shared| {
            let sessions = if app.down { Vec::new() } else { app.model.in_phase(Phase::Open) };
            sessions.into_iter().try_for_each(|session| app.close_one(connection, shared, session))
        })?;
        let end = self.shared.now + Duration::from_secs(2);
        while self.step(end)? {}
        Ok(())
    }

    fn everybody_leaves(&mut self, way: u64) -> Verdict {
        for index in 0..self.clients.len() {
            // Some vanish without a word.
            if way == 3 && self.shared.random.below(3) == 0 {
                let end = self.shared.now + AFTERLIFE;
                self.network.hosts[index].darken(true, true, end);
                self.shared.ends(index).may_be_silent = true;
            }
            self.command(index, false, |app, connection, shared| {
                app.close_connection(connection, shared);
                Ok(())
            })?;
            if let Peer::Raw(offender) = &mut self.clients[index].peer {
                offender.leave(&mut self.shared);
            }
            self.turn_client(index)?;
        }
        Ok(())
    }

    fn is_empty(&mut self) -> bool {
        let empty = |node: &Node| node.endpoint.is_drained();
        empty(&self.server)
            && self.clients.iter().all(|client| match &client.peer {
                Peer::Core(node) => empty(node),
                Peer::Unborn { .. } | Peer::Raw(_) => true,
            })
    }

    fn check_empty(&mut self) -> Verdict {
        self.server.check_empty("the server")?;
        for client in &mut self.clients {
            if let Peer::Core(node) = &mut client.peer {
                node.check_empty("a client")?;
            }
        }
        Ok(())
    }
}

impl Node {
    fn check_empty(&mut self, name: &str) -> Verdict {
        let stats = self.endpoint.stats();
        let counts = [stats.connections_open, stats.sessions_open];
        require(counts == [0, 0], format_args!("{name} counts {counts:?} connections and sessions at the end"))?;
        let due = self.endpoint.poll_timeout();
        require(self.endpoint.is_drained() && due.is_none(), format_args!("something is left of {name}"))?;
        let untold = self.apps.values().find(|app| !app.model.lost);
        require(
            untold.is_none(),
            format_args!("nobody told {:?} that the connection is over", untold.map(|app| app.id)),
        )
    }
}

impl App {
    /// Whether both sides are well-behaved and still there: what one has given up ends by time alone.
    fn is_whole(&self, shared: &mut Shared) -> bool {
        self.strict && shared.ends(self.number).over == [false; 2]
    }

    fn owed(&self) -> Verdict {
        let waits = self.model.in_phase(Phase::Requested).first().copied();
        require(waits.is_none(), self.blame(&format!("session {waits:?} waits for an answer")))?;
        let open = self.model.streams.iter().find(|(_, stream)| stream.send != Half::Over || stream.recv != Half::Over);
        require(open.is_none(), self.blame(&format!("not finished: {open:?}")))
    }

    fn probe(&mut self, connection: &mut Connection, shared: &mut Shared) -> Verdict {
        // A few: QUIC's own limits need not have room for all.
        for session in self.model.in_phase(Phase::Open).into_iter().take(3) {
            for direction in [Direction::Bidirectional, Direction::Unidirectional] {
                let Some(stream) = self.open_in(connection, shared, session, direction)? else {
                    return Err(self.blame(&format!("no stream can be opened in session {session} at rest")));
                };
                self.begin(connection, shared, stream, Sending { left: 100, finish: true })?;
            }
        }
        Ok(())
    }

    /// The core holds no more streams than the sessions explain.
    fn check_tables(&mut self, connection: &mut Connection) -> Verdict {
        let words = format!("{connection:?}");
        let count = words.split("streams: ").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
        let Some(count): Option<usize> = count else { return Err(format!("no count of streams in {words}")) };
        // Some may be closing still.
        let allowed = CRITICAL_STREAMS + words.matches("SessionId(").count();
        require(count <= allowed, self.blame(&format!("{count} streams at rest, {words}")))
    }
}
