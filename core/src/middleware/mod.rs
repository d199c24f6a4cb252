//! Judgement before a session is accepted: pure decisions over a request.

mod origin;

use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Request, Response};

pub use origin::{AllowOrigins, OriginError};

/// One opinion about a request.
///
/// It is asked for every request that reached the application, before routing; it must answer at once. What takes time
/// (asking a database) is not a middleware's work.
pub trait Middleware: Send + Sync + 'static {
    /// Lets the request pass or refuses it.
    fn decide(&self, request: &Request, now: Instant) -> Decision;
}

/// What a [`Middleware`] thinks of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Ask the next one.
    Continue,
    /// Refuse.
    Reject(Rejection),
}

/// Status and header fields sent instead of a 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The status; one of 2xx is sent as 500, since it would accept.
    pub status: StatusCode,
    /// Header fields of the answer.
    pub headers: HeaderMap,
}

impl Rejection {
    /// A refusal with a status.
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new() }
    }

    /// Adds a header field to the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}

impl From<StatusCode> for Rejection {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

impl From<Rejection> for Response {
    fn from(rejection: Rejection) -> Self {
        Self { headers: rejection.headers, ..Self::new(rejection.status) }
    }
}

impl<F> Middleware for F
where
    F: Fn(&Request, Instant) -> Decision + Send + Sync + 'static,
{
    fn decide(&self, request: &Request, now: Instant) -> Decision {
        self(request, now)
    }
}
