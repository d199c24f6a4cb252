//! Answers to plain HTTP/3 requests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use transom_core::{HttpRequest, Response};

/// The answer to a plain HTTP/3 request: a status, header fields, and a body.
///
/// `content-length` is set by itself. A text, bytes or a status alone are answers, too.
///
/// # Examples
///
/// ```
/// use transom::{HeaderName, HeaderValue, HttpResponse, StatusCode};
///
/// let response = HttpResponse::new(StatusCode::OK, "{}")
///     .header(HeaderName::from_static("content-type"), HeaderValue::from_static("application/json"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub(super) response: Response,
    pub(super) body: Bytes,
}

/// What a server does with requests that ask for no session.
pub(crate) struct HttpFallback(Box<dyn Fn(HttpRequest) -> Answering + Send + Sync>);

/// An answer under way.
type Answering = Pin<Box<dyn Future<Output = HttpResponse> + Send>>;

impl HttpResponse {
    /// A status and a body; a status of 1xx is sent as 500.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { response: Response::new(status), body: body.into() }
    }

    /// Adds a header field.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.response = self.response.header(name, value);
        self
    }
}

impl From<StatusCode> for HttpResponse {
    fn from(status: StatusCode) -> Self {
        Self::new(status, Bytes::new())
    }
}

impl From<&'static str> for HttpResponse {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from(text)).header(http::header::CONTENT_TYPE, TEXT)
    }
}

impl From<String> for HttpResponse {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text)).header(http::header::CONTENT_TYPE, TEXT)
    }
}

impl From<Bytes> for HttpResponse {
    fn from(body: Bytes) -> Self {
        Self::new(StatusCode::OK, body)
    }
}

impl HttpFallback {
    pub(super) fn new<F, Fut, R>(answer: F) -> Self
    where
        F: Fn(HttpRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: Into<HttpResponse>,
    {
        let answer = std::sync::Arc::new(answer);
        Self(Box::new(move |request| {
            let answer = std::sync::Arc::clone(&answer);
            // Called inside the future, so that a panic of it is caught like one of its body.
            Box::pin(async move { answer(request).await.into() })
        }))
    }

    /// An answer that is there already.
    pub(super) fn answered(response: HttpResponse) -> Answering {
        Box::pin(std::future::ready(response))
    }

    pub(super) fn answer(&self, request: HttpRequest) -> Answering {
        (self.0)(request)
    }
}

impl fmt::Debug for HttpFallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFallback").finish_non_exhaustive()
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_bytes_and_statuses_are_answers() {
        let of = |response: HttpResponse| {
            let kind = response.response.headers().get("content-type").cloned();
            (response.response.status().as_u16(), kind, response.body)
        };
        assert_eq!(of("ok\n".into()), (200, Some(TEXT), Bytes::from("ok\n")));
        assert_eq!(of(String::from("é").into()), (200, Some(TEXT), Bytes::from("é")));
        assert_eq!(of(Bytes::from_static(&[0, 1]).into()), (200, None, Bytes::from_static(&[0, 1])));
        assert_eq!(of(StatusCode::NOT_FOUND.into()), (404, None, Bytes::new()));
    }
}
