//! How often routes were found.

use std::sync::atomic::{AtomicU64, Ordering};

/// One route of a [`Router`](super::Router), as it stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteInfo<'a> {
    /// The pattern or expression; `*` for the default.
    pub pattern: &'a str,
    /// What sort of route it is.
    pub kind: RouteKind,
    /// How often it was found.
    pub hits: u64,
}

/// What sort of route something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// A pattern without parameters.
    Exact,
    /// A pattern with `{parameters}`.
    Parameters,
    /// A regular expression.
    Expression,
    /// What is found where nothing else is.
    Default,
}

/// Figures of a [`Router`](super::Router).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStats {
    /// Routes without parameters.
    pub exact: usize,
    /// Routes with parameters.
    pub parameters: usize,
    /// Regular expressions.
    pub expressions: usize,
    /// Whether there is a default route.
    pub has_default: bool,
    /// Paths for which a route was found, the default included.
    pub hits: u64,
    /// Paths for which none was.
    pub misses: u64,
}

/// A number that grows behind a shared reference.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn increase(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clone for Counter {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.value()))
    }
}
