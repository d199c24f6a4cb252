//! The requirement tables of `tests/requirements`: every row has a verdict, and every verdict something that backs it.
//!
//! A row is `met` by tests that exist and are not ignored; that they pass is seen by running them, as `tests/run` does.
//! What is an exception, does not apply or is open says why. The figures in `docs/requirements.md` are compared here;
//! `TRANSOM_UPDATE=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod judge;
mod names;
mod summary;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use judge::FAMILIES;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All tables, as (file name, rows).
fn tables() -> Vec<(String, Vec<table::Row>)> {
    let mut tables = Vec::new();
    for family in FAMILIES {
        let path = root().join("tests/requirements").join(family.file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let rows = table::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", family.file));
        tables.push((family.file.to_owned(), rows));
    }
    tables
}

#[test]
fn every_row_has_a_verdict_that_holds() {
    let known = names::collect(&root());
    assert!(known.count() > 800, "only {} tests were found", known.count());
    let mut mistakes = Vec::new();
    for (family, (file, rows)) in FAMILIES.iter().zip(tables()) {
        mistakes.extend(judge::judge(family, &rows, &known).into_iter().map(|mistake| format!("{file}: {mistake}")));
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn no_table_is_left_out() {
    for entry in fs::read_dir(root().join("tests/requirements")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(FAMILIES.iter().any(|family| family.file == name), "{name} is no known table");
    }
}

#[test]
fn the_figures_in_the_documentation_are_right() {
    let path = root().join("docs/requirements.md");
    let text = fs::read_to_string(&path).unwrap();
    let figures = summary::figures(&tables());
    println!("{figures}");
    let updated = summary::insert(&text, &figures).unwrap();
    if std::env::var_os("TRANSOM_UPDATE").is_some() {
        fs::write(&path, &updated).unwrap();
    } else {
        assert!(updated == text, "docs/requirements.md is out of date; TRANSOM_UPDATE=1 writes:\n{figures}");
    }
}
