//! A game at 60 Hz whose network lives inside its tick: sixty times a second the server takes what has arrived, moves its
//! world and sends every player a snapshot as a datagram. Between ticks nobody looks at the network.
//!
//! `game_tick 127.0.0.1:4433 cert.pem key.pem`; `transom cert` makes the files. A player sends datagrams of two signed
//! bytes, how far to go in each tick, and receives: the number of the tick (4 bytes), its own number (2), and for each
//! player number, x and y (2 each), all big-endian.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "an embedder owns the clock and the socket")]

#[path = "shared/arguments.rs"]
mod arguments;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use transom_core::{Config, ConnectionId, Endpoint, Event, Receive, Response, SessionId};

fn main() -> Result<(), Box<dyn Error>> {
    let [address, certificate, key] = arguments::arguments("game_tick ADDRESS CERTIFICATE KEY")?;
    let tls = arguments::tls(rustls::crypto::ring::default_provider(), &certificate, &key)?;
    let mut endpoint = Endpoint::server(Config::default(), tls)?;
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    println!("{}", socket.local_addr()?);
    let (mut world, mut buffer) = (World::default(), vec![0; 65_536]);
    let mut next = Instant::now();
    loop {
        // One time for the whole tick.
        let now = Instant::now();
        receive(&mut endpoint, &socket, &mut buffer, now)?;
        // Timers are not waited for. They fire up to one tick late, which only makes QUIC a little slower.
        endpoint.handle_timeout(now);
        while let Some((id, event)) = endpoint.poll_event() {
            world.on_event(&mut endpoint, id, &event);
        }
        world.step();
        world.send_snapshots(&mut endpoint);
        send(&mut endpoint, &socket, &mut buffer, now);
        // What sending has brought about is an event of the next tick: the order of calls is ours (contract C2).
        next = (next + TICK).max(now);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Everything that has arrived since the last tick.
fn receive(endpoint: &mut Endpoint, socket: &UdpSocket, buffer: &mut Vec<u8>, now: Instant) -> io::Result<()> {
    buffer.resize(65_536, 0);
    loop {
        match socket.recv_from(buffer) {
            Ok((size, remote)) => {
                let data = BytesMut::from(&buffer[..size]);
                endpoint.handle_receive(now, Receive { remote, local_ip: None, ecn: None, data });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // What became of a packet that we sent to a player who has gone.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// Everything there is to send.
fn send(endpoint: &mut Endpoint, socket: &UdpSocket, buffer: &mut Vec<u8>, now: Instant) {
    buffer.clear();
    while let Some(transmit) = endpoint.poll_transmit(now, 1, buffer) {
        // What the system does not take is lost, as packets may be.
        let _ = socket.send_to(buffer, transmit.destination);
        buffer.clear();
    }
}

#[derive(Default)]
struct World {
    tick: u32,
    players: Vec<Player>,
    /// Players that there have been.
    count: u16,
}

struct Player {
    connection: ConnectionId,
    session: SessionId,
    number: u16,
    position: [i16; 2],
    velocity: [i8; 2],
}

impl World {
    fn on_event(&mut self, endpoint: &mut Endpoint, id: ConnectionId, event: &Event) {
        let Some(connection) = endpoint.connection(id) else {
            self.players.retain(|player| player.connection != id);
            return;
        };
        match *event {
            Event::SessionRequested { session } => {
                if connection.accept(session, Response::accept()).is_err() {
                    return;
                }
                if let Some(mut session) = connection.session(session) {
                    // A snapshot that has not left when the next one is made is worth nothing.
                    let mut options = session.datagram_options();
                    options.outgoing_high_water_mark = 1;
                    session.set_datagram_options(options);
                }
                let (number, position, velocity) = (self.count, [0; 2], [0; 2]);
                self.players.push(Player { connection: id, session, number, position, velocity });
                self.count = self.count.wrapping_add(1);
            }
            Event::DatagramReceived { session } => {
                let player = self.players.iter_mut().find(|it| (it.connection, it.session) == (id, session));
                let (Some(player), Some(mut session)) = (player, connection.session(session)) else { return };
                while let Some(datagram) = session.recv_datagram() {
                    // Anything else is no input of this game.
                    if let [x, y] = *datagram {
                        player.velocity = [x.cast_signed(), y.cast_signed()];
                    }
                }
            }
            Event::SessionEnded { session, .. } => {
                self.players.retain(|player| (player.connection, player.session) != (id, session));
            }
            _ => {}
        }
    }

    fn step(&mut self) {
        self.tick = self.tick.wrapping_add(1);
        for player in &mut self.players {
            for (position, velocity) in player.position.iter_mut().zip(player.velocity) {
                *position = position.saturating_add(velocity.into());
            }
        }
    }

    fn send_snapshots(&self, endpoint: &mut Endpoint) {
        let mut others = BytesMut::new();
        for player in &self.players {
            others.put_u16(player.number);
            player.position.iter().for_each(|position| others.put_i16(*position));
        }
        for player in &self.players {
            let session = endpoint.connection(player.connection).and_then(|it| it.session(player.session));
            let Some(mut session) = session else { continue };
            let mut snapshot = BytesMut::with_capacity(HEAD + others.len());
            snapshot.put_u32(self.tick);
            snapshot.put_u16(player.number);
            // As many players as one datagram holds; a real game would send those nearby.
            let room = session.max_datagram_size().saturating_sub(HEAD) / EACH * EACH;
            snapshot.put_slice(&others[..others.len().min(room)]);
            // Until the player's transport parameters are here there is nothing to send it on.
            let _ = session.force_datagram(&snapshot);
        }
    }
}

const TICK: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// Bytes before the players.
const HEAD: usize = 6;

/// Bytes of one player.
const EACH: usize = 6;
