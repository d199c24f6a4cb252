//! Several clients and a server with random scripts over bad networks, judged by a ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use transom_core::{Config, Direction, Event, ReadError, Request, Response, SessionId, StreamId};

use super::ledger::{Key, Ledger};
use super::link::LinkConfig;
use super::pair::{Pair, Side};
use super::random::Random;

/// One simulated world: several connections, each a client and a server's side of it, all from one seed.
///
/// Every client has a server endpoint of its own: what one connection does to another inside an endpoint is left to
/// tests that look at it.
#[derive(Debug)]
pub struct World {
    random: Random,
    clients: Vec<Client>,
    ledger: Ledger,
    trace: DefaultHasher,
    scale: u64,
}

/// What came of one world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Hash over everything that happened; the same for the same seed.
    pub trace: u64,
    /// Streams there were.
    pub streams: usize,
    /// Bytes that arrived on them.
    pub bytes: u64,
}

#[derive(Debug)]
struct Client {
    pair: Pair,
    /// The request that is not answered.
    asked: Option<SessionId>,
    session: Option<SessionId>,
    /// Streams each side can still write (up: the client does) or read.
    writing: BTreeSet<Key>,
    reading: BTreeMap<Key, SessionId>,
    lost: bool,
}

/// Steps of a script.
const STEPS: u64 = 120;

impl World {
    /// Runs the world of a seed to its end.
    ///
    /// # Errors
    ///
    /// What went wrong, in a sentence.
    pub fn run(seed: u64) -> Result<Report, String> {
        let mut random = Random::new(seed);
        let clients = 1 + random.below(3);
        let clients = (0..clients).map(|index| Client::new(&mut random, seed.wrapping_add(index))).collect();
        let mut world = Self { random, clients, ledger: Ledger::default(), trace: DefaultHasher::new(), scale: 1 };
        for _ in 0..STEPS {
            for client in 0..world.clients.len() {
                world.step(client)?;
            }
        }
        world.heal()?;
        world.ledger.settle()?;
        world.leave()?;
        let (streams, bytes) = (world.ledger.streams(), world.ledger.delivered());
        Ok(Report { trace: world.trace.finish(), streams, bytes })
    }

    fn note(&mut self, what: &impl Debug) {
        format!("{what:?}").hash(&mut self.trace);
    }

    /// One random thing on one connection, then time passes and everybody reads.
    fn step(&mut self, index: usize) -> Result<(), String> {
        let dice = self.random.below(100);
        let down = self.random.below(2) == 0;
        let direction = if self.random.below(2) == 0 { Direction::Bidirectional } else { Direction::Unidirectional };
        match dice {
            0..=29 => self.open(index, down, direction),
            30..=64 => self.write(index),
            65..=69 => self.reset(index),
            70..=74 => self.stop(index),
            75..=89 => self.datagram(index, down),
            90..=91 => self.close(index, down),
            92 => self.drain(index, down),
            _ => {}
        }
        let pause = self.random.below(60 * self.scale);
        self.clients[index].pair.run_for(Duration::from_millis(pause));
        self.observe(index)
    }

    fn open(&mut self, index: usize, down: bool, direction: Direction) {
        let client = &mut self.clients[index];
        let Some(session) = client.session else {
            return client.ask();
        };
        let side = client.side(down);
        if side.is_gone() {
            return;
        }
        let Some(Ok(stream)) = side.connection().session(session).map(|mut session| session.open(direction)) else {
            return;
        };
        let key = Key { client: index, stream, down };
        client.writing.insert(key);
        self.ledger.opened(key, session);
        if direction == Direction::Bidirectional {
            let back = Key { down: !down, ..key };
            client.reading.insert(back, session);
            self.ledger.opened(back, session);
        }
    }

    fn write(&mut self, index: usize) {
        let Some(key) = self.any_writing(index) else { return };
        let size = 1 + self.random.below(20_000) as usize;
        let finish = self.random.below(3) == 0;
        let bytes = self.ledger.next_bytes(key, size);
        if let Ok(taken) = self.clients[index].side(key.down).write(key.stream, &bytes) {
            self.ledger.wrote(key, taken);
            if !finish {
                return;
            }
            if self.clients[index].side(key.down).connection().send_stream(key.stream).finish().is_ok() {
                self.ledger.finished(key);
            }
        }
        self.clients[index].writing.remove(&key);
    }

    fn reset(&mut self, index: usize) {
        let Some(key) = self.any_writing(index) else { return };
        let code = self.random.number() as u32;
        let _ = self.clients[index].side(key.down).connection().send_stream(key.stream).reset(code);
        self.clients[index].writing.remove(&key);
        self.ledger.cut(key);
    }

    fn stop(&mut self, index: usize) {
        let keys: Vec<Key> = self.clients[index].reading.keys().copied().collect();
        let Some(key) = self.random.pick(&keys).copied() else { return };
        let code = self.random.number() as u32;
        let reader = self.clients[index].side(!key.down);
        if !reader.is_gone() {
            let _ = reader.connection().recv_stream(key.stream).stop(code);
        }
        self.clients[index].reading.remove(&key);
        self.ledger.cut(key);
    }

    fn datagram(&mut self, index: usize, down: bool) {
        let payload = vec![self.random.below(256) as u8; self.random.below(1_300) as usize];
        let client = &mut self.clients[index];
        let Some(session) = client.session else { return };
        let side = client.side(down);
        if !side.is_gone()
            && let Some(mut session) = side.connection().session(session)
        {
            let _ = session.force_datagram(&payload);
        }
    }

    fn close(&mut self, index: usize, down: bool) {
        let code = self.random.number() as u32;
        let client = &mut self.clients[index];
        let Some(session) = client.session else { return };
        let side = client.side(down);
        if !side.is_gone()
            && let Some(mut session) = side.connection().session(session)
        {
            session.close(code, "simulated");
        }
    }

    fn drain(&mut self, index: usize, down: bool) {
        let client = &mut self.clients[index];
        let Some(session) = client.session else { return };
        let side = client.side(down);
        if !side.is_gone()
            && let Some(mut session) = side.connection().session(session)
        {
            session.drain();
        }
    }

    fn any_writing(&mut self, index: usize) -> Option<Key> {
        let keys: Vec<Key> = self.clients[index].writing.iter().copied().collect();
        let key = self.random.pick(&keys).copied()?;
        (!self.clients[index].side(key.down).is_gone()).then_some(key)
    }

    /// Takes what happened on both sides of a connection, and reads.
    fn observe(&mut self, index: usize) -> Result<(), String> {
        for down in [false, true] {
            for event in self.clients[index].side(down).take_events() {
                self.note(&(index, down, &event));
                self.event(index, down, event);
            }
            self.accept(index, down);
        }
        let keys: Vec<Key> = self.clients[index].reading.keys().copied().collect();
        for key in keys {
            self.read(index, key)?;
        }
        Ok(())
    }

    fn event(&mut self, index: usize, down: bool, event: Event) {
        let client = &mut self.clients[index];
        match event {
            Event::SessionRequested { session } if down => {
                let _ = client.pair.server.connection().accept(session, Response::accept());
            }
            Event::SessionEstablished { session } => {
                client.asked = None;
                client.session = Some(session);
            }
            Event::SessionEnded { session, .. } => {
                client.asked = client.asked.filter(|asked| *asked != session);
                client.session = client.session.filter(|open| *open != session);
                self.ledger.cut_session(index, session);
                client.reading.retain(|_, of| *of != session);
            }
            Event::ConnectionLost { .. } => client.lost = true,
            _ => {}
        }
    }

    fn accept(&mut self, index: usize, down: bool) {
        let client = &mut self.clients[index];
        let Some(session) = client.session else { return };
        for direction in [Direction::Bidirectional, Direction::Unidirectional] {
            while let Some(stream) = client.accept(session, down, direction) {
                let incoming = Key { client: index, stream, down: !down };
                client.reading.insert(incoming, session);
                if direction == Direction::Bidirectional {
                    client.writing.insert(Key { down, ..incoming });
                }
            }
        }
    }

    fn read(&mut self, index: usize, key: Key) -> Result<(), String> {
        let reader = self.clients[index].side(!key.down);
        if reader.is_gone() {
            return Ok(());
        }
        loop {
            match self.clients[index].side(!key.down).connection().recv_stream(key.stream).read(4_096) {
                Ok(Some(bytes)) => {
                    self.note(&(key, bytes.len()));
                    self.ledger.read(key, &bytes)?;
                }
                Err(ReadError::Blocked) => return Ok(()),
                Ok(None) => {
                    self.clients[index].reading.remove(&key);
                    return self.ledger.end(key);
                }
                Err(ReadError::Reset(_) | ReadError::Closed) => {
                    self.clients[index].reading.remove(&key);
                    self.ledger.cut(key);
                    return Ok(());
                }
            }
        }
    }

    /// The network gets well; what can finish has to.
    fn heal(&mut self) -> Result<(), String> {
        for index in 0..self.clients.len() {
            self.clients[index].pair.up.set(LinkConfig::good());
            self.clients[index].pair.down.set(LinkConfig::good());
            for _ in 0..200 {
                self.clients[index].pair.run_for(Duration::from_millis(100));
                self.observe(index)?;
            }
        }
        Ok(())
    }

    /// Everybody goes; nothing may be left.
    fn leave(&mut self) -> Result<(), String> {
        for client in &mut self.clients {
            if !client.pair.client.is_gone() {
                client.pair.client.connection().close(transom_core::ErrorCode::H3_NO_ERROR, "done");
            }
            client.pair.run_for(Duration::from_secs(60));
            for (name, side) in [("client", &mut client.pair.client), ("server", &mut client.pair.server)] {
                if !side.endpoint.is_drained() || side.endpoint.poll_timeout().is_some() {
                    return Err(format!("something is left of the {name}: {:?}", side.endpoint));
                }
            }
        }
        Ok(())
    }
}

impl Client {
    fn new(random: &mut Random, seed: u64) -> Self {
        let link = LinkConfig {
            delay: Duration::from_millis(1 + random.below(80)),
            jitter: Duration::from_millis(random.below(30)),
            loss_per_mille: random.below(4) as u32 * random.below(40) as u32,
            duplicate_per_mille: random.below(30) as u32,
            corrupt_per_mille: random.below(20) as u32,
            mtu: 1_200 + random.below(400) as usize,
        };
        let mut config = Config::default();
        config.stream_window = 1 << (10 + random.below(9));
        config.max_bidi_streams = 4 + random.below(60) as u32;
        config.max_uni_streams = 8 + random.below(60) as u32;
        config.send_window = 1 << (12 + random.below(8));
        let mut pair = Pair::with(config.clone(), config, link, seed);
        pair.max_segments = 1 + random.below(10) as usize;
        Self { pair, asked: None, session: None, writing: BTreeSet::new(), reading: BTreeMap::new(), lost: false }
    }

    fn side(&mut self, down: bool) -> &mut Side {
        if down { &mut self.pair.server } else { &mut self.pair.client }
    }

    fn accept(&mut self, session: SessionId, down: bool, direction: Direction) -> Option<StreamId> {
        let side = self.side(down);
        if side.is_gone() { None } else { side.accept(session, direction) }
    }

    /// Asks for a session, if that is possible now.
    fn ask(&mut self) {
        // One at a time: the ledger follows the streams of one session.
        if !self.pair.client.is_gone() && !self.lost && self.asked.is_none() {
            self.asked = self.pair.client.connection().request_session(Request::new("localhost", "/")).ok();
        }
    }
}
