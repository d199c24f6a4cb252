//! Every target over its checked-in corpus, and over a few random inputs.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    files
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name");
    for file in corpus(name) {
        // The name of the input at hand, shown when the target panics.
        println!("{}", file.display());
        target(&fs::read(&file).expect("a readable file"));
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];

        mod replays {
            $(#[test] fn $name() { super::replay(stringify!($name)); })*
        }
    };
}

replays!(varint frames settings field_section instructions capsules protocols request datagram router admission chunking server pair);

#[test]
fn every_target_is_replayed() {
    assert_eq!(TARGETS.map(|(name, _)| name).as_slice(), REPLAYED);
}

proptest! {
    #[test]
    fn random_inputs(data in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, target) in TARGETS {
            target(&data);
        }
    }
}
