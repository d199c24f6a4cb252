//! What a server looks like at a moment.

mod figures;
mod issues;
mod judge;

use std::net::SocketAddr;

use transom_core::{DatagramStats, EndpointStats, SessionStats};

pub use issues::{Issue, Thresholds};
pub(crate) use judge::judge_alone;

/// What a server looks like at a moment: plain data, to be shown, stored, compared or serialised (feature `serde`).
///
/// # Examples
///
/// ```
/// # fn example(server: transom::ServerHandle) {
/// let now = server.diagnostics();
/// println!("{} sessions on {} connections", now.counters.sessions_open, now.counters.connections_open);
/// for issue in now.issues(&transom::Thresholds::default()) {
///     println!("warning: {issue}");
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ServerDiagnostics {
    /// Where the server stands on its way from start to end.
    pub state: ServerState,
    /// When this was, seconds since 1970.
    pub taken_at: u64,
    /// Since the server started.
    pub uptime_seconds: u64,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Counters over all addresses and workers.
    pub counters: EndpointStats,
    /// Handlers that have not returned.
    pub running_handlers: u64,
    /// Handlers that panicked or returned an error, since the start; not those whose session ended under them.
    pub failed_handlers: u64,
    /// The routes, in the alphabetical order of their patterns; none once the server has stopped.
    pub routes: Vec<RouteDiagnostics>,
    /// Requests for which there was no route.
    pub routes_missed: u64,
    /// The certificate shown to new connections.
    pub certificate: CertificateDiagnostics,
    /// The limits that the issues are about.
    pub limits: LimitDiagnostics,
    /// Connections with their sessions, at most a thousand sessions.
    pub connections: Vec<ConnectionDiagnostics>,
    /// Sessions that were left out of the list.
    pub sessions_left_out: u64,
}

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ServerState {
    /// New sessions are welcome.
    Serving,
    /// The server is shutting down: new sessions are refused.
    Draining,
    /// It is over.
    Stopped,
}

/// A route of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RouteDiagnostics {
    /// Its pattern or expression; `*` for the default.
    pub pattern: String,
    /// Requests that found it, those that were refused then included.
    pub hits: u64,
}

/// A server's certificate at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CertificateDiagnostics {
    /// SHA-256 hashes to publish, in hexadecimal; the first is that of the certificate in use.
    pub sha256: Vec<String>,
    /// When it begins to be valid, seconds since 1970.
    pub valid_from: Option<u64>,
    /// When it ends to be valid, seconds since 1970.
    pub valid_until: Option<u64>,
}

/// A server's limits on numbers of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LimitDiagnostics {
    /// [`Config::max_connections`](crate::Config::max_connections), on each address.
    pub max_connections: u64,
    /// [`Config::max_handshakes`](crate::Config::max_handshakes), on each address.
    pub max_handshakes: u64,
    /// [`Config::max_sessions`](crate::Config::max_sessions), on each connection.
    pub max_sessions: u64,
}

/// A connection that has sessions.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectionDiagnostics {
    /// The client's address now.
    pub remote: SocketAddr,
    /// The draft that is spoken.
    pub dialect: Option<String>,
    /// Smoothed round-trip time.
    pub rtt_ms: f64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets declared lost.
    pub packets_lost: u64,
    /// Congestion window, bytes.
    pub congestion_window: u64,
    /// Datagrams of all its sessions, those that are over included.
    pub datagrams: DatagramStats,
    /// Its sessions.
    pub sessions: Vec<SessionDiagnostics>,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SessionDiagnostics {
    /// Its name within the connection.
    pub id: u64,
    /// What was asked for, without the query.
    pub path: String,
    /// The subprotocol chosen.
    pub protocol: Option<String>,
    /// Whether the client asked to wind it down.
    pub draining: bool,
    /// Its figures.
    pub stats: SessionStats,
}
