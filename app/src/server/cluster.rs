//! Several servers in one process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use transom_core::EndpointStats;

use super::{Server, ServerHandle};
use crate::error::ServeError;
use crate::session::Session;

/// Several servers in one process, each with a name: they come and go while the others run.
///
/// Clones are the same cluster. The servers are independent of each other, with their own apps, certificates and limits;
/// one app on several addresses needs only [`Serve::also_bind`](crate::Serve::also_bind), and one on several cores
/// [`Serve::workers`](crate::Serve::workers).
///
/// # Examples
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example(app: transom::ServerApp, tls: transom::Tls) -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = transom::Cluster::new();
/// cluster.add("public", app.bind("[::]:4433", tls).start()?);
/// println!("{} sessions", cluster.stats().sessions_open);
/// cluster.remove("public", Duration::from_secs(10)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Cluster {
    servers: Arc<Mutex<BTreeMap<String, Arc<Server>>>>,
}

impl Cluster {
    /// A cluster without servers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a running server in; returns the one that had its name, which is closed if it is dropped.
    pub fn add(&self, name: impl Into<String>, server: Server) -> Option<Arc<Server>> {
        self.servers().insert(name.into(), Arc::new(server))
    }

    /// Shuts one server down, lets its sessions wind down for at most `grace`, and waits for its end; whether there was
    /// one of this name.
    ///
    /// # Errors
    ///
    /// [`ServeError::Socket`] when a socket of it failed.
    ///
    /// # Cancel safety
    ///
    /// The server is no longer in the cluster, and is closed at once.
    pub async fn remove(&self, name: &str, grace: Duration) -> Result<bool, ServeError> {
        let removed = self.servers().remove(name);
        let Some(server) = removed else { return Ok(false) };
        server.handle().shutdown(grace);
        server.wait().await.map(|()| true)
    }

    /// Shuts all servers down together, and waits for their end. None of them stays.
    ///
    /// # Errors
    ///
    /// The first [`ServeError::Socket`]; the others are waited for all the same.
    ///
    /// # Cancel safety
    ///
    /// All servers are closed at once.
    pub async fn shutdown(&self, grace: Duration) -> Result<(), ServeError> {
        let servers: Vec<Arc<Server>> = std::mem::take(&mut *self.servers()).into_values().collect();
        for server in &servers {
            server.handle().shutdown(grace);
        }
        let mut result = Ok(());
        for server in &servers {
            let ended = server.wait().await;
            if result.is_ok() {
                result = ended;
            }
        }
        result
    }

    /// The handle of one server.
    pub fn get(&self, name: &str) -> Option<ServerHandle> {
        self.servers().get(name).map(|server| server.handle())
    }

    /// All servers with their names, in the order of these.
    pub fn list(&self) -> Vec<(String, ServerHandle)> {
        self.servers().iter().map(|(name, server)| (name.clone(), server.handle())).collect()
    }

    /// Counters of all servers together, those that were removed left out.
    pub fn stats(&self) -> EndpointStats {
        let mut sum = EndpointStats::default();
        for server in self.servers().values() {
            super::shutdown::add(&mut sum, &server.stats());
        }
        sum
    }

    /// The live sessions of all servers; see [`ServerHandle::live_sessions`].
    pub fn live_sessions(&self) -> Vec<Session> {
        self.servers().values().flat_map(|server| server.handle().live_sessions()).collect()
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.list().into_iter().map(|(name, server)| (name, server.local_addrs()))).finish()
    }
}
