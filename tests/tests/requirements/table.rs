//! Reading a table: tab-separated values under a header line.

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// Where the requirement stands in its document.
    pub(crate) section: String,
    pub(crate) role: String,
    /// The requirement in our words.
    pub(crate) words: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    /// Names of tests; one may end in `*`.
    pub(crate) tests: Vec<String>,
}

/// The columns, in order.
const HEADER: &str = "id\tsection\trole\trequirement\tstatus\treason\ttests";

/// Between two tests; names have spaces in them.
const BETWEEN: &str = " | ";

/// Reads a table.
///
/// # Errors
/// Names the line that does not have the form of a row.
pub(crate) fn parse(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err(format!("the first line must be {HEADER:?}"));
    }
    lines.enumerate().map(|(index, line)| row(line).ok_or(format!("line {} is no row: {line:?}", index + 2))).collect()
}

fn row(line: &str) -> Option<Row> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [id, section, role, words, status, reason, tests] = columns.try_into().ok()?;
    let tests = tests.split(BETWEEN).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let [id, section, role, words, status, reason] = [id, section, role, words, status, reason].map(str::to_owned);
    Some(Row { id, section, role, words, status, reason, tests })
}

#[test]
fn a_table_without_its_header_or_with_a_short_row_is_refused() {
    let good = format!("{HEADER}\nW1\t3.1\tclient\tx\tmet\t\ta::b | hostile:c d\n");
    let rows = parse(&good).unwrap();
    assert_eq!(
        (rows[0].id.as_str(), rows[0].tests.as_slice()),
        ("W1", &["a::b".to_owned(), "hostile:c d".to_owned()][..])
    );
    assert!(parse("W1\t3.1\n").is_err(), "no header");
    assert!(parse(&format!("{HEADER}\nW1\t3.1\tclient\tx\tmet\n")).is_err(), "columns are missing");
}
