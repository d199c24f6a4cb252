//! A client's connection: made for a session, closed with the last one on it.

use std::fmt;
use std::future::poll_fn;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use transom_core::rt::{Runtime, Simulation};
use transom_core::{Config, ConnectionError, ConnectionId, Endpoint, ErrorCode, OpenError, Request, SessionEnd};

use crate::driver::shared::State;
use crate::driver::{self, ConnectionCell, Kind, Place, SessionCell, Shared, Shutdown, Ticket, driver_gone};
use crate::error::ClientError;
use crate::qlog::QlogDirectory;
use crate::server::bind;
use crate::session::Session;

/// A connection under way or made; every session on it keeps it, and the last one closes it.
pub(crate) struct ClientConnection {
    shared: Arc<Shared>,
    id: ConnectionId,
    cell: Arc<ConnectionCell>,
}

impl ClientConnection {
    /// Opens a socket and begins a connection.
    pub(super) fn begin(
        address: SocketAddr,
        server_name: &str,
        tls: rustls::ClientConfig,
        config: &Config,
        qlog: Option<&QlogDirectory>,
        runtime: &Arc<dyn Runtime>,
    ) -> Result<Self, ClientError> {
        let local: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let simulation = runtime.simulation();
        let socket = bind(simulation, local).map_err(ClientError::Socket)?;
        let mut config = config.clone();
        config.random_seed = config.random_seed.or_else(|| simulation.map(Simulation::seed));
        let mut endpoint = Endpoint::client(config.clone())?;
        if let Some(directory) = qlog {
            directory.attach(&mut endpoint);
        }
        let shared =
            driver::start(endpoint, &config, socket, Arc::clone(runtime), None, None).map_err(ClientError::Socket)?;
        let begun = shared.act(|state| {
            if state.stopped {
                // The runtime has ended, and dropped the driver when it was to begin.
                return Err(ClientError::Connection(driver_gone()));
            }
            let connected = state.endpoint.connect(state.now, address, server_name, tls);
            let id = connected.map_err(ClientError::Connect)?;
            let cell = Arc::clone(&state.connections.entry(id).or_default().cell);
            state.wake_driver();
            Ok((id, cell))
        });
        let (id, cell) = begun.inspect_err(|_| shared.shut_down(Shutdown::Now))?;
        Ok(Self { shared, id, cell })
    }

    /// Waits until sessions can be asked for.
    pub(super) async fn connected(&self) -> Result<(), ClientError> {
        let mut setup = Setup::new(self);
        poll_fn(|context| setup.poll(context, |_, cell| cell.connected.load(Ordering::Acquire).then_some(()))).await
    }

    /// Asks for a session, and waits for the server's answer.
    pub(super) async fn request(self: &Arc<Self>, request: Request) -> Result<Session, ClientError> {
        let cell = self.ask(request).await?;
        // A handle from the start, so that a dropped future takes the request back.
        let session = Session::of_client(Arc::clone(&cell), Arc::clone(self));
        let mut place = Place::new(&cell, Kind::Answer);
        let answered = poll_fn(|context| place.poll_until(context, |cell| cell.response.get().is_some())).await;
        drop(place);
        match (answered, cell.response.get()) {
            (Ok(()), Some(response)) if response.status().is_success() => Ok(session),
            (Ok(()), Some(response)) => {
                Err(ClientError::Refused { status: response.status(), headers: response.headers().clone() })
            }
            (Ok(()), None) => Err(ClientError::Connection(driver_gone())),
            (Err(SessionEnd::ConnectionLost(error)), _) => Err(ClientError::Connection(error)),
            (Err(end), _) => Err(ClientError::Session(end)),
        }
    }

    /// Asks for a session, waiting while the server allows no stream.
    async fn ask(&self, request: Request) -> Result<Arc<SessionCell>, ClientError> {
        let _asking = Asking::new(&self.shared);
        let mut setup = Setup::new(self);
        let request = Arc::new(request);
        poll_fn(|context| {
            setup.poll(context, |state, _| {
                if state.shutdown.is_some() {
                    return Some(Err(ClientError::Connection(last_session_over())));
                }
                let core = state.endpoint.connection(self.id)?;
                let asked = match core.request_session((*request).clone()) {
                    Err(OpenError::Blocked) => return None,
                    Err(OpenError::Closed) if core.is_going_away() => {
                        return Some(Err(ClientError::Session(SessionEnd::NotProcessed)));
                    }
                    Err(OpenError::Closed) => {
                        return Some(Err(core.error().map_or(ClientError::NotSupported, |error| error.clone().into())));
                    }
                    Ok(id) => state.add_session(&self.shared, self.id, id, Arc::clone(&request)),
                };
                state.wake_driver();
                Some(asked.ok_or_else(|| driver_gone().into()))
            })
        })
        .await?
    }
}

/// One future's place among those that wait for the connection to be usable, or for room on it; given up on drop.
struct Setup<'a> {
    connection: &'a ClientConnection,
    ticket: Option<Ticket>,
}

impl<'a> Setup<'a> {
    fn new(connection: &'a ClientConnection) -> Self {
        Self { connection, ticket: None }
    }

    /// Ready with what `attempt` gives, or with the loss of the connection.
    fn poll<T>(
        &mut self,
        context: &Context<'_>,
        attempt: impl FnOnce(&mut State, &ConnectionCell) -> Option<T>,
    ) -> Poll<Result<T, ClientError>> {
        let ClientConnection { shared, id, cell } = self.connection;
        shared.act(|state| {
            if let Some(error) = cell.lost.get() {
                return Poll::Ready(Err(ClientError::Connection(error.clone())));
            }
            if let Some(result) = attempt(state, cell) {
                return Poll::Ready(Ok(result));
            }
            let Some(entry) = state.connections.get_mut(id) else {
                return Poll::Ready(Err(ClientError::Connection(driver_gone())));
            };
            let replaced = entry.setup.register(&mut self.ticket, context.waker());
            state.discard(replaced);
            Poll::Pending
        })
    }
}

impl Drop for Setup<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        self.connection.shared.act(|state| {
            let entry = state.connections.get_mut(&self.connection.id);
            let removed = entry.and_then(|entry| entry.setup.remove(ticket));
            state.discard(removed);
        });
    }
}

/// Keeps the connection open though its last session ends: there will be another one.
struct Asking<'a>(&'a Shared);

impl<'a> Asking<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.act(|state| state.asking += 1);
        Self(shared)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.act(|state| {
            state.asking -= 1;
            state.end_if_unused();
            state.wake_driver();
        });
    }
}

/// The end of a connection on which no session is left.
fn last_session_over() -> ConnectionError {
    let reason = String::from("the last session on the connection is over");
    ConnectionError::ClosedLocally { code: ErrorCode::H3_NO_ERROR, reason }
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.shared.shut_down(Shutdown::Graceful(Duration::ZERO));
    }
}
