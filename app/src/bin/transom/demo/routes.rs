//! The routes of the demo, for people and for tests.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use transom::{
    AllowOrigins, BiStream, FromRequest, HttpRequest, HttpResponse, Params, Path, Rejection, Request, SendStream,
    ServerApp, Session, SessionError, State, WriteError,
};

use super::echo::{discard, echo, read_away};
use super::stats::Demo;
use crate::failure::Failure;
use crate::json;

/// The app with every route, for pages of `page_origins` and of `more_origins`, where `*` stands for all.
pub(super) fn app(
    state: Arc<Demo>,
    page_origins: &[String],
    more_origins: &[String],
) -> Result<ServerApp<Arc<Demo>>, Failure> {
    let origins = if more_origins.iter().any(|origin| origin == "*") {
        AllowOrigins::any()
    } else {
        AllowOrigins::try_only(page_origins.iter().chain(more_origins)).map_err(|error| {
            let sentence = format!("--allow-origin cannot be used: {error}; `*` allows all");
            Failure::new(sentence).with_status(2)
        })?
    };
    Ok(ServerApp::with_state(state)
        .middleware(origins)
        .route("/echo", async |session: Session| echo(&session).await)
        .route("/sink", async |session: Session| discard(&session).await)
        .route("/source/{bytes}", source)
        .route("/streams/{kind}/{count}", streams)
        .route("/close/{code}", close)
        .route("/fin", async |session: Session| session.finish())
        .route("/drain", drain)
        .route("/headers", headers)
        .route("/status/{code}", status)
        .route("/chat", async |session: Session, State(demo): State<Arc<Demo>>| demo.room.join(&session).await)
        .route("/stats", stats)
        .route("/stats/live", live_stats)
        .http_fallback(async |request: HttpRequest| plain(&request)))
}

/// Whoever checks from outside whether the server is well asks without a session.
fn plain(request: &HttpRequest) -> HttpResponse {
    match (request.path(), request.method()) {
        ("/health", &Method::GET | &Method::HEAD) => HttpResponse::from("ok\n"),
        ("/health", _) => HttpResponse::from(StatusCode::METHOD_NOT_ALLOWED)
            .header(http::header::ALLOW, HeaderValue::from_static("GET, HEAD")),
        _ => HttpResponse::from(StatusCode::NOT_FOUND),
    }
}

async fn source(session: Session, Path(ByteCount(bytes)): Path<ByteCount>) -> Result<(), SessionError> {
    let pour = async {
        let mut stream = session.open_uni().await?;
        // A write fails when the client stops the stream or ends the session: its choice, and no failure.
        if write_pattern(&mut stream, bytes).await.is_ok() {
            let _ = stream.finish();
        }
        Ok(())
    };
    tokio::join!(pour, discard(&session)).0
}

async fn write_pattern(stream: &mut SendStream, bytes: u64) -> Result<(), WriteError> {
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(PATTERN.len()).min(PATTERN.len());
        stream.write_bytes(Bytes::from_static(&PATTERN[..piece])).await?;
        left -= piece as u64;
    }
    Ok(())
}

async fn streams(session: Session, plan: Streams) -> Result<(), SessionError> {
    let open = async {
        for i in 0..plan.count {
            let mut send = match plan.kind {
                Kind::Uni => session.open_uni().await?,
                Kind::Bidi => {
                    let BiStream { send, recv } = session.open_bi().await?;
                    tokio::spawn(read_away(recv));
                    send
                }
            };
            // A client that stops one stream still gets the others.
            if send.write_bytes(Bytes::from(format!("stream{i}"))).await.is_ok() {
                let _ = send.finish();
            }
        }
        Ok(())
    };
    tokio::join!(open, discard(&session)).0
}

async fn close(session: Session, how: Close) {
    session.close(how.code, &how.reason);
}

async fn drain(session: Session) {
    session.drain();
    echo(&session).await;
}

async fn headers(session: Session, request: Arc<Request>) -> Result<(), SessionError> {
    let mut object = serde_json::Map::new();
    object.insert(":authority".into(), request.authority().into());
    object.insert(":path".into(), request.path_and_query().into());
    object.append(&mut json::headers(request.headers()));
    tell(&session, &Value::Object(object)).await
}

async fn stats(session: Session, State(demo): State<Arc<Demo>>) -> Result<(), SessionError> {
    tell(&session, &demo.stats()).await
}

async fn live_stats(session: Session, State(demo): State<Arc<Demo>>) -> Result<(), SessionError> {
    let tell = async {
        loop {
            let mut stream = session.open_uni().await?;
            // A client that stops one stream still gets the others.
            if stream.write_bytes(Bytes::from(demo.stats().to_string())).await.is_ok() {
                let _ = stream.finish();
            }
            tokio::time::sleep(BETWEEN_STATISTICS).await;
        }
    };
    tokio::select! {
        told = tell => told,
        () = discard(&session) => Ok(()),
    }
}

/// Never runs: the extractor has refused the request.
async fn status(_: Session, never: Status) {
    match never {}
}

/// Sends `value` on a unidirectional stream, then waits until the client ends the session.
async fn tell(session: &Session, value: &Value) -> Result<(), SessionError> {
    let mut stream = session.open_uni().await?;
    if stream.write_bytes(Bytes::from(value.to_string())).await.is_ok() {
        let _ = stream.finish();
    }
    discard(session).await;
    Ok(())
}

/// How much `/source` is to send.
#[derive(Debug)]
struct ByteCount(u64);

impl FromStr for ByteCount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(bytes) if bytes <= SOURCE_BYTES => Ok(Self(bytes)),
            _ => Err("not a number of bytes up to 1 TiB"),
        }
    }
}

/// What `/streams` is to open.
#[derive(Debug)]
struct Streams {
    kind: Kind,
    count: u32,
}

#[derive(Debug)]
enum Kind {
    Uni,
    Bidi,
}

impl<S> FromRequest<S> for Streams {
    fn from_request(_: &Request, params: &Params, _: &S) -> Result<Self, Rejection> {
        let kind = match params.get("kind") {
            Some("uni") => Kind::Uni,
            Some("bidi") => Kind::Bidi,
            _ => return Err(not_found()),
        };
        let count = number(params, "count").filter(|count| *count <= STREAMS).ok_or_else(not_found)?;
        Ok(Self { kind, count })
    }
}

/// How `/close` is to end the session.
#[derive(Debug)]
struct Close {
    code: u32,
    reason: String,
}

impl<S> FromRequest<S> for Close {
    fn from_request(request: &Request, params: &Params, _: &S) -> Result<Self, Rejection> {
        let code = number(params, "code").ok_or_else(not_found)?;
        Ok(Self { code, reason: reason(request.query().unwrap_or_default()) })
    }
}

/// A refusal with the status of the client's choice; there is no value of this type.
#[derive(Debug)]
enum Status {}

impl<S> FromRequest<S> for Status {
    fn from_request(_: &Request, params: &Params, _: &S) -> Result<Self, Rejection> {
        let status = number(params, "code")
            .filter(|code| (300..600).contains(code))
            .and_then(|code| StatusCode::from_u16(code as u16).ok())
            .ok_or_else(not_found)?;
        Err(Rejection::new(status).header(HeaderName::from_static("x-refused"), HeaderValue::from_static("yes")))
    }
}

/// The value of `reason`. Not read by `Query`, for which a plus is a space: reasons are to come back as they went.
fn reason(query: &str) -> String {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("reason=")).unwrap_or_default();
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

fn number(params: &Params, name: &str) -> Option<u32> {
    params.get(name)?.parse().ok()
}

fn not_found() -> Rejection {
    Rejection::new(StatusCode::NOT_FOUND)
}

/// The time from one answer of `/stats/live` to the next.
const BETWEEN_STATISTICS: Duration = Duration::from_secs(1);
/// The most that `/source` sends: 1 TiB.
const SOURCE_BYTES: u64 = 1 << 40;
/// The most streams that `/streams` opens.
const STREAMS: u32 = 100_000;
/// Byte i is i mod 251, also from one copy to the next; nearly 64 KiB.
static PATTERN: [u8; 251 * 261] = {
    let mut pattern = [0; 251 * 261];
    let mut i = 0;
    while i < pattern.len() {
        pattern[i] = (i % 251) as u8;
        i += 1;
    }
    pattern
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_bounded() {
        assert_eq!("1099511627776".parse::<ByteCount>().unwrap().0, 1 << 40);
        for bad in ["", "-1", "1e3", "1099511627777"] {
            assert!(bad.parse::<ByteCount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn reasons_are_percent_decoded() {
        assert_eq!(reason("a=b&reason=x%20+%C3%BC%26=&reason=no"), "x +ü&=");
        assert_eq!(reason("reasons=x"), "");
        assert_eq!(reason("reason=%ff%"), "\u{fffd}%");
    }

    #[test]
    fn origins_are_checked() {
        let made = |origin: &str| app(Arc::default(), &["http://localhost:8080".to_owned()], &[origin.to_owned()]);
        for good in ["https://app.example", "http://[::1]:8080", "*"] {
            assert!(made(good).is_ok(), "{good}");
        }
        for bad in ["app.example", "https://app.example/", ""] {
            let sentence = made(bad).map(drop).unwrap_err().to_string();
            assert!(sentence.contains("--allow-origin"), "{sentence}");
        }
    }
}
