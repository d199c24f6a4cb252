//! What a handler's arguments are made of.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use transom_core::Request;
use transom_core::router::Params;

/// A request that found its route and passed, before its session is accepted.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub(crate) request: &'a Request,
    pub(crate) params: &'a Params,
    pub(crate) route: &'a str,
    pub(crate) protocol: Option<&'a str>,
    pub(crate) identities: &'a [AnyIdentity],
}

/// What an authentication found out.
pub(crate) type AnyIdentity = Arc<dyn Any + Send + Sync>;

impl<'a> Parts<'a> {
    /// What the client asks for.
    pub fn request(&self) -> &'a Request {
        self.request
    }

    /// What the route's parameters stand for.
    pub fn params(&self) -> &'a Params {
        self.params
    }

    /// The pattern of the route.
    pub fn route(&self) -> &'a str {
        self.route
    }

    /// The subprotocol that the server has chosen.
    pub fn protocol(&self) -> Option<&'a str> {
        self.protocol
    }

    /// What the last authentication with this type of identity found out.
    pub fn identity<T: 'static>(&self) -> Option<&'a T> {
        self.identities.iter().rev().find_map(|identity| identity.downcast_ref())
    }
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("request", self.request).field("route", &self.route).finish_non_exhaustive()
    }
}
