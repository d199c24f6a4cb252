//! Patterns taken apart, and paths decoded.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::RouteError;

/// One segment of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// This text and no other.
    Exact(&'a str),
    /// One segment that is not empty.
    Parameter(&'a str),
    /// All that is left, if it is not empty.
    Rest(&'a str),
}

/// Takes a pattern apart and refuses what is a mistake.
pub(super) fn parse(pattern: &str) -> Result<Vec<Part<'_>>, RouteError> {
    let Some(rest) = pattern.strip_prefix('/') else { return Err(RouteError::NotAbsolute(pattern.into())) };
    let mut parts = Vec::new();
    for segment in rest.split('/') {
        if let Some(Part::Rest(name)) = parts.last() {
            return Err(RouteError::RestNotLast { pattern: pattern.into(), name: (*name).into() });
        }
        let part = parse_segment(segment)
            .ok_or_else(|| RouteError::BadSegment { pattern: pattern.into(), segment: segment.into() })?;
        if let Part::Exact(text) = part {
            can_match(text).map_err(|reason| RouteError::NeverMatches { pattern: pattern.into(), reason })?;
        }
        if let Some(name) = part.name().filter(|name| parts.iter().any(|known: &Part<'_>| known.name() == Some(name))) {
            return Err(RouteError::DuplicateParameter { pattern: pattern.into(), name: name.into() });
        }
        parts.push(part);
    }
    if parts.len() > MAX_SEGMENTS {
        let reason = "it has more segments than paths are looked at";
        return Err(RouteError::NeverMatches { pattern: pattern.into(), reason });
    }
    Ok(parts)
}

/// The segments of a path, each percent-decoded once; `None` for paths that match nothing.
pub(super) fn decode(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let segments = path.strip_prefix('/')?.split('/').take(MAX_SEGMENTS + 1).map(decode_segment);
    segments.collect::<Option<Vec<_>>>().filter(|segments| segments.len() <= MAX_SEGMENTS)
}

fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    let digits = |escape: &str| escape.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
    if segment.split('%').skip(1).any(|escape| digits(escape) < 2) {
        return None;
    }
    let decoded = percent_decode_str(segment).decode_utf8().ok()?;
    (!is_dots(&decoded)).then_some(decoded)
}

/// Segments that mean other segments: whoever parses URLs takes them out, written plainly or encoded (URL standard,
/// "single-dot" and "double-dot URL path segment").
fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

fn parse_segment(segment: &str) -> Option<Part<'_>> {
    if !segment.contains(['{', '}']) {
        // Whoever writes it thinks of shells, and not of a path with an asterisk.
        return (segment != "*").then_some(Part::Exact(segment));
    }
    let inside = segment.strip_prefix('{')?.strip_suffix('}')?;
    let (part, name) = match inside.strip_prefix('*') {
        Some(name) => (Part::Rest(name), name),
        None => (Part::Parameter(inside), inside),
    };
    let valid = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    valid.then_some(part)
}

/// Refuses text that a decoded segment never is, or that its author meant otherwise.
fn can_match(text: &str) -> Result<(), &'static str> {
    if is_dots(text) {
        Err("paths with the segments \".\" and \"..\" match nothing")
    } else if text.contains(['?', '#']) {
        Err("a path ends before its query, which handlers can ask for")
    } else if decode_segment(text).is_some_and(|decoded| decoded != text) {
        Err("patterns are written decoded, as the text that the path means")
    } else {
        Ok(())
    }
}

impl<'a> Part<'a> {
    pub(super) fn name(self) -> Option<&'a str> {
        match self {
            Self::Exact(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

/// Segments of a path looked at; longer paths match nothing.
pub(super) const MAX_SEGMENTS: usize = 64;
