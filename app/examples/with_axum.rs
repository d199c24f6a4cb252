//! axum beside Transom: a web application that tells all sessions something, and shows how many there are.
//!
//! `cargo run --example with_axum [WEB_ADDRESS [ADDRESS]]`, then `curl -d hello http://localhost:8080/announce`.

use axum::Router;
use axum::extract::State as WebState;
use axum::routing::{get, post};
use transom::{AllowOrigins, Group, ServerApp, Session, State, Tls};

async fn listen(session: Session, State(listeners): State<Group>) {
    listeners.join(&session);
    session.closed().await;
}

async fn announce(WebState(listeners): WebState<Group>, text: String) -> String {
    format!("told {} sessions\n", listeners.send(text).sessions)
}

async fn count(WebState(listeners): WebState<Group>) -> String {
    format!("{}\n", listeners.len())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let web_address = args.next().unwrap_or_else(|| String::from("localhost:8080"));
    let address = args.next().unwrap_or_else(|| String::from("localhost:4433"));
    let listeners = Group::new();
    let web = Router::new().route("/announce", post(announce)).route("/count", get(count));
    let web = web.with_state(listeners.clone());
    let tcp = tokio::net::TcpListener::bind(&web_address).await?;
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    let pages = AllowOrigins::try_only([format!("http://{web_address}")])?;
    let sessions = ServerApp::with_state(listeners).middleware(pages).route("/listen", listen).bind(address, tls);
    tokio::select! {
        result = sessions => result?,
        result = axum::serve(tcp, web) => result?,
    }
    Ok(())
}
