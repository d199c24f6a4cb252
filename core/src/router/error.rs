//! Patterns that cannot be registered.

use thiserror::Error;

/// A pattern that cannot be registered; always a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// It does not begin with a slash.
    #[error("the route {0:?} does not begin with \"/\"")]
    NotAbsolute(String),
    /// A segment has braces that are not one `{name}`.
    #[error("the segment {segment:?} of the route {pattern:?} is neither plain text nor one {{name}} nor {{*name}}")]
    BadSegment {
        /// The whole pattern.
        pattern: String,
        /// The segment.
        segment: String,
    },
    /// Something stands behind `{*name}`, which takes everything.
    #[error("{{*{name}}} is not the last segment of the route {pattern:?}")]
    RestNotLast {
        /// The whole pattern.
        pattern: String,
        /// The name.
        name: String,
    },
    /// A name stands twice.
    #[error("the parameter {name:?} stands twice in the route {pattern:?}")]
    DuplicateParameter {
        /// The whole pattern.
        pattern: String,
        /// The name.
        name: String,
    },
    /// No path would ever be found by it.
    #[error("no path matches the route {pattern:?}: {reason}")]
    NeverMatches {
        /// The whole pattern.
        pattern: String,
        /// Why not.
        reason: &'static str,
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
    #[error("the route {pattern:?} matches the same paths as {other:?}, which is registered already")]
    Duplicate {
        /// The pattern.
        pattern: String,
        /// The one registered before.
        other: String,
    },
    /// There is one already.
    #[error("a default route is registered already")]
    SecondDefault,
    /// A default route answers everything, so that it cannot stand below a prefix.
    #[error("the routes put below {0:?} have a default route; only the outermost router can have one")]
    NestedDefault(String),
}
