//! The page for users of PyWebTransport: no row is missing, and what it names exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rows of the inventory of PyWebTransport that concern servers and clients, by their prefix: how many there are.
const ROWS: [(&str, usize); 10] = [
    ("APP", 17),
    ("RTR", 9),
    ("MW", 11),
    ("SRV", 9),
    ("CLU", 9),
    ("CLI", 16),
    ("SES", 15),
    ("STR", 19),
    ("ISS", 25),
    ("EXC", 26),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(repository().join("docs/from-pywebtransport.md")).unwrap()
}

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_row_is_there_once_and_answered() {
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    for line in page().lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if ROWS.iter().any(|(prefix, _)| cells[0].starts_with(&format!("{prefix}-"))) {
            assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{line}");
            *rows.entry(cells[0].to_owned()).or_default() += 1;
        }
    }
    for (prefix, count) in ROWS {
        for number in 1..=count {
            let row = format!("{prefix}-{number:02}");
            assert_eq!(rows.remove(&row), Some(1), "{row}");
        }
    }
    assert!(rows.is_empty(), "no such rows: {rows:?}");
}

#[test]
fn every_name_exists() {
    let mut code = String::new();
    for folder in ["app/src", "core/src"] {
        sources(&repository().join(folder), &mut code);
    }
    let page = page();
    // What stands in the third column is ours, the rest is theirs.
    let ours = page.lines().filter_map(|line| line.strip_prefix("| ")?.splitn(3, " | ").nth(2));
    let mut count = 0;
    for span in ours.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let Some((kind, name)) = span.split_once("::") else { continue };
        if !kind.starts_with(char::is_uppercase) {
            continue;
        }
        count += 1;
        let exists = |forms: &[&str], name: &str| {
            forms.iter().any(|form| {
                code.match_indices(&form.replace('@', name)).any(|(start, found)| {
                    let ends_with_name = form.ends_with('@');
                    let after = code[start + found.len()..].chars().next();
                    !ends_with_name || !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
                })
            })
        };
        assert!(exists(&["pub struct @", "pub enum @", "pub trait @"], kind), "there is no type {kind}");
        let members = ["fn @", "pub @:", "    @ {", "    @(", "    @,"];
        assert!(exists(&members, name), "there is no {span}");
    }
    assert!(count > 100, "only {count} names were found");
}
