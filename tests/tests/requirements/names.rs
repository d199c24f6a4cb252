//! The names of all tests there are, read from the sources and from the table of bad inputs.
//!
//! | name | test |
//! |---|---|
//! | `transom-core::module::tests::name` | unit test of a library, as `cargo test` prints it |
//! | `transom-cli::module::name` | unit test of the program `transom` |
//! | `file::name`, `file::module::name` | integration test in `tests/tests` |
//! | `app/file::name` | integration test in `app/tests` |
//! | `hostile:name` | case of the table of bad inputs |
//! | `python:client: name`, `browser:name` | case of a Python client, browser scenario |
//! | `check:name` | program in `tests/checks` |

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// All tests by name, with whether each is ignored.
pub(crate) struct Names(BTreeMap<String, bool>);

impl Names {
    /// Names that run and names that are ignored.
    #[cfg(test)]
    pub(crate) fn of(run: &[&str], ignored: &[&str]) -> Self {
        let run = run.iter().map(|&name| (name.to_owned(), false));
        Self(run.chain(ignored.iter().map(|&name| (name.to_owned(), true))).collect())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What is wrong with naming this test. A `*` at the end stands for anything, but at least one test.
    pub(crate) fn complaint(&self, name: &str) -> Option<String> {
        let prefix = name.strip_suffix('*');
        let mut found = self.0.iter().filter(|(known, _)| match prefix {
            Some(prefix) => known.starts_with(prefix),
            None => *known == name,
        });
        match found.next() {
            None => Some(format!("there is no test {name:?}")),
            Some((_, true)) => Some(format!("the test {name:?} is ignored")),
            Some((_, false)) => found.any(|(_, ignored)| *ignored).then(|| format!("of {name:?} some are ignored")),
        }
    }
}

/// Every test of the workspace.
pub(crate) fn collect(root: &Path) -> Names {
    let mut names = BTreeMap::new();
    for (folder, prefix) in [
        ("core/src", "transom-core"),
        ("runtime-udp/src", "transom-udp"),
        ("runtime-tokio/src", "transom-tokio"),
        ("runtime-smol/src", "transom-smol"),
        ("app/src", "transom"),
        ("app/src/bin/transom", "transom-cli"),
        ("tests/src", "transom-tests"),
    ] {
        rust(&root.join(folder), prefix, &mut names);
    }
    for (folder, prefix) in [("tests/tests", ""), ("app/tests", "app/")] {
        let mut files = BTreeMap::new();
        rust(&root.join(folder), "", &mut files);
        names.extend(files.into_iter().map(|(name, ignored)| (format!("{prefix}{}", &name[2..]), ignored)));
    }
    // What is ignored here may have a run of its own.
    let runner = fs::read_to_string(root.join("tests/run")).unwrap();
    for (name, ignored) in &mut names {
        *ignored &= !runner.split_whitespace().any(|word| name.ends_with(&format!("::{word}")));
    }
    names.extend(transom_tests::hostile::table().into_iter().map(|case| (format!("hostile:{}", case.name), false)));
    scripts(root, &mut names);
    for check in fs::read_dir(root.join("tests/checks")).unwrap() {
        let name = check.unwrap().file_name().into_string().unwrap();
        names.insert(format!("check:{name}"), false);
    }
    Names(names)
}

/// The Rust tests of a file or folder that is the module `path`.
fn rust(place: &Path, path: &str, names: &mut BTreeMap<String, bool>) {
    for entry in fs::read_dir(place).unwrap() {
        let file = entry.unwrap().path();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        // A program's modules hang below its own root.
        if stem == "bin" {
            continue;
        }
        let module = match stem {
            "lib" | "main" | "mod" => path.to_owned(),
            _ => format!("{path}::{stem}"),
        };
        if file.is_dir() {
            rust(&file, &module, names);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let tests = tests_in(&fs::read_to_string(&file).unwrap());
            names.extend(tests.into_iter().map(|(name, ignored)| (format!("{module}::{name}"), ignored)));
        }
    }
}

/// The tests in a source as rustfmt leaves it, with the inline modules they stand in.
fn tests_in(text: &str) -> Vec<(String, bool)> {
    let mut tests = Vec::new();
    // Name and indentation of each open inline module.
    let mut modules: Vec<(&str, usize)> = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    // Functions that `app/tests/common/runtimes.rs` makes tests of stand in a list, one on a line.
    let mut in_list = false;
    for line in text.lines() {
        let rest = line.trim_start();
        let ends_list = in_list && rest == "}";
        in_list = rest == "on_each_runtime! {" || in_list && !ends_list;
        if let (true, Some(name)) = (in_list, rest.strip_suffix(',')) {
            tests.push((name.to_owned(), false));
        }
        let indentation = line.len() - rest.len();
        if rest == "}" && !ends_list && modules.last().is_some_and(|(_, of_module)| *of_module == indentation) {
            modules.pop();
        }
        if let Some(name) =
            rest.strip_suffix(" {").and_then(|rest| rest.trim_start_matches("pub ").strip_prefix("mod "))
        {
            modules.push((name, indentation));
        }
        is_test |= rest == "#[test]" || rest.starts_with("#[tokio::test");
        is_ignored |= rest.starts_with("#[ignore") || rest.starts_with("#[cfg_attr(") && rest.contains(", ignore");
        let function = rest.trim_start_matches("async ").strip_prefix("fn ");
        if let (true, Some(function)) = (is_test, function) {
            let name = function.split('(').next().unwrap();
            let path: Vec<&str> = modules.iter().map(|(module, _)| *module).chain([name]).collect();
            tests.push((path.join("::"), is_ignored));
        }
        // Only attributes and comments stand between a mark and its function.
        if !rest.starts_with('#') && !rest.starts_with("//") {
            (is_test, is_ignored) = (false, false);
        }
    }
    tests
}

/// Cases of the Python clients and browser scenarios, as far as their names are plain text.
fn scripts(root: &Path, names: &mut BTreeMap<String, bool>) {
    for client in ["aioquic", "pywebtransport"] {
        let text = fs::read_to_string(root.join(format!("tests/python/{client}_client.py"))).unwrap();
        let cases = text.lines().filter_map(|line| line.strip_prefix("@case(\"")?.strip_suffix("\")"));
        names.extend(cases.map(|case| (format!("python:{client}: {case}"), false)));
    }
    for entry in fs::read_dir(root.join("tests/browser/scenarios")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let cases = text.lines().filter_map(|line| line.strip_prefix("    name: \"")?.strip_suffix("\","));
        names.extend(cases.map(|case| (format!("browser:{case}"), false)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_with_their_modules() {
        let text = "
#[test]
fn first() {}

fn helper() {}

mod outer {
    proptest! {
        /// Words.
        #[test]
        fn property(x in 0..1) {}
    }
    mod inner {
        #[tokio::test(flavor = \"current_thread\")]
        #[ignore = \"slow\"]
        async fn deep() {
        }
        #[test]
        #[cfg_attr(debug_assertions, ignore = \"slow\")]
        fn sometimes() {}
    }
    #[test]
    #[should_panic]
    fn last() {}
}
async fn listed() {}
on_each_runtime! {
    listed,
    ; threads:
    // A reason.
    in_threads,
}
";
        let expected = [
            ("first", false),
            ("outer::property", false),
            ("outer::inner::deep", true),
            ("outer::inner::sometimes", true),
            ("outer::last", false),
            ("listed", false),
            ("in_threads", false),
        ];
        let found = tests_in(text);
        let found: Vec<(&str, bool)> = found.iter().map(|(name, ignored)| (name.as_str(), *ignored)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_of_every_kind_is_known() {
        let known = collect(&super::super::root());
        for name in [
            "transom-core::session::transition::tests::the_end_is_told_once",
            "transom-core::h3::tests::any_bytes_in_any_cut",
            "transom-tests::raw::wire::tests::varints_read_back_and_cut_ones_do_not",
            "simulation_contract::any_order_is_legal",
            "interop_clients::with_h3::datagrams_echo",
            "requirements::names::tests::one_of_every_kind_is_known",
            "app/echo::datagrams",
            "hostile:DATA before HEADERS",
            "python:aioquic: *",
            "browser:bidi echo of 1 MiB",
            "check:core-is-pure",
            // Ignored without optimisation; tests/run runs it with it.
            "transom-core::wire::app_error::tests::all_codes_both_ways",
        ] {
            assert_eq!(known.complaint(name), None);
        }
    }
}
