//! A log for each connection that begins, if somebody wants one.

use std::net::SocketAddr;
use std::time::Instant;

use quinn_proto as quinn;

#[cfg(feature = "qlog")]
use super::settings;
use crate::connection::qlog::Qlog;
#[cfg(feature = "qlog")]
use crate::qlog::{OpenQlog, QlogConnection, SharedWriter};
use crate::{Config, Role};

/// Who opens them.
#[derive(Default)]
pub(super) struct Logs {
    #[cfg(feature = "qlog")]
    pub(super) open: Option<OpenQlog>,
}

impl Logs {
    /// The log of a connection that begins, and QUIC's configuration that writes to it.
    #[cfg(feature = "qlog")]
    pub(super) fn begin(
        &mut self,
        config: &Config,
        now: Instant,
        role: Role,
        remote: SocketAddr,
    ) -> Option<(quinn::TransportConfig, Qlog)> {
        let writer = SharedWriter::new(self.open.as_mut()?(&QlogConnection { role, remote })?);
        // Checked when the endpoint was made.
        let mut transport = settings::transport(config).ok()?;
        let title = match role {
            Role::Client => format!("transom client of {remote}"),
            Role::Server => format!("transom server for {remote}"),
        };
        let mut log = quinn::QlogConfig::default();
        log.writer(Box::new(writer.clone())).title(Some(title)).start_time(now);
        transport.qlog_stream(Some(log.into_stream()?));
        Some((transport, Qlog::new(writer, now)))
    }

    #[cfg(not(feature = "qlog"))]
    #[expect(clippy::unused_self, reason = "there is something in it with the feature")]
    pub(super) fn begin(
        &mut self,
        _: &Config,
        _: Instant,
        _: Role,
        _: SocketAddr,
    ) -> Option<(quinn::TransportConfig, Qlog)> {
        None
    }
}
