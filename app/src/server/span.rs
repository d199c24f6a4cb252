//! One tracing span for each request: who asked for what, and what became of it.

use std::time::Duration;

use http::{StatusCode, header};
use tracing::Span;
use tracing::field::Empty;
use transom_core::Request;

use super::dispatch::shown;

/// The span in which a request is decided and its handler runs.
///
/// `peer`, `path` and `origin` are there from the beginning, `route`, `status`, `subprotocol` and `duration_ms` when they
/// are known. What comes from the client is cut, and escaped where it is written.
pub(super) fn of(request: &Request) -> Span {
    let peer = request.remote_address();
    let peer = std::net::SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let span = tracing::info_span!(
        "session",
        %peer,
        path = ?shown(request.path()),
        origin = Empty,
        route = Empty,
        status = Empty,
        subprotocol = Empty,
        duration_ms = Empty,
    );
    if let Some(origin) = request.headers().get(header::ORIGIN) {
        span.record("origin", tracing::field::debug(shown(&String::from_utf8_lossy(origin.as_bytes()))));
    }
    span
}

/// The route of the request we are in.
pub(super) fn route(pattern: &str) {
    Span::current().record("route", pattern);
}

/// The answer to the request we are in.
pub(super) fn answered(status: StatusCode, subprotocol: Option<&str>) {
    let span = Span::current();
    span.record("status", status.as_u16());
    if let Some(subprotocol) = subprotocol {
        span.record("subprotocol", shown(subprotocol));
    }
}

/// The session we are in is over.
pub(super) fn ended(after: Duration) {
    Span::current().record("duration_ms", u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
}
