//! Goes one of the core's hot paths so often: `hot-paths NAME COUNT`. `tests/instructions/run` counts what it takes.

use std::process::ExitCode;

use transom_tests::hot_paths::{Path, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, count) = match &arguments[..] {
        [name, count] => (Path::ALL.iter().find(|(known, _)| known == name), count.parse().ok()),
        _ => (None, None),
    };
    let (Some(&(_, path)), Some(count)) = (path, count) else {
        let names: Vec<&str> = Path::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: hot-paths {} COUNT", names.join("|"));
        return ExitCode::from(2);
    };
    run(path, count);
    ExitCode::SUCCESS
}
