//! From bound sockets to running drivers.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use transom_core::rt::{Runtime, Simulation};
use transom_core::{Config, Endpoint};

use super::bind::Bound;
use crate::driver::{self, Acceptor, Crew, Post, Shared, Shutdown};
use crate::error::ServeError;
use crate::qlog::QlogDirectory;
use crate::tls::{Tls, provider};

/// What all endpoints of a server have in common.
pub(super) struct Launch {
    config: Config,
    tls: Tls,
    acceptor: Arc<dyn Acceptor>,
    workers: u8,
    qlog: Option<QlogDirectory>,
}

/// What one worker listens on.
pub(super) struct Station {
    /// Its number, for the name of its thread.
    pub(super) index: usize,
    listeners: Vec<Listener>,
}

struct Listener {
    socket: Bound,
    address: SocketAddr,
    post: Option<Post>,
}

/// Endpoints that are driven already while others are to come; closed if those fail.
#[derive(Default)]
pub(super) struct Started(Vec<Arc<Shared>>);

impl Started {
    pub(super) fn add(&mut self, endpoints: impl IntoIterator<Item = Arc<Shared>>) {
        self.0.extend(endpoints);
    }

    /// Nothing failed.
    pub(super) fn all(mut self) -> Vec<Arc<Shared>> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        for endpoint in &self.0 {
            endpoint.shut_down(Shutdown::Now);
        }
    }
}

impl Launch {
    /// `http`: the application answers plain requests.
    pub(super) fn new(mut config: Config, http: bool, tls: Tls, acceptor: Arc<dyn Acceptor>, workers: u8) -> Self {
        if http && config.http_requests == 0 {
            config.http_requests = HTTP_REQUESTS;
        }
        let share = |limit: usize| limit.div_ceil(usize::from(workers.max(1)));
        config.max_connections = share(config.max_connections);
        config.max_handshakes = share(config.max_handshakes);
        config.retry_above = share(config.retry_above);
        Self { config, tls, acceptor, workers, qlog: None }
    }

    /// Logs connections in a directory.
    pub(super) fn logging_to(mut self, directory: Option<PathBuf>) -> Result<Self, ServeError> {
        if let Some(path) = directory {
            let opened = QlogDirectory::open(&path);
            self.qlog = Some(opened.map_err(|source| ServeError::Qlog { path, source })?);
        }
        Ok(self)
    }

    /// Shares sockets out: each address has one for every worker. Returns the addresses as well.
    pub(super) fn stations(&self, sockets: Vec<Vec<Bound>>) -> io::Result<(Vec<SocketAddr>, Vec<Station>)> {
        let mut stations: Vec<Station> =
            (0..usize::from(self.workers)).map(|index| Station { index, listeners: Vec::new() }).collect();
        let mut addresses = Vec::new();
        for sockets in sockets {
            let posts: Vec<Option<Post>> = if sockets.len() > 1 {
                Crew::posts(self.workers, self.key()?).into_iter().map(Some).collect()
            } else {
                vec![None]
            };
            for (place, (socket, post)) in sockets.into_iter().zip(posts).enumerate() {
                let address = socket.local_addr()?;
                if place == 0 {
                    addresses.push(address);
                }
                if let Some(station) = stations.get_mut(place) {
                    station.listeners.push(Listener { socket, address, post });
                }
            }
        }
        Ok((addresses, stations))
    }

    /// Starts the drivers of one worker on a runtime.
    pub(super) fn start(&self, station: Station, runtime: &Arc<dyn Runtime>) -> Result<Vec<Arc<Shared>>, ServeError> {
        let mut started = Started::default();
        for Listener { socket, address, post } in station.listeners {
            let mut config = self.config.clone();
            config.worker = post.as_ref().map(Post::worker);
            config.random_seed = config.random_seed.or_else(|| runtime.simulation().map(Simulation::seed));
            let mut endpoint = Endpoint::server(config.clone(), self.tls.server_config())?;
            if let Some(directory) = &self.qlog {
                directory.attach(&mut endpoint);
            }
            let acceptor = Some(Arc::clone(&self.acceptor));
            let shared = driver::start(endpoint, &config, socket, Arc::clone(runtime), acceptor, post);
            started.add([shared.map_err(|source| ServeError::Bind { address, source })?]);
        }
        Ok(started.all())
    }

    /// What the connection ids of the workers behind one address are made with.
    fn key(&self) -> io::Result<[u8; 16]> {
        let mut key = [0; 16];
        match &self.config.random_seed {
            Some(seed) => key.copy_from_slice(&seed[..16]),
            None => provider()
                .secure_random
                .fill(&mut key)
                .map_err(|_| io::Error::other("the system has no random numbers for us"))?,
        }
        Ok(key)
    }
}

/// Plain requests that wait at a time on one connection, where there is a handler for them.
const HTTP_REQUESTS: usize = 16;
