//! The part of a socket in which async runtimes differ.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use quinn_udp::UdpSockRef;

/// A non-blocking UDP socket that an async runtime watches.
///
/// One task waits for each direction; when another one asks, it takes the place of the last.
pub trait Readiness: Debug + Send + Sync + 'static {
    /// The socket, for system calls.
    fn socket(&self) -> UdpSockRef<'_>;

    /// Where it is bound.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Ready while there may be something to read.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready while there may be room to write.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tries to read; after `WouldBlock`, [`poll_readable`](Self::poll_readable) waits for the next event.
    ///
    /// # Errors
    ///
    /// Those of `attempt`.
    fn try_read(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()>;

    /// Tries to write; after `WouldBlock`, [`poll_writable`](Self::poll_writable) waits for the next event.
    ///
    /// # Errors
    ///
    /// Those of `attempt`.
    fn try_write(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()>;
}
