//! Restarts without losing anybody's data: SIGHUP reads the settings again, Ctrl-C stops.
//!
//! `cargo run --example restart --features config [FILE]`, with a file as in `docs/configuration.md`. Sessions that are
//! open are asked to wind down (`Session::draining` on their side) and have the grace period to finish; then the
//! server starts anew, with the new settings. A new certificate alone needs no restart: it is read when it changes.

use tokio::signal::unix::{SignalKind, signal};
use transom::{ServerApp, Session, SessionError, Settings};

/// Answers until the client is through.
async fn work(session: Session) -> Result<(), SessionError> {
    while let Some(mut stream) = session.accept_bi().await? {
        let line = stream.recv.read_to_end(64 * 1024).await?;
        stream.send.write_bytes(line).await?;
        stream.send.finish()?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| String::from("transom.toml"));
    let mut again = signal(SignalKind::hangup())?;
    let mut settings = Settings::load(&file)?;
    loop {
        let server = ServerApp::new().route("/work", work).bind_settings(&settings)?.start()?;
        println!("listening on {:?}", server.local_addrs());
        let stops = loop {
            tokio::select! {
                result = tokio::signal::ctrl_c() => break result.map(|()| true)?,
                _ = again.recv() => match Settings::load(&file) {
                    Ok(new) => {
                        settings = new;
                        break false;
                    }
                    // The server that runs is better than none.
                    Err(error) => eprintln!("not restarted: {error}"),
                },
            }
        };
        server.handle().shutdown(settings.grace);
        server.wait().await?;
        if stops {
            return Ok(());
        }
    }
}
