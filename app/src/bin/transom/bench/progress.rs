//! How far it is, for those who look on.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::figures::Tally;
use super::scenario::Scenario;

/// A bar on standard error while a scenario runs, if that is a terminal; gone when this is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
}

impl Progress {
    pub(super) fn new(scenario: Scenario, time: Duration) -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(milliseconds(time)), target);
        // The template is ours; without it the bar only looks different.
        let style = ProgressStyle::with_template("{prefix:14} {bar:40} {msg}").unwrap_or(ProgressStyle::default_bar());
        Self {
            bar: bar.with_style(style).with_prefix(scenario.name()).with_message("connecting"),
            began: Instant::now(),
        }
    }

    pub(super) fn advance(&self, tally: &Tally) {
        self.bar.set_position(milliseconds(self.began.elapsed()));
        self.bar.set_message(match tally.so_far() {
            (operations, 0) => operations.to_string(),
            (_, bytes) => format!("{} MB", bytes / 1_000_000),
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
