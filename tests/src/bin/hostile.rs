//! Runs the table of bad inputs: `hostile [--only TEXT] [--serial] [--list] [ADDRESS]`.
//!
//! Without an address it starts `transom demo` itself (`TRANSOM_BIN`, or what the workspace has built). Prints one line
//! a case and a count; exits with 1 if a case failed.

use std::process::ExitCode;

use transom_tests::hostile::{Outcome, Target, run, run_on_own_server, table};

fn main() -> ExitCode {
    match run_table() {
        Ok(Some(outcome)) => {
            println!("{outcome}");
            ExitCode::from(u8::from(outcome.failures().next().is_some()))
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("hostile: {words}");
            ExitCode::from(2)
        }
    }
}

fn run_table() -> Result<Option<Outcome>, String> {
    let mut cases = table();
    let (mut list, mut serial, mut address) = (false, false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--serial" => serial = true,
            "--only" => {
                let text = arguments.next().ok_or("--only takes a part of a name, or a row")?;
                cases.retain(|case| case.name.contains(&text) || case.rows.split(' ').any(|row| row == text));
            }
            other => address = Some(other.parse().map_err(|_| format!("{other:?} is no address and no option"))?),
        }
    }
    if list {
        for case in &cases {
            println!("{:<9} {}", case.rows, case.name);
        }
        println!("{} cases", cases.len());
        return Ok(None);
    }
    let at_a_time = if serial { 1 } else { AT_A_TIME };
    let outcome = match address {
        Some(address) => run(&Target { address, web: None }, &cases, at_a_time),
        None => run_on_own_server(&cases, at_a_time).map_err(|error| error.to_string())?,
    };
    Ok(Some(outcome))
}

const AT_A_TIME: usize = 8;
