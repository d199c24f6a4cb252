//! Endpoints with cryptography of the caller's choice, for fuzzing and tests: none at all makes them fast and repeatable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto as quinn;
use quinn_proto::crypto;

use super::{Endpoint, settings};
use crate::{Config, ConfigError, ConnectError, ConnectionId};

impl Endpoint {
    pub(crate) fn server_with(config: Config, crypto: Arc<dyn crypto::ServerConfig>) -> Result<Self, ConfigError> {
        let server = settings::server_limits(&config, quinn::ServerConfig::with_crypto(crypto))?;
        Self::new(config, Some(server))
    }

    pub(crate) fn connect_with(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        crypto: Arc<dyn crypto::ClientConfig>,
    ) -> Result<ConnectionId, ConnectError> {
        let client = settings::client_limits(&self.config, quinn::ClientConfig::new(crypto))?;
        self.begin(now, remote, "localhost", client)
    }

    /// Asks a connection that is said to have sent everything, every other time, so that both ways are gone.
    pub(super) fn doubt(&mut self, id: ConnectionId, spent: bool) {
        let Some(now) = self.now.filter(|_| spent && self.stats.udp_datagrams_sent.is_multiple_of(2)) else { return };
        // A probe for a larger MTU may wait.
        if self.config.max_mtu == 0
            && let Some(connection) = self.table.get_mut(id)
        {
            assert_eq!(connection.quic().poll_transmit(now, 1, &mut Vec::new()), None);
        }
    }
}
