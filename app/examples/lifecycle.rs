//! A database that is opened before the first session and left in order after the last: it counts visits, over restarts.
//!
//! `cargo run --example lifecycle [ADDRESS [FILE]]`; Ctrl-C lets sessions finish, for ten seconds at most.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use transom::{ServerApp, Session, State, Tls};

type Database = Arc<Mutex<Connection>>;

async fn visit(session: Session, State(database): State<Database>) -> Result<(), Box<dyn Error + Send + Sync>> {
    // SQLite blocks, so it works on a thread for that.
    let count = tokio::task::spawn_blocking(move || {
        let database = database.lock().expect("nobody panics with the lock");
        database.execute("INSERT INTO visits DEFAULT VALUES", [])?;
        database.query_row("SELECT count(*) FROM visits", [], |row| row.get::<_, u64>(0))
    });
    session.send_datagram(format!("visit {}", count.await??))?;
    session.closed().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| String::from("localhost:4433"));
    let database = Connection::open(args.next().unwrap_or_else(|| String::from("visits.db")))?;
    database.execute("CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY)", [])?;
    let database = Arc::new(Mutex::new(database));
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let app = ServerApp::with_state(Arc::clone(&database)).route("/", visit);
    let serve = app.bind(address, Tls::self_signed(["localhost", "127.0.0.1"])?);
    serve.with_graceful_shutdown(stop, Duration::from_secs(10)).await?;
    // All sessions are over and all handlers have returned, so nobody writes any more.
    database.lock().expect("nobody panics with the lock").execute_batch("PRAGMA optimize")?;
    println!("database in order");
    Ok(())
}
