//! What the header fields of a request have to be like.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Arrival, Decision, Middleware, Rejection};

/// Refuses requests whose header fields are not as they should be: 431 for what is too large or too much, 400 for all else.
///
/// Rules are asked in the order in which they were added. The names of fields are in lower case.
///
/// # Examples
///
/// ```
/// use transom_core::middleware::HeaderRules;
///
/// let rules = HeaderRules::new()
///     .require("x-client-version")
///     .deny("x-forwarded-for")
///     .single("authorization")
///     .max_value_size("authorization", 1024)
///     .max_total_size(8 * 1024);
/// ```
#[derive(Debug, Clone, Default)]
pub struct HeaderRules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    Require(HeaderName),
    RequireValue(HeaderName, HeaderValue),
    Deny(HeaderName),
    Single(HeaderName),
    MaxValueSize(HeaderName, usize),
    MaxFields(usize),
    MaxTotalSize(usize),
}

impl HeaderRules {
    /// No rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The field must be there.
    ///
    /// # Panics
    ///
    /// When that is no name of a field in lower case; so do all others.
    #[track_caller]
    pub fn require(self, name: &'static str) -> Self {
        self.with(Rule::Require(HeaderName::from_static(name)))
    }

    /// The field must be there once, with exactly this value.
    #[track_caller]
    pub fn require_value(self, name: &'static str, value: &'static str) -> Self {
        self.with(Rule::RequireValue(HeaderName::from_static(name), HeaderValue::from_static(value)))
    }

    /// The field must not be there.
    #[track_caller]
    pub fn deny(self, name: &'static str) -> Self {
        self.with(Rule::Deny(HeaderName::from_static(name)))
    }

    /// The field must not be there twice.
    #[track_caller]
    pub fn single(self, name: &'static str) -> Self {
        self.with(Rule::Single(HeaderName::from_static(name)))
    }

    /// No value of the field may have more bytes than this.
    #[track_caller]
    pub fn max_value_size(self, name: &'static str, bytes: usize) -> Self {
        self.with(Rule::MaxValueSize(HeaderName::from_static(name), bytes))
    }

    /// There may be no more fields than this; below [`Config::max_fields`](crate::Config::max_fields) only.
    pub fn max_fields(self, fields: usize) -> Self {
        self.with(Rule::MaxFields(fields))
    }

    /// The names and values of all fields together may have no more bytes than this.
    pub fn max_total_size(self, bytes: usize) -> Self {
        self.with(Rule::MaxTotalSize(bytes))
    }

    fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

impl Middleware for HeaderRules {
    fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        let headers = arrival.request.headers();
        match self.rules.iter().find(|rule| !rule.allows(headers)) {
            Some(rule) => Decision::Reject(Rejection::new(rule.status())),
            None => Decision::Continue,
        }
    }
}

impl Rule {
    fn allows(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Require(name) => headers.contains_key(name),
            Self::RequireValue(name, value) => headers.get_all(name).iter().eq([value]),
            Self::Deny(name) => !headers.contains_key(name),
            Self::Single(name) => headers.get_all(name).iter().count() < 2,
            Self::MaxValueSize(name, bytes) => headers.get_all(name).iter().all(|value| value.len() <= *bytes),
            Self::MaxFields(fields) => headers.len() <= *fields,
            Self::MaxTotalSize(bytes) => {
                let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
                sizes.sum::<usize>() <= *bytes
            }
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::MaxValueSize(..) | Self::MaxFields(_) | Self::MaxTotalSize(_) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::Request;

    fn status(rules: &HeaderRules, fields: &[(&'static str, &'static str)]) -> u16 {
        let add = |request: Request, (name, value): &(&'static str, &'static str)| {
            request.header(HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let request = fields.iter().fold(Request::new("h", "/"), add);
        #[expect(clippy::disallowed_methods, reason = "nobody asked here looks at the time")]
        let now = Instant::now();
        match rules.decide(&Arrival::new(&request, None, now)) {
            Decision::Reject(rejection) => rejection.status.as_u16(),
            _ => 200,
        }
    }

    #[test]
    fn each_rule_at_its_edge() {
        let rules = HeaderRules::new;
        for (rule, fields, expected) in [
            (rules(), vec![], 200),
            (rules().require("a"), vec![("a", "")], 200),
            (rules().require("a"), vec![("b", "1")], 400),
            (rules().require_value("a", "1"), vec![("a", "1")], 200),
            (rules().require_value("a", "1"), vec![("a", "2")], 400),
            (rules().require_value("a", "1"), vec![("a", "1"), ("a", "1")], 400),
            (rules().require_value("a", "1"), vec![], 400),
            (rules().deny("a"), vec![("b", "1")], 200),
            (rules().deny("a"), vec![("a", "")], 400),
            (rules().single("a"), vec![], 200),
            (rules().single("a"), vec![("a", "1"), ("b", "1"), ("b", "2")], 200),
            (rules().single("a"), vec![("a", "1"), ("a", "1")], 400),
            (rules().max_value_size("a", 3), vec![("a", "123"), ("b", "1234")], 200),
            (rules().max_value_size("a", 3), vec![("a", "1"), ("a", "1234")], 431),
            (rules().max_fields(2), vec![("a", "1"), ("a", "2")], 200),
            (rules().max_fields(2), vec![("a", "1"), ("a", "2"), ("b", "1")], 431),
            (rules().max_total_size(6), vec![("a", "1"), ("bb", "22")], 200),
            (rules().max_total_size(5), vec![("a", "1"), ("bb", "22")], 431),
            (rules().max_fields(0).deny("a"), vec![("a", "1")], 431),
            (rules().deny("a").max_fields(0), vec![("a", "1")], 400),
        ] {
            assert_eq!(status(&rule, &fields), expected, "{rule:?} {fields:?}");
        }
    }

    #[test]
    #[should_panic(expected = "invalid bytes")]
    fn names_are_in_lower_case() {
        let _ = HeaderRules::new().require("X-Upper");
    }
}
