//! A running server, and how it is brought to its end.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use transom_core::EndpointStats;
use transom_core::rt::Runtime;

use super::about::About;
use super::certificate::Certificate;
use super::hooks::Finish;
use crate::diagnostics::{ServerDiagnostics, ServerState};
use crate::driver::{Done, Shared, Shutdown};
use crate::error::ServeError;
use crate::session::Session;
use crate::tls::Tls;

/// A server that is running.
///
/// It is closed at once when the `Server` and all its [handles](Self::handle) are gone.
#[derive(Debug)]
#[must_use = "a server is closed when it is dropped"]
pub struct Server {
    endpoints: Arc<Endpoints>,
}

/// Controls a server from anywhere; can be cloned.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    endpoints: Arc<Endpoints>,
}

/// A future as it is kept.
pub(super) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A [`ServerHandle`] that does not keep the server.
#[derive(Debug)]
pub(super) struct WeakHandle(Weak<Endpoints>);

/// All endpoints of a server: one for each address and worker.
#[derive(Debug)]
struct Endpoints {
    shared: Vec<Arc<Shared>>,
    addresses: Vec<SocketAddr>,
    /// What runs after the endpoints are done, if something does.
    finish: Option<Arc<Finish>>,
    about: About,
}

impl Server {
    pub(super) fn new(
        shared: Vec<Arc<Shared>>,
        addresses: Vec<SocketAddr>,
        finish: Option<Arc<Finish>>,
        about: About,
    ) -> Self {
        Self { endpoints: Arc::new(Endpoints { shared, addresses, finish, about }) }
    }

    /// Where [`Serve::operations_on`](super::Serve::operations_on) answers, with the ports the system chose.
    pub fn operations_addrs(&self) -> Vec<SocketAddr> {
        self.endpoints.about.desks()
    }

    /// The addresses it listens on, with the ports the system chose where 0 was asked for.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.endpoints.addresses.clone()
    }

    /// Counters since the start, over all addresses.
    pub fn stats(&self) -> EndpointStats {
        self.endpoints.stats()
    }

    /// A handle to watch and stop the server with.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { endpoints: Arc::clone(&self.endpoints) }
    }

    /// Looks whether the certificate has to change, if that was asked for.
    pub(super) fn keep_certificate(&self, runtime: &Arc<dyn Runtime>) {
        self.endpoints.about.certificate().keep(self.handle().downgrade(), runtime);
    }

    /// Waits until the server has been shut down, all its connections are closed, and shutdown hooks have run.
    ///
    /// # Errors
    ///
    /// [`ServeError::Socket`] when a socket failed; the rest of the server is closed then. [`ServeError::Shutdown`] when
    /// a shutdown hook failed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; the server goes on.
    pub fn wait(&self) -> impl Future<Output = Result<(), ServeError>> + Send + use<> {
        let endpoints = Arc::clone(&self.endpoints);
        async move {
            let result = endpoints.done().await;
            if result.is_err() {
                endpoints.shut_down(Shutdown::Now);
            }
            let finished = match &endpoints.finish {
                Some(finish) => finish.wait().await,
                None => Ok(()),
            };
            if result.is_ok() {
                tracing::info!("server stopped");
            }
            result.and(finished)
        }
    }
}

impl ServerHandle {
    /// Begins a graceful shutdown; returns at once, see [`Server::wait`].
    ///
    /// New sessions are refused with 503, and open ones are asked to wind down; a connection without any gets GOAWAY.
    /// When all are over and their handlers have returned, or `grace` has passed, what is left is closed with code 0 and the reason "server shutting down",
    /// and then the connections. Called again with less time, it ends sooner; with more, nothing changes.
    pub fn shutdown(&self, grace: Duration) {
        tracing::info!(?grace, sessions = self.sessions(), "server shuts down");
        self.endpoints.shut_down(Shutdown::Graceful(grace));
    }

    /// Closes all sessions and connections without waiting for anybody, also during a graceful shutdown.
    pub fn close_now(&self) {
        tracing::info!(sessions = self.sessions(), "server closes at once");
        self.endpoints.shut_down(Shutdown::Now);
    }

    /// Number of sessions open now.
    pub fn sessions(&self) -> usize {
        self.endpoints.shared.iter().map(|shared| shared.open_sessions()).sum()
    }

    /// The sessions open now, over all addresses, in no order. These handles do not keep them: see
    /// [`Session::observer`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn example(server: transom::ServerHandle) {
    /// for session in server.live_sessions() {
    ///     if session.request().path() == "/feed" {
    ///         session.close(0, "the feed is over");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn live_sessions(&self) -> Vec<Session> {
        let cells = self.endpoints.shared.iter().flat_map(|shared| shared.sessions());
        cells.filter(|cell| cell.end().is_none()).map(Session::observing).collect()
    }

    /// Counters since the start, over all addresses.
    pub fn stats(&self) -> EndpointStats {
        self.endpoints.stats()
    }

    /// The addresses it listens on, with the ports the system chose where 0 was asked for.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.endpoints.addresses.clone()
    }

    /// Uses another certificate for connections that come from now on; open ones are not touched. From now on this one is
    /// [watched](Tls::watch), if that is to be, and what becomes of the last one is no concern of the server.
    ///
    /// # Errors
    ///
    /// [`ServeError::Config`] when it cannot be used for QUIC; the old one stays.
    pub fn set_tls(&self, tls: &Tls) -> Result<(), ServeError> {
        for shared in &self.endpoints.shared {
            shared.act(|state| state.endpoint.set_server_tls(tls.server_config()))?;
        }
        if let Some(shared) = self.endpoints.shared.first()
            && let Some(watchers) = shared.watchers()
        {
            let certificate = Certificate::new(tls.clone(), watchers);
            certificate.keep(self.downgrade(), shared.runtime());
            *self.endpoints.about.certificate() = certificate;
            watchers.certificate_changed(tls.certificate_sha256());
        }
        Ok(())
    }

    /// What the server looks like now, with at most a thousand of its sessions.
    pub fn diagnostics(&self) -> ServerDiagnostics {
        self.diagnostics_of(MAX_LISTED)
    }

    /// Whether new sessions are welcome: false as soon as a shutdown has begun.
    pub fn is_ready(&self) -> bool {
        self.diagnostics_of(0).state == ServerState::Serving
    }

    pub(super) fn diagnostics_of(&self, room: usize) -> ServerDiagnostics {
        let endpoints = self.endpoints.shared.iter().map(|shared| &**shared);
        let mut diagnostics = self.endpoints.about.diagnose(endpoints, room);
        diagnostics.addresses.clone_from(&self.endpoints.addresses);
        diagnostics.counters = self.stats();
        (diagnostics.routes, diagnostics.routes_missed) = self.endpoints.about.routes();
        let watchers = self.endpoints.shared.first().and_then(|shared| shared.watchers());
        diagnostics.failed_handlers = watchers.map_or(0, |watchers| watchers.failed_handlers());
        diagnostics
    }

    pub(super) fn downgrade(&self) -> WeakHandle {
        WeakHandle(Arc::downgrade(&self.endpoints))
    }
}

impl WeakHandle {
    /// A handle, as long as there is the server.
    pub(super) fn upgrade(&self) -> Option<ServerHandle> {
        self.0.upgrade().map(|endpoints| ServerHandle { endpoints })
    }
}

impl Endpoints {
    fn shut_down(&self, shutdown: Shutdown) {
        for shared in &self.shared {
            shared.shut_down(shutdown);
        }
    }

    fn stats(&self) -> EndpointStats {
        let mut sum = EndpointStats::default();
        for shared in &self.shared {
            add(&mut sum, &shared.stats());
        }
        sum
    }

    /// Waits until all endpoints are done, or one fails.
    async fn done(&self) -> Result<(), ServeError> {
        let mut waiting: Vec<Done<'_>> = self.shared.iter().map(|shared| Done::new(shared)).collect();
        poll_fn(|context| {
            let mut all_done = true;
            for done in &mut waiting {
                match done.poll(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(ServeError::Socket(error))),
                    Poll::Pending => all_done = false,
                }
            }
            if all_done { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        self.shut_down(Shutdown::Now);
    }
}

/// Shuts the server down when `signal` is ready; ends also when the server ends otherwise.
pub(super) async fn on_signal(signal: BoxFuture, grace: Duration, server: WeakHandle) {
    if let Some(server) = until_done(signal, server).await {
        server.shutdown(grace);
    }
}

/// Runs a future for as long as there is the server, which it does not keep; a handle if the future came first.
pub(super) async fn until_done(mut future: BoxFuture, server: WeakHandle) -> Option<ServerHandle> {
    // What is waited for belongs to the endpoints, which this task must not keep.
    let shared = server.0.upgrade()?.shared.clone();
    let mut waiting: Vec<Done<'_>> = shared.iter().map(|shared| Done::new(shared)).collect();
    let asked = poll_fn(|context| {
        if future.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        // One that failed is over as well; the others go on.
        waiting.retain_mut(|done| done.poll(context).is_pending());
        if waiting.is_empty() { Poll::Ready(false) } else { Poll::Pending }
    });
    if asked.await { server.upgrade() } else { None }
}

/// Adds counters up.
pub(super) fn add(sum: &mut EndpointStats, part: &EndpointStats) {
    sum.connections_open += part.connections_open;
    sum.connections_accepted += part.connections_accepted;
    sum.connections_refused += part.connections_refused;
    sum.connections_lost += part.connections_lost;
    sum.sessions_open += part.sessions_open;
    sum.sessions_accepted += part.sessions_accepted;
    sum.sessions_refused += part.sessions_refused;
    sum.streams_opened_by_peer += part.streams_opened_by_peer;
    sum.streams_opened += part.streams_opened;
    sum.datagrams_received += part.datagrams_received;
    sum.datagrams_sent += part.datagrams_sent;
    sum.datagrams_dropped += part.datagrams_dropped;
    sum.datagrams_expired += part.datagrams_expired;
    sum.udp_datagrams_received += part.udp_datagrams_received;
    sum.udp_bytes_received += part.udp_bytes_received;
    sum.udp_datagrams_sent += part.udp_datagrams_sent;
    sum.udp_bytes_sent += part.udp_bytes_sent;
    sum.udp_datagrams_handed_on += part.udp_datagrams_handed_on;
}

/// Sessions in a list of them; more would hold up the drivers.
const MAX_LISTED: usize = 1_000;
