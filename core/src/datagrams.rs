//! What an application may say about its datagrams.

use std::time::Duration;

use crate::Config;

/// Which of a session's datagrams goes first.
///
/// It orders the datagrams of one session only: sessions take turns, whatever their priorities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatagramPriority {
    /// After all others, and the first to be dropped for want of room.
    Low,
    /// In between.
    #[default]
    Normal,
    /// Before all others, and never dropped for one of them.
    High,
}

/// How many datagrams a session keeps waiting, and how long; the same that the W3C API can set on its datagram streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramOptions {
    /// Datagrams that may wait to be sent; [`Config::datagram_send_queue`] counts where it is smaller. One always may.
    pub outgoing_high_water_mark: usize,
    /// Age above which a datagram is not sent any more; `None` sends them however old they are.
    pub outgoing_max_age: Option<Duration>,
    /// Datagrams that may wait to be read; [`Config::datagram_queue`] counts where it is smaller.
    pub incoming_high_water_mark: usize,
    /// Age above which a datagram is not given to the application any more; `None` gives them however old they are.
    pub incoming_max_age: Option<Duration>,
}

impl DatagramOptions {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            outgoing_high_water_mark: config.datagram_send_queue,
            outgoing_max_age: config.datagram_send_max_age,
            incoming_high_water_mark: config.datagram_queue,
            incoming_max_age: config.datagram_max_age,
        }
    }

    /// With marks that are not above the configured limits.
    pub(crate) fn within(mut self, config: &Config) -> Self {
        self.outgoing_high_water_mark = self.outgoing_high_water_mark.min(config.datagram_send_queue);
        self.incoming_high_water_mark = self.incoming_high_water_mark.min(config.datagram_queue);
        self
    }
}
