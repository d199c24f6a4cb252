//! Uploads at the same time, each on a stream of its own, with progress over datagrams.

use transom::{AllowOrigins, BiStream, ServerApp, Session, SessionError, Tls};

async fn upload(session: &Session, mut stream: BiStream) -> Result<(), SessionError> {
    let (id, mut received) = (stream.recv.id(), 0);
    while let Some(data) = stream.recv.read_bytes(64 * 1024).await? {
        // A real server would write the data to a file here; reading on only then is what slows a fast client down.
        received += data.len();
        session.send_datagram(format!("{id} {received}"))?;
    }
    stream.send.write_all(format!("received {received} bytes").as_bytes()).await?;
    Ok(stream.send.finish()?)
}

async fn uploads(session: Session) -> Result<(), SessionError> {
    session.for_each_bi(|stream| upload(&session, stream)).await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    // Where the page is: others are refused.
    let pages = AllowOrigins::only(["http://localhost:8080"]);
    ServerApp::new().middleware(pages).route("/upload", uploads).bind(address, tls).run()?;
    Ok(())
}
