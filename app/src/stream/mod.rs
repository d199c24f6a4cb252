//! Streams of a session: one half sends, the other receives.

mod bi;
mod recv;
mod send;
#[cfg(feature = "tokio")]
mod tokio_io;

pub use bi::BiStream;
pub use recv::RecvStream;
pub use send::SendStream;
