//! A request that its handler answers itself.

use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, StatusCode};
use transom_core::middleware::Rejection;
use transom_core::{Request, Response};

use super::dispatch::{accept, refuse};
use crate::driver::{Requested, Shared};
use crate::error::SessionError;
use crate::session::Session;

/// A request for a session that waits for an answer: for decisions that take time, and for answers with header fields.
///
/// A handler that takes it instead of a [`Session`] decides for itself. Dropping it unanswered answers 500. The core
/// answers 503 when nobody has for [`Config::accept_timeout`](crate::Config::accept_timeout), 30 s by default; streams
/// and datagrams that the client sends meanwhile are held within bounds.
///
/// # Examples
///
/// ```no_run
/// use transom::{ServerApp, SessionRequest, StatusCode};
///
/// async fn known(_token: &str) -> bool {
///     true // ask a database
/// }
///
/// let app = ServerApp::new().route("/private", async |request: SessionRequest| {
///     let token = request.request().headers().get("authorization").and_then(|value| value.to_str().ok());
///     match token {
///         Some(token) if known(token).await => {
///             let Ok(session) = request.accept() else { return };
///             session.closed().await;
///         }
///         _ => request.reject(StatusCode::UNAUTHORIZED),
///     }
/// });
/// ```
#[derive(Debug)]
#[must_use = "dropping a request unanswered answers 500"]
pub struct SessionRequest {
    shared: Arc<Shared>,
    /// Gone once it is answered.
    requested: Option<Requested>,
    request: Arc<Request>,
    response: Response,
    accepted: Arc<OnceLock<Session>>,
}

impl SessionRequest {
    pub(super) fn new(shared: Arc<Shared>, requested: Requested, response: Response) -> Self {
        let request = Arc::clone(&requested.request);
        Self { shared, requested: Some(requested), request, response, accepted: Arc::default() }
    }

    /// Where the session will be found, for whoever runs the handler.
    pub(super) fn accepted(&self) -> Arc<OnceLock<Session>> {
        Arc::clone(&self.accepted)
    }

    /// Where it came in, and what it asks for.
    pub(super) fn came_in(&self) -> (Arc<Shared>, Arc<Request>) {
        (Arc::clone(&self.shared), Arc::clone(&self.request))
    }

    pub(super) fn now(&self) -> std::time::Instant {
        self.shared.runtime().now()
    }

    /// Path, header fields and everything else the client sent.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Adds a header field to the answer, if it is an acceptance.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.response = self.response.clone().header(name, value);
        self
    }

    /// Chooses a subprotocol instead of the one that [`ServerApp::protocols`](super::ServerApp::protocols) would;
    /// ignored unless the client offered it.
    pub fn with_protocol(mut self, protocol: impl Into<String>) -> Self {
        self.response = self.response.clone().with_protocol(protocol);
        self
    }

    /// Accepts: the session is open.
    ///
    /// # Errors
    ///
    /// When the client went away in the meantime, or had to wait too long.
    pub fn accept(mut self) -> Result<Session, SessionError> {
        let session = self
            .requested
            .take()
            .and_then(|requested| accept(&self.shared, requested, self.response.clone()))
            .map(Session::new)
            .ok_or(SessionError::RequestGone)?;
        let _ = self.accepted.set(session.clone());
        Ok(session)
    }

    /// Refuses with a status, or a whole [`Rejection`].
    pub fn reject(mut self, rejection: impl Into<Rejection>) {
        self.answer(rejection.into());
    }

    fn answer(&mut self, rejection: Rejection) {
        if let Some(requested) = self.requested.take() {
            refuse(&self.shared, &requested, rejection);
        }
    }
}

impl Drop for SessionRequest {
    fn drop(&mut self) {
        self.answer(Rejection::new(StatusCode::INTERNAL_SERVER_ERROR));
    }
}
