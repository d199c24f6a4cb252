//! Who may use whom inside the core: the table of `docs/architecture.md`, compared with the `use` lines.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Part of the core → other parts it may name. Everybody may use `id`, `error`, `io`, `event` and `config`, which stand
/// at the crate's root under their types' names.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("wire", &[]),
    ("request", &[]),
    ("deadlines", &[]),
    ("rt", &[]),
    ("router", &[]),
    ("middleware", &[]),
    ("admission", &["router", "middleware"]),
    ("h3", &["wire"]),
    ("session", &["wire"]),
    ("connection", &["wire", "h3", "session", "deadlines"]),
    ("endpoint", &["connection"]),
    // The words everybody speaks.
    ("error", &[]),
];

/// Files that may name quinn_proto.
const QUINN: [&str; 15] = [
    "connection/congestion.rs",
    "connection/quic.rs",
    "connection/quic/reading.rs",
    "connection/quic/spent.rs",
    "connection/quic/words.rs",
    "endpoint/begin.rs",
    "endpoint/connection_ids.rs",
    "endpoint/mod.rs",
    "endpoint/plain.rs",
    "endpoint/qlog.rs",
    "endpoint/settings.rs",
    "endpoint/table.rs",
    // The raw client of the fuzzers, and a handshake without cryptography.
    "fuzzing/plain.rs",
    "fuzzing/raw.rs",
    "fuzzing/server.rs",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")
}

/// Modules named as `crate::name::…` in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let word = |rest: &str| rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    text.match_indices("crate::")
        .filter(|(at, _)| !text[..*at].ends_with("(in ") && !text[..*at].ends_with('('))
        .map(|(at, found)| &text[at + found.len()..])
        .filter(|rest| rest[word(rest)..].starts_with("::"))
        .map(|rest| &rest[..word(rest)])
        .collect()
}

#[test]
fn parts_of_the_core_use_only_what_the_table_allows() {
    let parts: BTreeSet<&str> = ALLOWED.iter().map(|(part, _)| *part).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources(&core()) {
        let path = file.strip_prefix(core()).unwrap().to_string_lossy().into_owned();
        let part = path.split(['/', '.']).next().unwrap().to_owned();
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == part) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        seen += 1;
        for name in named(&text) {
            if parts.contains(name) && name != part && !allowed.contains(&name) {
                wrong.push(format!("{path} uses {name}"));
            }
        }
    }
    assert!(seen > 30, "the sources were found");
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn quinn_is_named_in_few_places() {
    let mut wrong = Vec::new();
    for file in sources(&core()) {
        let path = file.strip_prefix(core()).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        // Fuzz targets bring a raw peer; they are no part of the library.
        let known = path.starts_with("fuzzing/") || path == "endpoint/plain.rs";
        if code.into_iter().any(|line| line.contains("quinn_proto")) && !known && !QUINN.contains(&path.as_str()) {
            wrong.push(path);
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn runtimes_are_features_of_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/src");
    let (mut wrong, mut found) = (Vec::new(), false);
    for file in sources(&root) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let named = code
            .into_iter()
            .any(|line| [r#"feature = "tokio""#, r#"feature = "smol""#].iter().any(|feature| line.contains(feature)));
        if file == root.join("runtime.rs") {
            found = named;
        } else if named {
            wrong.push(file);
        }
    }
    assert!(found, "runtime.rs is where they are");
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn files_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut long = Vec::new();
    for folder in [
        "core/src",
        "runtime-udp/src",
        "runtime-tokio/src",
        "runtime-smol/src",
        "app/src",
        "app/tests",
        "tests/src",
        "tests/tests",
    ] {
        for file in sources(&root.join(folder)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            if lines > 450 {
                long.push(format!("{} has {lines} lines", file.display()));
            }
        }
    }
    assert_eq!(long, [""; 0]);
}
