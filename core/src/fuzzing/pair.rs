//! A client and a server core over a network that an input directs: calls in any order, and a ledger of every byte.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::application;
use super::input::Input;
use super::model::Known;
use super::network::{CLIENT_END, Network, SERVER_END};
use crate::{Connection, Direction, ErrorCode, ReadError, Request, Response, SessionId, StreamId, WriteError};

/// A script of calls on both ends.
pub fn pair(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World { network: Network::new(input.byte()), ledger: BTreeMap::new() };
    let mut steps = 0;
    while !input.is_empty() && steps < 128 {
        world.step(&mut input);
        world.network.look();
        steps += 1;
    }
    world.settle();
    world.network.end();
}

struct World {
    network: Network,
    /// By the end that sends and the stream.
    ledger: BTreeMap<(usize, StreamId), Half>,
}

/// One direction of a stream, as both ends say.
#[derive(Debug)]
struct Half {
    session: SessionId,
    written: u64,
    finished: bool,
    /// Reset, stopped, or closed with its session: what arrives is a beginning of what was written.
    given_up: bool,
    /// Opened before the peer knew of its session: it may have been held, and been one too many.
    early: bool,
    read: u64,
    ended: bool,
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let (end, more) = (usize::from(choice >> 4 & 1), usize::from(choice >> 5));
        match choice & 15 {
            0 => self.request(more),
            1 => self.answer(more),
            2 | 3 => self.use_session(end, input),
            4 => self.write(end, more, usize::from(input.byte()) * 9),
            5 => self.finish(end, more),
            6 => self.reset(end, more, input.byte()),
            7 => self.stop(end, more, input.byte()),
            8 => self.read(end, more, usize::from(input.byte())),
            9 => _ = self.network.deliver(end, more + 1),
            10 => self.network.lose(end),
            11 => self.network.reorder(end),
            12 => self.network.wait(Duration::from_millis([1, 5, 30, 60, 300, 1_100, 3_500, 12_000][more])),
            15 => self.rarely(end, more),
            _ => self.network.exchange(),
        }
    }

    fn rarely(&mut self, end: usize, more: usize) {
        let now = self.network.now;
        match more {
            0 => self.network.ends[end].endpoint.drain(now),
            1 => self.network.ends[end].endpoint.close(now, ErrorCode::H3_NO_ERROR, "over"),
            2 => {
                if let Some(connection) = self.network.connection(end) {
                    connection.close(ErrorCode::H3_INTERNAL_ERROR, "closed");
                }
            }
            3 => {
                assert_eq!(self.network.ends[end].endpoint.connection(Network::foreign()).map(|_| ()), None);
            }
            _ => self.read_all(),
        }
    }

    fn request(&mut self, more: usize) {
        let Some(connection) = self.network.connection(CLIENT_END) else { return };
        let request = Request::new("a.example", ["/", "/x?y"][more & 1]).protocol("a");
        let Ok(session) = connection.request_session(request) else { return };
        self.network.ends[CLIENT_END].model.asked(session);
    }

    fn answer(&mut self, more: usize) {
        self.network.look();
        let Some((id, known)) = self.network.ends[SERVER_END].model.choose(more >> 1) else { return };
        let Some(connection) = self.network.connection(SERVER_END) else { return };
        let accepts = more & 1 == 0;
        let response =
            if accepts { Response::accept().with_protocol("a") } else { Response::new(http::StatusCode::GONE) };
        let result = if accepts { connection.accept(id, response).map(drop) } else { connection.refuse(id, response) };
        assert_eq!(result.is_ok(), known == Known::Requested, "{id} is {known:?}");
        if result.is_ok() {
            let to = if accepts { Known::Open } else { Known::Over };
            self.network.ends[SERVER_END].model.changes(id, &[Known::Requested], to);
        }
    }

    fn use_session(&mut self, end: usize, input: &mut Input<'_>) {
        let choice = usize::from(input.byte());
        let Some((id, _)) = self.network.ends[end].model.choose(choice >> 4) else { return };
        let Some(session) = self.network.connection(end).and_then(|connection| connection.session(id)) else { return };
        let Some(stream) = application::session(session, choice, input) else { return };
        self.network.ends[end].streams.push(stream);
        if choice & 15 < 2 {
            self.opened(end, id, stream);
        } else {
            let half = self.ledger.get(&(1 - end, stream));
            assert_eq!(half.map(|half| half.session), Some(id), "{stream} was accepted, and opened by nobody");
        }
    }

    fn opened(&mut self, end: usize, session: SessionId, stream: StreamId) {
        let both = stream.direction() == Direction::Bidirectional;
        let early = self.network.ends[1 - end].model.sessions.get(&session) != Some(&Known::Open);
        for sender in [end, 1 - end].into_iter().take(1 + usize::from(both)) {
            let half = Half { session, written: 0, finished: false, given_up: false, early, read: 0, ended: false };
            assert!(self.ledger.insert((sender, stream), half).is_none(), "{stream} opened twice");
        }
    }

    /// Sessions that one end at least has ended.
    fn over_somewhere(&self) -> BTreeSet<SessionId> {
        let sessions = self.network.ends.iter().flat_map(|end| &end.model.sessions);
        sessions.filter(|(_, known)| **known == Known::Over).map(|(id, _)| *id).collect()
    }

    /// The half on which `end` sends, and its connection.
    fn sending(&mut self, end: usize, index: usize) -> Option<(StreamId, &mut Half, &mut Connection)> {
        let streams = &self.network.ends[end].streams;
        let stream = streams.iter().rev().nth(index % streams.len().max(1)).copied()?;
        let half = self.ledger.get_mut(&(end, stream))?;
        Some((stream, half, self.network.connection(end)?))
    }

    fn write(&mut self, end: usize, index: usize, length: usize) {
        let over = self.over_somewhere();
        let Some((stream, half, connection)) = self.sending(end, index) else { return };
        let data: Vec<u8> = (half.written..half.written + length as u64).map(|offset| byte(stream, offset)).collect();
        match connection.send_stream(stream).write(&data) {
            Ok(taken) => {
                assert!(!half.finished && taken <= length);
                half.written += taken as u64;
            }
            Err(WriteError::Stopped(code)) => {
                // The end of a session stops its streams, and what says so can overtake the close.
                let rejected = code.is_none() && (half.early || over.contains(&half.session));
                assert!(half.given_up || rejected, "{stream} was stopped by nobody");
            }
            Err(_) => {}
        }
    }

    fn finish(&mut self, end: usize, index: usize) {
        let Some((stream, half, connection)) = self.sending(end, index) else { return };
        if connection.send_stream(stream).finish().is_ok() {
            assert!(!half.finished, "{stream} finished twice");
            half.finished = true;
        }
    }

    fn reset(&mut self, end: usize, index: usize, code: u8) {
        let Some((stream, half, connection)) = self.sending(end, index) else { return };
        half.given_up |= connection.send_stream(stream).reset(code.into()).is_ok();
    }

    fn stop(&mut self, end: usize, index: usize, code: u8) {
        let Some(stream) = self.network.chosen(end, index) else { return };
        let Some(half) = self.ledger.get_mut(&(1 - end, stream)) else { return };
        let Some(connection) = self.network.connection(end) else { return };
        half.given_up |= connection.recv_stream(stream).stop(code.into()).is_ok();
    }

    fn read(&mut self, end: usize, index: usize, max: usize) {
        if let Some(stream) = self.network.chosen(end, index) {
            self.read_stream(end, stream, max);
        }
    }

    /// Reads once; returns whether there may be more.
    fn read_stream(&mut self, end: usize, stream: StreamId, max: usize) -> bool {
        let over = self.over_somewhere();
        let Some(connection) = self.network.connection(end) else { return false };
        let result = connection.recv_stream(stream).read(max);
        // A reset can overtake the header of its stream; then the peer does not know what it is and resets its half too.
        let ours_given_up = self.ledger.get(&(end, stream)).is_some_and(|half| half.given_up);
        let Some(half) = self.ledger.get_mut(&(1 - end, stream)) else {
            assert_eq!(result, Err(ReadError::Closed), "{stream} has no half to read");
            return false;
        };
        match result {
            Ok(Some(bytes)) => {
                assert!(bytes.len() <= max && !half.ended);
                for (got, offset) in bytes.iter().zip(half.read..) {
                    assert_eq!(*got, byte(stream, offset), "byte {offset} of {stream}");
                }
                half.read += bytes.len() as u64;
                assert!(half.read <= half.written);
                !bytes.is_empty()
            }
            Ok(None) => {
                assert!(half.finished && half.read == half.written, "{stream} ends early: {half:?}");
                half.ended = true;
                false
            }
            Err(ReadError::Reset(code)) => {
                let rejected = code.is_none() && (half.early || over.contains(&half.session));
                assert!(half.given_up || ours_given_up || rejected, "{stream} was reset by nobody");
                half.given_up = true;
                false
            }
            Err(_) => false,
        }
    }

    /// Both ends accept and read everything there is.
    fn read_all(&mut self) {
        for end in [CLIENT_END, SERVER_END] {
            let sessions: Vec<SessionId> = self.network.ends[end].model.sessions.keys().copied().collect();
            for session in sessions {
                for direction in [Direction::Bidirectional, Direction::Unidirectional] {
                    while let Some(stream) = self.accept(end, session, direction) {
                        assert!(self.ledger.contains_key(&(1 - end, stream)), "{stream} was opened by nobody");
                        self.network.ends[end].streams.push(stream);
                    }
                }
            }
            for stream in self.network.ends[end].streams.clone() {
                while self.read_stream(end, stream, 4_096) {}
            }
        }
    }

    fn accept(&mut self, end: usize, session: SessionId, direction: Direction) -> Option<StreamId> {
        self.network.connection(end)?.session(session)?.accept(direction)
    }

    /// The network is good again: what was finished arrives, as long as its session lives.
    fn settle(&mut self) {
        for _ in 0..64 {
            self.network.exchange();
            self.read_all();
            if self.missing().is_none() {
                return;
            }
            self.network.wait(Duration::from_millis(400));
        }
        panic!("never arrived: {:?}", self.missing());
    }

    /// A half that was finished and must arrive, but has not.
    fn missing(&self) -> Option<(usize, StreamId, &Half)> {
        let lives = |session: &SessionId| {
            let open = |end: usize| self.network.ends[end].model.sessions.get(session) == Some(&Known::Open);
            open(CLIENT_END) && open(SERVER_END)
        };
        let missing =
            |half: &Half| half.finished && !half.given_up && !half.early && !half.ended && lives(&half.session);
        self.ledger.iter().find(|(_, half)| missing(half)).map(|((end, stream), half)| (*end, *stream, half))
    }
}

/// What stands at an offset of a stream.
fn byte(stream: StreamId, offset: u64) -> u8 {
    (stream.get() * 31 + offset * 7 + offset / 251) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the target would try nothing but handshakes.
    #[test]
    fn scripts_get_as_far_as_bytes_in_both_directions() {
        let mut world = World { network: Network::new(0), ledger: BTreeMap::new() };
        // A request, its acceptance, a bidirectional stream of the client with ten bytes and an end, its acceptance, an
        // answer of twenty.
        let script = [0x00, 0x0e, 0x01, 0x0e, 0x02, 1, 0x04, 2, 0x05, 0x0e, 0x12, 3, 0x14, 3, 0x15];
        let mut input = Input::new(&script);
        while !input.is_empty() {
            world.step(&mut input);
            world.network.look();
        }
        world.settle();
        let halves: Vec<_> = world.ledger.values().map(|half| (half.written, half.read, half.ended)).collect();
        assert_eq!(halves, [(18, 18, true), (27, 27, true)]);
        world.network.end();
    }
}
