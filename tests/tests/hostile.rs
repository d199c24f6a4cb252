//! The table of bad inputs against `transom demo`: every case must get the reaction it must get.

use transom_tests::hostile::{Kind, Pace, run, table};

#[test]
fn every_bad_input_gets_the_reaction_it_must_get() {
    let cases = table();
    let outcome = run(Kind::Transom, &cases, &Pace::new(8)).unwrap();
    assert!(outcome.rows.len() > cases.len(), "the control group and the server have rows of their own");
    let failures: Vec<String> = outcome.failures().map(ToString::to_string).collect();
    println!("{outcome}");
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), outcome.rows.len(), failures.join("\n"));
}
