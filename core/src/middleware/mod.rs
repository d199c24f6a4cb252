//! Judgement before a session is accepted: pure decisions over a request.

mod address;
mod header_rules;
mod origin;
mod permit;
mod rate_limit;
mod recent;
mod session_limit;
mod stack;

use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Request, Response};

pub use header_rules::HeaderRules;
pub use origin::{AllowOrigins, OriginError};
pub use permit::{Permit, Permits};
pub use rate_limit::RateLimit;
pub use session_limit::SessionLimit;
pub use stack::Stack;

/// One opinion about a request.
///
/// It is asked for every request that reached the application, and must answer at once. What takes time (asking a
/// database) is not a middleware's work. Functions of a request and the time are middleware, too.
///
/// The path of a request is as the client wrote it: `/%61dmin` leads to the route `/admin`, and does not begin with it. To guard
/// a part of an application, put the middleware on that part (`nest`), or judge by [`Arrival::route`].
pub trait Middleware: Send + Sync + 'static {
    /// Lets the request pass or refuses it.
    fn decide(&self, arrival: &Arrival<'_>) -> Decision;

    /// Whether it looks at the `Origin` of requests, so that what it lets pass may come from a web page.
    ///
    /// A request with an `Origin` that nobody looked at is refused: see
    /// [`Admission::decide`](crate::admission::Admission::decide).
    fn judges_origin(&self) -> bool {
        false
    }
}

/// A request at the door.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Arrival<'a> {
    /// What the client asks for.
    pub request: &'a Request,
    /// The pattern of the route found for it; nothing where it will be refused for want of one.
    pub route: Option<&'a str>,
    /// When.
    pub now: Instant,
}

/// What a [`Middleware`] thinks of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Ask the next one.
    Continue,
    /// Ask the next one, and drop the permit when the session is over, or when it does not come about.
    Hold(Permit),
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
    /// Why, for the server's log; it is not sent.
    pub reason: Option<&'static str>,
}

impl<'a> Arrival<'a> {
    /// A request for which a route was found, or none.
    pub fn new(request: &'a Request, route: Option<&'a str>, now: Instant) -> Self {
        Self { request, route, now }
    }
}

impl Rejection {
    /// A refusal with a status.
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), reason: None }
    }

    /// Adds a header field to the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Says why, for the server's log.
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
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
    fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        self(arrival.request, arrival.now)
    }
}
