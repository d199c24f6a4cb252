//! Which async runtime to use when nobody names one: the only file that knows runtime features.

use std::sync::Arc;

use transom_core::rt::Runtime;

/// The runtime we are called in, if it is one of those built in.
pub(crate) fn current() -> Option<Arc<dyn Runtime>> {
    #[cfg(feature = "tokio")]
    if let Some(tokio) = transom_tokio::Tokio::current() {
        return Some(Arc::new(tokio));
    }
    None
}
