//! A UDP socket with batches, segmentation offload and ECN, on whatever runtime.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use transom_core::rt::{UdpSender, UdpSocket};
use transom_core::{Receive, Transmit};

use crate::message::{concerns_one_peer, join, split};
use crate::readiness::Readiness;
use crate::slabs::Slabs;

/// The receiving half; owns the buffers that the system fills.
pub struct Socket<R> {
    io: Arc<Io<R>>,
    /// `BATCH_SIZE` buffers of one message each, side by side. The system touches only the pages it fills.
    buffer: Vec<u8>,
    /// Where joined datagrams are copied, so that the buffers can be filled again.
    slabs: Slabs,
    /// How many of them the next call offers to the system.
    offered: usize,
}

/// What both halves share.
#[derive(Debug)]
struct Io<R> {
    readiness: R,
    state: UdpSocketState,
}

/// The sending half.
#[derive(Debug)]
struct Sender<R> {
    io: Arc<Io<R>>,
}

impl<R: Readiness> Socket<R> {
    /// Prepares a socket for batches and offloads.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(readiness: R) -> io::Result<Self> {
        let state = UdpSocketState::new(readiness.socket())?;
        let message_size = if state.gro_segments() > 1 { JOINED_MESSAGE_SIZE } else { SINGLE_MESSAGE_SIZE };
        Ok(Self {
            io: Arc::new(Io { readiness, state }),
            buffer: vec![0; BATCH_SIZE * message_size],
            slabs: Slabs::default(),
            offered: MIN_OFFER,
        })
    }

    /// One system call: receives the messages that are offered room for, each of which may hold several datagrams.
    fn receive_batch(&mut self, sink: &mut dyn FnMut(Receive)) -> io::Result<()> {
        // To describe room for many costs more than a small batch itself.
        if self.offered <= MIN_OFFER {
            self.receive_up_to::<MIN_OFFER>(sink)
        } else {
            self.receive_up_to::<BATCH_SIZE>(sink)
        }
    }

    // Room for many is described on the stack, which those who receive little should not have to step over.
    #[inline(never)]
    fn receive_up_to<const N: usize>(&mut self, sink: &mut dyn FnMut(Receive)) -> io::Result<()> {
        let offered = self.offered.min(N);
        let message_size = self.buffer.len() / BATCH_SIZE;
        let mut meta = [RecvMeta::default(); N];
        let count = {
            let mut buffers = self.buffer.chunks_exact_mut(message_size);
            let mut slices: [IoSliceMut<'_>; N] =
                std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
            let Io { readiness, state } = &*self.io;
            let mut count = 0;
            let result = readiness.try_read(|| {
                count = state.recv(readiness.socket(), &mut slices[..offered], &mut meta)?;
                // A batch that is not full took all there was. Saying so makes the runtime wait for the next event,
                // which saves a system call that would find nothing.
                if count < offered && SHORT_BATCH_MEANS_EMPTY { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match result {
                Err(error) if count == 0 => return Err(error),
                _ => count,
            }
        };
        let bytes: usize = meta[..count].iter().map(|meta| meta.len).sum();
        self.offered = next_offer(offered, count, bytes);
        for (message, meta) in self.buffer.chunks_exact(message_size).zip(&meta[..count]) {
            let message = &message[..meta.len.min(message_size)];
            split(message, meta, &mut self.slabs, sink);
        }
        Ok(())
    }
}

impl<R: Readiness> UdpSocket for Socket<R> {
    fn poll_recv(&mut self, context: &mut Context<'_>, sink: &mut dyn FnMut(Receive)) -> Poll<io::Result<()>> {
        for _ in 0..MAX_RECEIVE_ATTEMPTS {
            ready!(self.io.readiness.poll_readable(context))?;
            match self.receive_batch(sink) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(error) if concerns_one_peer(&error) => {
                    tracing::trace!(%error, "receive error ignored");
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn sender(&self) -> Box<dyn UdpSender> {
        Box::new(Sender { io: Arc::clone(&self.io) })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.readiness.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.io.state.may_fragment()
    }
}

impl<R: Readiness> UdpSender for Sender<R> {
    fn poll_send(&mut self, context: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let Io { readiness, state } = &*self.io;
        let message = join(transmit, bytes);
        loop {
            ready!(readiness.poll_writable(context))?;
            match readiness.try_write(|| state.try_send(readiness.socket(), &message)) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // An oversized probe, an address without a route, a full queue below us: the peer of this datagram
                // misses it, and QUIC counts it as loss. A socket that is really broken shows when receiving.
                Err(error) => {
                    tracing::debug!(%error, destination = %transmit.destination, size = bytes.len(), "datagram not sent");
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    fn max_segments(&self) -> usize {
        self.io.state.max_gso_segments()
    }
}

impl<R: fmt::Debug> fmt::Debug for Socket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the megabytes of buffer.
        f.debug_struct("Socket").field("io", &self.io).finish_non_exhaustive()
    }
}

/// How many messages to ask for after `count` of `offered` came with `bytes`.
///
/// What comes is copied. Where the kernel joins many datagrams, a full batch would be megabytes: out of the processor's
/// caches before the first byte is looked at. And where one message comes at a time, to prepare room for many costs more than
/// to ask twice.
fn next_offer(offered: usize, count: usize, bytes: usize) -> usize {
    if bytes > BATCH_BYTES || count <= offered / 4 {
        (offered / 2).max(MIN_OFFER)
    } else if count == offered {
        (offered * 2).min(BATCH_SIZE)
    } else {
        offered
    }
}

/// Bytes that one system call should bring at most; what it offers approaches that by halves.
const BATCH_BYTES: usize = 256 * 1024;

/// Messages of up to 64 KiB each that are asked for in any case.
const MIN_OFFER: usize = if BATCH_SIZE < 4 { BATCH_SIZE } else { 4 };

/// Whether receiving fewer messages than asked for means that no more are waiting: true of recvmmsg, and only used where
/// every later arrival is a new event.
const SHORT_BATCH_MEANS_EMPTY: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Bytes of datagrams that the kernel joins into one message at most.
const JOINED_MESSAGE_SIZE: usize = 65_536;

/// Buffer for one datagram where the kernel joins none; above any path MTU that QUIC probes by default.
const SINGLE_MESSAGE_SIZE: usize = 9_216;

/// Errors and false alarms taken in a row before other tasks get their turn.
const MAX_RECEIVE_ATTEMPTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is offered after `calls` calls that each bring `messages` of `size` bytes, or as many as were offered.
    fn offered_after(calls: usize, messages: usize, size: usize) -> usize {
        (0..calls).fold(MIN_OFFER, |offered, _| {
            let count = messages.min(offered);
            next_offer(offered, count, count * size)
        })
    }

    #[test]
    fn single_messages_get_little_room_and_floods_of_small_ones_all_there_is() {
        assert_eq!(offered_after(10, 1, 1200), MIN_OFFER);
        assert_eq!(offered_after(3, 1000, 1200), BATCH_SIZE);
        assert_eq!(next_offer(BATCH_SIZE, 1, 1200), BATCH_SIZE / 2, "and it goes back when it is quiet");
    }

    #[test]
    fn joined_messages_stay_near_the_bound_in_bytes() {
        for calls in 1..20 {
            let offered = offered_after(calls, 1000, JOINED_MESSAGE_SIZE);
            assert!(offered * JOINED_MESSAGE_SIZE <= 2 * BATCH_BYTES, "{offered} after {calls}");
        }
    }

    #[test]
    fn there_is_always_room_for_some() {
        for (count, bytes) in [(0, 0), (1, usize::MAX), (BATCH_SIZE, BATCH_BYTES), (BATCH_SIZE, BATCH_BYTES + 1)] {
            for offered in MIN_OFFER..=BATCH_SIZE {
                assert!((MIN_OFFER..=BATCH_SIZE).contains(&next_offer(offered, count, bytes)));
            }
        }
    }
}
