//! The state that all routes share, and what `/stats` tells about it.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use transom::ServerHandle;

use super::chat::Room;
use super::diagnosis::Diagnosis;

/// What the routes share.
#[derive(Debug)]
pub(super) struct Demo {
    pub(super) room: Room,
    started: Instant,
    server: OnceLock<ServerHandle>,
    diagnosis: Mutex<Diagnosis>,
}

impl Demo {
    /// Tells which server runs the routes; until then there are no numbers.
    pub(super) fn serve(&self, server: ServerHandle) {
        // There is one server, and it is told once.
        let _ = self.server.set(server);
    }

    /// The server's statistics.
    pub(super) fn stats(&self) -> Value {
        let now = self.server.get().map(ServerHandle::diagnostics);
        let stats = now.as_ref().map(|now| now.counters).unwrap_or_default();
        // Whatever a thread that panicked left there is a snapshot still.
        let mut diagnosis = self.diagnosis.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "chat_members": self.room.members(),
            "connections_open": stats.connections_open,
            "connections_accepted": stats.connections_accepted,
            "connections_refused": stats.connections_refused,
            "connections_lost": stats.connections_lost,
            "sessions_open": stats.sessions_open,
            "sessions_accepted": stats.sessions_accepted,
            "sessions_refused": stats.sessions_refused,
            "streams_opened_by_peer": stats.streams_opened_by_peer,
            "streams_opened": stats.streams_opened,
            "datagrams_received": stats.datagrams_received,
            "datagrams_sent": stats.datagrams_sent,
            "datagrams_dropped": stats.datagrams_dropped,
            "datagrams_expired": stats.datagrams_expired,
            "udp_datagrams_received": stats.udp_datagrams_received,
            "udp_bytes_received": stats.udp_bytes_received,
            "udp_datagrams_sent": stats.udp_datagrams_sent,
            "udp_bytes_sent": stats.udp_bytes_sent,
            "diagnostics": now.map(|now| diagnosis.of(now)),
        })
    }
}

impl Default for Demo {
    fn default() -> Self {
        Self { room: Room::default(), started: Instant::now(), server: OnceLock::new(), diagnosis: Mutex::default() }
    }
}
