//! Echoes datagrams and streams, side by side.

use transom::{AllowOrigins, BiStream, ServerApp, Session, SessionError, Tls};

async fn datagrams(session: &Session) -> Result<(), SessionError> {
    while let Some(data) = session.recv_datagram().await? {
        session.send_datagram([b"ECHO: ", &*data].concat())?;
    }
    Ok(())
}

async fn echo_stream(mut stream: BiStream) -> Result<(), SessionError> {
    stream.send.write_all(b"ECHO: ").await?;
    // As it comes: what does not fit is not read, and so the client has to wait.
    while let Some(data) = stream.recv.read_bytes(64 * 1024).await? {
        stream.send.write_bytes(data).await?;
    }
    stream.send.finish()?;
    Ok(())
}

async fn echo(session: Session) -> Result<(), SessionError> {
    println!("session from {}", session.remote_address());
    // All streams at the same time: a slow one does not hold up the others.
    tokio::try_join!(datagrams(&session), session.for_each_bi(echo_stream))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    // Any web page may connect; without this, none.
    ServerApp::new().middleware(AllowOrigins::any()).route("/", echo).bind(address, tls).run()?;
    Ok(())
}
