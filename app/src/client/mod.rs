//! Clients.

mod builder;
mod connection;
mod race;
mod url;

pub use builder::ClientBuilder;
pub(crate) use connection::ClientConnection;

use crate::error::ClientError;
use crate::session::Session;

/// Connects to WebTransport servers.
///
/// Each session has a connection of its own, which is closed with it, unless it is asked for with
/// [`ClientBuilder::connect_over`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Client;

impl Client {
    /// Connects to `https://host[:port]/path[?query]`, trusting the system's certificates, within 30 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what has been opened.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = transom::Client::connect("https://example.org/echo").await?;
    /// let mut stream = session.open_bi().await?;
    /// stream.send.write_all(b"hello").await?;
    /// stream.send.finish()?;
    /// assert_eq!(stream.recv.read_to_end(1024).await?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Session, ClientError> {
        Self::builder().connect(url).await
    }

    /// Settings for connecting.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }
}
