//! The servers, all with the same behaviour.
//!
//! | path | what happens |
//! |---|---|
//! | `/echo` | bidirectional streams and datagrams come back |
//! | `/sink` | a bidirectional stream is read away; at its end the number of bytes comes back in 8 bytes |
//! | `/source` | 8 bytes on a bidirectional stream ask for so many bytes of [`payload::chunk`](crate::payload::chunk) |
//! | `/broadcast` | a datagram is sent to all sessions there, its sender among them |
//! | `/work` | bidirectional streams come back after some computing; `tokio` and `smol` only |

mod app;
mod core_loop;
mod floor;
mod h3_webtransport;
mod smol_app;
mod tokio_app;
mod web_transport_quinn;
mod wtransport;

use std::net::SocketAddr;
use std::process::ExitCode;

use crate::certificate::Certificate;
use crate::quic::Tuning;

/// Who can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// quinn-proto in a bare loop with the least of HTTP/3 and WebTransport.
    Floor,
    /// transom-core in a bare loop.
    Core,
    /// A `ServerApp` on tokio.
    Tokio,
    /// A `ServerApp` on smol.
    Smol,
    /// web-transport-quinn.
    WebTransportQuinn,
    /// wtransport.
    Wtransport,
    /// h3-webtransport on h3-quinn.
    H3Webtransport,
}

/// What a server is given.
pub struct Setup {
    pub listen: SocketAddr,
    pub certificate: Certificate,
    pub tuning: Tuning,
    pub workers: u8,
}

/// What the path of a session says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Echo,
    Sink,
    Source,
    Broadcast,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Serves until killed.
pub fn serve(name: Name, setup: &Setup) -> ExitCode {
    let result = match name {
        Name::Floor => floor::serve(setup),
        Name::Core => core_loop::serve(setup),
        Name::Tokio => on_tokio(tokio_app::serve(setup)),
        Name::Smol => smol_app::serve(setup),
        Name::WebTransportQuinn => on_tokio(web_transport_quinn::serve(setup)),
        Name::Wtransport => on_tokio(wtransport::serve(setup)),
        Name::H3Webtransport => on_tokio(h3_webtransport::serve(setup)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name:?}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread, as one core is what each server gets; the multi-threaded executor costs everybody more there.
fn on_tokio(server: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(server)
}

fn route(path: &[u8]) -> Option<Route> {
    match path {
        b"/echo" => Some(Route::Echo),
        b"/sink" => Some(Route::Sink),
        b"/source" => Some(Route::Source),
        b"/broadcast" => Some(Route::Broadcast),
        _ => None,
    }
}

/// Says where the server listens, as one line of JSON.
fn announce(address: SocketAddr) {
    println!("{}", serde_json::json!({ "address": address.to_string(), "pid": std::process::id() }));
}
