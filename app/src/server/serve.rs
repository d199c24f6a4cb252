//! A server that is about to start.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZeroU8;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use transom_core::rt::Runtime;

use super::about::About;
use super::bind::bind_all;
use super::certificate::Certificate;
use super::dispatch::Dispatcher;
use super::hooks::{Hooks, Stops};
use super::launch::{Launch, Started, Station};
use super::operations::Operations;
use super::tcp::Desk;
use super::workers::{self, Threads};
use super::{Server, ServerApp, shutdown};
use crate::driver::Shared;
use crate::error::ServeError;
use crate::tls::Tls;

/// A server that is about to start: await it to serve until it is shut down, [`start`](Self::start) it in the background,
/// or [`run`](Self::run) it where there is no runtime.
///
/// Dropping the future that awaits it closes everything at once.
#[must_use = "a server does nothing until it is awaited, started or run"]
pub struct Serve<S> {
    app: ServerApp<S>,
    tls: Tls,
    addresses: Vec<io::Result<Vec<SocketAddr>>>,
    desks: Vec<io::Result<Vec<SocketAddr>>>,
    graceful: Option<Graceful>,
    workers: Option<NonZeroU8>,
}

/// What to wait for before shutting down, and how long to wait for sessions then.
struct Graceful {
    signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    grace: Duration,
}

impl<S: Clone + Send + Sync + 'static> Serve<S> {
    pub(super) fn new(app: ServerApp<S>, address: impl ToSocketAddrs, tls: Tls) -> Self {
        Self { app, tls, addresses: vec![resolve(address)], desks: Vec::new(), graceful: None, workers: None }
    }

    /// Listens on another address as well, with the same certificate.
    ///
    /// All addresses that the name means are bound.
    pub fn also_bind(mut self, address: impl ToSocketAddrs) -> Self {
        self.addresses.push(resolve(address));
        self
    }

    /// Serves with this many workers; zero means one for each core this process may use.
    ///
    /// A worker is a thread with a socket of its own for each address (SO_REUSEPORT), an endpoint of its own, and an
    /// executor of its own, on which the handlers of its sessions run: what belongs to one session never waits for
    /// another core. The system spreads clients over the workers, and a client whose address changes is still served by
    /// the worker it began with. Limits of [`Config`](crate::Config) for a whole endpoint, such as
    /// [`max_connections`](crate::Config::max_connections), are shared out evenly.
    ///
    /// Without this, [`run`](Self::run) has one worker per core, while an awaited or started server is driven inside the
    /// runtime it is started in. Where the app names a [runtime](ServerApp::runtime), the workers are tasks in that one.
    pub fn workers(mut self, count: u8) -> Self {
        self.workers = Some(NonZeroU8::new(count).unwrap_or_else(workers::per_core));
        self
    }

    /// Answers `/healthz`, `/readyz` and `/metrics` on a TCP port as well, over plain HTTP/1.1; see
    /// [`ServerApp::operations`] for what they say.
    ///
    /// For probes and scrapers inside a machine or a private network: there is no encryption, and one request is answered
    /// after the other.
    pub fn operations_on(mut self, address: impl ToSocketAddrs) -> Self {
        self.desks.push(resolve(address));
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
        if !self.app.hooks.is_empty() {
            return Err(ServeError::HooksNeedLaunch);
        }
        self.app.check()?;
        let runtime = self.runtime()?;
        // Workers leave by themselves when the server ends.
        let (server, _threads) = self.start_beside(&runtime, &mut None)?;
        Ok(server)
    }

    /// Runs the startup hooks, and starts serving in the background.
    ///
    /// Shutdown hooks run on their own when the server has stopped; [`Server::wait`] waits for them.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and when a hook fails; what was begun before that has been ended then.
    ///
    /// # Cancel safety
    ///
    /// Hooks that have run are not ended when the future is dropped.
    pub fn launch(self) -> Pin<Box<dyn Future<Output = Result<Server, ServeError>> + Send>> {
        // An app is large, and would be so in every future that awaits this one.
        Box::pin(async move {
            let runtime = self.runtime()?;
            let (server, _threads) = self.launch_beside(&runtime).await?;
            Ok(server)
        })
    }

    fn runtime(&self) -> Result<Arc<dyn Runtime>, ServeError> {
        self.app.runtime.clone().or_else(crate::runtime::current).ok_or(ServeError::NoRuntime)
    }

    async fn launch_beside(mut self, runtime: &Arc<dyn Runtime>) -> Result<(Server, Threads), ServeError> {
        self.app.check()?;
        let hooks = std::mem::replace(&mut self.app.hooks, Hooks::new());
        let state = self.app.state.clone();
        let stops = hooks.start(&state, runtime).await?;
        let mut stops = (!stops.is_empty()).then_some(stops);
        let started = self.start_beside(runtime, &mut stops);
        if let (Err(_), Some(stops)) = (&started, stops) {
            // Why there is no server is what the caller wants to know; failures here are in the log.
            let _ = stops.run(runtime).await;
        }
        started
    }

    /// Serves until the server is shut down, and blocks meanwhile: for a `main` without a runtime.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), when a socket fails, and [`ServeError::InsideRuntime`] where blocking is not allowed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use transom::{ServerApp, Session, Tls};
    ///
    /// async fn hello(session: Session) {
    ///     let _ = session.send_datagram("hello");
    /// }
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     ServerApp::new().route("/hello", hello).bind("[::]:4433", Tls::from_pem("cert.pem", "key.pem")?).run()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn run(mut self) -> Result<(), ServeError> {
        if crate::runtime::context().is_some() {
            return Err(ServeError::InsideRuntime);
        }
        if self.workers.is_none() {
            self.workers = Some(workers::per_core());
        }
        crate::runtime::block_on(async move |runtime| {
            let runtime = self.app.runtime.clone().unwrap_or(runtime);
            let (server, threads) = Box::pin(self.launch_beside(&runtime)).await?;
            let result = server.wait().await;
            drop(server);
            threads.join();
            result
        })?
    }

    /// Starts serving; `runtime` waits for the signal, and drives the endpoints unless there are workers to do it.
    /// Takes `stops` only if it succeeds.
    fn start_beside(
        self,
        runtime: &Arc<dyn Runtime>,
        stops: &mut Option<Stops>,
    ) -> Result<(Server, Threads), ServeError> {
        let Self { app, tls, addresses, desks, graceful, workers } = self;
        let named_runtime = app.runtime.is_some();
        let ServerApp {
            state,
            admission,
            config,
            protocols,
            http_fallback,
            authentications,
            accept,
            watchers,
            operations,
            qlog,
            ..
        } = app;
        // A simulation has one thread, and no system that would spread clients over sockets.
        let simulation = runtime.simulation();
        let workers = workers.filter(|_| simulation.is_none());
        let count = workers.map_or(1, NonZeroU8::get);
        let mut sockets = Vec::new();
        for addresses in addresses {
            sockets.extend(bind_all(simulation, &addresses.map_err(ServeError::Resolve)?, count)?);
        }
        let http = http_fallback.is_some() || operations;
        let operations = Arc::new(Operations { over_http3: operations, server: OnceLock::new() });
        let watchers = Arc::new(watchers);
        let certificate = Certificate::new(tls.clone(), &watchers);
        let about = About::new(&config, certificate, runtime.now(), open_desks(desks, &operations)?);
        let dispatcher = Arc::new(Dispatcher {
            admission,
            authentications,
            accept,
            protocols,
            state,
            http_fallback,
            watchers,
            operations: Arc::clone(&operations),
            advised: AtomicBool::new(false),
        });
        let launch = Launch::new(config, http, tls, Arc::clone(&dispatcher) as _, count);
        let launch = Arc::new(launch.logging_to(qlog)?);
        let (addresses, stations) = launch.stations(sockets).map_err(Arc::new).map_err(ServeError::Socket)?;
        let driven_by = (workers.is_none() || named_runtime).then_some(runtime);
        let (endpoints, threads) = drive(&launch, stations, driven_by)?;
        for address in &addresses {
            tracing::info!(%address, workers = count, "listening");
        }
        let finish = stops.take().map(|stops| stops.after(endpoints.clone(), runtime));
        let server = Server::new(endpoints, addresses, finish, about.listing(&dispatcher));
        // There is one server, and it is told once.
        let _ = operations.server.set(server.handle().downgrade());
        server.keep_certificate(runtime);
        wait_for_signal(graceful, &server, runtime);
        Ok((server, threads))
    }
}

impl<S: Clone + Send + Sync + 'static> IntoFuture for Serve<S> {
    type Output = Result<(), ServeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let server = self.launch().await?;
            server.wait().await
        })
    }
}

impl<S> fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("addresses", &self.addresses).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// Starts all drivers, on threads of their own where there is no runtime for them.
fn drive(
    launch: &Arc<Launch>,
    stations: Vec<Station>,
    runtime: Option<&Arc<dyn Runtime>>,
) -> Result<(Vec<Arc<Shared>>, Threads), ServeError> {
    let (mut endpoints, mut threads) = (Started::default(), Threads::default());
    for station in stations {
        endpoints.add(match runtime {
            Some(runtime) => launch.start(station, runtime)?,
            None => threads.start(launch, station)?,
        });
    }
    Ok((endpoints.all(), threads))
}

fn wait_for_signal(graceful: Option<Graceful>, server: &Server, runtime: &Arc<dyn Runtime>) {
    if let Some(Graceful { signal, grace }) = graceful {
        runtime.spawn(Box::pin(shutdown::on_signal(signal, grace, server.handle().downgrade())));
    }
}

/// Binds the TCP ports for those who operate the server.
fn open_desks(
    addresses: Vec<io::Result<Vec<SocketAddr>>>,
    operations: &Arc<Operations>,
) -> Result<Vec<Desk>, ServeError> {
    let open = |addresses: io::Result<Vec<SocketAddr>>| {
        let addresses = addresses.map_err(ServeError::Resolve)?;
        let address = *addresses
            .first()
            .ok_or_else(|| ServeError::Resolve(io::Error::new(io::ErrorKind::NotFound, "no address given")))?;
        let opened = TcpListener::bind(address).and_then(|listener| Desk::open(listener, Arc::clone(operations)));
        opened.map_err(|source| ServeError::Bind { address, source })
    };
    addresses.into_iter().map(open).collect()
}

/// Resolved when the server is described and reported when it starts, where errors have a place to go.
fn resolve(address: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    Ok(address.to_socket_addrs()?.collect())
}
