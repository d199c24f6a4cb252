//! What a server can tell about itself.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use transom_core::{Config, EndpointStats};

use super::certificate::Certificate;
use super::tcp::Desk;
use crate::diagnostics::{CertificateDiagnostics, LimitDiagnostics, RouteDiagnostics, ServerDiagnostics, ServerState};
use crate::driver::Shared;
use crate::tls::hex;

/// What does not stand in the endpoints.
#[derive(Debug)]
pub(super) struct About {
    started: Instant,
    limits: LimitDiagnostics,
    certificate: Mutex<Certificate>,
    desks: Vec<Desk>,
    routes: Option<Weak<dyn Listing>>,
}

/// Who knows the routes.
pub(super) trait Listing: Send + Sync {
    /// All routes, and how many requests found none.
    fn list(&self) -> (Vec<RouteDiagnostics>, u64);
}

impl About {
    pub(super) fn new(config: &Config, certificate: Certificate, now: Instant, desks: Vec<Desk>) -> Self {
        let limits = LimitDiagnostics {
            max_connections: config.max_connections as u64,
            max_handshakes: config.max_handshakes as u64,
            max_sessions: config.max_sessions as u64,
        };
        Self { started: now, limits, certificate: Mutex::new(certificate), desks, routes: None }
    }

    /// Tells of routes for as long as the server takes requests.
    pub(super) fn listing<L: Listing + 'static>(self, routes: &Arc<L>) -> Self {
        let routes: Weak<dyn Listing> = Arc::<L>::downgrade(routes);
        Self { routes: Some(routes), ..self }
    }

    /// All routes, and how many requests found none; nothing once the server has stopped.
    pub(super) fn routes(&self) -> (Vec<RouteDiagnostics>, u64) {
        self.routes.as_ref().and_then(Weak::upgrade).map(|routes| routes.list()).unwrap_or_default()
    }

    /// Where those who operate the server are answered.
    pub(super) fn desks(&self) -> Vec<SocketAddr> {
        self.desks.iter().map(|desk| desk.address).collect()
    }

    /// The certificate that new connections are shown.
    pub(super) fn certificate(&self) -> MutexGuard<'_, Certificate> {
        self.certificate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything but counters and addresses, with up to `room` sessions.
    pub(super) fn diagnose<'a>(&self, endpoints: impl Iterator<Item = &'a Shared>, room: usize) -> ServerDiagnostics {
        let mut diagnostics = ServerDiagnostics {
            state: ServerState::Stopped,
            taken_at: unix(SystemTime::now()),
            uptime_seconds: 0,
            addresses: Vec::new(),
            counters: EndpointStats::default(),
            running_handlers: 0,
            failed_handlers: 0,
            routes: Vec::new(),
            routes_missed: 0,
            certificate: self.describe_certificate(),
            limits: self.limits,
            connections: Vec::new(),
            sessions_left_out: 0,
        };
        let mut room = room;
        for endpoint in endpoints {
            let look = endpoint.look(room);
            room = room.saturating_sub(look.connections.iter().map(|connection| connection.sessions.len()).sum());
            diagnostics.connections.extend(look.connections);
            diagnostics.sessions_left_out += look.left_out;
            diagnostics.running_handlers += look.running_handlers;
            // As long as one endpoint goes on the server does, and it drains as soon as one drains.
            diagnostics.state = match (diagnostics.state, look.stopped, look.ends) {
                (ServerState::Draining, ..) | (_, false, true) => ServerState::Draining,
                (_, false, false) => ServerState::Serving,
                (state, true, _) => state,
            };
            let up = endpoint.runtime().now().saturating_duration_since(self.started).as_secs();
            diagnostics.uptime_seconds = diagnostics.uptime_seconds.max(up);
        }
        diagnostics
    }

    fn describe_certificate(&self) -> CertificateDiagnostics {
        let tls = self.certificate().tls.clone();
        let (valid_from, valid_until) = tls.validity().map(|(from, until)| (unix(from), unix(until))).unzip();
        let sha256 = tls.certificate_hashes().iter().map(|hash| hex(hash)).collect();
        CertificateDiagnostics { sha256, valid_from, valid_until }
    }
}

impl fmt::Debug for dyn Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").finish_non_exhaustive()
    }
}

/// Seconds since 1970; before that 0.
fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
