//! One of the servers: `serve floor --listen 127.0.0.1:0`. Prints one line of JSON when it listens.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use transom_bench::certificate::Certificate;
use transom_bench::quic::Tuning;
use transom_bench::servers::{self, Name, Setup};

#[derive(Parser)]
struct Args {
    name: Name,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Windows and limits: the same for all, or those each library has by itself.
    #[arg(long, value_enum, default_value = "tuned")]
    tuning: Tuning,
    /// Workers, each with a thread of its own, where the server is `tokio`.
    #[arg(long, default_value = "1")]
    workers: u8,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let certificate = Certificate::new().expect("a certificate can be made");
    servers::serve(args.name, &Setup { listen: args.listen, certificate, tuning: args.tuning, workers: args.workers })
}
