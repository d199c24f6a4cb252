//! One of other people's WebTransport servers: `peer-server wtransport|web-transport-quinn|h3`.
//!
//! Prints one line of JSON when it listens and runs until it is killed.

use std::process::ExitCode;

use transom_tests::peers::{Implementation, PeerServer};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("peer-server: {words}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let name = std::env::args().nth(1).ok_or("usage: peer-server wtransport|web-transport-quinn|h3")?;
    let server = PeerServer::start(name.parse::<Implementation>()?).map_err(|error| error.to_string())?;
    let line = serde_json::json!({
        "event": "listening",
        "url": server.url(""),
        "certificate_sha256": server.certificate_sha256_hex(),
    });
    println!("{line}");
    loop {
        std::thread::park();
    }
}
