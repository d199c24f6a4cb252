//! Workers: threads with an executor each.

use std::future::poll_fn;
use std::num::NonZeroU8;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use super::launch::{Launch, Station};
use crate::driver::{Done, Shared};
use crate::error::ServeError;

/// The threads of a server's workers.
#[derive(Debug, Default)]
pub(super) struct Threads {
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts a thread whose executor drives one worker's endpoints until they are done.
    pub(super) fn start(&mut self, launch: &Arc<Launch>, station: Station) -> Result<Vec<Arc<Shared>>, ServeError> {
        let launch = Arc::clone(launch);
        let name = format!("transom-{}", station.index);
        let (tell, told) = mpsc::sync_channel(1);
        let body = move || {
            let failed = tell.clone();
            let ran = crate::runtime::block_on(async move |runtime| {
                let started = launch.start(station, &runtime);
                drop(launch);
                let endpoints = started.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
                // Whoever waits for it has gone away only if it panicked.
                let _ = tell.send(started);
                drive(endpoints).await;
            });
            if let Err(error) = ran {
                let _ = failed.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name(name).spawn(body).map_err(Arc::new).map_err(ServeError::Socket)?;
        self.running.push(thread);
        told.recv().unwrap_or(Err(ServeError::NoRuntime))
    }

    /// Waits until all of them have ended.
    pub(super) fn join(self) {
        for thread in self.running {
            // A panic has been reported by the panic hook, and the endpoints it drove have failed.
            let _ = thread.join();
        }
    }
}

/// Keeps an executor running until all endpoints are done.
async fn drive(endpoints: Vec<Arc<Shared>>) {
    for endpoint in &endpoints {
        let mut done = Done::new(endpoint);
        // What broke a socket is reported to whoever waits for the server.
        let _ = poll_fn(|context| done.poll(context)).await;
    }
}

/// One for each core that this process may use.
pub(super) fn per_core() -> NonZeroU8 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    NonZeroU8::new(u8::try_from(cores).unwrap_or(u8::MAX)).unwrap_or(NonZeroU8::MIN)
}
