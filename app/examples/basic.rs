//! The smallest server: it says who comes and goes.
//!
//! `cargo run --example basic [ADDRESS]`; `transom connect --insecure https://localhost:4433/` is a client for it.

use transom::{AllowOrigins, ServerApp, Session, Tls};

async fn hold(session: Session) {
    println!("{} came for {}", session.remote_address(), session.request().path());
    // The session stays open until the client closes it.
    println!("{} left: {}", session.remote_address(), session.closed().await);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    // For development: in production this is `Tls::from_pem`, with files from a certificate authority.
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    // Any web page may connect; without this, none.
    ServerApp::new().middleware(AllowOrigins::any()).route("/", hold).bind(address, tls).run()?;
    Ok(())
}
