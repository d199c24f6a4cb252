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

/// The receiving half; owns the buffers that the system fills.
pub struct Socket<R> {
    io: Arc<Io<R>>,
    /// `BATCH_SIZE` buffers of one message each, side by side. The system touches only the pages it fills.
    buffer: Vec<u8>,
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
        Ok(Self { io: Arc::new(Io { readiness, state }), buffer: vec![0; BATCH_SIZE * message_size] })
    }

    /// One system call: receives up to `BATCH_SIZE` messages, each of which may hold several datagrams.
    fn receive_batch(&mut self, sink: &mut dyn FnMut(Receive)) -> io::Result<()> {
        let message_size = self.buffer.len() / BATCH_SIZE;
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let count = {
            let mut buffers = self.buffer.chunks_exact_mut(message_size);
            // `chunks_exact_mut` has exactly BATCH_SIZE pieces here; an empty buffer would only receive nothing.
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
            let Io { readiness, state } = &*self.io;
            let mut count = 0;
            let result = readiness.try_read(|| {
                count = state.recv(readiness.socket(), &mut slices, &mut meta)?;
                // A batch that is not full took all there was. Saying so makes the runtime wait for the next event,
                // which saves a system call that would find nothing.
                if count < BATCH_SIZE && SHORT_BATCH_MEANS_EMPTY { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match result {
                Err(error) if count == 0 => return Err(error),
                _ => count,
            }
        };
        for (message, meta) in self.buffer.chunks_exact(message_size).zip(&meta[..count]) {
            split(&message[..meta.len.min(message_size)], meta, sink);
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

/// Whether receiving fewer messages than asked for means that no more are waiting: true of recvmmsg, and only used where
/// every later arrival is a new event.
const SHORT_BATCH_MEANS_EMPTY: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Bytes of datagrams that the kernel joins into one message at most.
const JOINED_MESSAGE_SIZE: usize = 65_536;

/// Buffer for one datagram where the kernel joins none; above any path MTU that QUIC probes by default.
const SINGLE_MESSAGE_SIZE: usize = 9_216;

/// Errors and false alarms taken in a row before other tasks get their turn.
const MAX_RECEIVE_ATTEMPTS: usize = 16;
