//! Several paths, one of them with a parameter. What is not there is answered with 404.

use transom::{Path, ServerApp, Session, SessionError, Tls};

async fn say(session: Session, text: impl AsRef<[u8]>) -> Result<(), SessionError> {
    let mut stream = session.open_uni().await?;
    stream.write_all(text.as_ref()).await?;
    Ok(stream.finish()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    ServerApp::new()
        .route("/", async |session| say(session, "Welcome to the home page!").await)
        .route("/api/v1/status", async |session| say(session, r#"{"status": "ok"}"#).await)
        // A name that is no number is a 404 as well, before the session opens.
        .route("/rooms/{number}", async |session, Path(room): Path<u32>| say(session, format!("Room {room}")).await)
        .bind(address, Tls::self_signed(["localhost", "127.0.0.1"])?)
        .run()?;
    Ok(())
}
