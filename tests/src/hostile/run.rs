use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::control_group::ControlGroup;
use super::{Case, Reaction, Target, left_over};
use crate::demo::Demo;
use crate::raw::Failure;

/// The outcome of one case, or of what is watched beside the cases.
#[derive(Debug, Clone)]
pub struct Row {
    /// The rows of the catalogue.
    pub rows: String,
    /// What was sent.
    pub name: String,
    /// The reactions that are right.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// Whether it was right.
    pub ok: bool,
    /// How long it took; shown, never judged.
    pub took: Duration,
}

/// All rows of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// In the order of the table; what was watched beside the cases comes last.
    pub rows: Vec<Row>,
}

/// Runs the cases against a server, several at a time, beside the control group.
pub fn run(target: &Target, cases: &[Case], at_a_time: usize) -> Outcome {
    let control_group = ControlGroup::start(target, CONTROL_SESSIONS);
    let mut rows = run_cases(target, cases, at_a_time);
    let control = control_group.finish();
    rows.push(Row {
        rows: "control".to_owned(),
        name: format!("{CONTROL_SESSIONS} well-behaved sessions on other connections"),
        expected: Reaction::GoesOn.to_string(),
        ok: control.is_ok(),
        took: Duration::ZERO,
        seen: control.map_or_else(|words| words, |rounds| format!("{rounds} rounds, nothing lost")),
    });
    Outcome { rows }
}

/// Starts `transom demo`, runs the cases against it, and looks at how it took them: it must still be there, count no
/// connection any more, not have panicked, and must end with status 0 on SIGTERM.
///
/// # Errors
/// The server could not be started.
pub fn run_on_own_server(cases: &[Case], at_a_time: usize) -> io::Result<Outcome> {
    let mut demo = Demo::start()?;
    let target = Target { address: demo.address(), web: Some(demo.web().to_owned()) };
    let mut outcome = run(&target, cases, at_a_time);
    let running = demo.is_running();
    outcome.rows.push(server_row("still running after all cases", running, running.to_string()));
    let left = left_over::wait_until_alone(&target);
    let seen = left.as_ref().map_or_else(Clone::clone, |()| "true".to_owned());
    outcome.rows.push(server_row("counts nobody once the attackers have left", left.is_ok(), seen));
    let (ok, seen) = match demo.stop() {
        Ok(stopped) => {
            let clean = stopped.status.success() && stopped.output.is_empty();
            let panics = stopped.complaints.matches("panicked at").count();
            (clean && panics == 0, format!("{}, {panics} panics {}", stopped.status, stopped.output))
        }
        Err(error) => (false, error.to_string()),
    };
    outcome.rows.push(server_row("SIGTERM ends it with status 0, no panic, no stray output", ok, seen));
    Ok(outcome)
}

impl Outcome {
    /// The rows that went wrong.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.ok)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |column: fn(&Row) -> &str| self.rows.iter().map(|row| column(row).chars().count()).max();
        let rows = widest(|row| &row.rows).unwrap_or(0);
        let name = widest(|row| &row.name).unwrap_or(0);
        let expected = widest(|row| &row.expected).unwrap_or(0).min(60);
        let mut line = |cells: [&str; 5], seen: &str| {
            let [verdict, seconds, of_catalogue, sent, right] = cells;
            writeln!(f, "{verdict:<4} {seconds:>4} {of_catalogue:<rows$} {sent:<name$} {right:<expected$} {seen}")
        };
        line(["", "s", "row", "sent", "expected"], "seen")?;
        for row in &self.rows {
            let verdict = if row.ok { "ok" } else { "FAIL" };
            let seconds = format!("{:.1}", row.took.as_secs_f32());
            line([verdict, &seconds, &row.rows, &row.name, &row.expected], &row.seen)?;
        }
        let failed = self.failures().count();
        write!(f, "{} passed, {failed} failed", self.rows.len() - failed)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, name, expected, seen, ok, .. } = self;
        let verdict = if *ok { "ok" } else { "FAIL" };
        write!(f, "{verdict} [{rows}] {name}: expected {expected}; seen {seen}")
    }
}

fn run_cases(target: &Target, cases: &[Case], at_a_time: usize) -> Vec<Row> {
    // One at a time means just that; otherwise those that only wait do so beside the others.
    let beside = |case: &Case| case.slow && at_a_time > 1;
    let (slow, quick): (Vec<_>, Vec<_>) = cases.iter().enumerate().partition(|(_, case)| beside(case));
    let queue = Mutex::new(VecDeque::from(quick));
    let done = Mutex::new(Vec::new());
    let attack = |index: usize, case: &Case| {
        let row = attack(case, target);
        done.lock().expect("no holder panics").push((index, row));
    };
    thread::scope(|scope| {
        for (index, case) in slow {
            scope.spawn(move || attack(index, case));
        }
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no holder panics").pop_front();
                    let Some((index, case)) = next else { return };
                    attack(index, case);
                }
            });
        }
    });
    let mut rows = done.into_inner().expect("no holder panics");
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn attack(case: &Case, target: &Target) -> Row {
    let started = Instant::now();
    let reaction = catch_unwind(AssertUnwindSafe(|| case.attack(target)))
        .unwrap_or_else(|_| Err(Failure::unexpected("the case itself panicked")));
    let ok = reaction.as_ref().is_ok_and(|seen| case.expected.iter().any(|expected| seen.meets(*expected)));
    let expected: Vec<String> = case.expected.iter().map(ToString::to_string).collect();
    Row {
        rows: case.rows.to_owned(),
        name: case.name.clone(),
        expected: expected.join(" | "),
        seen: reaction.map_or_else(|failure| failure.to_string(), |seen| seen.to_string()),
        ok,
        took: started.elapsed(),
    }
}

fn server_row(name: &str, ok: bool, seen: String) -> Row {
    Row {
        rows: "server".to_owned(),
        name: name.to_owned(),
        expected: "true".to_owned(),
        seen,
        ok,
        took: Duration::ZERO,
    }
}

const CONTROL_SESSIONS: usize = 4;
