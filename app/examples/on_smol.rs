//! The echo of datagrams and streams, on smol instead of tokio.
//!
//! With `default-features = false, features = ["smol", "ring"]` there is no tokio in the program.

use std::error::Error;

use smol::future::try_zip;
use transom::{AllowOrigins, BiStream, ServerApp, Session, SessionError, Smol, Tls};

async fn datagrams(session: &Session) -> Result<(), SessionError> {
    while let Some(data) = session.recv_datagram().await? {
        session.send_datagram(data)?;
    }
    Ok(())
}

async fn echo_stream(BiStream { mut send, recv }: BiStream) -> Result<(), Box<dyn Error>> {
    // Streams are futures-io's AsyncRead and AsyncWrite.
    smol::io::copy(recv, &mut send).await?;
    Ok(send.finish()?)
}

async fn echo(session: Session) -> Result<(), SessionError> {
    try_zip(datagrams(&session), session.for_each_bi(echo_stream)).await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    let app = ServerApp::new().middleware(AllowOrigins::any()).route("/", echo);
    // In an executor of this thread, which waits for the server's socket by itself.
    Smol::block_on(|_| app.bind(address, tls).into_future())??;
    Ok(())
}
