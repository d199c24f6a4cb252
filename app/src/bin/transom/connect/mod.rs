//! `transom connect`: netcat for WebTransport.

mod pipe;
mod report;

use std::process::ExitCode;

use transom::{ClientBuilder, ClientError, Session, SessionEnd};

use self::report::Report;
use crate::failure::Failure;
use crate::remote::{self, ABNORMAL, Remote};
use crate::signals::Signals;

/// Arguments of `transom connect`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    copying: Copying,
    /// Subprotocol to offer, the most wanted first; repeat it for more
    #[arg(long, value_name = "NAME")]
    protocol: Vec<String>,
    /// Report the session's begin and end on standard error as one line of JSON each
    #[arg(long)]
    json: bool,
}

/// The mode, as options.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Copying {
    /// One bidirectional stream: standard input into it, what comes back to standard output [default]
    #[arg(long)]
    bidi: bool,
    /// Standard input into a unidirectional stream, incoming unidirectional streams to standard output
    #[arg(long)]
    uni: bool,
    /// Each line of standard input as a datagram, each incoming datagram as a line
    #[arg(long)]
    datagram: bool,
}

/// What is done with standard input and output.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Bidi,
    Uni,
    Datagram,
}

impl Copying {
    fn mode(&self) -> Mode {
        match (self.uni, self.datagram) {
            (true, _) => Mode::Uni,
            (_, true) => Mode::Datagram,
            _ => Mode::Bidi,
        }
    }
}

impl Args {
    fn client(&self) -> Result<ClientBuilder, Failure> {
        let client = self.remote.client()?;
        Ok(self.protocol.iter().fold(client, ClientBuilder::protocol))
    }
}

/// Connects, copies, and tells how it ended.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(format!("listening for signals failed: {error}")))?;
    let report = Report::new(args.json);
    let client = args.client()?;
    let session = tokio::select! {
        connected = client.connect(&args.remote.url) => match connected {
            Ok(session) => session,
            Err(error) => return Ok(not_connected(report, &args.remote.url, &error)),
        },
        status = signals.next() => return Ok(ExitCode::from(status)),
    };
    report.connected(&session);
    let copied = tokio::select! {
        // First what has arrived, then the end.
        biased;
        copied = pipe::run(args.copying.mode(), &session) => copied,
        _ = session.closed() => Ok(()),
        status = signals.next() => {
            report.ended(&leave(session).await, None);
            return Ok(ExitCode::from(status));
        }
    };
    let end = leave(session).await;
    report.ended(&end, copied.as_ref().err());
    match (copied, end) {
        (Err(failure), _) => Ok(failure.status()),
        (Ok(()), SessionEnd::ClosedByPeer { code: 0, .. } | SessionEnd::ClosedLocally { .. }) => Ok(ExitCode::SUCCESS),
        (Ok(()), _) => Ok(ExitCode::from(ABNORMAL)),
    }
}

fn not_connected(report: Report, url: &str, error: &ClientError) -> ExitCode {
    let failure = remote::no_session(url, error);
    match error {
        ClientError::Refused { status, headers } => report.refused(*status, headers),
        _ => report.failed(&failure.to_string()),
    }
    failure.status()
}

/// Closes the session, unless it is over, and its connection; says how the session ended.
async fn leave(session: Session) -> SessionEnd {
    session.clone().shutdown(0, "").await;
    session.closed().await
}

const HELP: &str = "\
Modes:
  --bidi      ends with the server's end of the stream
  --uni       ends with the session; after the end of standard input as soon as one incoming stream has ended and no
              other one comes for 0.2 seconds
  --datagram  ends with the session; after the end of standard input as soon as as many datagrams came as were sent,
              or none for 1 second

How the session ended is written to standard error, with --json as {\"event\":\"connected\",…} at first and
{\"event\":\"closed\",…}, {\"event\":\"refused\",…} or {\"event\":\"failed\",…} at last.

Exit status:
  0  the session was closed with code 0, by either side
  1  standard input or output failed
  2  the command line cannot be used
  3  the server refused the session; the status is on standard error
  4  no connection, or none that can be trusted
  5  the session ended in another way: closed by the server with another code, aborted, lost; or a stream was reset or
     stopped
  130, 143  SIGINT or SIGTERM; the session is closed with code 0";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(["connect"].into_iter().chain(line.split(' '))).map(|line| line.args)
    }

    #[test]
    fn one_mode_at_most() {
        assert!(matches!(parse("https://a.example/").unwrap().copying.mode(), Mode::Bidi));
        assert!(matches!(parse("https://a.example/ --uni").unwrap().copying.mode(), Mode::Uni));
        assert!(parse("https://a.example/ --uni --datagram").is_err());
    }
}
