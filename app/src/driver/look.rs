//! Connections and sessions as they are at a moment.

use super::shared::{Shared, State};
use crate::diagnostics::{ConnectionDiagnostics, SessionDiagnostics};

/// An endpoint at a moment.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Connections that have sessions.
    pub(crate) connections: Vec<ConnectionDiagnostics>,
    /// Sessions that there was no room for.
    pub(crate) left_out: u64,
    pub(crate) running_handlers: u64,
    /// Whether somebody wants it to end.
    pub(crate) ends: bool,
    /// Whether its driver is gone.
    pub(crate) stopped: bool,
}

impl Shared {
    /// Looks at the endpoint and at up to `room` of its sessions.
    pub(crate) fn look(&self, room: usize) -> Look {
        self.act(|state| state.look(room))
    }
}

impl State {
    fn look(&mut self, mut room: usize) -> Look {
        let mut look = Look {
            running_handlers: self.running_handlers as u64,
            ends: self.shutdown.is_some(),
            stopped: self.stopped,
            ..Look::default()
        };
        #[expect(clippy::iter_over_hash_type, reason = "a list in no order")]
        for (id, entry) in &self.connections {
            let Some(core) = self.endpoint.connection(*id) else { continue };
            if entry.sessions.is_empty() || room == 0 {
                look.left_out += entry.sessions.len() as u64;
                continue;
            }
            look.left_out += entry.sessions.len().saturating_sub(room) as u64;
            let mut sessions = Vec::new();
            for (id, session) in entry.sessions.iter().take(room) {
                let cell = &session.cell;
                sessions.push(SessionDiagnostics {
                    id: id.get(),
                    path: cell.request.path().to_owned(),
                    protocol: cell.response.get().and_then(|response| response.protocol().map(String::from)),
                    draining: cell.is_draining(),
                    stats: core.session(*id).map(|session| session.stats()).unwrap_or_default(),
                });
            }
            room -= sessions.len();
            let stats = core.stats();
            let remote = core.remote_address();
            look.connections.push(ConnectionDiagnostics {
                remote: std::net::SocketAddr::new(remote.ip().to_canonical(), remote.port()),
                dialect: core.dialect().map(|dialect| format!("{dialect:?}")),
                rtt_ms: stats.rtt.as_secs_f64() * 1_000.0,
                packets_sent: stats.packets_sent,
                packets_lost: stats.packets_lost,
                congestion_window: stats.congestion_window,
                datagrams: stats.datagrams,
                sessions,
            });
        }
        look
    }
}
