//! When a UDP socket can be read and written.

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

#[cfg(test)]
mod tests {
    use transom_udp::checks;

    use crate::Tokio;

    fn here() -> Tokio {
        Tokio::current().unwrap()
    }

    #[tokio::test]
    async fn joined_datagrams_arrive_apart() {
        checks::joined_datagrams_arrive_apart(&here()).await;
    }

    #[tokio::test]
    async fn the_congestion_mark_travels() {
        checks::the_congestion_mark_travels(&here()).await;
    }

    #[tokio::test]
    async fn a_datagram_that_cannot_leave_is_lost_and_no_error() {
        checks::a_datagram_that_cannot_leave_is_lost_and_no_error(&here()).await;
    }

    #[tokio::test]
    async fn a_closed_port_does_not_break_the_sender_s_socket() {
        checks::a_closed_port_does_not_break_the_sender_s_socket(&here()).await;
    }

    #[tokio::test]
    async fn what_comes_after_a_pause_is_heard() {
        checks::what_comes_after_a_pause_is_heard(&here()).await;
    }
}
