//! Puts one scenario on one server and prints a line of JSON.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use transom_bench::scenarios::{self, Failure, Scenario, Target};

#[derive(Parser)]
struct Args {
    /// Where the server listens.
    #[arg(long)]
    server: SocketAddr,
    /// Its process, which is measured.
    #[arg(long)]
    pid: u32,
    /// `list` prints the names; `hold` holds idle sessions with keep-alives.
    #[arg(long)]
    scenario: String,
    /// How long the measured part lasts, about.
    #[arg(long, default_value = "2")]
    seconds: f64,
    /// Sessions to hold.
    #[arg(long, default_value = "20000")]
    sessions: usize,
    /// Seconds between the keep-alives of a held session.
    #[arg(long, default_value = "10")]
    keep_alive: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.scenario == "list" {
        for (name, _) in Scenario::ALL {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    let target = Target { address: args.server, pid: args.pid, time: Duration::from_secs_f64(args.seconds) };
    let result = if args.scenario == "hold" {
        scenarios::hold(&target, args.sessions, Duration::from_secs(args.keep_alive), |alive, memory| {
            eprintln!("{alive} sessions alive, {:.1} KiB each", memory as f64 / 1024.0);
        })
    } else {
        Scenario::named(&args.scenario)
            .ok_or_else(|| Failure(format!("there is no scenario {:?}", args.scenario)))
            .and_then(|scenario| scenarios::run(scenario, &target))
    };
    match result {
        Ok(outcome) => {
            println!("{}", outcome.json());
            ExitCode::SUCCESS
        }
        Err(Failure(words)) => {
            println!("{}", json!({ "error": words }));
            ExitCode::FAILURE
        }
    }
}
