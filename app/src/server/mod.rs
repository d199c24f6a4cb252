//! Servers: routes to handlers, judged by middleware, served on sockets.

mod about;
mod authenticate;
mod bind;
mod certificate;
mod cluster;
mod compose;
mod dispatch;
mod events;
mod extract;
mod facts;
mod handler;
mod hooks;
mod http_fallback;
mod launch;
mod operations;
mod outcome;
mod parts;
mod request;
mod run;
mod serve;
mod shutdown;
mod span;
mod tcp;
mod watch;
mod workers;

use std::fmt;
use std::future::Future;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::Arc;

use transom_core::admission::Admission;
use transom_core::middleware::Middleware;
use transom_core::rt::Runtime;
use transom_core::{Config, HttpRequest, SessionEnd};

pub(crate) use bind::{Bound, bind};
pub use cluster::Cluster;
pub use events::{Events, HandlerFailure, ServerEvent};
pub use extract::{FromRequest, FromState, Path, Query, State};
pub use facts::{Identity, IdentityType, Origin, PeerAddress, Subprotocol};
pub use handler::{Handler, Job};
pub use hooks::StatefulMiddleware;
pub use http_fallback::HttpResponse;
pub(crate) use outcome::failure_of;
pub use outcome::{CloseCode, IntoOutcome, Outcome};
pub use parts::Parts;
pub use request::SessionRequest;
pub use serve::Serve;
pub use shutdown::{Server, ServerHandle};

use crate::session::Session;
use crate::tls::Tls;
use authenticate::Authentications;
use handler::{Prepare, Route};
use hooks::Hooks;
use http::HeaderMap;
use http_fallback::HttpFallback;
pub(crate) use watch::Watchers;

/// A server application: which paths exist, who may come in, and what then runs.
///
/// A request passes the middleware in the order it was added, also where there is no route for it; that is answered with
/// 404. Then it is [authenticated](Self::authenticate), the arguments of the handler are taken out of it, and only then
/// is the session accepted.
///
/// Web pages get in only where some middleware judges their origin: add [`AllowOrigins`](crate::AllowOrigins), or they are
/// refused with 403. Clients that are no browsers send no origin, and are let in.
///
/// Each request has a [`tracing`] span `session` with the fields `peer`, `path`, `origin`, `route`, `status`,
/// `subprotocol` and `duration_ms`, in which its handler runs.
///
/// # Examples
///
/// ```no_run
/// # use std::time::Duration;
/// use transom::{AllowOrigins, ServerApp, Session, SessionError, Tls};
///
/// async fn echo(session: Session) -> Result<(), SessionError> {
///     while let Some(datagram) = session.recv_datagram().await? {
///         session.send_datagram(datagram)?;
///     }
///     Ok(())
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// ServerApp::new()
///     .middleware(AllowOrigins::only(["https://chat.example"]))
///     .route("/echo", echo)
///     .bind("[::]:4433", Tls::from_pem("cert.pem", "key.pem")?)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an app does nothing until it is bound and served"]
pub struct ServerApp<S = ()> {
    state: S,
    admission: Admission<Arc<dyn Prepare<S>>>,
    authentications: Authentications<S>,
    hooks: Hooks<S>,
    /// Header fields of every acceptance.
    accept: HeaderMap,
    config: Config,
    runtime: Option<Arc<dyn Runtime>>,
    protocols: Vec<String>,
    http_fallback: Option<HttpFallback>,
    watchers: Watchers,
    operations: bool,
    /// Where to log connections.
    pub(crate) qlog: Option<PathBuf>,
}

impl ServerApp {
    /// An app without state.
    pub fn new() -> Self {
        Self::with_state(())
    }
}

impl Default for ServerApp {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> ServerApp<S> {
    /// An app whose handlers can ask for `state`, see [`State`].
    pub fn with_state(state: S) -> Self {
        Self {
            state,
            admission: Admission::default(),
            authentications: Authentications::new(),
            hooks: Hooks::new(),
            accept: HeaderMap::new(),
            config: Config::default(),
            runtime: None,
            protocols: Vec::new(),
            http_fallback: None,
            watchers: Watchers::default(),
            operations: false,
            qlog: None,
        }
    }

    /// Serves the sessions of a path, or of all paths that a pattern with `{parameters}` matches.
    ///
    /// `{name}` stands for one whole segment, `{*name}` at the end for all that is left. Exact segments win over
    /// parameters.
    ///
    /// # Panics
    ///
    /// When the pattern is malformed or exists already, or does not have what the handler asks for: mistakes in the
    /// program, shown at the line that makes them.
    #[track_caller]
    pub fn route<H, Arguments>(mut self, pattern: &str, handler: H) -> Self
    where
        H: Handler<S, Arguments>,
        Arguments: 'static,
    {
        if let Err(sentence) = H::check_pattern(pattern) {
            panic!("route {pattern:?}: {sentence}");
        }
        if let Err(error) = self.admission.route(pattern, Arc::new(Route::new(handler))) {
            panic!("{error}");
        }
        self
    }

    /// Serves the sessions of all paths that a regular expression matches as a whole, where no [`route`](Self::route)
    /// does; its named groups are the parameters. A handler that takes a [`Path`] needs exactly one group that matched,
    /// and requests without it are answered with 404.
    ///
    /// # Panics
    ///
    /// When it is no regular expression or exists already: mistakes in the program, shown at the line that makes them.
    #[track_caller]
    pub fn pattern_route<H, Arguments>(mut self, expression: &str, handler: H) -> Self
    where
        H: Handler<S, Arguments>,
        Arguments: 'static,
    {
        if let Err(error) = self.admission.pattern_route(expression, Arc::new(Route::new(handler))) {
            panic!("{error}");
        }
        self
    }

    /// Lets `middleware` judge every request, after the ones added before.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.admission.push(middleware);
        self
    }

    /// The subprotocols the server speaks; of those a client offers, its own favourite is chosen.
    pub fn protocols<I>(mut self, protocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Answers plain HTTP/3 requests, which ask for no session, such as health checks; without it they get 404.
    ///
    /// What a request has for a body is thrown away. Middleware is not asked. A panic answers 500, and nobody answering
    /// within [`Config::accept_timeout`] 503. At most [`Config::http_requests`] wait on one connection, 16 unless that
    /// is set.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use transom::{HttpRequest, HttpResponse, ServerApp, StatusCode};
    ///
    /// let app = ServerApp::new().http_fallback(async |request: HttpRequest| match request.path() {
    ///     "/health" => HttpResponse::from("ok\n"),
    ///     _ => StatusCode::NOT_FOUND.into(),
    /// });
    /// ```
    pub fn http_fallback<F, Fut, R>(mut self, answer: F) -> Self
    where
        F: Fn(HttpRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: Into<HttpResponse>,
    {
        self.http_fallback = Some(HttpFallback::new(answer));
        self
    }

    /// Calls `call` with every session once it can be used, before its handler runs; calls are made in the order in which
    /// they were added.
    ///
    /// It must return at once: what takes time belongs into a task. The handle does not keep the session open, and neither do
    /// clones of it. A panic harms nobody else.
    ///
    /// # Examples
    ///
    /// ```
    /// use transom::{Group, ServerApp};
    ///
    /// let everyone = Group::new();
    /// let members = everyone.clone();
    /// let app = ServerApp::new().on_connect(move |session| {
    ///     members.join(session);
    /// });
    /// ```
    pub fn on_connect(mut self, call: impl Fn(&Session) + Send + Sync + 'static) -> Self {
        self.watchers.on_connect(call);
        self
    }

    /// Calls `call` with every session that has ended, and why; in the order in which calls were added.
    ///
    /// It must return at once, as with [`on_connect`](Self::on_connect). The session's handler may still be running. A
    /// server that shuts down waits for these calls.
    pub fn on_disconnect(mut self, call: impl Fn(&Session, &SessionEnd) + Send + Sync + 'static) -> Self {
        self.watchers.on_disconnect(call);
        self
    }

    /// Writes what happens with sessions, handlers and the certificate to a queue; see [`Events`].
    pub fn events(mut self, events: &Events) -> Self {
        self.watchers.add_events(events.source());
        self
    }

    /// Answers `GET` requests over HTTP/3 for `/healthz` (200 as long as there is somebody to answer), `/readyz` (503 once a
    /// shutdown has begun) and `/metrics` (for Prometheus), before [`http_fallback`](Self::http_fallback).
    ///
    /// Everybody who reaches the server can ask. [`Serve::operations_on`] answers the same on a TCP port of its own, which
    /// need not be reachable from outside.
    pub fn operations(mut self) -> Self {
        self.operations = true;
        self
    }

    /// Sets limits and deadlines; the default is meant for production.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Runs on this runtime instead of the one the server is started in.
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Listens on an address: `"[::]:4433"` is every address of the machine, IPv4 as well.
    ///
    /// A name is resolved here, which may block, and all its addresses are bound. Errors come when the server starts.
    pub fn bind(self, address: impl ToSocketAddrs, tls: Tls) -> Serve<S> {
        Serve::new(self, address, tls)
    }
}

impl<S> fmt::Debug for ServerApp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerApp")
            .field("admission", &self.admission)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(_: Session) {}

    async fn with_path(_: Session, _: Path<u8>) {}

    #[test]
    #[should_panic(expected = "registered already")]
    fn a_route_exists_once() {
        let _ = ServerApp::new().route("/a", nothing).route("/a", nothing);
    }

    #[test]
    #[should_panic(expected = "exactly one {parameter}")]
    fn a_handler_s_arguments_must_be_in_the_pattern() {
        let _ = ServerApp::new().route("/a", with_path);
    }

    #[test]
    fn mistakes_are_shown_at_the_user_s_line() {
        let line = Arc::new(std::sync::Mutex::new(0));
        let seen = Arc::clone(&line);
        let this_thread = std::thread::current().id();
        let old = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Other tests panic meanwhile, on threads of their own.
            if let Some(location) = info.location()
                && std::thread::current().id() == this_thread
            {
                *seen.lock().unwrap() = location.line();
            }
        }));
        let here = line!() + 1;
        let result = std::panic::catch_unwind(|| drop(ServerApp::new().route("no slash", nothing)));
        std::panic::set_hook(old);
        assert!(result.is_err());
        assert_eq!(*line.lock().unwrap(), here);
    }
}
