//! From a path to a value: exact segments, `{parameters}`, `{*rest}`, regular expressions and a default.

mod error;
mod figures;
mod params;
mod pattern;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;

use regex::Regex;

pub use error::RouteError;
pub use figures::{RouteInfo, RouteKind, RouterStats};
pub use params::Params;

use figures::Counter;
use pattern::Part;
use tree::Node;

/// Finds the value registered for a path.
///
/// A pattern is a list of segments: exact text, `{name}`, which matches one whole segment that is not empty, or, as the
/// last one, `{*name}`, which matches all that is left if it is not empty. Where several patterns match, exact text wins
/// over a parameter and a parameter over the rest, the earlier segment deciding; the order of insertion never matters.
/// Segments are compared after percent-decoding, once: `/caf%C3%A9` finds `/café`, while an encoded slash stays inside
/// its segment.
///
/// Regular expressions are asked when no such pattern matches, in the order in which they were added. They match the whole
/// decoded path, in time linear in its length; a path with an encoded slash none of them matches, since it would look like
/// another path. The default is found when nothing else is.
///
/// A path that does not decode to UTF-8, has an incomplete escape, a segment `.` or `..`, or more than 64 segments
/// matches nothing, not even the default.
#[derive(Debug, Clone)]
pub struct Router<T> {
    root: Node<T>,
    expressions: Vec<Expression<T>>,
    default: Option<Leaf<T>>,
    misses: Counter,
}

/// A value with what is known of its route.
#[derive(Debug, Clone)]
struct Leaf<T> {
    value: T,
    pattern: String,
    /// Names of the parameters in the pattern's order.
    names: Vec<String>,
    hits: Counter,
}

#[derive(Debug, Clone)]
struct Expression<T> {
    /// The expression between anchors.
    whole: Regex,
    leaf: Leaf<T>,
}

/// A value found, with what the parameters stood for.
#[derive(Debug)]
pub struct Match<'a, T> {
    /// The value registered.
    pub value: &'a T,
    /// The pattern or expression it was registered for; `*` for the default.
    pub pattern: &'a str,
    /// The parameters, decoded.
    pub params: Params,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Router<T> {
    /// A router without routes.
    pub fn new() -> Self {
        Self { root: Node::new(), expressions: Vec::new(), default: None, misses: Counter::default() }
    }

    /// Registers a value for a pattern.
    ///
    /// # Errors
    ///
    /// When the pattern is malformed, can match nothing, or matches exactly the paths of another.
    pub fn insert(&mut self, pattern: &str, value: T) -> Result<(), RouteError> {
        let parts = pattern::parse(pattern)?;
        let duplicate =
            |other: &Leaf<T>| Err(RouteError::Duplicate { pattern: pattern.into(), other: other.pattern.clone() });
        if let Some(same) = self.expressions.iter().find(|expression| expression.leaf.pattern == pattern) {
            return duplicate(&same.leaf);
        }
        let place = self.root.place(&parts);
        if let Some(other) = place {
            return duplicate(other);
        }
        let names = parts.iter().filter_map(|part| part.name()).map(str::to_owned).collect();
        *place = Some(Leaf::new(value, pattern.to_owned(), names));
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
        if self.iter().any(|(pattern, ..)| pattern == expression) {
            return Err(RouteError::Duplicate { pattern: expression.into(), other: expression.into() });
        }
        let names = whole.capture_names().flatten().map(str::to_owned).collect();
        self.expressions.push(Expression { whole, leaf: Leaf::new(value, expression.to_owned(), names) });
        Ok(())
    }

    /// Registers the value for paths that nothing else matches.
    ///
    /// # Errors
    ///
    /// When there is one already.
    pub fn insert_default(&mut self, value: T) -> Result<(), RouteError> {
        if self.default.is_some() {
            return Err(RouteError::SecondDefault);
        }
        self.default = Some(Leaf::new(value, String::from(DEFAULT), Vec::new()));
        Ok(())
    }

    /// Moves all routes of another router below a prefix, which may have parameters; its `/` becomes the prefix itself.
    ///
    /// # Errors
    ///
    /// When the prefix is malformed or ends with a slash, a route conflicts with one that is here, or the other router
    /// has a default. Routes moved before that stay.
    pub fn nest(&mut self, prefix: &str, other: Self) -> Result<(), RouteError> {
        let parts = pattern::parse(prefix)?;
        if matches!(parts.last(), Some(Part::Exact("") | Part::Rest(_))) {
            let segment = prefix.rsplit('/').next().unwrap_or_default().to_owned();
            return Err(RouteError::BadSegment { pattern: prefix.into(), segment });
        }
        if other.default.is_some() {
            return Err(RouteError::NestedDefault(prefix.into()));
        }
        for leaf in other.root.into_leaves() {
            let below = if leaf.pattern == "/" { "" } else { &leaf.pattern };
            self.insert(&format!("{prefix}{below}"), leaf.value)?;
        }
        let prefix: String = parts.iter().map(|part| as_expression(*part)).collect();
        for Expression { leaf, .. } in other.expressions {
            self.insert_expression(&format!("{prefix}(?:{})", leaf.pattern), leaf.value)?;
        }
        Ok(())
    }

    /// The same routes with other values; the figures begin again.
    pub(crate) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Router<U> {
        let Self { root, expressions, default, .. } = self;
        let mut change = |Leaf { value, pattern, names, .. }| Leaf::new(change(value), pattern, names);
        Router {
            root: root.map(&mut change),
            expressions: expressions
                .into_iter()
                .map(|Expression { whole, leaf }| Expression { whole, leaf: change(leaf) })
                .collect(),
            default: default.map(&mut change),
            misses: Counter::default(),
        }
    }

    /// Takes out the route that was registered with exactly this text, be it a pattern or an expression; `*` is the
    /// default.
    pub fn remove(&mut self, pattern: &str) -> Option<T> {
        if pattern == DEFAULT {
            return self.default.take().map(|leaf| leaf.value);
        }
        let parts = pattern::parse(pattern).unwrap_or_default();
        let taken = self.root.take(&parts, |leaf| leaf.pattern == pattern);
        let expression = self.expressions.iter().position(|expression| expression.leaf.pattern == pattern);
        let taken = taken.or_else(|| expression.map(|index| self.expressions.remove(index).leaf));
        taken.map(|leaf| leaf.value)
    }

    /// Finds the value for a path without its query, and counts it.
    pub fn find(&self, path: &str) -> Option<Match<'_, T>> {
        let found = pattern::decode(path).and_then(|segments| {
            let Some(way) = self.root.find(&segments) else {
                let default = || Some((self.default.as_ref()?, Params::default()));
                return self.find_expression(&segments).or_else(default);
            };
            let values = way.parameters.iter().filter_map(|&at| segments.get(at)).map(ToString::to_string);
            let rest = segments.get(way.rest..).map(|rest| rest.join("/"));
            let entries = way.leaf.names.iter().cloned().zip(values.chain(rest)).collect();
            Some((way.leaf, Params::new(entries)))
        });
        let Some((leaf, params)) = found else {
            self.misses.increase();
            return None;
        };
        leaf.hits.increase();
        Some(Match { value: &leaf.value, pattern: &leaf.pattern, params })
    }

    fn find_expression(&self, segments: &[Cow<'_, str>]) -> Option<(&Leaf<T>, Params)> {
        if self.expressions.is_empty() || segments.iter().any(|segment| segment.contains('/')) {
            return None;
        }
        let path = format!("/{}", segments.join("/"));
        self.expressions.iter().find_map(|Expression { whole, leaf }| {
            let captures = whole.captures(&path)?;
            let entry = |name: &String| Some((name.clone(), captures.name(name)?.as_str().to_owned()));
            Some((leaf, Params::new(leaf.names.iter().filter_map(entry).collect())))
        })
    }

    /// What is registered, with its pattern and sort, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, RouteKind, &T)> {
        self.kinds().map(|(leaf, kind)| (leaf.pattern.as_str(), kind, &leaf.value))
    }

    /// The patterns registered, in alphabetical order.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.routes().into_iter().map(|route| route.pattern)
    }

    /// The routes registered, in the alphabetical order of their patterns.
    pub fn routes(&self) -> Vec<RouteInfo<'_>> {
        let mut routes: Vec<RouteInfo<'_>> = self
            .kinds()
            .map(|(leaf, kind)| RouteInfo { pattern: &leaf.pattern, kind, hits: leaf.hits.value() })
            .collect();
        routes.sort_by_key(|route| route.pattern);
        routes
    }

    /// Numbers of routes, of paths found and of paths not found.
    pub fn stats(&self) -> RouterStats {
        let mut stats = RouterStats { misses: self.misses.value(), ..RouterStats::default() };
        for route in self.routes() {
            stats.hits += route.hits;
            match route.kind {
                RouteKind::Exact => stats.exact += 1,
                RouteKind::Parameters => stats.parameters += 1,
                RouteKind::Expression => stats.expressions += 1,
                RouteKind::Default => stats.has_default = true,
            }
        }
        stats
    }

    fn kinds(&self) -> impl Iterator<Item = (&Leaf<T>, RouteKind)> {
        let tree = self.root.leaves().into_iter().map(|leaf| {
            let kind = if leaf.names.is_empty() { RouteKind::Exact } else { RouteKind::Parameters };
            (leaf, kind)
        });
        let expressions = self.expressions.iter().map(|expression| (&expression.leaf, RouteKind::Expression));
        let default = self.default.iter().map(|leaf| (leaf, RouteKind::Default));
        tree.chain(expressions).chain(default)
    }
}

impl<T> Leaf<T> {
    fn new(value: T, pattern: String, names: Vec<String>) -> Self {
        Self { value, pattern, names, hits: Counter::default() }
    }
}

fn as_expression(part: Part<'_>) -> String {
    match part {
        Part::Exact(text) => format!("/{}", regex::escape(text)),
        Part::Parameter(name) | Part::Rest(name) => format!("/(?P<{name}>[^/]+)"),
    }
}

/// What the default route is called; neither a pattern nor an expression.
const DEFAULT: &str = "*";
