//! The name that was probably meant.

/// The name with the fewest changes from `wrong`, if they are few.
pub(super) fn nearest(wrong: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let closest = names.map(|name| {
        // A setting in the wrong section is as near as one with a wrong letter.
        let moved = if last(&name) == last(wrong) { 1 } else { usize::MAX };
        (changes(wrong, &name).min(moved), name)
    });
    closest.min().filter(|(changes, _)| *changes <= MAX_CHANGES).map(|(_, name)| name)
}

/// Letters to add, take away or replace.
fn changes(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for column in 0..to.len() {
            let replaced = diagonal + usize::from(to[column] != letter);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// More changes than this make another word.
const MAX_CHANGES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        for (from, to, count) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(changes(from, to), count, "{from} {to}");
        }
    }

    #[test]
    fn what_was_meant() {
        let names = || ["listen", "tls.key", "limits.max_sessions"].into_iter().map(String::from);
        assert_eq!(nearest("lisen", names()).as_deref(), Some("listen"));
        assert_eq!(nearest("max_sessions", names()).as_deref(), Some("limits.max_sessions"));
        assert_eq!(nearest("limits.max_session", names()).as_deref(), Some("limits.max_sessions"));
        assert_eq!(nearest("something_else", names()), None);
    }
}
