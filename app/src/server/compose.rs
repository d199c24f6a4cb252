//! What an app is put together from, besides routes and middleware.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use transom_core::Request;
use transom_core::middleware::Rejection;
use transom_core::router::{RouteInfo, RouteKind, RouterStats};

use super::ServerApp;
use super::handler::{Handler, Route};
use super::hooks::{Known, StatefulMiddleware};
use super::outcome::IntoOutcome;
use crate::error::ServeError;

impl<S: Clone + Send + Sync + 'static> ServerApp<S> {
    /// Serves the sessions of all paths that no other route matches.
    ///
    /// # Panics
    ///
    /// When there is one already, or the handler asks for a parameter of the path, at the line that makes the mistake.
    #[track_caller]
    pub fn default_route<H, Arguments>(mut self, handler: H) -> Self
    where
        H: Handler<S, Arguments>,
        Arguments: 'static,
    {
        if let Err(sentence) = H::check_pattern("*") {
            panic!("the default route: {sentence}");
        }
        if let Err(error) = self.admission.default_route(Arc::new(Route::new(handler))) {
            panic!("{error}");
        }
        self
    }

    /// Puts the routes of another app below a prefix, which may have `{parameters}`; its `/` becomes the prefix itself.
    ///
    /// Its middleware and authentications are asked after those of this app, and only for its routes; its hooks run in the
    /// order in which everything was added. Everything else of it is given up: state, subprotocols and configuration are
    /// those of this app.
    ///
    /// # Panics
    ///
    /// When the prefix is malformed, ends with a slash, or makes a route conflict with one that is here, or when the other
    /// app has a default route, at the line that makes the mistake.
    ///
    /// # Examples
    ///
    /// ```
    /// use transom::{Params, RateLimit, ServerApp, Session};
    /// # use std::time::Duration;
    ///
    /// async fn room(session: Session, params: Params) {
    ///     // params.get("tenant") and params.get("room")
    /// }
    ///
    /// let rooms = ServerApp::new().middleware(RateLimit::per_ip(20, Duration::from_secs(1))).route("/{room}", room);
    /// let app = ServerApp::new().nest("/{tenant}/rooms", rooms);
    /// ```
    #[track_caller]
    pub fn nest(mut self, prefix: &str, app: Self) -> Self {
        for (pattern, kind, handler) in app.admission.iter() {
            if matches!(kind, RouteKind::Exact | RouteKind::Parameters)
                && let Err(sentence) = handler.check_pattern(&format!("{prefix}{pattern}"))
            {
                panic!("route {pattern:?} below {prefix:?}: {sentence}");
            }
        }
        if let Err(error) = self.admission.nest(prefix, app.admission) {
            panic!("{error}");
        }
        if let Err(error) = self.authentications.nest(prefix, app.authentications) {
            panic!("{error}");
        }
        self.hooks.append(app.hooks);
        self
    }

    /// Asks `check` who the client is, before sessions of matching paths are accepted; handlers get what it returns as
    /// [`Identity`](super::Identity).
    ///
    /// The pattern is one of a route, or ends with `/*`: `/rooms/*` is every path below `/rooms/`, and not `/rooms` itself.
    /// Where several match, all are asked in the order in which they were added. It is asked after all middleware, so that
    /// limits come first, and only for paths that have a route.
    ///
    /// An `Err` refuses with its status. A panic is answered with 500, and no answer in
    /// [time](Self::authenticate_timeout) with 503. Nothing that the client sends meanwhile reaches the application.
    ///
    /// # Panics
    ///
    /// When the pattern is malformed, at the line that makes the mistake.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use transom::{Identity, Path, Request, ServerApp, Session, StatusCode};
    ///
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// async fn check(request: Arc<Request>, _state: ()) -> Result<User, StatusCode> {
    ///     let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    ///     // Ask a database.
    ///     token.map(|token| User(token.to_owned())).ok_or(StatusCode::UNAUTHORIZED)
    /// }
    ///
    /// async fn room(session: Session, Path(_room): Path<u32>, Identity(User(name)): Identity<User>) {
    ///     let _ = session.send_datagram(name);
    /// }
    ///
    /// let app = ServerApp::new().authenticate("/rooms/*", check).route("/rooms/{room}", room);
    /// ```
    #[track_caller]
    pub fn authenticate<F, Fut, I, E>(mut self, pattern: &str, check: F) -> Self
    where
        F: Fn(Arc<Request>, S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: Send + Sync + 'static,
        E: Into<Rejection>,
    {
        if let Err(error) = self.authentications.add(pattern, check) {
            panic!("authentication: {error}");
        }
        self
    }

    /// How long all authentications of one request may take together, 5 s unless set.
    ///
    /// [`Config::accept_timeout`](crate::Config::accept_timeout) bounds it, too.
    pub fn authenticate_timeout(mut self, timeout: Duration) -> Self {
        self.authentications.timeout = timeout;
        self
    }

    /// Adds a header field to the answer that accepts a session; a [`SessionRequest`](super::SessionRequest) can add more.
    pub fn accept_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.accept.append(name, value);
        self
    }

    /// Runs `hook` with the state before the server listens; if it fails, the server does not start.
    ///
    /// Startup hooks run in the order in which they, shutdown hooks and stateful middleware were added. When one fails,
    /// what was added before it is ended, the last first: shutdown hooks that were added before it run.
    ///
    /// An app with hooks is awaited, [launched](super::Serve::launch) or [run](super::Serve::run); it cannot be
    /// [started](super::Serve::start).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use transom::{ServerApp, Tls};
    /// # #[derive(Clone)] struct Database;
    /// # impl Database {
    /// #     async fn open(&self) -> Result<(), std::io::Error> { Ok(()) }
    /// #     async fn close(&self) {}
    /// # }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// ServerApp::with_state(Database)
    ///     .on_startup(|database| async move { database.open().await })
    ///     .on_shutdown(|database| async move { database.close().await })
    ///     .bind("[::]:4433", Tls::from_pem("cert.pem", "key.pem")?)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn on_startup<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(S) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoOutcome,
    {
        self.hooks.on_startup(|state| async { hook(state).await.into_outcome() }, Location::caller());
        self
    }

    /// Runs `hook` with the state after the server has stopped and no session is left, the last hook first.
    ///
    /// All run, also when some fail; [`Server::wait`](super::Server::wait) tells the first failure.
    #[track_caller]
    pub fn on_shutdown<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(S) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoOutcome,
    {
        self.hooks.on_shutdown(|state| async { hook(state).await.into_outcome() }, Location::caller());
        self
    }

    /// How long each hook may take before it counts as failed, 30 s unless set.
    pub fn hook_timeout(mut self, timeout: Duration) -> Self {
        self.hooks.timeout = timeout;
        self
    }

    /// Lets `middleware` judge every request, after the ones added before, and starts and stops it with the server.
    #[track_caller]
    pub fn stateful_middleware(mut self, middleware: impl StatefulMiddleware) -> Self {
        let middleware = Arc::new(middleware);
        self.hooks.middleware(&middleware, Location::caller());
        self.admission.push(Known(middleware));
        self
    }

    /// Looks for mistakes that show only when everything is together.
    pub(super) fn check(&self) -> Result<(), ServeError> {
        for (pattern, kind, handler) in self.admission.iter() {
            for wanted in handler.identities() {
                if !self.authentications.may_give(wanted.id, pattern, kind) {
                    return Err(ServeError::NoIdentity { route: pattern.to_owned(), wanted: wanted.name });
                }
            }
        }
        Ok(())
    }

    /// Writes a qlog file for each connection into this directory, which is made if it is missing; see
    /// [`transom_core::qlog`] for what is in it.
    ///
    /// This is for looking for mistakes: every connection makes a file, nothing is ever deleted, and paths and addresses of
    /// clients are in it, readable by the server's user alone. A thread writes it. What is logged faster than the disk takes
    /// it is left out, in whole records, and so may be what happens in the last moment of the process.
    #[cfg(feature = "qlog")]
    pub fn qlog_dir(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.qlog = Some(directory.into());
        self
    }

    /// The routes, in the alphabetical order of their patterns.
    pub fn routes(&self) -> Vec<RouteInfo<'_>> {
        self.admission.routes()
    }

    /// How many routes of which sort there are.
    pub fn route_stats(&self) -> RouterStats {
        self.admission.stats()
    }
}
