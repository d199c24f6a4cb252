//! A server that is about to start.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use transom_core::Endpoint;
use transom_core::rt::Runtime;

use super::bind::bind_all;
use super::dispatch::Dispatcher;
use super::{Server, ServerApp, shutdown};
use crate::driver;
use crate::error::ServeError;
use crate::tls::Tls;

/// A server that is about to start: await it to serve until it is shut down, or [`start`](Self::start) it.
///
/// Dropping the future that awaits it closes everything at once.
#[must_use = "a server does nothing until it is awaited or started"]
pub struct Serve<S> {
    app: ServerApp<S>,
    tls: Tls,
    addresses: Vec<io::Result<Vec<SocketAddr>>>,
    graceful: Option<Graceful>,
}

/// What to wait for before shutting down, and how long to wait for sessions then.
struct Graceful {
    signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    grace: Duration,
}

impl<S: Clone + Send + Sync + 'static> Serve<S> {
    pub(super) fn new(app: ServerApp<S>, address: impl ToSocketAddrs, tls: Tls) -> Self {
        Self { app, tls, addresses: vec![resolve(address)], graceful: None }
    }

    /// Listens on another address as well, with the same certificate.
    ///
    /// All addresses that the name means are bound.
    pub fn also_bind(mut self, address: impl ToSocketAddrs) -> Self {
        self.addresses.push(resolve(address));
        self
    }

    /// Shuts down when `signal` is ready: new sessions are refused with 503, open ones are asked to wind down and get
    /// `grace` to do so.
    ///
    /// See [`ServerHandle::shutdown`](super::ServerHandle::shutdown) for what happens then.
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
        grace: Duration,
    ) -> Self {
        self.graceful = Some(Graceful { signal: Box::pin(signal), grace });
        self
    }

    /// Starts serving in the background.
    ///
    /// # Errors
    ///
    /// When there is no runtime, an address cannot be bound, or the configuration cannot work.
    pub fn start(self) -> Result<Server, ServeError> {
        let Self { app, tls, addresses, graceful } = self;
        let ServerApp { state, admission, mut config, runtime, protocols, http_fallback } = app;
        if http_fallback.is_some() && config.http_requests == 0 {
            config.http_requests = HTTP_REQUESTS;
        }
        let runtime: Arc<dyn Runtime> = runtime.or_else(crate::runtime::current).ok_or(ServeError::NoRuntime)?;
        let mut sockets = Vec::new();
        for addresses in addresses {
            sockets.extend(bind_all(&addresses.map_err(ServeError::Resolve)?)?);
        }
        let dispatcher = Arc::new(Dispatcher { admission, protocols, state, http_fallback });
        let mut endpoints = Vec::new();
        let mut local_addrs = Vec::new();
        for socket in sockets {
            let address = socket.local_addr().map_err(Arc::new).map_err(ServeError::Socket)?;
            let endpoint = Endpoint::server(config.clone(), tls.server_config())?;
            let acceptor = Arc::clone(&dispatcher);
            let started = driver::start(endpoint, &config, socket, Arc::clone(&runtime), Some(acceptor));
            endpoints.push(started.map_err(|source| ServeError::Bind { address, source })?);
            local_addrs.push(address);
            tracing::info!(%address, "listening");
        }
        let server = Server::new(endpoints, local_addrs);
        if let Some(Graceful { signal, grace }) = graceful {
            runtime.spawn(Box::pin(shutdown::on_signal(signal, grace, server.handle().downgrade())));
        }
        Ok(server)
    }
}

impl<S: Clone + Send + Sync + 'static> IntoFuture for Serve<S> {
    type Output = Result<(), ServeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let server = self.start()?;
            server.wait().await
        })
    }
}

impl<S> std::fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serve").field("addresses", &self.addresses).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// Resolved when the server is described and reported when it starts, where errors have a place to go.
fn resolve(address: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    Ok(address.to_socket_addrs()?.collect())
}

/// Plain requests that wait at a time on one connection, where there is a handler for them.
const HTTP_REQUESTS: usize = 16;
