//! Lines for the user, which must not panic when nobody listens any more.

use std::io::Write;

use crate::failure::Failure;

/// Prints a line on standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")
        .and_then(|()| output.flush())
        .map_err(|error| Failure::new(format!("writing to standard output failed: {error}")))
}

/// Prints a line on standard error; if that fails, there is nobody to tell.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
