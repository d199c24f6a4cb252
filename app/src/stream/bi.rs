//! A bidirectional stream.

use transom_core::StreamId;

use super::{RecvStream, SendStream};

/// A bidirectional stream: both halves, to be used together or apart.
///
/// The halves are independent: finishing or dropping one leaves the other as it is. With the feature `tokio` the
/// stream and its halves implement tokio's `AsyncRead` and `AsyncWrite`, with `smol` those of futures-io.
///
/// # Examples
///
/// ```no_run
/// # async fn example(session: transom::Session) -> Result<(), transom::SessionError> {
/// let mut stream = session.open_bi().await?;
/// stream.send.write_all(b"question").await?;
/// stream.send.finish()?;
/// let answer = stream.recv.read_to_end(64 * 1024).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BiStream {
    /// What we send.
    pub send: SendStream,
    /// What the peer sends.
    pub recv: RecvStream,
}

impl BiStream {
    /// The stream's name within its connection.
    pub fn id(&self) -> StreamId {
        self.send.id()
    }

    /// The two halves, for two tasks.
    pub fn split(self) -> (SendStream, RecvStream) {
        (self.send, self.recv)
    }

    /// The same as [`split`](Self::split).
    pub fn into_split(self) -> (SendStream, RecvStream) {
        self.split()
    }
}
