//! Transom on tokio: sockets, timers and tasks, and nothing else.
//!
//! The `transom` crate uses this by itself inside a tokio runtime. Name it yourself to choose the runtime that a server
//! runs on:
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! use std::sync::Arc;
//!
//! use transom_core::rt::Runtime;
//! use transom_tokio::Tokio;
//!
//! let tokio: Arc<dyn Runtime> = Arc::new(Tokio::new(runtime.handle().clone()));
//! ```
//!
//! The runtime needs its I/O driver and its time driver (`enable_all`).

#[cfg(unix)]
mod alarm;
#[cfg(not(unix))]
#[path = "portable.rs"]
mod socket;
#[cfg(unix)]
mod socket;
mod timer;

use std::io;
use std::pin::Pin;
use std::time::Instant;

use tokio::runtime::Handle;
use transom_core::rt::{Runtime, Task, Timer, UdpSocket};
use transom_udp::Socket;

/// A tokio runtime, as Transom's [`Runtime`].
#[derive(Debug, Clone)]
pub struct Tokio {
    handle: Handle,
}

impl Tokio {
    /// Runs on the runtime behind `handle`.
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Runs on the runtime we are called in; `None` outside of one.
    pub fn current() -> Option<Self> {
        Handle::try_current().ok().map(Self::new)
    }
}

impl Runtime for Tokio {
    fn now(&self) -> Instant {
        // tokio's clock, not the system's: they differ in tests that pause it, and timers follow tokio's. In a task it is
        // that of the task's runtime already; to enter that again is dear for what is asked at each turn of the driver.
        let _context = tokio::task::try_id().is_none().then(|| self.handle.enter());
        tokio::time::Instant::now().into_std()
    }

    fn spawn(&self, task: Task) {
        drop(self.handle.spawn(task));
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        let _context = self.handle.enter();
        Box::pin(timer::TokioTimer::new(deadline))
    }

    #[cfg(unix)]
    fn driver_timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        let _context = self.handle.enter();
        match alarm::AlarmTimer::new(deadline) {
            Ok(timer) => Box::pin(timer),
            // Not Linux, or too many open files: tokio's own needs none.
            Err(error) => {
                tracing::debug!(%error, "no alarm of the system's");
                Box::pin(timer::TokioTimer::new(deadline))
            }
        }
    }

    fn wrap(&self, socket: std::net::UdpSocket) -> io::Result<Box<dyn UdpSocket>> {
        let _context = self.handle.enter();
        Ok(Box::new(Socket::new(socket::TokioSocket::new(socket)?)?))
    }
}
