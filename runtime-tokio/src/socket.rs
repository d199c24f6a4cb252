//! When a UDP socket can be read and written.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use transom_udp::{Readiness, UdpSockRef};

/// A socket that tokio watches for arrivals, and for room only while there is none.
///
/// tokio's own sockets are watched for both all the time. The system tells of room whenever a datagram has left the
/// socket's buffer, so that each one sent would wake the thread for nothing.
#[derive(Debug)]
pub(crate) struct TokioSocket {
    socket: AsyncFd<std::net::UdpSocket>,
    /// The same socket, watched for room; there while it is blocked.
    blocked: Mutex<Option<AsyncFd<std::net::UdpSocket>>>,
}

impl TokioSocket {
    /// Takes over a bound socket; call it inside the runtime.
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = watch(socket, Interest::READABLE)?;
        Ok(Self { socket, blocked: Mutex::new(None) })
    }
}

impl Readiness for TokioSocket {
    fn socket(&self) -> UdpSockRef<'_> {
        self.socket.get_ref().into()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Who was woken by an arrival need not register first.
        if self.socket.try_io(Interest::READABLE, |_| Ok(())).is_err() {
            ready!(self.socket.poll_read_ready(context))?.retain_ready();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = &*blocked {
            ready!(watched.poll_write_ready(context))?.retain_ready();
            *blocked = None;
        }
        Poll::Ready(Ok(()))
    }

    fn try_read(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.socket.try_io(Interest::READABLE, |_| attempt())
    }

    fn try_write(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let result = attempt();
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            // A descriptor of its own, since one can be watched only once. There may be room again by now; to be watched
            // begins with being told so.
            let socket = self.socket.get_ref().try_clone()?;
            let watched = watch(socket, Interest::WRITABLE)?;
            *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
        }
        result
    }
}

#[allow(
    deprecated,
    reason = "tokio's other way is unsafe, for the sake of types that lie about their descriptor; this one does not"
)]
pub(crate) fn watch<T: AsRawFd>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(inner, interest)
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
