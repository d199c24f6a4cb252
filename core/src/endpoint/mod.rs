//! One UDP socket's worth of connections: what embedders drive and fuzzers fuzz.

mod begin;
mod connection_ids;
#[cfg(any(test, fuzzing))]
mod plain;
mod qlog;
mod settings;
mod stats;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto as quinn;

use crate::connection::quic;
use crate::connection::{self, Offers};
use crate::limits::STATELESS_ANSWERS;
use crate::{Config, ConfigError, Connection, ConnectionId, ErrorCode, Event, Receive, Transmit};
use qlog::Logs;
pub use stats::EndpointStats;
use table::Table;

/// WebTransport connections over one UDP socket, for a server, a client, or both.
///
/// See the [crate documentation](crate) for the contract and [`Config`] for the limits.
pub struct Endpoint {
    quic: quinn::Endpoint,
    config: Arc<Config>,
    offers: Offers,
    table: Table,
    /// Stateless answers (Retry, Version Negotiation, refusals) that wait to be sent.
    answers: std::collections::VecDeque<(Transmit, Vec<u8>)>,
    scratch: Vec<u8>,
    now: Option<Instant>,
    /// Whose datagram came last.
    fed: Option<ConnectionId>,
    server: Option<Arc<quinn::ServerConfig>>,
    closing: bool,
    stats: EndpointStats,
    logs: Logs,
}

impl Endpoint {
    /// An endpoint that takes connections, and can make them too.
    ///
    /// The ALPN protocol `h3` is set on `tls`, and 0-RTT turned off: sessions are not to be replayed.
    ///
    /// # Errors
    ///
    /// When `tls` cannot be used for QUIC (TLS 1.3 with AES-128-GCM is needed) or a value of `config` is out of range.
    pub fn server(config: Config, tls: rustls::ServerConfig) -> Result<Self, ConfigError> {
        let server = settings::server(&config, tls)?;
        Self::new(config, Some(server))
    }

    /// An endpoint that only makes connections.
    ///
    /// # Errors
    ///
    /// When a value of `config` is out of range.
    pub fn client(config: Config) -> Result<Self, ConfigError> {
        Self::new(config, None)
    }

    fn new(config: Config, server: Option<Arc<quinn::ServerConfig>>) -> Result<Self, ConfigError> {
        // Checked once here, so that making a connection cannot fail for it later.
        settings::transport(&config)?;
        let allow_discovery = config.max_mtu > 0;
        Ok(Self {
            quic: quinn::Endpoint::new(settings::endpoint(&config), server.clone(), allow_discovery, None),
            offers: connection::offers(&config),
            config: Arc::new(config),
            table: Table::default(),
            answers: std::collections::VecDeque::new(),
            scratch: Vec::new(),
            now: None,
            fed: None,
            server,
            closing: false,
            stats: EndpointStats::default(),
            logs: Logs::default(),
        })
    }

    /// Replaces certificate and key for connections that come from now on.
    ///
    /// # Errors
    ///
    /// When `tls` cannot be used for QUIC; the old configuration stays.
    pub fn set_server_tls(&mut self, tls: rustls::ServerConfig) -> Result<(), ConfigError> {
        let crypto = settings::crypto(tls)?;
        if let Some(server) = &mut self.server {
            // Everything else stays, the key of address tokens above all: a client that was just sent a Retry comes back
            // with one, and takes no second Retry.
            Arc::make_mut(server).crypto = crypto;
            self.quic.set_server_config(Some(Arc::clone(server)));
        }
        Ok(())
    }

    /// Writes a log of each connection that begins from now on to where `open` says; see the [module](crate::qlog).
    #[cfg(feature = "qlog")]
    pub fn set_qlog(
        &mut self,
        open: impl FnMut(&crate::qlog::QlogConnection) -> Option<crate::qlog::QlogWriter> + Send + 'static,
    ) {
        self.logs.open = Some(Box::new(open));
    }

    // Inputs.

    /// Takes one UDP datagram.
    pub fn handle_receive(&mut self, now: Instant, datagram: Receive) {
        let now = self.advance(now);
        self.stats.udp_datagrams_received += 1;
        let Receive { remote, local_ip, ecn, data } = datagram;
        let size = data.len();
        self.stats.udp_bytes_received += size as u64;
        self.scratch.clear();
        match self.quic.handle(now, remote, local_ip, quic::ecn(ecn), data, &mut self.scratch) {
            None => {}
            Some(quinn::DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(id) = self.table.by_handle(handle) {
                    if let Some(last) = self.fed.replace(id).filter(|last| *last != id) {
                        // While it is in the processor's caches; and once for all that comes in a row.
                        self.table.settle_events(last);
                    }
                    self.with(id, |connection| {
                        connection.at(now);
                        if connection.quic().handle_event(event, size) {
                            connection.look();
                        }
                    });
                }
            }
            Some(quinn::DatagramEvent::NewConnection(incoming)) => self.incoming(now, incoming),
            Some(quinn::DatagramEvent::Response(transmit)) => self.answer(transmit),
        }
    }

    /// Lets deadlines that have passed take effect; calling it early or late is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        while let Some(id) = self.table.pop_due(now) {
            self.with(id, |connection| connection.handle_timeout(now));
        }
    }

    // Outputs.

    /// Fills `buf` (which must be empty) with one or more UDP datagrams of the same destination and size, at most
    /// `max_segments` of them. Call until it returns `None`.
    ///
    /// `max_segments` above 1 is for GSO. Choose it so that that many datagrams of [`Config::max_mtu`] fit one UDP message
    /// of 65,507 bytes, whatever more the system would take.
    pub fn poll_transmit(&mut self, now: Instant, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        let now = self.advance(now);
        if let Some((transmit, bytes)) = self.answers.pop_front() {
            buf.extend_from_slice(&bytes);
            return Some(self.sent(transmit));
        }
        while let Some(id) = self.table.next_ready() {
            let Some(connection) = self.table.get_mut(id) else { continue };
            connection.settle(now);
            connection.fill_datagrams(now, max_segments);
            let transmit = connection.quic().poll_transmit(now, max_segments, buf);
            // Sending can make events, see contract C3.
            connection.settle(now);
            self.route_endpoint_events(id);
            self.table.note_events(id);
            let Some(transmit) = transmit else {
                self.rest(id);
                continue;
            };
            let spent = self.table.get_mut(id).is_some_and(|connection| Connection::is_spent(connection));
            #[cfg(any(test, fuzzing))]
            self.doubt(id, spent);
            if spent {
                self.rest(id);
            } else {
                self.table.again(id);
            }
            return Some(self.sent(transmit));
        }
        None
    }

    /// The next event. An event of a connection may come after the connection was closed by a command.
    pub fn poll_event(&mut self) -> Option<(ConnectionId, Event)> {
        while self.table.settle_next() {}
        while let Some(id) = self.table.next_with_events() {
            if let Some(event) = self.table.get_mut(id).and_then(Connection::poll_event) {
                if matches!(event, Event::ConnectionLost { .. }) {
                    self.table.hide(id);
                }
                return Some((id, event));
            }
            self.table.no_events(id);
            self.remove_if_over(id);
        }
        None
    }

    /// When to call again even if nothing arrives; already due while any output may be pending (contract C3).
    ///
    /// It may be early: deadlines that have moved back since are only noticed once they come, and then there is nothing to do.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if !self.answers.is_empty() || self.table.is_busy() {
            return self.now;
        }
        self.table.next_deadline()
    }

    /// How many connections may have something to send.
    ///
    /// Whoever has many datagrams to hand in does well to send in between, once for every few dozen connections: what they
    /// consist of is then still in the processor's caches.
    pub fn connections_to_poll(&self) -> usize {
        self.table.ready_len()
    }

    // Commands.

    /// A connection, until its [`Event::ConnectionLost`] was polled.
    pub fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        // Whatever the caller does with it may have something to send.
        let connection = self.table.for_application(id)?;
        if let Some(now) = self.now {
            connection.at(now);
        }
        Some(connection)
    }

    /// Refuses new connections and sessions, and [drains](Connection::drain) every connection there is.
    pub fn drain(&mut self, now: Instant) {
        self.advance(now);
        self.closing = true;
        for id in self.table.ids() {
            self.with(id, Connection::drain);
        }
    }

    /// Closes every connection at once.
    pub fn close(&mut self, now: Instant, code: ErrorCode, reason: &str) {
        self.advance(now);
        self.closing = true;
        for id in self.table.ids() {
            self.with(id, |connection| connection.close(code, reason));
        }
    }

    /// Whether no connection is left, not even one whose last packets are being waited for.
    pub fn is_drained(&self) -> bool {
        self.table.len() == 0
    }

    /// Figures since the endpoint was made, up to now.
    pub fn stats(&mut self) -> EndpointStats {
        for id in self.table.ready() {
            self.count(id);
        }
        EndpointStats { connections_open: self.table.len() as u64, ..self.stats }
    }

    // Inside.

    fn advance(&mut self, now: Instant) -> Instant {
        let newest = self.now.map_or(now, |newest| newest.max(now));
        self.now = Some(newest);
        newest
    }

    /// Lets something happen to a connection, which then has to be looked at.
    fn with<T>(&mut self, id: ConnectionId, change: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        let result = self.table.get_mut(id).map(change);
        self.table.touch(id);
        result
    }

    /// The connection has nothing to send now: note when it wants to be called again.
    fn rest(&mut self, id: ConnectionId) {
        self.table.rest(id);
        self.count(id);
        self.remove_if_over(id);
    }

    /// Adds up what happened on a connection.
    fn count(&mut self, id: ConnectionId) {
        if let Some(connection) = self.table.get_mut(id) {
            self.stats.add(std::mem::take(&mut connection.counters));
        }
    }

    /// Carries messages between quinn's two halves.
    fn route_endpoint_events(&mut self, id: ConnectionId) {
        let Some(handle) = self.table.handle(id) else { return };
        while let Some(event) = self.table.get_mut(id).and_then(|c| c.quic().poll_endpoint_events()) {
            if event.is_drained() {
                self.table.set_drained(id);
            }
            if let Some(event) = self.quic.handle_event(handle, event)
                && let Some(connection) = self.table.get_mut(id)
            {
                connection.quic().handle_answer(event);
                self.table.touch(id);
            }
        }
    }

    fn remove_if_over(&mut self, id: ConnectionId) {
        if self.table.is_over(id) {
            self.table.remove(id);
        }
    }

    #[cold]
    fn answer(&mut self, transmit: quinn::Transmit) {
        if self.answers.len() < STATELESS_ANSWERS {
            let bytes = self.scratch.get(..transmit.size).unwrap_or_default().to_vec();
            self.answers.push_back((quic::transmit(transmit), bytes));
        }
    }

    fn sent(&mut self, transmit: Transmit) -> Transmit {
        let segment = transmit.segment_size.unwrap_or(transmit.size).max(1);
        self.stats.udp_datagrams_sent += transmit.size.div_ceil(segment) as u64;
        self.stats.udp_bytes_sent += transmit.size as u64;
        transmit
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("connections", &self.table.len())
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}
