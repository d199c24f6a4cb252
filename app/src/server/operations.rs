//! What those who operate a server ask it: whether it lives, whether it is ready, its figures.

use std::sync::OnceLock;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};

use super::http_fallback::HttpResponse;
use super::shutdown::WeakHandle;
use crate::diagnostics::ServerState;

/// Answers to who operates a server.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    /// Whether they are given over HTTP/3.
    pub(super) over_http3: bool,
    /// Known once there is a server.
    pub(super) server: OnceLock<WeakHandle>,
}

impl Operations {
    /// The answer over HTTP/3, if it is ours to give.
    pub(super) fn answer_http3(&self, method: &Method, path: &str) -> Option<HttpResponse> {
        if self.over_http3 { self.answer(method, path) } else { None }
    }

    /// The answer, if there is one for this path.
    pub(super) fn answer(&self, method: &Method, path: &str) -> Option<HttpResponse> {
        if !["/healthz", "/readyz", "/metrics"].contains(&path) {
            return None;
        }
        if *method != Method::GET {
            return Some(StatusCode::METHOD_NOT_ALLOWED.into());
        }
        let diagnostics = self.server.get().and_then(WeakHandle::upgrade).map(|server| server.diagnostics_of(0));
        Some(match (path, diagnostics) {
            ("/metrics", Some(diagnostics)) => {
                let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                HttpResponse::new(StatusCode::OK, diagnostics.to_prometheus()).header(CONTENT_TYPE, text)
            }
            ("/metrics", None) => StatusCode::SERVICE_UNAVAILABLE.into(),
            ("/readyz", Some(diagnostics)) if diagnostics.state == ServerState::Serving => "ready\n".into(),
            ("/readyz", _) => HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            _ => "ok\n".into(),
        })
    }
}
