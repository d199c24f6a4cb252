//! What is held for as long as a session lives.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Something that a [`Middleware`](super::Middleware) gave out for one session and gets back by its `Drop`.
///
/// Clones are the same permit: it is given back with the last of them. `Drop` may run on any thread, and must not wait.
#[derive(Clone)]
pub struct Permit(Arc<dyn Any + Send + Sync>);

/// The permits of one session, to be dropped when it is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "permits are given back when they are dropped"]
pub struct Permits(Vec<Permit>);

impl Permit {
    /// A permit that is given back by the `Drop` of `guard`.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Arc::new(guard))
    }
}

impl Permits {
    pub(super) fn push(&mut self, permit: Permit) {
        self.0.push(permit);
    }

    /// Takes those of another stack as well.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing has to be given back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Permit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Permit {}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
