//! What an application calls for the datagrams of a session.

use bytes::Bytes;

use super::Timer;
use super::handles::Session;
use crate::{DatagramOptions, DatagramPriority, SendDatagramError};

impl Session<'_> {
    /// Queues a datagram to be sent, when there is room for it; the same as
    /// [`send_datagram_with_priority`](Self::send_datagram_with_priority) with a normal one.
    ///
    /// # Errors
    ///
    /// `Blocked` when as much waits as may: see [`DatagramOptions`] for the number, and
    /// [`Config::datagram_send_buffer`](crate::Config::datagram_send_buffer) for the bytes.
    pub fn send_datagram(&mut self, payload: &[u8]) -> Result<(), SendDatagramError> {
        self.connection.send_datagram(self.id, payload, DatagramPriority::Normal, false)
    }

    /// Queues a datagram to be sent; the oldest ones of the session that wait are dropped when there is no room.
    ///
    /// # Errors
    ///
    /// Never `Blocked`.
    pub fn force_datagram(&mut self, payload: &[u8]) -> Result<(), SendDatagramError> {
        self.connection.send_datagram(self.id, payload, DatagramPriority::Normal, true)
    }

    /// Queues a datagram to be sent before the session's others of a lower priority, when there is room for it.
    ///
    /// # Errors
    ///
    /// As [`send_datagram`](Self::send_datagram).
    pub fn send_datagram_with_priority(
        &mut self,
        payload: &[u8],
        priority: DatagramPriority,
    ) -> Result<(), SendDatagramError> {
        self.connection.send_datagram(self.id, payload, priority, false)
    }

    /// Queues a datagram to be sent before the session's others of a lower priority. When there is no room, the oldest
    /// of the lowest priority is dropped; that is this one, if everything that waits has a higher one.
    ///
    /// # Errors
    ///
    /// Never `Blocked`.
    pub fn force_datagram_with_priority(
        &mut self,
        payload: &[u8],
        priority: DatagramPriority,
    ) -> Result<(), SendDatagramError> {
        self.connection.send_datagram(self.id, payload, priority, true)
    }

    /// Takes the oldest datagram that waits and is not too old.
    pub fn recv_datagram(&mut self) -> Option<Bytes> {
        self.connection.recv_datagram(self.id)
    }

    /// Whether [`recv_datagram`](Self::recv_datagram) would return one.
    pub fn has_datagrams(&self) -> bool {
        let max_age = self.datagram_options().incoming_max_age;
        let session = self.connection.sessions.get(self.id);
        session.is_some_and(|session| session.datagrams.has_any(self.connection.now, max_age))
    }

    /// The most payload bytes a datagram can carry now; it changes with the path, and is 0 before the handshake.
    pub fn max_datagram_size(&mut self) -> usize {
        self.connection.max_datagram_size(self.id).unwrap_or(0)
    }

    /// How many datagrams may wait, and how long.
    pub fn datagram_options(&self) -> DatagramOptions {
        self.connection.datagram_options(self.id)
    }

    /// Changes how many datagrams may wait, and how long. It holds at once, also for those that wait; but those above a
    /// mark that was lowered are only kept from becoming more.
    pub fn set_datagram_options(&mut self, options: DatagramOptions) {
        let connection = &mut *self.connection;
        let Some(session) = connection.sessions.get_mut(self.id) else { return };
        session.datagram_options = Some(Box::new(options.within(&connection.config)));
        connection.timers.set(Timer::Datagrams(self.id), connection.datagram_deadline(self.id));
        // A mark may have been raised.
        connection.unblock(self.id, true);
    }
}
