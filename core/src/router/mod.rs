//! From a path to a value: exact segments, `{parameters}` and regular expressions.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use regex::Regex;
use thiserror::Error;

/// Finds the value registered for a path.
///
/// A pattern is a list of segments, each exact text or `{name}`, which matches one whole segment that is not empty. Where
/// several patterns match, exact text wins over a parameter, the earlier segment deciding; the order of insertion never
/// matters. Segments are compared after percent-decoding, so `/caf%C3%A9` finds `/café`, while an encoded slash stays
/// inside its segment. A path that does not decode to UTF-8 matches nothing.
///
/// Regular expressions are asked when no such pattern matches, in the order in which they were added. They match the whole
/// decoded path, in time linear in its length.
#[derive(Debug, Clone)]
pub struct Router<T> {
    root: Node<T>,
    expressions: Vec<(Regex, T)>,
    patterns: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    exact: BTreeMap<String, Node<T>>,
    parameter: Option<Box<Node<T>>>,
    /// The value with the names of the parameters on the way to it.
    value: Option<(T, Vec<String>)>,
}

/// A value found, with what the parameters stood for.
#[derive(Debug)]
pub struct Match<'a, T> {
    /// The value registered.
    pub value: &'a T,
    /// The parameters, decoded.
    pub params: Params,
}

/// What the parameters of a pattern stood for, percent-decoded, in the pattern's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    entries: Vec<(String, String)>,
}

/// A pattern that cannot be registered; always a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// It does not begin with a slash.
    #[error("the route {0:?} does not begin with \"/\"")]
    NotAbsolute(String),
    /// A segment has braces that are not one `{name}`.
    #[error("the segment {segment:?} of the route {pattern:?} is neither plain text nor one {{name}}")]
    BadSegment {
        /// The whole pattern.
        pattern: String,
        /// The segment.
        segment: String,
    },
    /// A name stands twice.
    #[error("the parameter {name:?} stands twice in the route {pattern:?}")]
    DuplicateParameter {
        /// The whole pattern.
        pattern: String,
        /// The name.
        name: String,
    },
    /// It is no regular expression, or one that would take too much memory.
    #[error("the regular expression {pattern:?} cannot be used: {reason}")]
    BadExpression {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another pattern matches exactly the same paths.
    #[error("the route {0:?} is registered already, perhaps with other parameter names")]
    Duplicate(String),
}

/// Segments of a path looked at; longer paths match nothing.
const MAX_SEGMENTS: usize = 64;

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Router<T> {
    /// A router without routes.
    pub fn new() -> Self {
        Self { root: Node::new(), expressions: Vec::new(), patterns: BTreeSet::new() }
    }

    /// Registers a value for a pattern.
    ///
    /// # Errors
    ///
    /// When the pattern is malformed or matches exactly the paths of another.
    pub fn insert(&mut self, pattern: &str, value: T) -> Result<(), RouteError> {
        let Some(rest) = pattern.strip_prefix('/') else { return Err(RouteError::NotAbsolute(pattern.into())) };
        let mut names: Vec<String> = Vec::new();
        let mut node = &mut self.root;
        for segment in rest.split('/') {
            node = match parameter(segment) {
                Some(name) if names.iter().any(|known| known == name) => {
                    return Err(RouteError::DuplicateParameter { pattern: pattern.into(), name: name.into() });
                }
                Some(name) => {
                    names.push(name.to_owned());
                    node.parameter.get_or_insert_with(|| Box::new(Node::new()))
                }
                None if segment.contains(['{', '}']) => {
                    return Err(RouteError::BadSegment { pattern: pattern.into(), segment: segment.into() });
                }
                None => node.exact.entry(segment.to_owned()).or_insert_with(Node::new),
            };
        }
        if node.value.is_some() {
            return Err(RouteError::Duplicate(pattern.into()));
        }
        node.value = Some((value, names));
        self.patterns.insert(pattern.to_owned());
        Ok(())
    }

    /// Registers a value for a regular expression; its named groups become parameters.
    ///
    /// # Errors
    ///
    /// When it is no regular expression, or was registered before.
    pub fn insert_expression(&mut self, expression: &str, value: T) -> Result<(), RouteError> {
        let bad =
            |error: regex::Error| RouteError::BadExpression { pattern: expression.into(), reason: error.to_string() };
        // Alone first, so that what is unbalanced here is not balanced by what is put around it.
        Regex::new(expression).map_err(bad)?;
        let whole = Regex::new(&format!("^(?:{expression})$")).map_err(bad)?;
        if !self.patterns.insert(expression.to_owned()) {
            return Err(RouteError::Duplicate(expression.into()));
        }
        self.expressions.push((whole, value));
        Ok(())
    }

    /// Finds the value for a path without its query.
    pub fn find(&self, path: &str) -> Option<Match<'_, T>> {
        let segments: Option<Vec<String>> = path
            .strip_prefix('/')?
            .split('/')
            .take(MAX_SEGMENTS + 1)
            .map(|segment| percent_decode_str(segment).decode_utf8().ok().map(String::from))
            .collect();
        let segments = segments.filter(|segments| segments.len() <= MAX_SEGMENTS)?;
        let mut values = Vec::new();
        let Some((value, names)) = self.root.find(&segments, &mut values) else { return self.find_expression(path) };
        let entries = names.iter().cloned().zip(values.into_iter().map(str::to_owned)).collect();
        Some(Match { value, params: Params { entries } })
    }

    fn find_expression(&self, path: &str) -> Option<Match<'_, T>> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        self.expressions.iter().find_map(|(expression, value)| {
            let captures = expression.captures(&path)?;
            let entry = |name: &str| Some((name.to_owned(), captures.name(name)?.as_str().to_owned()));
            let entries = expression.capture_names().flatten().filter_map(entry).collect();
            Some(Match { value, params: Params { entries } })
        })
    }

    /// The patterns registered, in alphabetical order.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(String::as_str)
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self { exact: BTreeMap::new(), parameter: None, value: None }
    }

    /// Depth-first, exact text before the parameter. The work is bounded by the routes registered, not by the path.
    fn find<'a, 'p>(&'a self, segments: &'p [String], values: &mut Vec<&'p str>) -> Option<&'a (T, Vec<String>)> {
        let Some((segment, rest)) = segments.split_first() else { return self.value.as_ref() };
        if let Some(found) = self.exact.get(segment).and_then(|node| node.find(rest, values)) {
            return Some(found);
        }
        let node = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
        values.push(segment);
        let found = node.find(rest, values);
        if found.is_none() {
            values.pop();
        }
        found
    }
}

impl Params {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names and values in the pattern's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the pattern had no parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn parameter(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let valid = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    valid.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(patterns: &[&'static str]) -> Router<&'static str> {
        let mut router = Router::new();
        for pattern in patterns {
            router.insert(pattern, *pattern).expect("a good pattern");
        }
        router
    }

    fn found(router: &Router<&'static str>, path: &str) -> Option<&'static str> {
        router.find(path).map(|found| *found.value)
    }

    #[test]
    fn exact_text_wins_whatever_the_order() {
        let patterns = ["/rooms/{room}", "/rooms/lobby", "/{kind}/lobby", "/", "/rooms/{room}/{seat}"];
        let mut reversed = patterns;
        reversed.reverse();
        for order in [patterns, reversed] {
            let router = router(&order);
            assert_eq!(found(&router, "/rooms/lobby"), Some("/rooms/lobby"));
            assert_eq!(found(&router, "/rooms/x"), Some("/rooms/{room}"));
            assert_eq!(found(&router, "/halls/lobby"), Some("/{kind}/lobby"));
            assert_eq!(found(&router, "/"), Some("/"));
            assert_eq!(found(&router, "/rooms/a/b"), Some("/rooms/{room}/{seat}"));
            for none in ["/rooms", "/rooms/", "/rooms/a/b/c", "rooms/x", "", "//", "/rooms/lobby/"] {
                assert_eq!(found(&router, none), None, "{none}");
            }
        }
    }

    #[test]
    fn a_dead_end_is_left_again() {
        let router = router(&["/a/{x}/c", "/{y}/b/d"]);
        let found = router.find("/a/b/d").expect("the second route");
        assert_eq!((*found.value, found.params.get("y"), found.params.len()), ("/{y}/b/d", Some("a"), 1));
    }

    #[test]
    fn parameters_are_decoded_and_slashes_in_them_stay() {
        let router = router(&["/files/{name}", "/café"]);
        let found = router.find("/files/a%2Fb%20c").expect("one segment");
        assert!(!found.params.is_empty() && found.params.get("other").is_none());
        assert_eq!(found.params.iter().collect::<Vec<_>>(), [("name", "a/b c")]);
        assert!(router.find("/caf%C3%A9").is_some_and(|found| found.params.is_empty()));
        assert!(router.find("/files/%FF").is_none(), "not UTF-8");
    }

    #[test]
    fn expressions_match_whole_paths_after_the_patterns() {
        let mut router = router(&["/files/{name}"]);
        router.insert_expression(r"/files/.*", "all files").expect("a good expression");
        router.insert_expression(r"/(?P<year>\d{4})/(?P<name>[\w.-]+)|/old", "by year").expect("a good expression");
        assert_eq!(found(&router, "/files/x"), Some("/files/{name}"), "patterns first");
        assert_eq!(found(&router, "/files/x/y"), Some("all files"));
        let by_year = router.find("/2026/a%2Eb").expect("a year and a name");
        assert_eq!(by_year.params.iter().collect::<Vec<_>>(), [("year", "2026"), ("name", "a.b")]);
        assert_eq!(found(&router, "/old"), Some("by year"));
        for none in ["/2026/a/b", "/x/2026/a", "/2026/", "/old/", "/20266/a"] {
            assert_eq!(found(&router, none), None, "{none}");
        }
        for bad in ["(", "a)(b", "[", r"/files/.*"] {
            assert!(router.insert_expression(bad, "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        let mut router = router(&["/rooms/{room}"]);
        for bad in ["rooms", "/{}", "/a{b}", "/{a}b", "/{a b}", "/{a}/{a}", "/rooms/{other}"] {
            assert!(router.insert(bad, "x").is_err(), "{bad}");
        }
        assert_eq!(router.patterns().collect::<Vec<_>>(), ["/rooms/{room}"]);
    }
}
