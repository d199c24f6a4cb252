//! What Transom's runtimes do alike with a UDP socket, and with deadlines; the waiting, in which they differ, is a [`Readiness`].
//!
//! The system calls (GSO, GRO, ECN, packet info) are quinn-udp's. A runtime of your own needs a [`Readiness`] for its
//! socket, and [`Socket`] makes a [`transom_core::rt::UdpSocket`] of it.

#[cfg(unix)]
mod alarm;
#[cfg(feature = "checks")]
pub mod checks;
mod message;
mod readiness;
mod slabs;
mod socket;

#[cfg(unix)]
pub use alarm::Alarm;
pub use quinn_udp::UdpSockRef;
pub use readiness::Readiness;
pub use socket::Socket;
