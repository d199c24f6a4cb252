//! The `transom` command: a demo server, a netcat and a load for WebTransport, and certificates for development.

mod bench;
mod cert;
mod connect;
mod demo;
mod failure;
mod json;
mod output;
mod remote;
mod signals;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// WebTransport from the command line: a demo server, a netcat, a load, certificates.
#[derive(Debug, Parser)]
#[command(name = "transom", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server with a web page to try it, and with routes for people and tests
    Demo(demo::Args),
    /// Open a session and connect it to standard input and output
    Connect(connect::Args),
    /// Measure how fast a server is from here
    Bench(bench::Args),
    /// Make a self-signed certificate that browsers accept by its hash
    Cert(cert::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    log_to_stderr(match &command {
        Command::Demo(args) => args.log_level(),
        Command::Connect(_) | Command::Bench(_) | Command::Cert(_) => "error",
    });
    let outcome = match command {
        Command::Demo(args) => in_runtime(demo::run(args)),
        Command::Connect(args) => in_runtime(connect::run(args)),
        Command::Bench(args) => in_runtime(bench::run(args)),
        Command::Cert(args) => cert::run(&args),
    };
    match outcome {
        Ok(status) => status,
        Err(failure) => {
            output::note(&format!("transom: {failure}"));
            failure.status()
        }
    }
}

/// Runs `work` to its end; what still blocks a thread then, such as a read of standard input, is left behind.
fn in_runtime(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("starting the tokio runtime failed: {error}")))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// Logs to standard error what `RUST_LOG` asks for, or `level` and above.
fn log_to_stderr(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Whoever read the log may have gone; that is no reason to stop serving.
        .log_internal_errors(false)
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
