//! Tokens: who has none that is known is refused before the session opens.
//!
//! Browsers cannot set header fields of a WebTransport request, so the token may stand in the query as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::RwLock;
use transom::{
    AllowOrigins, HeaderName, HeaderValue, Query, Rejection, ServerApp, SessionError, SessionRequest, State,
    StatusCode, Tls,
};

/// Users by their token, which others may change meanwhile. A real server would ask a database for hashes of tokens.
type Users = Arc<RwLock<BTreeMap<String, String>>>;

async fn user_of(token: &str, users: &Users) -> Option<String> {
    users.read().await.get(token).cloned()
}

async fn private(request: SessionRequest, query: Query, State(users): State<Users>) -> Result<(), SessionError> {
    let header = request.request().headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).or(query.get("token")).map(str::to_owned);
    let user = match token {
        Some(token) => user_of(&token, &users).await,
        None => None,
    };
    let Some(user) = user else {
        let (name, value) = (HeaderName::from_static("www-authenticate"), HeaderValue::from_static("Bearer"));
        request.reject(Rejection::new(StatusCode::UNAUTHORIZED).header(name, value));
        return Ok(());
    };
    let session = request.accept()?;
    session.send_datagram(format!("hello, {user}"))?;
    session.closed().await;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    let users = BTreeMap::from([(String::from("s3cret"), String::from("Ada"))]);
    // Where the page is: others are refused.
    let pages = AllowOrigins::only(["http://localhost:8080"]);
    let app = ServerApp::with_state(Arc::new(RwLock::new(users))).middleware(pages).route("/private", private);
    app.bind(address, tls).run()?;
    Ok(())
}
