//! Runs the table of bad inputs: `hostile [OPTIONS] [SERVER…]`, see `--help`.
//!
//! Prints one line a case, a summary by area and a count; exits with 1 if a case that counts failed.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use transom_tests::hostile::{Case, Kind, Outcome, Pace, Place, page, run, table};

fn main() -> ExitCode {
    match Command::parse(std::env::args().skip(1)).and_then(Command::run) {
        Ok(outcomes) => ExitCode::from(u8::from(outcomes.iter().any(|outcome| outcome.failures().next().is_some()))),
        Err(words) => {
            eprintln!("hostile: {words}");
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Command {
    servers: Vec<Kind>,
    only: Option<String>,
    list: bool,
    help: bool,
    serial: bool,
    patience: Option<Duration>,
    limit: Option<Duration>,
    markdown: Option<String>,
    origin: Option<String>,
    place: Place,
}

impl Command {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut command = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} takes a value"));
            match argument.as_str() {
                "--help" => command.help = true,
                "--list" => command.list = true,
                "--serial" => command.serial = true,
                "--only" => command.only = Some(value()?),
                "--markdown" => command.markdown = Some(value()?),
                "--authority" => command.place.authority = value()?,
                "--path" => command.place.echo = value()?,
                "--origin" => command.origin = Some(value()?),
                "--patience" => command.patience = Some(seconds(&value()?)?),
                "--limit" => command.limit = Some(seconds(&value()?)?),
                "--pid" => command.set_pid(&value()?)?,
                name => command.servers.push(name.parse()?),
            }
        }
        if command.servers.is_empty() {
            command.servers.push(Kind::Transom);
        }
        Ok(command)
    }

    fn set_pid(&mut self, pid: &str) -> Result<(), String> {
        let pid = pid.parse().map_err(|_| format!("{pid:?} is no process id"))?;
        match self.servers.last_mut() {
            Some(Kind::Running(_, known)) => *known = Some(pid),
            _ => return Err("--pid goes behind the address of a server".into()),
        }
        Ok(())
    }

    fn run(self) -> Result<Vec<Outcome>, String> {
        if self.help {
            println!("{HELP}");
            return Ok(Vec::new());
        }
        self.place.clone().choose();
        let mut cases = table();
        let chosen = |case: &Case, text: &str| case.name.contains(text) || case.rows.split(' ').any(|row| row == text);
        cases.retain(|case| self.only.as_ref().is_none_or(|text| chosen(case, text)));
        if self.list {
            for case in &cases {
                println!("{:<9} {:<24} {}", case.rows, case.scope.to_string(), case.name);
            }
            println!("{} cases", cases.len());
            return Ok(Vec::new());
        }
        let mut outcomes = Vec::new();
        for kind in &self.servers {
            let bar = bar(cases.len(), &kind.title());
            let at_a_time = if self.serial { 1 } else { AT_A_TIME };
            let (patience, limit, origin) = (self.patience, self.limit, self.origin.clone());
            let pace = Pace { at_a_time, patience, limit, origin, bar: bar.clone() };
            let outcome = run(*kind, &cases, &pace).map_err(|error| error.to_string())?;
            bar.finish_and_clear();
            println!("{outcome}\n");
            outcomes.push(outcome);
        }
        if let Some(path) = self.markdown {
            std::fs::write(&path, page(&outcomes)).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(outcomes)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| format!("{text:?} is no number of seconds"))
}

fn bar(cases: usize, title: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}, {eta} left  {wide_msg}");
    let bar = ProgressBar::new(cases as u64).with_style(style.unwrap_or(ProgressStyle::default_bar()));
    bar.with_prefix(title.to_owned())
}

const AT_A_TIME: usize = 8;

const HELP: &str = "\
Usage: hostile [OPTIONS] [SERVER…]

A server is `transom` (started here, the default), `wtransport`, `web-transport-quinn` or `h3` (the same), or the address
of one that runs already.

  --only TEXT        only cases whose name contains it, or of this row of the catalogue
  --list             say which cases there are
  --serial           one case at a time; the memory column is then that of each case
  --pid PID          process of the server before it, for the memory column
  --authority NAME   value for :authority, and the name in the handshake
  --path PATH        path of a session that echoes streams and datagrams
  --origin ORIGIN    an origin that the server welcomes
  --patience SECONDS how long to wait for something that must come (10)
  --limit SECONDS    after how long a case is given up (120)
  --markdown FILE    write the comparison of all servers of this run";
