//! `transom bench`: how fast a server is from here, by its echo and two routes beside it.

mod figures;
mod load;
mod progress;
mod report;
mod scenario;
mod window;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use transom::{ClientBuilder, Config};

use self::figures::{Figures, Tally};
use self::load::Load;
use self::progress::Progress;
use self::report::Report;
use self::scenario::Scenario;
use crate::failure::Failure;
use crate::remote::{ABNORMAL, REFUSED, Remote, seconds};
use crate::signals::Signals;

/// Arguments of `transom bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    remote: Remote,
    /// What to measure, in this order [default: everything]
    #[arg(long, value_name = "SCENARIO,…", value_delimiter = ',')]
    only: Vec<Scenario>,
    /// How long to measure each scenario, in seconds, after a quarter of it to warm up
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// How many are under way at a time: 1 to 1000 [default: 64; 1 for upload and download]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    in_flight: Option<u16>,
    /// Print one line of JSON for each scenario
    #[arg(long)]
    json: bool,
}

impl Args {
    fn scenarios(&self) -> &[Scenario] {
        if self.only.is_empty() { &Scenario::ALL } else { &self.only }
    }

    fn client(&self) -> Result<ClientBuilder, Failure> {
        let mut config = Config::default();
        config.keep_alive_interval = KEEP_ALIVE_INTERVAL;
        // The way may be long, and it is the server that is measured.
        config.stream_window = WINDOW;
        config.connection_window = WINDOW;
        config.connection_window_before_session = WINDOW;
        Ok(self.remote.client()?.config(config))
    }
}

/// Measures one scenario after the other.
///
/// What a server refuses is told and left out. When there is no connection at all there is nothing to go on with.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(format!("listening for signals failed: {error}")))?;
    let client = args.client()?;
    let report = Report::new(args.json);
    report.begin()?;
    let mut first_failure = None;
    for scenario in args.scenarios() {
        let in_flight = args.in_flight.unwrap_or(scenario.in_flight());
        let measured = tokio::select! {
            measured = measure(*scenario, in_flight, &args, &client) => measured,
            status = signals.next() => return Ok(ExitCode::from(status)),
        };
        match measured {
            Ok(figures) => report.measured(*scenario, in_flight, &figures)?,
            Err(failure) if failure.is(REFUSED) || failure.is(ABNORMAL) => {
                report.failed(*scenario, &failure)?;
                first_failure.get_or_insert(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(first_failure.map_or(ExitCode::SUCCESS, |failure| failure.status()))
}

async fn measure(scenario: Scenario, in_flight: u16, args: &Args, client: &ClientBuilder) -> Result<Figures, Failure> {
    let progress = Progress::new(scenario, args.seconds + args.seconds / WARM_UP);
    let tally = Arc::new(Tally::default());
    let mut load = Load::start(scenario, in_flight, client, &args.remote.url, &tally).await?;
    let ran = async {
        load.run(args.seconds / WARM_UP, &mut || progress.advance(&tally)).await?;
        tally.reset();
        let began = Instant::now();
        load.run(args.seconds, &mut || progress.advance(&tally)).await?;
        Ok(tally.figures(began.elapsed()))
    };
    let figures: Result<Figures, Failure> = ran.await;
    drop(progress);
    load.stop().await;
    match figures? {
        figures if figures.is_nothing() => Err(Failure::new(format!(
            "nothing came of it in {} seconds; the server has to have {}",
            args.seconds.as_secs_f64(),
            scenario.needs()
        ))
        .with_status(ABNORMAL)),
        figures => Ok(figures),
    }
}

/// The part of the time that is spent before anything counts.
const WARM_UP: u32 = 4;

/// Bytes that the server may send ahead of what has been read.
const WINDOW: u32 = 8 * 1024 * 1024;

const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

const HELP: &str = "\
Scenarios, and what the server has to have:
  streams         bidirectional streams of 16 bytes that come back: an echo at URL
  datagrams-32    datagrams of 32 bytes that come back: an echo at URL
  datagrams-1100  the same with 1100 bytes
  upload          data into unidirectional streams: a route `sink` that reads streams away
  download        data out of them: routes `source/BYTES` that send one of so many bytes
  handshakes      connections with a session each, opened and closed: any route at URL

`sink` and `source` are beside URL: they take the place of the last part of its path.
`transom demo` has all of these, with https://127.0.0.1:4433/echo as URL.

Under way at a time are streams or datagrams of one session, streams of one upload, downloads with
a connection each, or handshakes, while up to 512 more connections are closing. Latencies are from
the first byte written to the last one read, or from the first packet to the session. A datagram
is lost when it is not back after a second, or when thousands of later ones were sent. What is
uploaded counts when QUIC has taken it, at most 512 KiB before it arrives. The client needs
processor time, too: of the server's, if they share it.

Exit status:
  0  everything was measured
  1  writing to standard output failed
  2  the command line cannot be used
  3  the server refused a session; the others were measured
  4  no connection, or none that can be trusted
  5  a session ended too early, or nothing came back
  130, 143  SIGINT or SIGTERM";

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
        Line::try_parse_from(["bench"].into_iter().chain(line.split(' '))).map(|line| line.args)
    }

    #[test]
    fn everything_is_measured_unless_told() {
        assert_eq!(parse("u").unwrap().scenarios(), Scenario::ALL);
        let some = parse("u --only upload,datagrams-32").unwrap();
        assert_eq!(some.scenarios(), [Scenario::Upload, Scenario::Datagrams32]);
        assert!(parse("u --only uploads").is_err());
    }

    #[test]
    fn what_is_under_way_has_bounds() {
        assert_eq!(parse("u --in-flight 1000").unwrap().in_flight, Some(1_000));
        for bad in ["0", "1001", "-1", "x"] {
            assert!(parse(&format!("u --in-flight={bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_help_names_every_scenario() {
        for scenario in Scenario::ALL {
            assert!(HELP.contains(&format!("\n  {:<14}  ", scenario.name())), "{scenario:?}");
        }
    }
}
