//! When a UDP socket can be read and written, on systems without file descriptors.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::UdpSocket;
use transom_udp::{Readiness, UdpSockRef};

/// tokio's socket, which remembers what it was told of readiness until a try says otherwise.
#[derive(Debug)]
pub(crate) struct TokioSocket(UdpSocket);

impl TokioSocket {
    /// Takes over a bound socket; call it inside the runtime.
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket).map(Self)
    }
}

impl Readiness for TokioSocket {
    fn socket(&self) -> UdpSockRef<'_> {
        (&self.0).into()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_recv_ready(context)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_send_ready(context)
    }

    fn try_read(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.0.try_io(Interest::READABLE, attempt)
    }

    fn try_write(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.0.try_io(Interest::WRITABLE, attempt)
    }
}
