//! The web page and its few files, over HTTP/1.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Answers on all `listeners` until it is dropped; `config` is served as `/config.json`.
pub(super) async fn serve(listeners: Vec<TcpListener>, config: String) {
    let config = Bytes::from(config);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&slots), config.clone()));
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept(listener: TcpListener, slots: Arc<Semaphore>, config: Bytes) {
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let config = config.clone();
                tokio::spawn(async move {
                    talk(stream, config).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: trying again at once would only spin.
                tracing::warn!("accepting a connection to the web page failed: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, config: Bytes) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), &config);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!("a connection to the web page failed: {error}"),
    }
}

fn respond(method: &Method, path: &str, config: &Bytes) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, Bytes::from_static(b"Only GET and HEAD.\n"));
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        // The request may have a body, which nobody reads.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    // hyper leaves the body of an answer to HEAD away and keeps its length.
    if path == "/config.json" {
        return answer(StatusCode::OK, "application/json", config.clone());
    }
    match FILES.iter().find(|(name, ..)| *name == path) {
        Some((_, content_type, content)) => {
            answer(StatusCode::OK, content_type, Bytes::from_static(content.as_bytes()))
        }
        None => answer(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"Not found. The page is at /.\n")),
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Sent with every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    // A server started anew has another certificate, and its page may be newer.
    (header::CACHE_CONTROL, "no-store"),
    // `https:` in connect-src is what lets the page open WebTransport sessions, to whatever port.
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' https:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Path, content type and content of every file.
const FILES: [(&str, &str, &str); 12] = [
    ("/", HTML, include_str!("../page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../page/style.css")),
    ("/chat.js", SCRIPT, include_str!("../page/chat.js")),
    ("/connection.js", SCRIPT, include_str!("../page/connection.js")),
    ("/demo.js", SCRIPT, include_str!("../page/demo.js")),
    ("/diagnostics.js", SCRIPT, include_str!("../page/diagnostics.js")),
    ("/echo.js", SCRIPT, include_str!("../page/echo.js")),
    ("/plot.js", SCRIPT, include_str!("../page/plot.js")),
    ("/rates.js", SCRIPT, include_str!("../page/rates.js")),
    ("/roundtrip.js", SCRIPT, include_str!("../page/roundtrip.js")),
    ("/stats.js", SCRIPT, include_str!("../page/stats.js")),
    ("/words.js", SCRIPT, include_str!("../page/words.js")),
];

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 64;
/// Time for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a connection as a whole; browsers open another when they need one.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request that are buffered, at most.
const MAX_BUFFER: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Response<Full<Bytes>> {
        respond(&Method::GET, path, &Bytes::from_static(b"{}"))
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/transom/page");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert_eq!(get(&path).status(), StatusCode::OK, "{path} is missing in FILES");
        }
    }

    #[test]
    fn answers_are_typed_and_never_cached() {
        let response = get("/config.json");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("connect-src 'self' https:"));
    }

    #[test]
    fn the_rest_is_not_found_and_not_allowed() {
        assert_eq!(get("/favicon.ico").status(), StatusCode::NOT_FOUND);
        let response = respond(&Method::POST, "/", &Bytes::new());
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "GET, HEAD");
    }
}
