//! The whole judgement over a request: a router, and middleware for all routes and for some.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use crate::Request;
use crate::middleware::{Arrival, Middleware, Permits, Rejection, Stack};
use crate::router::{Match, RouteError, RouteInfo, RouteKind, Router, RouterStats};

/// Middleware over a router.
///
/// The stack is asked about every request, also where no route was found, so that nobody who is refused learns which
/// routes there are. Routes put below a prefix with [`nest`](Self::nest) bring their own middleware, which is asked after
/// that and only for them.
#[derive(Clone)]
pub struct Admission<T> {
    stack: Stack,
    router: Router<Entry<T>>,
}

/// A value with the middleware of the admissions that it came with, the outermost first.
#[derive(Clone)]
struct Entry<T> {
    value: T,
    stacks: Vec<Arc<Stack>>,
}

/// The answer of an [`Admission`].
#[derive(Debug)]
pub enum Verdict<'a, T> {
    /// Nobody minds.
    Run(Admitted<'a, T>),
    /// Refuse.
    Reject(Rejection),
}

/// A request that nobody minds.
#[derive(Debug)]
#[non_exhaustive]
pub struct Admitted<'a, T> {
    /// What is registered for the path.
    pub found: Match<'a, T>,
    /// To be dropped when the session is over.
    pub permits: Permits,
}

impl<T> Default for Admission<T> {
    fn default() -> Self {
        Self { stack: Stack::default(), router: Router::new() }
    }
}

impl<T> Admission<T> {
    /// Adds a middleware; it is asked after those added before.
    pub fn push(&mut self, middleware: impl Middleware) {
        self.stack.push(middleware);
    }

    /// Adds a middleware that others know, too.
    pub fn push_shared(&mut self, middleware: Arc<dyn Middleware>) {
        self.stack.push_shared(middleware);
    }

    /// Registers a value for a path pattern, see [`Router::insert`].
    ///
    /// # Errors
    ///
    /// As [`Router::insert`].
    pub fn route(&mut self, pattern: &str, value: T) -> Result<(), RouteError> {
        self.router.insert(pattern, Entry::new(value))
    }

    /// Registers a value for a regular expression, see [`Router::insert_expression`].
    ///
    /// # Errors
    ///
    /// As [`Router::insert_expression`].
    pub fn pattern_route(&mut self, expression: &str, value: T) -> Result<(), RouteError> {
        self.router.insert_expression(expression, Entry::new(value))
    }

    /// Registers the value for paths that nothing else matches, see [`Router::insert_default`].
    ///
    /// # Errors
    ///
    /// As [`Router::insert_default`].
    pub fn default_route(&mut self, value: T) -> Result<(), RouteError> {
        self.router.insert_default(Entry::new(value))
    }

    /// Moves the routes of another admission below a prefix, see [`Router::nest`]; its middleware stays theirs.
    ///
    /// # Errors
    ///
    /// As [`Router::nest`].
    pub fn nest(&mut self, prefix: &str, other: Self) -> Result<(), RouteError> {
        let Self { stack, router } = other;
        let stack = Arc::new(stack);
        let router = router.map(|mut entry| {
            if !stack.is_empty() {
                entry.stacks.insert(0, Arc::clone(&stack));
            }
            entry
        });
        self.router.nest(prefix, router)
    }

    /// Finds the route, asks the middleware in order, and answers 404 when all let pass what has no route.
    ///
    /// A request with an `Origin` field comes from a web page, and any page can make any browser send one. It is refused
    /// with 403 where no middleware on its way [judges origins](Middleware::judges_origin), as
    /// [`AllowOrigins`](crate::middleware::AllowOrigins) does; also where there is no route, since who is refused must not
    /// learn that.
    pub fn decide(&self, request: &Request, now: Instant) -> Verdict<'_, T> {
        let found = self.router.find(request.path());
        let arrival = Arrival::new(request, found.as_ref().map(|found| found.pattern), now);
        let mut permits = match self.stack.decide(&arrival) {
            Ok(permits) => permits,
            Err(rejection) => return Verdict::Reject(rejection),
        };
        if request.origin().is_some() && !self.judges_origin(found.as_ref().map(|found| found.value)) {
            return Verdict::Reject(Rejection::new(StatusCode::FORBIDDEN).because(UNJUDGED));
        }
        let Some(Match { value: entry, pattern, params }) = found else {
            return Verdict::Reject(Rejection::new(StatusCode::NOT_FOUND));
        };
        for stack in &entry.stacks {
            match stack.decide(&arrival) {
                Ok(more) => permits.join(more),
                Err(rejection) => return Verdict::Reject(rejection),
            }
        }
        Verdict::Run(Admitted { found: Match { value: &entry.value, pattern, params }, permits })
    }

    fn judges_origin(&self, entry: Option<&Entry<T>>) -> bool {
        let below = |entry: &Entry<T>| entry.stacks.iter().any(|stack| stack.judges_origin());
        self.stack.judges_origin() || entry.is_some_and(below)
    }

    /// The routes registered, see [`Router::routes`].
    pub fn routes(&self) -> Vec<RouteInfo<'_>> {
        self.router.routes()
    }

    /// What is registered, see [`Router::iter`].
    pub fn iter(&self) -> impl Iterator<Item = (&str, RouteKind, &T)> {
        self.router.iter().map(|(pattern, kind, entry)| (pattern, kind, &entry.value))
    }

    /// Figures of the router. Requests that middleware refuses are counted as well.
    pub fn stats(&self) -> RouterStats {
        self.router.stats()
    }
}

impl<T> Entry<T> {
    fn new(value: T) -> Self {
        Self { value, stacks: Vec::new() }
    }
}

/// Why pages are refused where nobody judges origins, and what to do about it.
pub const UNJUDGED: &str = "web pages are refused where no middleware judges origins: add AllowOrigins::only with those that \
                            may connect, or AllowOrigins::any";

impl<T> std::fmt::Debug for Admission<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns: Vec<_> = self.router.patterns().collect();
        f.debug_struct("Admission").field("middleware", &self.stack.len()).field("routes", &patterns).finish()
    }
}

#[cfg(test)]
mod tests;
