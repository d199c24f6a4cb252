//! The table in docs/limits.md names every setting, with the default that it has.

use std::path::Path;

#[test]
fn every_setting_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let config = std::fs::read_to_string(root.join("core/src/config.rs")).unwrap();
    let page = std::fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let fields = config.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'));
    let names: Vec<&str> = fields.map(|(name, _)| name).collect();
    assert!(names.len() > 30, "the settings were found: {names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "docs/limits.md lacks {missing:?}");
}
