//! One QUIC connection: the only place, beside the endpoint, that knows `quinn_proto`.

mod reading;
mod spent;
mod words;

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto as quinn;

use super::congestion;
use crate::limits::DATAGRAM_RECEIVE_BUFFER;
use crate::{ConnectionError, ConnectionStats, Direction, ErrorCode, Role, StreamId, Transmit};
pub(crate) use reading::{Ahead, NoBytes, Pieces, Read};
use spent::Spent;
use words::{bits_per_second, dir, quinn_id, stream_event, stream_id, varint, written};
pub(crate) use words::{connection_error, ecn, transmit};

/// Whether this QUIC layer can send and receive RESET_STREAM_AT (draft-ietf-quic-reliable-stream-reset).
///
/// quinn-proto 0.11.19 cannot. What we advertise follows from this constant, see `h3::dialect`.
pub(crate) const RESET_STREAM_AT: bool = false;

/// A QUIC connection in our own vocabulary.
#[repr(C)]
pub(crate) struct Quic {
    /// Whether there may be something to report: something has happened since there was nothing.
    stirred: bool,
    /// Bytes that arrived since what they brought was last looked at.
    unlooked: usize,
    /// Whether one of the packets among them was larger than packets are: a payload keeps the whole.
    oversized: bool,
    /// The space for datagrams while none waits.
    datagram_buffer: usize,
    /// The largest datagram as long as nothing happens; kept up to date once it has been asked for.
    largest_datagram: Option<usize>,
    sends_datagrams: bool,
    spent: Spent,
    error: Option<ConnectionError>,
    inner: quinn::Connection,
}

/// What QUIC reports, translated.
#[derive(Debug)]
pub(crate) enum QuicEvent {
    Handshaking,
    Connected,
    Lost(ConnectionError),
    Opened(Direction),
    Readable(StreamId),
    Writable(StreamId),
    Finished(StreamId),
    Stopped(StreamId, ErrorCode),
    Available(Direction),
    DatagramReceived,
}

/// Result of a write: how much was taken, or why nothing.
#[derive(Debug)]
pub(crate) enum Write {
    Taken(usize),
    Blocked,
    Stopped(ErrorCode),
    Closed,
}

impl Quic {
    /// `probes`: it looks for a larger MTU.
    pub(crate) fn new(mut inner: quinn::Connection, probes: bool) -> Self {
        let datagram_buffer = inner.datagrams().send_buffer_space();
        Self {
            stirred: true,
            unlooked: 0,
            oversized: false,
            datagram_buffer,
            largest_datagram: None,
            sends_datagrams: false,
            spent: Spent::new(&inner, probes),
            error: None,
            inner,
        }
    }

    // Driven by the endpoint.

    /// The connection, for what may make something to report.
    fn stir(&mut self) -> &mut quinn::Connection {
        self.stirred = true;
        self.spent.disturb();
        &mut self.inner
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.spent.timed_out();
        self.stir().handle_timeout(now);
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    /// What quinn's endpoint must hear of.
    pub(crate) fn poll_endpoint_events(&mut self) -> Option<quinn::EndpointEvent> {
        self.inner.poll_endpoint_events()
    }

    /// What quinn's endpoint says to that.
    pub(crate) fn handle_answer(&mut self, event: quinn::ConnectionEvent) {
        self.stir().handle_event(event);
    }

    /// Takes one UDP datagram of `size` bytes. Returns whether to look now at what came: QUIC's own queue of datagrams is
    /// short, and drops the oldest.
    pub(crate) fn handle_event(&mut self, event: quinn::ConnectionEvent, size: usize) -> bool {
        self.stir().handle_event(event);
        self.unlooked += size;
        self.oversized |= size > LARGEST_PACKET;
        self.unlooked > DATAGRAM_RECEIVE_BUFFER / 2
    }

    pub(crate) fn poll_transmit(&mut self, now: Instant, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        let sent = self.inner.poll_transmit(now, max_segments.max(1), buf);
        // To send makes nothing to report, except where it finds that it must not go on.
        self.stirred |= self.inner.is_closed();
        let holds_datagrams = sent.is_some() && self.datagram_bytes_waiting() > 0;
        self.spent.note(sent.as_ref(), holds_datagrams, &self.inner);
        sent.map(transmit)
    }

    /// Whether QUIC has sent all it has, as far as its last packet shows, and nothing has happened since.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.is_spent()
    }

    pub(crate) fn poll(&mut self) -> Option<QuicEvent> {
        if !self.stirred {
            return None;
        }
        let Some(event) = self.inner.poll() else {
            (self.stirred, self.unlooked, self.oversized) = (false, 0, false);
            if self.sends_datagrams {
                self.largest_datagram = self.inner.datagrams().max_size();
            }
            return None;
        };
        let event = match event {
            quinn::Event::HandshakeDataReady => QuicEvent::Handshaking,
            quinn::Event::Connected => QuicEvent::Connected,
            quinn::Event::ConnectionLost { reason } => {
                let error = self.error.take().unwrap_or_else(|| connection_error(reason));
                QuicEvent::Lost(error)
            }
            quinn::Event::Stream(event) => stream_event(event),
            quinn::Event::DatagramReceived => QuicEvent::DatagramReceived,
            // We never give it more than it has room for.
            quinn::Event::DatagramsUnblocked => return self.poll(),
        };
        Some(event)
    }

    /// Whether there may be something to report.
    pub(crate) fn is_stirred(&self) -> bool {
        self.stirred
    }

    // State.

    pub(crate) fn role(&self) -> Role {
        if self.inner.side().is_client() { Role::Client } else { Role::Server }
    }

    pub(crate) fn remote_address(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    pub(crate) fn stats(&self) -> ConnectionStats {
        let stats = self.inner.stats();
        let observed = congestion::observe(self.inner.congestion_state());
        let rtt = stats.path.rtt;
        ConnectionStats {
            rtt,
            rtt_variation: observed.rtt_variation.unwrap_or_default(),
            min_rtt: self.inner.min_rtt(),
            mtu: stats.path.current_mtu,
            congestion_window: stats.path.cwnd,
            congestion_events: stats.path.congestion_events,
            estimated_send_rate: observed.rtt_variation.and_then(|_| bits_per_second(stats.path.cwnd, rtt)),
            at_send_capacity: observed.at_send_capacity,
            packets_sent: stats.path.sent_packets,
            packets_lost: stats.path.lost_packets,
            bytes_lost: stats.path.lost_bytes,
            udp_datagrams_sent: stats.udp_tx.datagrams,
            udp_bytes_sent: stats.udp_tx.bytes,
            udp_datagrams_received: stats.udp_rx.datagrams,
            udp_bytes_received: stats.udp_rx.bytes,
            ..ConnectionStats::default()
        }
    }

    /// Streams on which we have something to say, or have said something that has not been acknowledged.
    pub(crate) fn unacknowledged_streams(&mut self) -> usize {
        self.inner.streams().send_streams()
    }

    /// Whether the stream has a half that we send on; quinn asserts it, we answer.
    fn sends(&self, stream: StreamId) -> bool {
        stream.direction() == Direction::Bidirectional || stream.initiator() == self.role()
    }

    /// Whether the stream has a half that we receive on.
    fn receives(&self, stream: StreamId) -> bool {
        stream.direction() == Direction::Bidirectional || stream.initiator() != self.role()
    }

    // Commands.

    pub(crate) fn close(&mut self, now: Instant, code: ErrorCode, reason: &str, error: ConnectionError) {
        if !self.inner.is_closed() {
            self.error = Some(error);
            congestion::let_go(self.inner.congestion_state());
            self.stir().close(now, varint(code.0), Bytes::copy_from_slice(reason.as_bytes()));
        }
    }

    pub(crate) fn set_receive_window(&mut self, bytes: u32) {
        self.stir().set_receive_window(quinn::VarInt::from_u32(bytes));
    }

    pub(crate) fn open(&mut self, direction: Direction) -> Option<StreamId> {
        self.stir().streams().open(dir(direction)).map(stream_id)
    }

    pub(crate) fn accept(&mut self, direction: Direction) -> Option<StreamId> {
        self.stir().streams().accept(dir(direction)).map(stream_id)
    }

    /// Returns whether there was anything left to stop.
    pub(crate) fn stop(&mut self, stream: StreamId, code: ErrorCode) -> bool {
        self.receives(stream) && self.stir().recv_stream(quinn_id(stream)).stop(varint(code.0)).is_ok()
    }

    pub(crate) fn write(&mut self, stream: StreamId, data: &[u8]) -> Write {
        if !self.sends(stream) {
            return Write::Closed;
        }
        written(self.stir().send_stream(quinn_id(stream)).write(data))
    }

    pub(crate) fn write_bytes(&mut self, stream: StreamId, data: &mut Bytes) -> Write {
        if !self.sends(stream) {
            return Write::Closed;
        }
        let chunks = std::slice::from_mut(data);
        written(self.stir().send_stream(quinn_id(stream)).write_chunks(chunks).map(|written| written.bytes))
    }

    pub(crate) fn finish(&mut self, stream: StreamId) -> Write {
        if !self.sends(stream) {
            return Write::Closed;
        }
        match self.stir().send_stream(quinn_id(stream)).finish() {
            Ok(()) => Write::Taken(0),
            Err(quinn::FinishError::Stopped(code)) => Write::Stopped(ErrorCode(code.into_inner())),
            Err(quinn::FinishError::ClosedStream) => Write::Closed,
        }
    }

    /// Returns whether there was anything left to reset.
    pub(crate) fn reset(&mut self, stream: StreamId, code: ErrorCode) -> bool {
        self.sends(stream) && self.stir().send_stream(quinn_id(stream)).reset(varint(code.0)).is_ok()
    }

    pub(crate) fn set_priority(&mut self, stream: StreamId, priority: i32) -> bool {
        self.sends(stream) && self.inner.send_stream(quinn_id(stream)).set_priority(priority).is_ok()
    }

    /// Largest DATAGRAM frame payload; `None` while unknown or when the peer takes none.
    pub(crate) fn max_datagram_size(&mut self) -> Option<usize> {
        if self.stirred || !std::mem::replace(&mut self.sends_datagrams, true) {
            self.largest_datagram = self.inner.datagrams().max_size();
        }
        self.largest_datagram
    }

    /// Hands a datagram over. Returns whether it was taken: it must fit a packet and the space.
    pub(crate) fn send_datagram(&mut self, datagram: Bytes) -> bool {
        self.spent.disturb();
        self.inner.datagrams().send(datagram, false).is_ok()
    }

    /// Bytes that the next datagram may have so that it is taken.
    pub(crate) fn datagram_space(&mut self) -> usize {
        self.inner.datagrams().send_buffer_space()
    }

    /// Bytes of datagrams that were handed over and have not left, as QUIC counts them.
    pub(crate) fn datagram_bytes_waiting(&mut self) -> usize {
        self.datagram_buffer.saturating_sub(self.datagram_space())
    }

    /// Returns whether TLS gave that much.
    pub(crate) fn export_keying_material(&self, label: &[u8], context: &[u8], output: &mut [u8]) -> bool {
        self.inner.crypto_session().export_keying_material(output, label, context).is_ok()
    }

    pub(crate) fn peer_certificates(&self) -> Vec<Bytes> {
        let identity = self.inner.crypto_session().peer_identity();
        let chain = identity.and_then(|any| any.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok());
        chain.into_iter().flat_map(|chain| *chain).map(|certificate| Bytes::from(certificate.to_vec())).collect()
    }

    pub(crate) fn recv_datagram(&mut self) -> Option<Bytes> {
        let datagram = self.inner.datagrams().recv()?;
        Some(if self.oversized { Bytes::copy_from_slice(&datagram) } else { datagram })
    }
}

/// What an Ethernet frame has room for. Larger packets are rare, and what is kept of them is copied: queues count their datagrams as
/// if packets were no larger.
const LARGEST_PACKET: usize = 1_500;
