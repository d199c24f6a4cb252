//! The runtime vocabulary: the three nouns in which async runtimes differ (socket, timer, task), in std types only.
//!
//! The core itself uses none of it. It stands here so that runtime crates depend on the core alone, and so that a
//! virtual-time runtime in tests is a third implementation like the others.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::{Receive, Transmit};

/// A task for [`Runtime::spawn`].
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A clock, tasks, timers and sockets.
pub trait Runtime: Send + Sync + Debug + 'static {
    /// The time now; never goes back.
    fn now(&self) -> Instant;

    /// Runs a task to its end, without anybody waiting for it.
    fn spawn(&self, task: Task);

    /// A timer set to `deadline`.
    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>>;

    /// The timer of an endpoint's driver, which has one for its life and rarely moves it to an earlier time; it may hold
    /// more of the system's resources than others, such as a descriptor.
    fn driver_timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        self.timer(deadline)
    }

    /// Takes over a bound socket.
    ///
    /// # Errors
    ///
    /// What the system says when the socket cannot be prepared (non-blocking mode, offloads).
    #[expect(clippy::disallowed_types, reason = "names the type to hand over; the core opens no socket")]
    fn wrap(&self, socket: std::net::UdpSocket) -> io::Result<Box<dyn UdpSocket>>;

    /// What is used instead of the system; `None` but in simulations.
    fn simulation(&self) -> Option<&dyn Simulation> {
        None
    }
}

/// What a simulation puts in the place of the system.
pub trait Simulation {
    /// A socket bound to `address`; with port 0 to any port that is free.
    ///
    /// # Errors
    ///
    /// As the system's own, above all that the address is taken.
    fn bind(&self, address: SocketAddr) -> io::Result<Box<dyn UdpSocket>>;

    /// The addresses of a host's name.
    ///
    /// # Errors
    ///
    /// When there is no such host.
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// A seed for the random numbers of one endpoint.
    fn seed(&self) -> [u8; 32];
}

/// One timer that can be set again and again.
pub trait Timer: Send + Debug {
    /// Sets another deadline.
    fn reset(self: Pin<&mut Self>, deadline: Instant);

    /// Ready once the deadline has passed. May be ready early; the caller compares the clock.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()>;
}

/// The receiving half of a UDP socket.
pub trait UdpSocket: Send + Debug {
    /// Receives one batch of datagrams, each given to `sink`.
    ///
    /// Errors that a single peer can cause (a port unreachable message, for example) are not reported.
    fn poll_recv(&mut self, context: &mut Context<'_>, sink: &mut dyn FnMut(Receive)) -> Poll<io::Result<()>>;

    /// The sending half.
    fn sender(&self) -> Box<dyn UdpSender>;

    /// Where the socket is bound.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Whether IP may fragment what is sent; path MTU discovery needs that it may not.
    fn may_fragment(&self) -> bool;
}

/// The sending half of a UDP socket.
pub trait UdpSender: Send + Debug {
    /// Sends `bytes` as `transmit` describes; pending while the socket has no room.
    ///
    /// Errors that concern one datagram only (too large for the path, unreachable) are not reported: QUIC treats them
    /// as loss.
    fn poll_send(&mut self, context: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>>;

    /// How many segments one [`Transmit`] may have (1 without GSO).
    fn max_segments(&self) -> usize;
}
