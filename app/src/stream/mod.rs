//! Streams of a session: one half sends, the other receives.

mod bi;
mod recv;
mod send;

pub use bi::BiStream;
pub use recv::RecvStream;
pub use send::SendStream;
