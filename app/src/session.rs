//! A WebTransport session.

use std::future::poll_fn;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use transom_core::{
    ConnectionStats, Direction, ExportError, Request, SendGroup, SessionEnd, SessionId, SessionStats, StreamId,
};

use crate::client::ClientConnection;
use crate::diagnostics::{Issue, Thresholds, judge_alone};
use crate::driver::{Done, Kind, Place, SessionCell, Shared, Shutdown, StreamRef, driver_gone};
use crate::error::SessionError;
use crate::stream::{BiStream, RecvStream, SendStream};

/// A session: streams and datagrams between a client and a server.
///
/// A `Session` is a handle that can be cloned and sent to other tasks; all clones are the same session. When the last
/// clone is dropped, the session is closed with code 0; while a handler runs, the server keeps one for it. Streams do not count: keep a clone for as long as you use them.
/// Closing a session never closes the connection of others; a client's connection is closed with the last
/// session on it.
///
/// # Examples
///
/// ```no_run
/// # async fn example(session: transom::Session) -> Result<(), transom::SessionError> {
/// let mut stream = session.open_uni().await?;
/// stream.write_all(b"hello").await?;
/// stream.finish()?;
/// while let Some(datagram) = session.recv_datagram().await? {
///     session.send_datagram(datagram)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a session is closed when its last handle is dropped"]
pub struct Session {
    handle: Arc<Handle>,
}

/// What all clones of a [`Session`] share; closes the session when it goes.
#[derive(Debug)]
struct Handle {
    cell: Arc<SessionCell>,
    /// A client's connection lives as long as sessions keep it.
    connection: Option<Arc<ClientConnection>>,
    /// Whether the session is closed with this handle.
    closes: bool,
}

impl Session {
    /// A handle of a server's session.
    pub(crate) fn new(cell: Arc<SessionCell>) -> Self {
        Self { handle: Arc::new(Handle { cell, connection: None, closes: true }) }
    }

    /// A handle of a client's session, which keeps the connection.
    pub(crate) fn of_client(cell: Arc<SessionCell>, connection: Arc<ClientConnection>) -> Self {
        Self { handle: Arc::new(Handle { cell, connection: Some(connection), closes: true }) }
    }

    /// A handle that only watches: neither the session nor the connection under it is kept by it, and dropping it closes
    /// nothing.
    pub fn observer(&self) -> Self {
        Self::observing(Arc::clone(&self.handle.cell))
    }

    pub(crate) fn observing(cell: Arc<SessionCell>) -> Self {
        Self { handle: Arc::new(Handle { cell, connection: None, closes: false }) }
    }

    /// What tells it from others for as long as a handle of it is kept.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.handle.cell).addr()
    }

    /// The session's name within its connection.
    pub fn id(&self) -> SessionId {
        self.cell().id
    }

    /// The request that the client made for this session.
    pub fn request(&self) -> &Request {
        &self.cell().request
    }

    /// The subprotocol that the server chose from those the client offered.
    pub fn protocol(&self) -> Option<&str> {
        self.cell().response.get().and_then(|response| response.protocol())
    }

    /// The header fields of the server's answer.
    pub fn response_headers(&self) -> &HeaderMap {
        static EMPTY: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
        self.cell().response.get().map_or(&EMPTY, |response| response.headers())
    }

    /// The peer's address when the session began; IPv4 addresses stand in their own form.
    pub fn remote_address(&self) -> SocketAddr {
        self.cell().remote
    }

    /// The peer's certificate chain in DER, its own first; empty where it showed none, or the connection is gone.
    ///
    /// A client shows one only if [`Tls::client_authorities_pem`](crate::Tls::client_authorities_pem) asks for it, and it
    /// has been judged then.
    pub fn peer_certificates(&self) -> Vec<Bytes> {
        self.cell().look_at_connection(|connection| connection.peer_certificates()).unwrap_or_default()
    }

    /// Waits for the peer to open a bidirectional stream; `None` once the session was closed by either side.
    ///
    /// Streams come in the order in which the peer opened them. How many it may have open is bounded by
    /// [`Config::max_bidi_streams`](crate::Config::max_bidi_streams).
    ///
    /// # Errors
    ///
    /// [`SessionError::Ended`] when the session ended without being closed: the connection was lost, or a side
    /// aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no stream.
    pub async fn accept_bi(&self) -> Result<Option<BiStream>, SessionError> {
        let stream = self.accept(Direction::Bidirectional, Kind::AcceptBidirectional).await?;
        Ok(stream.map(|id| self.bi_stream(id)))
    }

    /// Waits for the peer to open a unidirectional stream; `None` once the session was closed by either side.
    ///
    /// Streams come in the order in which the peer opened them. How many it may have open is bounded by
    /// [`Config::max_uni_streams`](crate::Config::max_uni_streams).
    ///
    /// # Errors
    ///
    /// [`SessionError::Ended`] when the session ended without being closed: the connection was lost, or a side
    /// aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no stream.
    pub async fn accept_uni(&self) -> Result<Option<RecvStream>, SessionError> {
        let stream = self.accept(Direction::Unidirectional, Kind::AcceptUnidirectional).await?;
        Ok(stream.map(|id| self.recv_stream(id)))
    }

    /// Opens a bidirectional stream, waiting while the peer's stream limit is used up.
    ///
    /// The peer learns of the stream at once, not with the first write.
    ///
    /// # Errors
    ///
    /// [`SessionError::Ended`] when the session is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready opens no stream.
    pub async fn open_bi(&self) -> Result<BiStream, SessionError> {
        let id = self.open(Direction::Bidirectional, Kind::OpenBidirectional).await?;
        Ok(self.bi_stream(id))
    }

    /// Opens a unidirectional stream, waiting while the peer's stream limit is used up.
    ///
    /// The peer learns of the stream at once, not with the first write.
    ///
    /// # Errors
    ///
    /// [`SessionError::Ended`] when the session is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready opens no stream.
    pub async fn open_uni(&self) -> Result<SendStream, SessionError> {
        let id = self.open(Direction::Unidirectional, Kind::OpenUnidirectional).await?;
        Ok(SendStream::new(self.stream(id)))
    }

    /// Fills `output` with keying material that both ends of this session, and nobody else, derive from the same label
    /// and context (draft-ietf-webtrans-http3-16, section 4.8).
    ///
    /// Both are the application's own, at most 255 bytes each; an empty context is the same as none.
    ///
    /// # Errors
    ///
    /// [`ExportError::NotEstablished`] once the session is over; everything else is a mistake of the caller.
    pub fn export_keying_material(&self, label: &[u8], context: &[u8], output: &mut [u8]) -> Result<(), ExportError> {
        let export = |session: transom_core::Session<'_>| session.export_keying_material(label, context, output);
        self.cell().look(export).unwrap_or(Err(ExportError::NotEstablished))
    }

    /// Closes the session with an application's code and explanation, which the peer gets to see.
    ///
    /// Does not wait: streams are reset, and what is not acknowledged may be lost, as may what the peer's application has
    /// not read yet. Wait for [`SendStream::acknowledged`], or better let the peer close, where that matters. The reason is cut to 1024 bytes. Has no effect on a session
    /// that is over. Await [`closed`](Self::closed) before the program ends, or the close may never leave.
    pub fn close(&self, code: u32, reason: &str) {
        self.cell().act(|mut session| session.close(code, cut(reason, MAX_REASON)));
    }

    /// Ends the session with code 0 in the shortest form: the end of its stream, without a close message.
    ///
    /// Otherwise like [`close`](Self::close).
    pub fn finish(&self) {
        self.cell().act(|mut session| session.finish());
    }

    /// Sets what this session gets of the connection, against others on it, while all have more to send than there is room
    /// for: from 1 to 255, 16 at first.
    pub fn set_weight(&self, weight: u8) {
        self.cell().act(|mut session| session.set_weight(weight));
    }

    /// Makes a group for streams of this session (the W3C API's `createSendGroup`); groups share the session's part of the
    /// connection equally. See [`SendStream::set_send_group`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session is over.
    pub fn create_send_group(&self) -> Result<SendGroup, SessionError> {
        match self.cell().act(|mut session| session.create_send_group()) {
            Some(group) => Ok(group),
            None => Err(self.end().cloned().unwrap_or(SessionEnd::ConnectionLost(driver_gone())).into()),
        }
    }

    /// Asks the peer to wind the session down; nothing is closed by it.
    pub fn drain(&self) {
        self.cell().act(|mut session| session.drain());
    }

    /// Waits for the end of the session, and says why it ended.
    ///
    /// After a [`close`](Self::close) on our side this is ready once the close has been handed to the network.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; the end is remembered.
    pub async fn closed(&self) -> SessionEnd {
        let mut place = Place::new(self.cell(), Kind::End);
        loop {
            if let Err(end) = poll_fn(|context| place.poll_until(context, |_| false)).await {
                return end;
            }
        }
    }

    /// Waits until the peer asks to wind the session down, or the session ends.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; the wish is remembered.
    pub async fn draining(&self) {
        let mut place = Place::new(self.cell(), Kind::Draining);
        // Either way there is nothing more to wait for.
        let _ = poll_fn(|context| place.poll_until(context, SessionCell::is_draining)).await;
    }

    /// Closes the session and, on a client, waits until its connection is closed as well; at most about 1.5 seconds.
    ///
    /// The last thing to do before the program ends: the server then knows that we are gone.
    ///
    /// # Cancel safety
    ///
    /// The session is closed even if the future is dropped.
    pub async fn shutdown(self, code: u32, reason: &str) {
        self.close(code, reason);
        self.closed().await;
        // Other sessions on the connection go on.
        if self.handle.connection.as_ref().is_some_and(|connection| Arc::strong_count(connection) == 1) {
            self.shared().shut_down(Shutdown::Graceful(std::time::Duration::ZERO));
            let mut done = Done::new(self.shared());
            // A socket that broke is closed, too.
            let _ = poll_fn(|context| done.poll(context)).await;
        }
    }

    /// Figures of the session up to now; `None` once it is over.
    ///
    /// The [module of the figures](transom_core::stats) says how they relate to those of the W3C API.
    pub fn stats(&self) -> Option<SessionStats> {
        self.cell().look(|session| session.stats())
    }

    /// Figures of the connection under the session; all zero once that is gone.
    pub fn connection_stats(&self) -> ConnectionStats {
        self.cell().look_at_connection(|connection| connection.stats()).unwrap_or_default()
    }

    /// What is wrong with the session and the path under it, judged by all that happened to them: for clients. A server has
    /// [`ServerDiagnostics::issues`](crate::ServerDiagnostics::issues), which judges all its sessions and what is new.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(session: transom::Session) {
    /// for issue in session.issues(&transom::Thresholds::default()) {
    ///     println!("warning: {issue}");
    /// }
    /// # }
    /// ```
    pub fn issues(&self, thresholds: &Thresholds) -> Vec<Issue> {
        let (connection, session) = (self.connection_stats(), self.stats().unwrap_or_default());
        judge_alone(self.remote_address(), self.request().path(), &connection, &session, thresholds)
    }

    /// Why the session ended, if it has.
    pub fn end(&self) -> Option<&SessionEnd> {
        self.cell().end()
    }

    /// Waits until the peer has everything written on finished streams, or the session ends.
    pub(crate) async fn streams_acknowledged(&self) {
        let mut place = Place::new(self.cell(), Kind::Acknowledged);
        let done = |session: transom_core::Session<'_>| (session.unacknowledged_streams() == 0).then_some(());
        let _ = poll_fn(|context| place.poll(context, done)).await;
    }

    /// The connection under a session of a client.
    pub(crate) fn client_connection(&self) -> Option<&Arc<ClientConnection>> {
        self.handle.connection.as_ref()
    }

    /// The endpoint under the session.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.cell().shared
    }

    pub(crate) fn cell(&self) -> &SessionCell {
        &self.handle.cell
    }

    fn stream(&self, id: StreamId) -> StreamRef {
        StreamRef { cell: Arc::clone(&self.handle.cell), id }
    }

    pub(crate) fn recv_stream(&self, id: StreamId) -> RecvStream {
        RecvStream::new(self.stream(id))
    }

    pub(crate) fn bi_stream(&self, id: StreamId) -> BiStream {
        BiStream { send: SendStream::new(self.stream(id)), recv: self.recv_stream(id) }
    }

    async fn accept(&self, direction: Direction, kind: Kind) -> Result<Option<StreamId>, SessionError> {
        let mut place = Place::new(self.cell(), kind);
        none_if_clean(poll_fn(|context| place.poll(context, |mut session| session.accept(direction))).await)
    }

    async fn open(&self, direction: Direction, kind: Kind) -> Result<StreamId, SessionError> {
        let mut place = Place::new(self.cell(), kind);
        // Blocked or closed, there is none now; a closed session gives its end as soon as the driver has seen it.
        Ok(poll_fn(|context| place.poll(context, |mut session| session.open(direction).ok())).await?)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.closes && self.cell.end().is_none() {
            self.cell.act(|mut session| session.close(0, ""));
        }
    }
}

/// Handles are equal if they are of the same session.
impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Session {}

impl Hash for Session {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// A clean end is no error to who waits for more.
pub(crate) fn none_if_clean<T>(result: Result<T, SessionEnd>) -> Result<Option<T>, SessionError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(end) if end.is_clean() => Ok(None),
        Err(end) => Err(end.into()),
    }
}

/// The longest beginning of `text` that has at most `limit` bytes.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Bytes of the explanation in a close (draft-ietf-webtrans-http3-16, section 6).
pub(crate) const MAX_REASON: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_respects_characters() {
        assert_eq!(cut("hello", 10), "hello");
        assert_eq!(cut("hello", 2), "he");
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("ñ", 0), "");
    }
}
