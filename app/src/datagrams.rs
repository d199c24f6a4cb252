//! The datagrams of a session.

use std::future::poll_fn;

use bytes::Bytes;
use transom_core::{DatagramOptions, DatagramPriority, SendDatagramError};

use crate::driver::{Kind, Place};
use crate::error::SessionError;
use crate::session::{Session, none_if_clean};

impl Session {
    /// Queues a datagram, without waiting; when there is no room, the session's oldest one that waits is dropped.
    ///
    /// [`DatagramOptions`] and [`Config::datagram_send_buffer`](crate::Config::datagram_send_buffer) say how much may
    /// wait. Sessions of one connection take turns.
    ///
    /// # Errors
    ///
    /// [`SendDatagramError::TooLarge`] when it does not fit one packet, [`SendDatagramError::Closed`] when the session
    /// is over; never `Blocked`.
    pub fn send_datagram(&self, payload: impl Into<Bytes>) -> Result<(), SendDatagramError> {
        self.send_datagram_with_priority(payload, DatagramPriority::Normal)
    }

    /// Queues a datagram that goes before the session's others of a lower priority, without waiting.
    ///
    /// When there is no room, the oldest of the lowest priority is dropped; that is this one, if everything that waits
    /// has a higher one.
    ///
    /// # Errors
    ///
    /// Those of [`send_datagram`](Self::send_datagram).
    pub fn send_datagram_with_priority(
        &self,
        payload: impl Into<Bytes>,
        priority: DatagramPriority,
    ) -> Result<(), SendDatagramError> {
        let payload = payload.into();
        let sent = self.cell().act(|mut session| session.force_datagram_with_priority(&payload, priority));
        sent.unwrap_or(Err(SendDatagramError::Closed))
    }

    /// Queues a datagram if there is room, and says `Blocked` if there is none.
    pub(crate) fn try_send_datagram(&self, payload: &Bytes) -> Result<(), SendDatagramError> {
        let sent = self.cell().act(|mut session| session.send_datagram(payload));
        sent.unwrap_or(Err(SendDatagramError::Closed))
    }

    /// Queues a datagram, waiting while there is no room.
    ///
    /// # Errors
    ///
    /// [`SendDatagramError::TooLarge`] when it does not fit one packet, [`SendDatagramError::Closed`] when the session
    /// is over; never `Blocked`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready sends nothing.
    pub async fn send_datagram_wait(&self, payload: impl Into<Bytes>) -> Result<(), SendDatagramError> {
        let payload = payload.into();
        let mut place = Place::new(self.cell(), Kind::DatagramRoom);
        let sent = poll_fn(|context| {
            place.poll(context, |mut session| match session.send_datagram(&payload) {
                Err(SendDatagramError::Blocked) => None,
                result => Some(result),
            })
        });
        sent.await.unwrap_or(Err(SendDatagramError::Closed))
    }

    /// Waits for a datagram; `None` once the session was closed by either side.
    ///
    /// Datagrams that are not read in time are dropped, the oldest first; see
    /// [`Config::datagram_queue`](crate::Config::datagram_queue).
    ///
    /// # Errors
    ///
    /// [`SessionError::Ended`] when the session ended without being closed: the connection was lost, or a side
    /// aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no datagram.
    pub async fn recv_datagram(&self) -> Result<Option<Bytes>, SessionError> {
        let mut place = Place::new(self.cell(), Kind::Datagram);
        let received = poll_fn(|context| place.poll(context, |mut session| session.recv_datagram()));
        none_if_clean(received.await)
    }

    /// How many datagrams may wait, and how long; `None` once the session is over.
    pub fn datagram_options(&self) -> Option<DatagramOptions> {
        self.cell().look(|session| session.datagram_options())
    }

    /// Changes how many datagrams may wait, and how long, from now on. Has no effect on a session that is over.
    pub fn set_datagram_options(&self, options: DatagramOptions) {
        self.cell().act(|mut session| session.set_datagram_options(options));
    }

    /// The most payload bytes that fit a datagram now; it changes with the path, and is 0 once the session is over.
    pub fn max_datagram_size(&self) -> usize {
        self.cell().look(|mut session| session.max_datagram_size()).unwrap_or(0)
    }
}
