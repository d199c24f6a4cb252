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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn status(admission: &Admission<&'static str>, path: &str) -> Result<&'static str, Rejection> {
        #[expect(clippy::disallowed_methods, reason = "nobody asked here looks at the time")]
        let now = Instant::now();
        match admission.decide(&Request::new("h", path), now) {
            Verdict::Run(found) => Ok(*found.value),
            Verdict::Reject(rejection) => Err(rejection),
        }
    }

    #[test]
    fn middleware_is_asked_in_order_and_before_the_router() {
        let mut admission = Admission::default();
        admission.push(|request: &Request, _| match request.query() {
            Some("tea") => Decision::Reject(StatusCode::IM_A_TEAPOT.into()),
            _ => Decision::Continue,
        });
        admission.push(|request: &Request, _| match request.query() {
            Some(_) => {
                let wait = HeaderValue::from_static("9");
                Decision::Reject(Rejection::new(StatusCode::TOO_MANY_REQUESTS).header(http::header::RETRY_AFTER, wait))
            }
            None => Decision::Continue,
        });
        admission.route("/a/{x}", "a").expect("a good route");
        admission.pattern_route("/b.*", "b").expect("a good expression");
        assert!(admission.route("a", "x").is_err() && admission.pattern_route("(", "x").is_err());

        assert_eq!(status(&admission, "/a/1"), Ok("a"));
        assert_eq!(status(&admission, "/bc/d"), Ok("b"));
        assert_eq!(status(&admission, "/a"), Err(StatusCode::NOT_FOUND.into()));
        assert_eq!(status(&admission, "/a?tea"), Err(StatusCode::IM_A_TEAPOT.into()), "the first, and no 404");
        let rejection = status(&admission, "/a/1?x").expect_err("the second minds");
        let response = crate::Response::from(rejection);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers().get(http::header::RETRY_AFTER), Some(&HeaderValue::from_static("9")));
        assert_eq!(admission.router().patterns().count(), 2);
        assert_eq!(format!("{admission:?}"), r#"Admission { middleware: 2, routes: ["/a/{x}", "/b.*"] }"#);
    }
}
