//! The neutral client: many connections from one socket, driven by a scenario.

mod histogram;
mod translate;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{ClientConfig, Dir, StreamId, VarInt};

pub use histogram::Histogram;
use translate::Translator;
pub use translate::What;

use crate::bare::Bare;
use crate::quic;
use crate::wire;

/// A session: its connection and the id of its CONNECT stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    pub connection: usize,
    pub id: StreamId,
}

/// Connections, and what happened on them.
pub struct Client {
    bare: Bare<Translator>,
    remote: SocketAddr,
    config: ClientConfig,
}

impl Client {
    pub fn new(remote: SocketAddr, keep_alive: Option<Duration>) -> io::Result<Self> {
        let local = SocketAddr::new(if remote.is_ipv4() { [127, 0, 0, 1].into() } else { remote.ip() }, 0);
        let bare = Bare::new(local, None, Translator::new(&remote.to_string()))?;
        Ok(Self { bare, remote, config: quic::client(keep_alive) })
    }

    /// Begins to connect, and asks for a session on `path` as soon as the server's SETTINGS are there.
    pub fn connect(&mut self, path: &str) -> Result<usize, String> {
        let key = self.bare.connect(self.config.clone(), self.remote).map_err(|error| error.to_string())?;
        let (_, state) = self.bare.connections.get(key).expect("it was just made");
        state.wants = Some(path.to_owned());
        Ok(key)
    }

    /// Asks for another session on a connection.
    pub fn request(&mut self, connection: usize, path: &str) -> Option<StreamId> {
        let (quic, state) = self.bare.connections.get(connection)?;
        self.bare.app.request(quic, state, path)
    }

    /// Sends, waits until something comes or the deadline, and notes what happened.
    pub fn turn(&mut self, deadline: Instant) -> io::Result<()> {
        self.bare.turn(Some(deadline))
    }

    /// The next thing that happened.
    pub fn pop(&mut self) -> Option<(usize, What)> {
        self.bare.app.happened.pop_front()
    }

    /// Opens a bidirectional stream of a session; the header is written.
    pub fn open(&mut self, session: Session) -> Option<StreamId> {
        let (quic, _) = self.bare.connections.get(session.connection)?;
        let id = quic.streams().open(Dir::Bi)?;
        quic.send_stream(id).write(&wire::stream_header(session.id.into())).ok()?;
        Some(id)
    }

    /// Writes what there is room for; says how much that was.
    pub fn write(&mut self, connection: usize, stream: StreamId, bytes: Bytes) -> usize {
        let Some((quic, _)) = self.bare.connections.get(connection) else { return 0 };
        quic.send_stream(stream).write_chunks(&mut [bytes]).map_or(0, |written| written.bytes)
    }

    pub fn finish(&mut self, connection: usize, stream: StreamId) {
        if let Some((quic, _)) = self.bare.connections.get(connection) {
            _ = quic.send_stream(stream).finish();
        }
    }

    pub fn send_datagram(&mut self, session: Session, payload: &[u8]) -> Result<(), String> {
        let (quic, _) = self.bare.connections.get(session.connection).ok_or("the connection is gone")?;
        let mut datagram = Vec::with_capacity(payload.len() + 8);
        wire::put_varint(&mut datagram, u64::from(session.id) / 4);
        datagram.extend_from_slice(payload);
        quic.datagrams().send(datagram.into(), false).map_err(|error| error.to_string())
    }

    /// Closes a connection as a client that leaves does.
    pub fn close(&mut self, connection: usize) {
        if let Some((quic, _)) = self.bare.connections.get(connection) {
            quic.close(Instant::now(), VarInt::from_u32(H3_NO_ERROR), Bytes::new());
        }
    }

    /// Closes all connections and sees the packets off.
    pub fn close_all(&mut self) {
        let keys: Vec<usize> = self.bare.connections.keys().collect();
        for key in keys {
            self.close(key);
        }
        _ = self.turn(Instant::now());
        _ = self.turn(Instant::now());
    }
}

const H3_NO_ERROR: u32 = 0x100;
