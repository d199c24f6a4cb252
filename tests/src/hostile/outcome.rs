use std::fmt;
use std::time::Duration;

use super::{Memory, Scope, Verdict};

/// The outcome of one case, or of what is watched beside the cases.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is about.
    pub area: String,
    /// The rows of the catalogue.
    pub rows: String,
    /// What was sent.
    pub name: String,
    /// The reactions that are right.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// How good that is.
    pub verdict: Verdict,
    /// For whom it counts.
    pub scope: Scope,
    /// How long it took; shown, never judged.
    pub took: Duration,
    /// The server's memory after it. Its peak is that of this case when cases run one at a time.
    pub memory: Option<Memory>,
}

/// All rows of a run against one server.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The server's name and version.
    pub title: String,
    /// The drafts it speaks.
    pub drafts: String,
    /// Whether it is our own server, for which every case counts and only the exact reaction will do.
    pub ours: bool,
    /// In the order of the table; what was watched beside the cases comes last.
    pub rows: Vec<Row>,
    /// The server's memory before the first and after the last case.
    pub memory: Option<(Memory, Memory)>,
    /// How long all of it took.
    pub took: Duration,
}

/// The rows of one area, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The area.
    pub area: String,
    /// Rows that count for this server.
    pub counted: usize,
    /// Those with the reaction of the catalogue.
    pub exact: usize,
    /// Those with another reaction that does no harm.
    pub acceptable: usize,
    /// Those after which somebody suffered.
    pub harmed: usize,
}

impl Sum {
    /// Rows that are passed.
    pub fn passed(&self) -> usize {
        self.exact + self.acceptable
    }
}

impl Outcome {
    /// Whether a row counts for this server.
    pub fn counts(&self, row: &Row) -> bool {
        self.ours || row.scope.counts_for_others()
    }

    /// The rows that count and went wrong.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| {
            let passed = if self.ours { row.verdict == Verdict::Exact } else { row.verdict.is_passed() };
            self.counts(row) && !passed
        })
    }

    /// The rows counted by area, in the order of the table.
    pub fn sums(&self) -> Vec<Sum> {
        let mut sums: Vec<Sum> = Vec::new();
        for row in &self.rows {
            if sums.last().is_none_or(|sum| sum.area != row.area) {
                sums.push(Sum { area: row.area.clone(), counted: 0, exact: 0, acceptable: 0, harmed: 0 });
            }
            if let Some(sum) = sums.last_mut().filter(|_| self.counts(row)) {
                sum.counted += 1;
                sum.exact += usize::from(row.verdict == Verdict::Exact);
                sum.acceptable += usize::from(row.verdict == Verdict::Acceptable);
                sum.harmed += usize::from(row.verdict == Verdict::Harmed);
            }
        }
        sums
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |column: fn(&Row) -> &str| self.rows.iter().map(|row| column(row).chars().count()).max();
        let rows = widest(|row| &row.rows).unwrap_or(0);
        let name = widest(|row| &row.name).unwrap_or(0).min(70);
        let expected = widest(|row| &row.expected).unwrap_or(0).min(60);
        let mut line = |cells: [&str; 6], seen: &str| {
            let [verdict, seconds, mib, of_catalogue, sent, right] = cells;
            writeln!(
                f,
                "{verdict:<11} {seconds:>5} {mib:>4} {of_catalogue:<rows$} {sent:<name$} {right:<expected$} {seen}"
            )
        };
        line(["", "s", "MiB", "row", "sent", "expected"], "seen")?;
        for row in &self.rows {
            let seconds = format!("{:.1}", row.took.as_secs_f32());
            let mib = row.memory.map_or(String::new(), |memory| (memory.peak / 1024).to_string());
            let verdict = if self.counts(row) { row.verdict.to_string() } else { format!("({})", row.verdict) };
            line([&verdict, &seconds, &mib, &row.rows, &row.name, &row.expected], &row.seen)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_rows(f)?;
        writeln!(f, "\n{} (drafts {}), {} s", self.title, self.drafts, self.took.as_secs())?;
        if let Some((before, after)) = self.memory {
            writeln!(f, "memory: {} MiB before, {after} MiB after", before.resident / 1024)?;
        }
        writeln!(f, "{:<34} {:>7} {:>6} {:>10} {:>6} {:>6}", "", "counted", "exact", "acceptable", "wrong", "harmed")?;
        for sum in self.sums() {
            let wrong = sum.counted - sum.passed() - sum.harmed;
            let Sum { area, counted, exact, acceptable, harmed } = sum;
            writeln!(f, "{area:<34} {counted:>7} {exact:>6} {acceptable:>10} {wrong:>6} {harmed:>6}")?;
        }
        let counted = self.rows.iter().filter(|row| self.counts(row)).count();
        if counted < self.rows.len() {
            writeln!(f, "in brackets, not counted: {} cases about Transom itself", self.rows.len() - counted)?;
        }
        let failed = self.failures().count();
        write!(f, "{} passed, {failed} failed", counted - failed)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, name, expected, seen, verdict, .. } = self;
        write!(f, "{verdict} [{rows}] {name}: expected {expected}; seen {seen}")
    }
}
