//! Who somebody is: decisions that take time, before a session is accepted.

use std::any::TypeId;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use transom_core::Request;
use transom_core::middleware::Rejection;
use transom_core::router::{RouteError, RouteKind, Router};
use transom_core::rt::Runtime;

use super::dispatch::{catch_panic, panic_text};
use super::parts::AnyIdentity;
use crate::driver::Deadline;

/// The authentications of an app, in the order in which they were added.
pub(super) struct Authentications<S> {
    list: Vec<Authentication<S>>,
    /// How long all authentications of one request may take.
    pub(super) timeout: Duration,
}

/// One for all paths that match.
struct Authentication<S> {
    pattern: String,
    paths: Router<()>,
    /// The type of what it finds out.
    identity: TypeId,
    check: Arc<Check<S>>,
}

type Check<S> = dyn Fn(Arc<Request>, S) -> Checking + Send + Sync;

type Checking = Pin<Box<dyn Future<Output = Result<AnyIdentity, Rejection>> + Send>>;

/// The authentications that one request has to pass.
pub(super) struct Checks<S> {
    checks: Vec<Arc<Check<S>>>,
    timeout: Duration,
}

impl<S: Clone + Send + 'static> Authentications<S> {
    pub(super) fn new() -> Self {
        Self { list: Vec::new(), timeout: TIMEOUT }
    }

    pub(super) fn add<F, Fut, I, E>(&mut self, pattern: &str, check: F) -> Result<(), RouteError>
    where
        F: Fn(Arc<Request>, S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: Send + Sync + 'static,
        E: Into<Rejection>,
    {
        let check = Arc::new(check);
        let check = move |request: Arc<Request>, state: S| -> Checking {
            let check = Arc::clone(&check);
            // Called inside the future, so that a panic of it is caught like one of its body.
            Box::pin(async move {
                let identity: AnyIdentity = Arc::new(check(request, state).await.map_err(Into::into)?);
                Ok(identity)
            })
        };
        self.insert(pattern.to_owned(), TypeId::of::<I>(), Arc::new(check))
    }

    fn insert(&mut self, pattern: String, identity: TypeId, check: Arc<Check<S>>) -> Result<(), RouteError> {
        let mut paths = Router::new();
        match pattern.strip_suffix("/*") {
            Some(prefix) => {
                paths.insert(&format!("{prefix}/"), ())?;
                paths.insert(&format!("{prefix}/{{*{REST}}}"), ())?;
            }
            None => match pattern.split('/').find(|segment| segment.contains('*') && !segment.starts_with('{')) {
                Some(segment) => return Err(RouteError::BadSegment { segment: segment.to_owned(), pattern }),
                None => paths.insert(&pattern, ())?,
            },
        }
        self.list.push(Authentication { pattern, paths, identity, check });
        Ok(())
    }

    /// Takes over those of an app that is put below a prefix.
    pub(super) fn nest(&mut self, prefix: &str, other: Self) -> Result<(), RouteError> {
        for Authentication { pattern, identity, check, .. } in other.list {
            let below = if pattern == "/" { "" } else { &pattern };
            if pattern == "/*" {
                // The root of the app becomes the prefix itself.
                self.insert(prefix.to_owned(), identity, Arc::clone(&check))?;
            }
            self.insert(format!("{prefix}{below}"), identity, check)?;
        }
        Ok(())
    }

    /// Whether one that gives this type of identity is asked for at least some of a route's paths.
    pub(super) fn may_give(&self, identity: TypeId, route: &str, kind: RouteKind) -> bool {
        let anywhere = !matches!(kind, RouteKind::Exact | RouteKind::Parameters);
        self.list.iter().any(|one| one.identity == identity && (anywhere || overlap(route, &one.pattern)))
    }

    /// Those for a path, if there are any.
    pub(super) fn for_path(&self, path: &str) -> Option<Checks<S>> {
        let asked = self.list.iter().filter(|one| one.paths.find(path).is_some());
        let checks: Vec<Arc<Check<S>>> = asked.map(|one| Arc::clone(&one.check)).collect();
        (!checks.is_empty()).then_some(Checks { checks, timeout: self.timeout })
    }
}

impl<S: Clone> Checks<S> {
    /// Asks one after the other; whoever panics is answered with 500, whoever takes too long with 503.
    pub(super) async fn pass(
        self,
        request: &Arc<Request>,
        state: &S,
        runtime: &Arc<dyn Runtime>,
    ) -> Result<Vec<AnyIdentity>, Rejection> {
        let mut deadline = Deadline::after(runtime, self.timeout);
        let mut identities = Vec::new();
        for check in self.checks {
            let checking = check(Arc::clone(request), state.clone());
            match deadline.bound(catch_panic(checking)).await {
                Some(Ok(answer)) => identities.push(answer?),
                Some(Err(panic)) => {
                    tracing::error!(panic = panic_text(&*panic), "an authentication panicked");
                    return Err(
                        Rejection::new(StatusCode::INTERNAL_SERVER_ERROR).because("its authentication panicked")
                    );
                }
                None => {
                    tracing::error!(timeout = ?self.timeout, "an authentication gave no answer");
                    return Err(
                        Rejection::new(StatusCode::SERVICE_UNAVAILABLE).because("its authentication gave no answer")
                    );
                }
            }
        }
        Ok(identities)
    }
}

/// Whether there are paths for both patterns.
fn overlap(one: &str, other: &str) -> bool {
    let is_rest = |segment: &str| segment == "*" || segment.starts_with("{*");
    let is_parameter = |segment: &str| segment.starts_with('{');
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if is_rest(one) || is_rest(other) => return true,
            (Some(one), Some(other)) if is_parameter(one) || is_parameter(other) => {
                if one.is_empty() || other.is_empty() {
                    return false;
                }
            }
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// How long that is unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The name of what an asterisk stands for; no parameter of a prefix may be called so.
const REST: &str = "transom_rest";

#[cfg(test)]
mod tests {
    use super::*;

    fn for_path(pattern: &str, path: &str) -> bool {
        let mut inner = Authentications::<()>::new();
        inner.add(pattern, async |_, ()| Ok::<_, Rejection>(())).unwrap();
        let alone = inner.for_path(path).is_some();
        let mut outer = Authentications::new();
        outer.nest("/in/{tenant}", inner).unwrap();
        let nested = outer.for_path(&format!("/in/me{}", if path == "/" { "" } else { path }));
        assert_eq!(alone, nested.is_some(), "{pattern} {path}");
        alone
    }

    #[test]
    fn an_asterisk_is_everything_below() {
        for below in ["/rooms/", "/rooms/1", "/rooms/1/2", "/rooms//", "/rooms/a%2Fb", "/r%6Foms/1"] {
            assert!(for_path("/rooms/*", below), "{below}");
        }
        for beside in ["/rooms", "/room/1", "/roomss/1", "/", "/x/rooms/1"] {
            assert!(!for_path("/rooms/*", beside), "{beside}");
        }
        for any in ["/", "/a", "/a/b/", "//"] {
            assert!(for_path("/*", any), "{any}");
        }
        assert!(for_path("/{kind}/x", "/a/x") && !for_path("/{kind}/x", "/a/y"));
        assert!(for_path("/", "/"));
    }

    #[test]
    fn patterns_that_have_paths_in_common() {
        for (one, other, common) in [
            ("/a", "/a", true),
            ("/a", "/b", false),
            ("/a", "/a/b", false),
            ("/", "/*", true),
            ("/a", "/*", true),
            ("/rooms/{room}", "/rooms/*", true),
            ("/rooms/{room}", "/rooms/1", true),
            ("/rooms/{room}", "/rooms/", false),
            ("/rooms", "/rooms/*", false),
            ("/rooms/", "/rooms/*", true),
            ("/{kind}/1", "/rooms/{room}", true),
            ("/{kind}/1", "/rooms/2", false),
            ("/files/{*rest}", "/files/a/b", true),
            ("/files/{*rest}", "/files", false),
            ("/files/{*rest}", "/{any}/a/*", true),
        ] {
            assert_eq!((overlap(one, other), overlap(other, one)), (common, common), "{one} {other}");
        }
    }

    #[test]
    fn patterns_that_are_none() {
        for bad in ["rooms/*", "/rooms*", "*", "/*/x", "/{a}/{a}/*", ""] {
            let added = Authentications::<()>::new().add(bad, async |_, ()| Ok::<_, Rejection>(()));
            assert!(added.is_err(), "{bad}");
        }
    }
}
