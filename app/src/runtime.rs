//! Which async runtime to use when nobody names one: the only file that knows runtime features.

use std::future::Future;
use std::sync::Arc;

use transom_core::rt::Runtime;

use crate::error::ServeError;

/// The runtime we are called in, if it is one of those built in.
pub(crate) fn current() -> Option<Arc<dyn Runtime>> {
    #[cfg(feature = "tokio")]
    if let Some(tokio) = transom_tokio::Tokio::current() {
        return Some(Arc::new(tokio));
    }
    None
}

/// Runs a future to its end on this thread, in an executor made for it, which ends with it.
pub(crate) fn block_on<F, Fut, T>(make: F) -> Result<T, ServeError>
where
    F: FnOnce(Arc<dyn Runtime>) -> Fut,
    Fut: Future<Output = T>,
{
    #[cfg(feature = "tokio")]
    {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build();
        let tokio = built.map_err(Arc::new).map_err(ServeError::Socket)?;
        let output = tokio.block_on(make(Arc::new(transom_tokio::Tokio::new(tokio.handle().clone()))));
        // What handlers still do on threads for blocking work is not waited for.
        tokio.shutdown_background();
        Ok(output)
    }
    #[cfg(not(feature = "tokio"))]
    {
        drop(make);
        Err(ServeError::NoRuntime)
    }
}

/// Tasks that run between two looks at what the system has to report. A driver takes what a whole batch of datagrams brings,
/// which may wake a hundred tasks; tokio's own 61 would look in the middle of them, for nothing.
#[cfg(feature = "tokio")]
const EVENT_INTERVAL: u32 = 256;
