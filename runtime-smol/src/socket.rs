//! When a UDP socket can be read and written.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use smol::Async;
use transom_udp::{Readiness, UdpSockRef};

/// async-io's socket, with a memory: async-io says once that a socket is ready and forgets it.
#[derive(Debug)]
pub(crate) struct SmolSocket {
    socket: Async<std::net::UdpSocket>,
    readable: AtomicBool,
    writable: AtomicBool,
}

impl SmolSocket {
    /// Takes over a bound socket.
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let (readable, writable) = (AtomicBool::new(true), AtomicBool::new(true));
        Ok(Self { socket: Async::new(socket)?, readable, writable })
    }
}

impl Readiness for SmolSocket {
    fn socket(&self) -> UdpSockRef<'_> {
        (&self.socket).into()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.readable.load(Ordering::Acquire) {
            ready!(self.socket.poll_readable(context))?;
            self.readable.store(true, Ordering::Release);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.writable.load(Ordering::Acquire) {
            ready!(self.socket.poll_writable(context))?;
            self.writable.store(true, Ordering::Release);
        }
        Poll::Ready(Ok(()))
    }

    fn try_read(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        forget_if_blocked(attempt(), &self.readable)
    }

    fn try_write(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        forget_if_blocked(attempt(), &self.writable)
    }
}

/// An arrival between the try and this is not missed: async-io asks the system about the present whenever it begins to
/// wait.
fn forget_if_blocked(result: io::Result<()>, ready: &AtomicBool) -> io::Result<()> {
    if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
        ready.store(false, Ordering::Release);
    }
    result
}

#[cfg(test)]
mod tests {
    use transom_udp::checks;

    use crate::Smol;

    #[test]
    fn joined_datagrams_arrive_apart() {
        smol::block_on(checks::joined_datagrams_arrive_apart(&Smol::global()));
    }

    #[test]
    fn the_congestion_mark_travels() {
        smol::block_on(checks::the_congestion_mark_travels(&Smol::global()));
    }

    #[test]
    fn a_datagram_that_cannot_leave_is_lost_and_no_error() {
        smol::block_on(checks::a_datagram_that_cannot_leave_is_lost_and_no_error(&Smol::global()));
    }

    #[test]
    fn a_closed_port_does_not_break_the_sender_s_socket() {
        smol::block_on(checks::a_closed_port_does_not_break_the_sender_s_socket(&Smol::global()));
    }

    #[test]
    fn what_comes_after_a_pause_is_heard() {
        smol::block_on(checks::what_comes_after_a_pause_is_heard(&Smol::global()));
    }
}
