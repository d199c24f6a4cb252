//! The rules that the rows of a family keep.

use std::collections::BTreeSet;

use super::names::Names;
use super::table::Row;

/// One table and the rows it must have.
pub(crate) struct Family {
    pub(crate) file: &'static str,
    /// What the rows are about, for the documentation.
    pub(crate) subject: &'static str,
    prefix: &'static str,
    last: u32,
    /// Numbers that were never given.
    gaps: &'static [u32],
}

const fn family(file: &'static str, subject: &'static str, prefix: &'static str, last: u32) -> Family {
    Family { file, subject, prefix, last, gaps: &[] }
}

pub(crate) const FAMILIES: [Family; 9] = [
    family("webtransport.tsv", "WebTransport over HTTP/3: every MUST of draft-ietf-webtrans-http3", "W", 88),
    family("webtransport-sense.tsv", "the same: normative in sense", "N", 15),
    family("http-datagrams.tsv", "HTTP datagrams and capsules (RFC 9297)", "D", 19),
    family("extended-connect.tsv", "Extended CONNECT and QUIC datagrams (RFC 8441, 9220, 9221)", "E", 13),
    family("http3.tsv", "HTTP/3 (RFC 9114)", "H", 52),
    family("qpack.tsv", "QPACK without a dynamic table (RFC 9204)", "K", 19),
    family("reliable-reset.tsv", "RESET_STREAM_AT", "R", 15),
    family("h3spec.tsv", "the checks of h3spec, run natively", "h", 49),
    Family {
        file: "quic.tsv",
        subject: "QUIC as configured (RFC 9000, 9001, 9221)",
        prefix: "Q",
        last: 55,
        // The rows have the numbers of the transport cases in the catalogue of bad inputs, which has these gaps.
        gaps: &[3, 10, 17, 24, 31, 38, 45, 52],
    },
];

impl Family {
    /// The ids of all rows, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let numbers = (1..=self.last).filter(|number| !self.gaps.contains(number));
        numbers.map(|number| format!("{}{number}", self.prefix)).collect()
    }
}

/// What is wrong with the rows of a family, one sentence each.
pub(crate) fn judge(family: &Family, rows: &[Row], known: &Names) -> Vec<String> {
    let mut mistakes = Vec::new();
    let expected = family.ids();
    let mut seen = BTreeSet::new();
    for row in rows {
        if !expected.contains(&row.id) {
            mistakes.push(format!("{} is no row of this table", row.id));
        }
        if !seen.insert(&row.id) {
            mistakes.push(format!("{} stands here twice", row.id));
        }
        mistakes.extend(judge_row(row, known).into_iter().map(|mistake| format!("{}: {mistake}", row.id)));
    }
    mistakes.extend(expected.iter().filter(|id| !seen.contains(id)).map(|id| format!("{id} is missing")));
    mistakes
}

fn judge_row(row: &Row, known: &Names) -> Vec<String> {
    let mut mistakes = Vec::new();
    if row.section.is_empty() || row.words.is_empty() {
        mistakes.push("section and requirement are needed".to_owned());
    }
    if !ROLES.contains(&row.role.as_str()) {
        mistakes.push(format!("{:?} is no role", row.role));
    }
    match row.status.as_str() {
        "met" if row.tests.is_empty() => mistakes.push("met, but by no test".to_owned()),
        "exception" | "not-applicable" | "open" if row.reason.is_empty() => {
            mistakes.push(format!("{} without a reason", row.status));
        }
        "met" | "exception" | "not-applicable" | "open" => {}
        other => mistakes.push(format!("{other:?} is no status")),
    }
    mistakes.extend(row.tests.iter().filter_map(|name| known.complaint(name)));
    mistakes
}

const ROLES: [&str; 4] = ["server", "client", "both", "intermediary"];

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Family = family("small.tsv", "", "X", 3);

    fn row(id: &str, status: &str, reason: &str, tests: &[&str]) -> Row {
        Row {
            id: id.to_owned(),
            section: "1".to_owned(),
            role: "both".to_owned(),
            words: "words".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            tests: tests.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn good() -> Vec<Row> {
        vec![
            row("X1", "met", "", &["a::b", "hostile:DATA *"]),
            row("X2", "exception", "because", &[]),
            row("X3", "not-applicable", "no proxy", &[]),
        ]
    }

    fn complaints(change: impl FnOnce(&mut Vec<Row>)) -> Vec<String> {
        let mut rows = good();
        change(&mut rows);
        let known = Names::of(&["a::b", "hostile:DATA before HEADERS"], &["a::lazy"]);
        judge(&SMALL, &rows, &known)
    }

    #[test]
    fn good_rows_pass() {
        assert_eq!(complaints(|_| {}), [""; 0]);
    }

    #[test]
    fn every_row_stands_in_the_table_once() {
        assert_eq!(complaints(|rows| _ = rows.pop()), ["X3 is missing"]);
        assert_eq!(complaints(|rows| rows.push(rows[1].clone())), ["X2 stands here twice"]);
        assert_eq!(complaints(|rows| rows.push(row("X4", "open", "later", &[]))), ["X4 is no row of this table"]);
    }

    #[test]
    fn words_of_status_and_role_are_fixed() {
        assert_eq!(complaints(|rows| rows[1].status = "done".into()), ["X2: \"done\" is no status"]);
        assert_eq!(complaints(|rows| rows[1].role = "peer".into()), ["X2: \"peer\" is no role"]);
        assert_eq!(complaints(|rows| rows[1].words.clear()), ["X2: section and requirement are needed"]);
    }

    #[test]
    fn a_met_row_names_tests_that_exist_and_run() {
        assert_eq!(complaints(|rows| rows[0].tests.clear()), ["X1: met, but by no test"]);
        assert_eq!(complaints(|rows| rows[0].tests[0] = "a::c".into()), ["X1: there is no test \"a::c\""]);
        assert_eq!(complaints(|rows| rows[0].tests[1] = "hostile:B*".into()), ["X1: there is no test \"hostile:B*\""]);
        assert_eq!(complaints(|rows| rows[0].tests[0] = "a::lazy".into()), ["X1: the test \"a::lazy\" is ignored"]);
    }

    #[test]
    fn what_is_not_met_has_a_reason() {
        for status in ["exception", "not-applicable", "open"] {
            let silent = |rows: &mut Vec<Row>| rows[1] = row("X2", status, "", &[]);
            assert_eq!(complaints(silent), [format!("X2: {status} without a reason")]);
        }
    }

    #[test]
    fn gaps_are_left_out() {
        let family = Family { gaps: &[2], ..SMALL };
        assert_eq!(family.ids(), ["X1", "X3"]);
    }
}
