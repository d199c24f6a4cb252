//! The whole judgement over a request: every middleware in order, then the router.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use crate::Request;
use crate::middleware::{Decision, Middleware, Rejection};
use crate::router::{Match, RouteError, Router};

/// A stack of middleware over a router.
#[derive(Clone)]
pub struct Admission<T> {
    middleware: Vec<Arc<dyn Middleware>>,
    router: Router<T>,
}

/// The answer of an [`Admission`].
#[derive(Debug)]
pub enum Verdict<'a, T> {
    /// Nobody minds, and this is what is registered for the path.
    Run(Match<'a, T>),
    /// Refuse.
    Reject(Rejection),
}

impl<T> Default for Admission<T> {
    fn default() -> Self {
        Self { middleware: Vec::new(), router: Router::new() }
    }
}

impl<T> Admission<T> {
    /// Adds a middleware; it is asked after those added before.
    pub fn push(&mut self, middleware: impl Middleware) {
        self.middleware.push(Arc::new(middleware));
    }

    /// Registers a value for a path pattern, see [`Router::insert`].
    ///
    /// # Errors
    ///
    /// As [`Router::insert`].
    pub fn route(&mut self, pattern: &str, value: T) -> Result<(), RouteError> {
        self.router.insert(pattern, value)
    }

    /// Registers a value for a regular expression, see [`Router::insert_expression`].
    ///
    /// # Errors
    ///
    /// As [`Router::insert_expression`].
    pub fn pattern_route(&mut self, expression: &str, value: T) -> Result<(), RouteError> {
        self.router.insert_expression(expression, value)
    }

    /// Asks the middleware in order, then the router; 404 when nothing is registered for the path.
    pub fn decide(&self, request: &Request, now: Instant) -> Verdict<'_, T> {
        for middleware in &self.middleware {
            if let Decision::Reject(rejection) = middleware.decide(request, now) {
                return Verdict::Reject(rejection);
            }
        }
        match self.router.find(request.path()) {
            Some(found) => Verdict::Run(found),
            None => Verdict::Reject(Rejection::new(StatusCode::NOT_FOUND)),
        }
    }

    /// The router.
    pub fn router(&self) -> &Router<T> {
        &self.router
    }
}

impl<T> std::fmt::Debug for Admission<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns: Vec<_> = self.router.patterns().collect();
        f.debug_struct("Admission").field("middleware", &self.middleware.len()).field("routes", &patterns).finish()
    }
}
