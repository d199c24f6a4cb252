//! Async runtimes: which one to use when nobody names one, and what each brings for streams. The only file that knows
//! runtime features.

#[cfg(feature = "smol")]
mod futures_io;
#[cfg(feature = "tokio")]
mod tokio_io;

use std::future::Future;
use std::sync::Arc;

pub use transom_core::rt;
#[cfg(feature = "smol")]
pub use transom_smol::Smol;
#[cfg(feature = "tokio")]
pub use transom_tokio::Tokio;

use crate::error::ServeError;
use rt::Runtime;

/// The runtime for those who name none: the one we are called in, else one that is there for everybody.
pub(crate) fn current() -> Option<Arc<dyn Runtime>> {
    let current = context();
    #[cfg(feature = "smol")]
    let current = current.or_else(|| Some(Arc::new(Smol::global())));
    current
}

/// The runtime we are called in, as far as that can be known.
pub(crate) fn context() -> Option<Arc<dyn Runtime>> {
    #[cfg(any(test, feature = "testing"))]
    if let Some(world) = crate::testing::World::current() {
        return Some(world.runtime());
    }
    #[cfg(feature = "tokio")]
    if let Some(tokio) = Tokio::current() {
        return Some(Arc::new(tokio));
    }
    #[cfg(feature = "smol")]
    if let Some(smol) = Smol::current() {
        return Some(Arc::new(smol));
    }
    None
}

/// Runs a future to its end on this thread, in an executor made for it, which ends with it.
///
/// tokio's, where it is there: what is written for smol works in it, and not the other way round.
pub(crate) fn block_on<F, Fut, T>(make: F) -> Result<T, ServeError>
where
    F: FnOnce(Arc<dyn Runtime>) -> Fut,
    Fut: Future<Output = T>,
{
    #[cfg(feature = "tokio")]
    {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build();
        let tokio = built.map_err(Arc::new).map_err(ServeError::Socket)?;
        let output = tokio.block_on(make(Arc::new(Tokio::new(tokio.handle().clone()))));
        // What handlers still do on threads for blocking work is not waited for.
        tokio.shutdown_background();
        Ok(output)
    }
    #[cfg(all(feature = "smol", not(feature = "tokio")))]
    return Smol::block_on(|smol| make(Arc::new(smol))).map_err(Arc::new).map_err(ServeError::Socket);
    #[cfg(not(any(feature = "tokio", feature = "smol")))]
    {
        drop(make);
        Err(ServeError::NoRuntime)
    }
}

/// Tasks that run between two looks at what the system has to report. A driver takes what a whole batch of datagrams brings,
/// which may wake a hundred tasks; tokio's own 61 would look in the middle of them, for nothing.
#[cfg(feature = "tokio")]
const EVENT_INTERVAL: u32 = 256;
