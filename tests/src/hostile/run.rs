use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::control_group::ControlGroup;
use super::{Case, Kind, Memory, Outcome, Reaction, Row, Scope, Server, Target, Verdict};
use crate::raw::Failure;

/// How fast the cases go.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How many run at a time. One at a time, the memory column is that of each case.
    pub at_a_time: usize,
    /// How long to wait for something that must come, if not as long as usual.
    pub patience: Option<Duration>,
    /// After how long a case is given up, if not as usual.
    pub limit: Option<Duration>,
    /// An origin that the server welcomes, if it does not say so itself.
    pub origin: Option<String>,
    /// Shows how far it is.
    pub bar: ProgressBar,
}

impl Pace {
    /// This many at a time, showing nothing.
    pub fn new(at_a_time: usize) -> Self {
        Self { at_a_time, patience: None, limit: None, origin: None, bar: ProgressBar::hidden() }
    }
}

/// Runs the cases against a server, several at a time, beside a control group of well-behaved sessions.
///
/// A server that was started here and ends is started again. Cases during which it ended or panicked, or the control
/// group suffered, run a second time, each alone, to see which of them it was. Our own server is ended in good order
/// and judged by that, too.
///
/// # Errors
/// The server could not be started.
pub fn run(kind: Kind, cases: &[Case], pace: &Pace) -> io::Result<Outcome> {
    let started = Instant::now();
    let arena = Arena::new(kind, pace)?;
    let before = arena.memory();
    let control_group = arena.control_group();
    let mut results = arena.first_pass(cases, pace, &control_group);
    let control = control_group.finish();
    arena.second_pass(cases, &mut results);
    let mut rows: Vec<Row> = results.into_iter().map(|result| result.row).collect();
    rows.push(service(
        &format!("{CONTROL_SESSIONS} well-behaved sessions on other connections"),
        control.is_ok(),
        control.map_or_else(|words| words, |rounds| format!("{rounds} rounds, nothing lost")),
    ));
    let starts = lock(&arena.state).starts;
    rows.push(service("still running after all cases", starts == 1, (starts == 1).to_string()));
    let memory = before.zip(arena.memory());
    let said = lock(&arena.state).server.take().map_or_else(Vec::new, Server::finish);
    rows.extend(said.into_iter().map(|(name, ok, seen)| service(name, ok, seen)));
    let (title, drafts) = (kind.title(), kind.drafts().to_owned());
    Ok(Outcome { title, drafts, ours: kind.is_ours(), rows, memory, took: started.elapsed() })
}

/// The server with what changes when it is started again.
struct Arena {
    kind: Kind,
    pace: Pace,
    state: Mutex<State>,
    /// Where the server is now, for the control group.
    address: Arc<Mutex<SocketAddr>>,
}

struct State {
    server: Option<Server>,
    target: Target,
    starts: usize,
    /// Panics of servers that have ended.
    panics: usize,
}

/// A row, and whether it has to be looked at again.
struct CaseResult {
    row: Row,
    suspect: bool,
}

impl Arena {
    fn new(kind: Kind, pace: &Pace) -> io::Result<Self> {
        let server = Server::start(kind)?;
        let target = server.target();
        let address = Arc::new(Mutex::new(target.address));
        let state = State { server: Some(server), target, starts: 1, panics: 0 };
        let arena = Self { kind, pace: pace.clone(), state: Mutex::new(state), address };
        arena.set_times();
        Ok(arena)
    }

    fn set_times(&self) {
        let target = &mut lock(&self.state).target;
        target.patience = self.pace.patience.unwrap_or(target.patience);
        target.limit = self.pace.limit.unwrap_or(target.limit);
        target.web = self.pace.origin.clone().or(target.web.take());
    }

    fn control_group(&self) -> ControlGroup {
        ControlGroup::start(&self.address, CONTROL_SESSIONS)
    }

    fn memory(&self) -> Option<Memory> {
        lock(&self.state).server.as_ref()?.pid().and_then(Memory::of)
    }

    /// The target, started again if it has ended.
    fn target(&self) -> Target {
        let mut state = lock(&self.state);
        let ended = state.server.as_mut().is_some_and(|server| !server.is_running());
        if ended {
            state.panics += state.server.take().map_or(0, |server| server.panics());
            if let Ok(server) = Server::start(self.kind) {
                state.target.address = server.target().address;
                *lock(&self.address) = state.target.address;
                state.server = Some(server);
                state.starts += 1;
            }
        }
        state.target.clone()
    }

    /// A number that grows when the server ends or panics.
    fn alarms(&self) -> usize {
        let mut state = lock(&self.state);
        let now = state.server.as_mut().map_or(0, |server| server.panics() + usize::from(!server.is_running()));
        state.panics + now + state.starts
    }

    fn first_pass(&self, cases: &[Case], pace: &Pace, control: &ControlGroup) -> Vec<CaseResult> {
        // One at a time means just that; otherwise those that only wait do so beside the others.
        let beside = |case: &Case| case.slow && pace.at_a_time > 1;
        let (alone, others): (Vec<_>, Vec<_>) = cases.iter().enumerate().partition(|(_, case)| case.alone);
        let (slow, quick): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, case)| beside(case));
        let queue = Mutex::new(VecDeque::from(quick));
        let done = Mutex::new(Vec::new());
        let attack = |index: usize, case: &Case| {
            let result = self.attack(case, || control.alarms());
            lock(&done).push((index, result));
            pace.bar.inc(1);
        };
        for (index, case) in alone {
            attack(index, case);
        }
        thread::scope(|scope| {
            for (index, case) in slow {
                scope.spawn(move || attack(index, case));
            }
            for _ in 0..pace.at_a_time {
                scope.spawn(|| {
                    loop {
                        let next = lock(&queue).pop_front();
                        let Some((index, case)) = next else { return };
                        pace.bar.set_message(case.name.clone());
                        attack(index, case);
                    }
                });
            }
        });
        let mut results = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Looks again at the cases beside which something went wrong. When those are many, the server does not suit our
    /// control group, and no case is to blame.
    fn second_pass(&self, cases: &[Case], results: &mut [CaseResult]) {
        let suspects = results.iter().filter(|result| result.suspect).count();
        if suspects > MOST_SUSPECTS {
            return;
        }
        for (case, result) in cases.iter().zip(results).filter(|(_, result)| result.suspect) {
            self.target();
            let control = self.control_group();
            let mut again = self.attack(case, || control.alarms());
            let suffered = control.finish().err();
            if again.suspect || suffered.is_some() {
                again.row.verdict = Verdict::Harmed;
                let words = suffered.unwrap_or_else(|| "the server panicked or ended".to_owned());
                again.row.seen = format!("{}; {words}", again.row.seen);
            }
            *result = again;
        }
    }

    fn attack(&self, case: &Case, suffering: impl Fn() -> usize) -> CaseResult {
        let target = self.target();
        if self.pace.at_a_time == 1 {
            let pid = lock(&self.state).server.as_ref().and_then(Server::pid);
            if let Some(pid) = pid {
                Memory::reset_peak(pid);
            }
        }
        let before = self.alarms() + suffering();
        let started = Instant::now();
        let reaction = catch_unwind(AssertUnwindSafe(|| case.attack(&target)))
            .unwrap_or_else(|_| Err(Failure::unexpected("the case itself panicked")));
        let took = started.elapsed();
        let verdict = Verdict::of(&reaction, &case.expected);
        let expected: Vec<String> = case.expected.iter().map(ToString::to_string).collect();
        let row = Row {
            area: case.area.to_owned(),
            rows: case.rows.to_owned(),
            name: case.name.clone(),
            expected: expected.join(" | "),
            seen: reaction.map_or_else(|failure| failure.to_string(), |seen| seen.to_string()),
            verdict,
            scope: case.scope,
            took,
            memory: self.memory(),
        };
        CaseResult { row, suspect: self.alarms() + suffering() > before }
    }
}

fn service(name: &str, ok: bool, seen: String) -> Row {
    Row {
        area: "service during and after the attacks".to_owned(),
        rows: "service".to_owned(),
        name: name.to_owned(),
        expected: Reaction::GoesOn.to_string(),
        seen,
        verdict: if ok { Verdict::Exact } else { Verdict::Harmed },
        scope: Scope::Everyone,
        took: Duration::ZERO,
        memory: None,
    }
}

/// A case that panics has not left anything half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const CONTROL_SESSIONS: usize = 4;
const MOST_SUSPECTS: usize = 60;
