//! How connections begin: ours, and those of clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto as quinn;

use super::{Endpoint, settings};
use crate::connection::qlog::Qlog;
use crate::connection::quic::Quic;
use crate::{ConnectError, Connection, ConnectionId, Role};

impl Endpoint {
    /// Begins a connection to a server; [`Event::Connected`](crate::Event::Connected) or
    /// [`Event::ConnectionLost`](crate::Event::ConnectionLost) follows.
    ///
    /// `server_name` is the host of the URL, a DNS name or an IP address without brackets; the ALPN protocol `h3` is set
    /// on `tls`.
    ///
    /// # Errors
    ///
    /// Mistakes of the caller and exhausted limits; what the network does is an event.
    pub fn connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        server_name: &str,
        tls: rustls::ClientConfig,
    ) -> Result<ConnectionId, ConnectError> {
        let client = settings::client(&self.config, tls)?;
        self.begin(now, remote, server_name, client)
    }

    pub(super) fn begin(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        server_name: &str,
        mut client: quinn::ClientConfig,
    ) -> Result<ConnectionId, ConnectError> {
        let now = self.advance(now);
        if self.closing {
            return Err(ConnectError::Closing);
        }
        if self.table.len() >= self.config.max_connections {
            return Err(ConnectError::TooMany);
        }
        let (transport, qlog) = self.logs.begin(&self.config, now, Role::Client, remote).unzip();
        if let Some(transport) = transport {
            client.transport_config(Arc::new(transport));
        }
        let (handle, connection) =
            self.quic.connect(now, client, remote, server_name).map_err(|error| match error {
                quinn::ConnectError::InvalidServerName(name) => ConnectError::InvalidServerName(name),
                quinn::ConnectError::InvalidRemoteAddress(address) => ConnectError::InvalidAddress(address),
                quinn::ConnectError::CidsExhausted => ConnectError::TooMany,
                _ => ConnectError::Closing,
            })?;
        Ok(self.insert(now, handle, connection, qlog.unwrap_or_default()))
    }

    /// A client's first packet: a connection, a Retry, or nothing.
    ///
    /// Apart from what every packet goes through: a new connection passes the stack by value, which takes pages of it.
    #[cold]
    #[inline(never)]
    pub(super) fn incoming(&mut self, now: Instant, incoming: quinn::Incoming) {
        let handshakes = self.table.handshakes();
        if self.closing || self.table.len() >= self.config.max_connections {
            self.stats.connections_refused += 1;
            self.scratch.clear();
            let transmit = self.quic.refuse(incoming, &mut self.scratch);
            return self.answer(transmit);
        }
        if handshakes >= self.config.max_handshakes {
            self.stats.connections_refused += 1;
            return self.quic.ignore(incoming);
        }
        self.scratch.clear();
        if handshakes >= self.config.retry_above && !incoming.remote_address_validated() && incoming.may_retry() {
            return match self.quic.retry(incoming, &mut self.scratch) {
                Ok(transmit) => self.answer(transmit),
                Err(error) => self.quic.ignore(error.into_incoming()),
            };
        }
        let (transport, qlog) = self.logs.begin(&self.config, now, Role::Server, incoming.remote_address()).unzip();
        let server = transport.zip(self.server.as_deref()).map(|(transport, server)| {
            let mut server = server.clone();
            server.transport_config(Arc::new(transport));
            Arc::new(server)
        });
        match self.quic.accept(incoming, now, &mut self.scratch, server) {
            Ok((handle, connection)) => {
                self.insert(now, handle, connection, qlog.unwrap_or_default());
            }
            Err(error) => {
                self.stats.connections_refused += 1;
                if let Some(transmit) = error.response {
                    self.answer(transmit);
                }
            }
        }
    }

    pub(super) fn insert(
        &mut self,
        now: Instant,
        handle: quinn::ConnectionHandle,
        connection: quinn::Connection,
        qlog: Qlog,
    ) -> ConnectionId {
        self.stats.connections_accepted += 1;
        let quic = Quic::new(connection, self.config.max_mtu > 0);
        let mut connection = Connection::new(quic, Arc::clone(&self.config), &self.offers, now);
        connection.qlog = qlog;
        let id = self.table.insert(handle, connection);
        self.table.touch(id);
        id
    }
}
