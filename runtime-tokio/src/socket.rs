//! A UDP socket with batches, segmentation offload and ECN, through quinn-udp.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSocketState};
use tokio::io::Interest;
use transom_core::rt::{UdpSender, UdpSocket};
use transom_core::{Ecn, Receive, Transmit};

/// The receiving half; owns the buffers that the system fills.
pub(crate) struct TokioSocket {
    io: Arc<Io>,
    /// `BATCH_SIZE` buffers of `MESSAGE_SIZE` side by side. The system touches only the pages it fills.
    buffer: Vec<u8>,
}

/// What both halves share.
#[derive(Debug)]
struct Io {
    socket: tokio::net::UdpSocket,
    state: UdpSocketState,
}

/// The sending half.
#[derive(Debug)]
struct TokioSender {
    io: Arc<Io>,
}

impl TokioSocket {
    /// Takes over a bound socket; call it inside the runtime.
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let message_size = if state.gro_segments() > 1 { JOINED_MESSAGE_SIZE } else { SINGLE_MESSAGE_SIZE };
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Self { io: Arc::new(Io { socket, state }), buffer: vec![0; BATCH_SIZE * message_size] })
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
            let Io { socket, state } = &*self.io;
            let mut count = 0;
            let result = socket.try_io(Interest::READABLE, || {
                count = state.recv(socket.into(), &mut slices, &mut meta)?;
                // A batch that is not full took all there was. Saying so makes tokio wait for the next event, which
                // saves a system call that would find nothing.
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

impl UdpSocket for TokioSocket {
    fn poll_recv(&mut self, context: &mut Context<'_>, sink: &mut dyn FnMut(Receive)) -> Poll<io::Result<()>> {
        for _ in 0..MAX_RECEIVE_ATTEMPTS {
            ready!(self.io.socket.poll_recv_ready(context))?;
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
        Box::new(TokioSender { io: Arc::clone(&self.io) })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.socket.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.io.state.may_fragment()
    }
}

impl fmt::Debug for TokioSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the megabytes of buffer.
        f.debug_struct("TokioSocket").field("io", &self.io).finish_non_exhaustive()
    }
}

impl UdpSender for TokioSender {
    fn poll_send(&mut self, context: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let Io { socket, state } = &*self.io;
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.map(to_codepoint),
            contents: bytes,
            segment_size: transmit.segment_size,
            src_ip: transmit.source,
        };
        loop {
            ready!(socket.poll_send_ready(context))?;
            match socket.try_io(Interest::WRITABLE, || state.try_send(socket.into(), &transmit)) {
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

/// Gives each datagram of a message to `sink`.
fn split(message: &[u8], meta: &RecvMeta, sink: &mut dyn FnMut(Receive)) {
    // Each datagram gets memory of its own: a piece of it may be kept for long, and must not keep its neighbours.
    for datagram in message.chunks(meta.stride.max(1)) {
        sink(Receive {
            remote: meta.addr,
            local_ip: meta.dst_ip,
            ecn: meta.ecn.map(from_codepoint),
            data: BytesMut::from(datagram),
        });
    }
}

/// Whether an error of receiving is the echo of something sent to one peer (an ICMP message) or a lost datagram.
fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionAborted
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
    ) || quinn_udp::is_msg_size_err(error)
}

fn to_codepoint(ecn: Ecn) -> EcnCodepoint {
    match ecn {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

fn from_codepoint(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    use super::*;

    fn bound() -> TokioSocket {
        TokioSocket::new(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap()
    }

    async fn send(sender: &mut dyn UdpSender, transmit: Transmit, bytes: &[u8]) {
        poll_fn(|context| sender.poll_send(context, &transmit, bytes)).await.unwrap();
    }

    async fn receive(socket: &mut TokioSocket, count: usize) -> Vec<Receive> {
        let mut received = Vec::new();
        while received.len() < count {
            poll_fn(|context| socket.poll_recv(context, &mut |datagram| received.push(datagram))).await.unwrap();
        }
        received
    }

    fn transmit(to: &TokioSocket, size: usize, segment_size: Option<usize>) -> Transmit {
        Transmit { destination: to.local_addr().unwrap(), source: None, ecn: Some(Ecn::Ect0), size, segment_size }
    }

    #[tokio::test]
    async fn joined_datagrams_arrive_apart() {
        let (sending, mut receiving) = (bound(), bound());
        let mut sender = sending.sender();
        let segments = sender.max_segments().min(4);
        let mut bytes = Vec::new();
        for index in 0..segments {
            bytes.extend_from_slice(&[u8::try_from(index).unwrap(); 1200]);
        }
        bytes.truncate(bytes.len() - 100);
        let segment_size = (segments > 1).then_some(1200);
        send(&mut *sender, transmit(&receiving, bytes.len(), segment_size), &bytes).await;

        let received = receive(&mut receiving, segments).await;
        let joined: Vec<u8> = received.iter().flat_map(|datagram| datagram.data.to_vec()).collect();
        assert_eq!(joined, bytes);
        assert_eq!(received.last().unwrap().data.len(), 1100);
        for datagram in &received {
            assert_eq!(datagram.remote, sending.local_addr().unwrap());
            assert_eq!(datagram.local_ip, Some(Ipv4Addr::LOCALHOST.into()));
        }
    }

    #[tokio::test]
    async fn the_congestion_mark_travels() {
        let (sending, mut receiving) = (bound(), bound());
        let mut sender = sending.sender();
        send(&mut *sender, transmit(&receiving, 5, None), b"hello").await;
        assert_eq!(receive(&mut receiving, 1).await[0].ecn, Some(Ecn::Ect0));
    }

    #[tokio::test]
    async fn a_datagram_that_cannot_leave_is_lost_and_no_error() {
        let (sending, mut receiving) = (bound(), bound());
        let mut sender = sending.sender();
        let oversized = vec![0; 100_000];
        send(&mut *sender, transmit(&receiving, oversized.len(), None), &oversized).await;
        send(&mut *sender, transmit(&receiving, 3, None), b"yes").await;
        assert_eq!(&receive(&mut receiving, 1).await[0].data[..], b"yes");
    }

    #[tokio::test]
    async fn a_closed_port_does_not_break_the_sender_s_socket() {
        let mut receiving = bound();
        let gone = bound();
        let to_nobody = transmit(&gone, 4, None);
        drop(gone);
        let mut sender = receiving.sender();
        send(&mut *sender, to_nobody, b"lost").await;
        let to_itself = transmit(&receiving, 4, None);
        send(&mut *sender, to_itself, b"here").await;
        assert_eq!(&receive(&mut receiving, 1).await[0].data[..], b"here");
    }

    #[test]
    fn an_empty_datagram_is_none() {
        let meta = RecvMeta::default();
        let mut count = 0;
        split(&[], &meta, &mut |_| count += 1);
        assert_eq!(count, 0);
    }
}
