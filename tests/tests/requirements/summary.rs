//! How many rows of each family have which status, for the documentation.

use super::judge::FAMILIES;
use super::table::Row;

const STATUSES: [&str; 4] = ["met", "exception", "not-applicable", "open"];
const BEGIN: &str = "<!-- figures: begin -->\n";
const END: &str = "<!-- figures: end -->\n";

/// The figures as a table in Markdown.
pub(crate) fn figures(tables: &[(String, Vec<Row>)]) -> String {
    let mut lines = vec![
        "| rows | about | met | exception | not applicable | open |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    let count = |rows: &[Row], status| rows.iter().filter(|row| row.status == status).count();
    let mut sums = [0; 4];
    for (family, (file, rows)) in FAMILIES.iter().zip(tables) {
        let counts = STATUSES.map(|status| count(rows, status));
        sums = std::array::from_fn(|index| sums[index] + counts[index]);
        let ids = family.ids();
        let (first, last) = (&ids[0], &ids[ids.len() - 1]);
        lines.push(line(&format!("[{first}–{last}](../tests/requirements/{file})"), family.subject, counts));
    }
    let all: usize = tables.iter().map(|(_, rows)| rows.len()).sum();
    lines.push(line(&format!("all {all}"), "", sums));
    lines.join("\n") + "\n"
}

fn line(rows: &str, about: &str, counts: [usize; 4]) -> String {
    let [met, exception, not_applicable, open] = counts;
    format!("| {rows} | {about} | {met} | {exception} | {not_applicable} | {open} |")
}

/// The text with the figures between its two marks.
pub(crate) fn insert(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{figures}{END}{after}"))
}

#[test]
fn figures_stand_between_the_marks() {
    let text = format!("a\n{BEGIN}old\n{END}b\n");
    assert_eq!(insert(&text, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}b\n"));
    assert_eq!(insert("no marks", "new"), None);
}
