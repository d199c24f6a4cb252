//! When QUIC need not be asked again whether it has more to send.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn_proto as quinn;

use crate::connection::congestion::{self, Told};

/// Whether QUIC has sent all it has, as far as its last packet shows.
///
/// quinn-proto fills a packet with all that fits, so one that has room left was the last. To be told so costs a
/// twentieth of what a small datagram costs that is answered, and for the same answer most of the time.
#[derive(Debug)]
pub(super) struct Spent {
    all_sent: bool,
    /// A timeout may have more than one packet to send, however small.
    timed_out: bool,
    /// How many times the question has been left out since it was last asked.
    left_out: u8,
    /// How many times it must be asked before it is left out at all.
    to_ask: u8,
    probes: bool,
    /// Where the packets of the path go; others belong to a path that is left or tried.
    path: SocketAddr,
    /// How the controller of that path hears what quinn-proto itself does not know.
    told: Option<Arc<Told>>,
}

impl Spent {
    /// `probes`: it looks for a larger MTU, for which it uses the moments when there is nothing else to send. Those at the
    /// beginning of a path are all left to it.
    pub(super) fn new(inner: &quinn::Connection, probes: bool) -> Self {
        let told = congestion::told(inner.congestion_state());
        let to_ask = if probes { SEARCH } else { 0 };
        Self { all_sent: false, timed_out: false, left_out: 0, to_ask, probes, path: inner.remote_address(), told }
    }

    /// Whether it has, until something happens.
    pub(super) fn is_spent(&self) -> bool {
        self.all_sent
    }

    /// Something happened that may give QUIC something to send.
    pub(super) fn disturb(&mut self) {
        self.all_sent = false;
    }

    /// A deadline has passed.
    pub(super) fn timed_out(&mut self) {
        self.timed_out = true;
    }

    /// Notes what QUIC sent, and whether it holds datagrams that did not fit.
    pub(super) fn note(
        &mut self,
        transmit: Option<&quinn::Transmit>,
        holds_datagrams: bool,
        inner: &quinn::Connection,
    ) {
        let Some(transmit) = transmit else {
            (self.all_sent, self.timed_out, self.left_out) = (false, false, 0);
            self.to_ask = self.to_ask.saturating_sub(1);
            return self.tell();
        };
        let on_path = transmit.destination == self.path;
        if !on_path && inner.remote_address() != self.path {
            *self = Self { timed_out: self.timed_out, ..Self::new(inner, self.probes) };
        }
        let has_room = transmit.size < PADDED && transmit.size + ROOM <= usize::from(inner.current_mtu());
        self.all_sent = on_path
            && transmit.segment_size.is_none()
            && has_room
            && !holds_datagrams
            && !self.timed_out
            && self.to_ask == 0
            && self.left_out < MOST
            && !inner.is_handshaking()
            && !inner.is_closed();
        self.left_out += u8::from(self.all_sent);
        self.tell();
    }

    /// With nothing more to send it is us who hold the connection back, and not the network; quinn-proto concludes that
    /// only when it is asked and has nothing.
    fn tell(&self) {
        if let Some(told) = &self.told {
            told.set_idle(self.all_sent);
        }
    }
}

/// What packets are padded to that validate a path (RFC 9000, section 8.2.1). There may be more of those.
const PADDED: usize = 1_200;

/// More than any frame takes that cannot be divided, but for those of datagrams.
const ROOM: usize = 128;

/// What it takes to find the MTU, and more: four probes, each sent up to three times (RFC 8899, section 5.1.2).
const SEARCH: u8 = 32;

/// Packets after which QUIC is asked in any case, since it looks for a larger MTU again from time to time.
const MOST: u8 = 16;
