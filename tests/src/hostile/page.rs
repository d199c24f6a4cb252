use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Outcome, Row, Sum, Verdict};

/// The page of the documentation that compares several servers.
pub fn page(outcomes: &[Outcome]) -> String {
    let mut page = format!("{HEAD}\nRun of {}.\n\n", today());
    servers(&mut page, outcomes);
    areas(&mut page, outcomes);
    harm(&mut page, outcomes);
    failures(&mut page, outcomes);
    page
}

fn servers(page: &mut String, outcomes: &[Outcome]) {
    page.push_str(
        "| server | drafts | cases that count | exact | acceptable | not passed | memory before, after, most |\n",
    );
    page.push_str("|---|---|---|---|---|---|---|\n");
    for outcome in outcomes {
        let sums = outcome.sums();
        let all = |count: fn(&Sum) -> usize| sums.iter().map(count).sum::<usize>();
        let counted = all(|sum| sum.counted);
        let memory = outcome.memory.map_or("–".to_owned(), |(before, after)| {
            format!("{}, {}, {} MiB", before.resident / 1024, after.resident / 1024, after.peak / 1024)
        });
        let (exact, acceptable) = (all(|sum| sum.exact), all(|sum| sum.acceptable));
        let failed = counted - exact - acceptable;
        let Outcome { title, drafts, .. } = outcome;
        let _ = writeln!(page, "| {title} | {drafts} | {counted} | {exact} | {acceptable} | {failed} | {memory} |");
    }
}

fn areas(page: &mut String, outcomes: &[Outcome]) {
    page.push_str("\n## By area\n\nPassed (exact or acceptable) of those that count.\n\n| area |");
    for outcome in outcomes {
        let _ = write!(page, " {} |", outcome.title);
    }
    let _ = writeln!(page, "\n|---|{}", "---|".repeat(outcomes.len()));
    let mut names: Vec<String> = Vec::new();
    for sum in outcomes.iter().flat_map(Outcome::sums) {
        if !names.contains(&sum.area) {
            names.push(sum.area);
        }
    }
    for name in names {
        let _ = write!(page, "| {name} |");
        for outcome in outcomes {
            let sum = outcome.sums().into_iter().find(|sum| sum.area == name && sum.counted > 0);
            let cell = sum.map_or("–".to_owned(), |sum| format!("{}/{}", sum.passed(), sum.counted));
            let _ = write!(page, " {cell} |");
        }
        page.push('\n');
    }
}

/// What hurt somebody else comes first.
fn harm(page: &mut String, outcomes: &[Outcome]) {
    page.push_str("\n## Harm\n\n");
    let mut any = false;
    for outcome in outcomes {
        for row in outcome.rows.iter().filter(|row| row.verdict == Verdict::Harmed) {
            any = true;
            let _ = writeln!(page, "- {}: {} → {}", outcome.title, row.name, shortened(&row.seen));
        }
    }
    if !any {
        page.push_str("No server ended or panicked, and no well-behaved session on another connection suffered.\n");
    }
}

/// One line for each case that somebody has not passed; what holds whole and byte by byte stands once.
fn failures(page: &mut String, outcomes: &[Outcome]) {
    page.push_str("\n## Not passed\n\n");
    for outcome in outcomes {
        let failed: Vec<&Row> = outcome.failures().filter(|row| row.verdict != Verdict::Harmed).collect();
        if failed.is_empty() {
            let _ = writeln!(page, "### {}\n\nNothing.\n", outcome.title);
            continue;
        }
        let _ = writeln!(page, "### {}\n\n| rows | sent | expected | seen |\n|---|---|---|---|", outcome.title);
        for row in &failed {
            let whole = row.name.strip_suffix(DRIPPED);
            let twin = whole.and_then(|whole| failed.iter().find(|other| other.name == whole));
            if twin.is_none() {
                let cells = [&row.rows, &row.name, &row.expected, &shortened(&row.seen)].map(|cell| escaped(cell));
                let _ = writeln!(page, "| {} |", cells.join(" | "));
            }
        }
        page.push('\n');
    }
}

fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|")
}

fn shortened(words: &str) -> String {
    if words.chars().count() <= LONGEST {
        return words.to_owned();
    }
    words.chars().take(LONGEST).chain(['…']).collect()
}

/// The date in UTC, from days since 1970 (civil calendar, years that begin in March).
fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year_of_era + next)
}

const DRIPPED: &str = ", byte by byte";
const LONGEST: usize = 110;

const HEAD: &str = "\
# Bad inputs against several servers

The table of bad inputs (`tests/src/hostile`) against Transom and against echo servers made of other people's libraries
(`tests/src/peers`), each over real UDP beside four well-behaved sessions on other connections. Made by

    cargo build --release -p transom --features cli && cargo build --release -p transom-tests --bins
    target/release/hostile transom wtransport web-transport-quinn h3 --patience 4 --markdown docs/conformance.md

An address instead of a name attacks a server that runs already (`--pid` adds its memory, `--authority`, `--path` and
`--origin` make the requests fit). `--list` shows all cases, `--only` runs some, `--serial` runs one at a time.

- **exact**: the reaction that the catalogue names, with its code.
- **acceptable**: another reaction that does no harm. RFC 9114, section 8, lets a stream error be a connection error
  and a general code stand for a specific one; a server with one session to a connection may end both together
  (\"no session after it\").
- **not passed**: the input was taken as if it were good, nothing happened where something must, the rest of the
  connection stopped working, or a legal input was refused.
- Transom itself is held to *exact*. For the others cases do not count that are about Transom's own limits, deadlines,
  policies (origins, a budget of oddities) and routes, or about drafts that they do not speak.

What the others do not pass can be due to the small program around the library, too. From h3-webtransport no datagram comes
back of a session that is not on the first stream of its connection; since every case asks for one afterwards, this alone
costs it the rows whose reaction is right \"but then: waited in vain for a datagram to come back\".
";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hostile::Scope;

    #[test]
    fn a_failure_stands_once_and_what_does_not_count_not_at_all() {
        let row = |name: &str, verdict, scope| Row {
            area: "area".into(),
            rows: "1".into(),
            name: name.into(),
            expected: "a | b".into(),
            seen: "nothing".into(),
            verdict,
            scope,
            took: Duration::ZERO,
            memory: None,
        };
        let rows = vec![
            row("good", Verdict::Acceptable, Scope::Everyone),
            row("bad", Verdict::Wrong, Scope::Everyone),
            row("bad, byte by byte", Verdict::Wrong, Scope::Everyone),
            row("own", Verdict::Wrong, Scope::OwnLimits),
        ];
        let (title, drafts) = ("other 1.0".to_owned(), "02".to_owned());
        let other = Outcome { title, drafts, ours: false, rows, memory: None, took: Duration::ZERO };
        let page = page(std::slice::from_ref(&other));
        assert!(page.contains("| area | 1/3 |"), "{page}");
        assert!(page.contains("| 1 | bad | a \\| b | nothing |") && !page.contains("| bad, byte by byte |"), "{page}");
        assert!(!page.contains("own |"), "{page}");
        let ours = Outcome { ours: true, ..other };
        assert_eq!(ours.failures().count(), 4, "only the exact reaction will do for ours");
    }

    #[test]
    fn today_is_a_date() {
        let today = today();
        let parts: Vec<u32> = today.split('-').map(|part| part.parse().unwrap_or(0)).collect();
        assert!(parts[0] >= 2026 && (1..=12).contains(&parts[1]) && (1..=31).contains(&parts[2]), "{today}");
    }
}
