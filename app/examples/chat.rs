//! A chat room: what one says, all others hear.

use transom::{AllowOrigins, Group, ServerApp, Session, SessionError, State, Tls};

async fn chat(session: Session, State(room): State<Group>) -> Result<(), SessionError> {
    // It leaves by itself when it ends. Who is slow loses what is oldest, and holds up nobody.
    room.join(&session);
    println!("{} joined, {} are here", session.remote_address(), room.len());
    while let Some(line) = session.recv_datagram().await? {
        let sent = room.send_datagram_except(&session, line);
        println!("{} told {} others", session.remote_address(), sent.sessions);
    }
    println!("{} left", session.remote_address());
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    // Where the page is: others are refused.
    let pages = AllowOrigins::only(["http://localhost:8080"]);
    ServerApp::with_state(Group::new()).middleware(pages).route("/chat", chat).bind(address, tls).run()?;
    Ok(())
}
