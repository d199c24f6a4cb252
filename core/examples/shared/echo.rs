//! What the servers of these examples do: the peer's bidirectional streams and datagrams come back.

use std::collections::BTreeMap;

use bytes::Bytes;
use transom_core::{Connection, ConnectionId, Direction, Endpoint, Event, ReadError, Response, StreamId, WriteError};

/// What has been read and not yet been written, by connection and stream. A stream with something here is not read, and so
/// QUIC's flow control tells the peer to wait.
#[derive(Debug, Default)]
pub(crate) struct Echo(BTreeMap<ConnectionId, BTreeMap<StreamId, Bytes>>);

impl Echo {
    /// Does what an event asks for.
    pub(crate) fn on_event(&mut self, endpoint: &mut Endpoint, id: ConnectionId, event: &Event) {
        let Some(connection) = endpoint.connection(id) else {
            self.0.remove(&id);
            return;
        };
        let unsent = self.0.entry(id).or_default();
        match *event {
            // It may have ended meanwhile.
            Event::SessionRequested { session } => _ = connection.accept(session, Response::accept()),
            Event::StreamOpened { session, direction: Direction::Bidirectional } => {
                let accept =
                    |connection: &mut Connection| connection.session(session)?.accept(Direction::Bidirectional);
                while let Some(stream) = accept(connection) {
                    echo(connection, stream, unsent);
                }
            }
            Event::StreamReadable { stream } | Event::StreamWritable { stream } => echo(connection, stream, unsent),
            Event::DatagramReceived { session } => {
                let Some(mut session) = connection.session(session) else { return };
                while let Some(datagram) = session.recv_datagram() {
                    // Where there is no room it takes that of an older one.
                    let _ = session.force_datagram(&datagram);
                }
            }
            Event::SessionEnded { .. } => unsent.retain(|stream, _| connection.send_stream(*stream).is_open()),
            _ => {}
        }
    }
}

/// Reads and writes until one of both is not possible any more.
fn echo(connection: &mut Connection, stream: StreamId, unsent: &mut BTreeMap<StreamId, Bytes>) {
    let mut rest = unsent.remove(&stream).unwrap_or_default();
    loop {
        while !rest.is_empty() {
            match connection.send_stream(stream).write_bytes(&mut rest) {
                Ok(_) => {}
                Err(WriteError::Blocked) => {
                    unsent.insert(stream, rest);
                    return;
                }
                Err(error) => return pass_on_stop(connection, stream, error),
            }
        }
        match connection.recv_stream(stream).read(CHUNK) {
            Ok(Some(bytes)) => rest = bytes,
            Ok(None) => {
                // It fails if the peer has stopped it or the session is over, and then there is nothing to finish.
                let _ = connection.send_stream(stream).finish();
                return;
            }
            Err(error) => return pass_on_reset(connection, stream, error),
        }
    }
}

/// What nobody wants back need not come.
fn pass_on_stop(connection: &mut Connection, stream: StreamId, error: WriteError) {
    if let WriteError::Stopped(code) = error {
        // It has ended by itself, otherwise.
        let _ = connection.recv_stream(stream).stop(code.unwrap_or(0));
    }
}

/// What does not come whole does not go back whole.
fn pass_on_reset(connection: &mut Connection, stream: StreamId, error: ReadError) {
    if let ReadError::Reset(code) = error {
        // All has arrived, otherwise.
        let _ = connection.send_stream(stream).reset(code.unwrap_or(0));
    }
}

/// Bytes read at a time, at most.
const CHUNK: usize = 64 * 1024;
