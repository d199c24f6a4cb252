//! What ends the command early: a sentence for the user, and an exit status.

use std::fmt;
use std::process::ExitCode;

/// A failure of the command; the sentence says what was tried and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    sentence: String,
    status: u8,
}

impl Failure {
    /// A failure that exits with status 1.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), status: 1 }
    }

    /// The same failure with another exit status.
    pub(crate) fn with_status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }

    /// The same failure with more to say.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.sentence.push_str(more);
        self
    }

    /// Whether the command would exit with this status.
    pub(crate) fn is(&self, status: u8) -> bool {
        self.status == status
    }

    /// The exit status of the command.
    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(self.status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}
