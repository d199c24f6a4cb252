//! Logs of connections for the tools of qlog, with the feature `qlog`.
//!
//! Each connection has a log of its own in the form of a JSON text sequence (RFC 7464): records of QUIC (packets sent,
//! received and lost, metrics of recovery) as quinn-proto 0.11.19 writes them, version 0.3 of the format, and ours
//! among them. No draft has names for WebTransport; ours are
//!
//! | name | data besides `session_id` |
//! |---|---|
//! | `webtransport:session_requested` | `authority`, `path` without the query, `dialect` |
//! | `webtransport:session_established` | `subprotocol`, if one was chosen |
//! | `webtransport:session_refused` | `status` |
//! | `webtransport:session_ended` | `owner` (`local`, `remote` or `connection`), `code` and `reason`, or `error` |
//! | `webtransport:stream_opened` | `stream_id`, whose lowest bits say who opened it and which kind it is |
//!
//! Times are milliseconds since the connection began.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Role;

/// A connection that begins and can have a log, see [`Endpoint::set_qlog`](crate::Endpoint::set_qlog).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QlogConnection {
    /// Which end of it we are.
    pub role: Role,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// Where a log goes. It is written to while packets are processed, so it should not block; it is dropped with its
/// connection.
pub type QlogWriter = Box<dyn Write + Send + Sync>;

/// Opens the logs of connections.
pub(crate) type OpenQlog = Box<dyn FnMut(&QlogConnection) -> Option<QlogWriter> + Send>;

/// One writer for QUIC and for us. Neither writes while the other is amid a record.
#[derive(Clone)]
pub(crate) struct SharedWriter(Arc<Mutex<QlogWriter>>);

impl SharedWriter {
    pub(crate) fn new(writer: QlogWriter) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }
}

impl Write for SharedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
