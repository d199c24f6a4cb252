//! Which web pages may open sessions (draft-ietf-webtrans-http3-16, section 3.2; RFC 6454).

mod parse;

use http::{StatusCode, header};
use thiserror::Error;

use super::{Arrival, Decision, Middleware, Rejection};
use crate::Request;
use parse::{Origin, Rule};

/// Allows requests by their `Origin`, and refuses the others with 403.
///
/// Origins are parsed and compared as scheme, host and port, never as text: `https://a.example` and
/// `https://A.example:443` are the same, `https://a.example.evil` is another. `https://*.a.example` in the list allows
/// every name below `a.example`, and not `a.example` itself. International names stand in their `xn--` form, as browsers
/// send them.
///
/// Where no such middleware is on the way of a route, pages are refused there: see
/// [`Admission::decide`](crate::admission::Admission::decide).
///
/// Browsers always send the field; whether clients that send none may come in is said by
/// [`allow_missing`](Self::allow_missing), and they may unless it says otherwise: they can pretend to be anything.
/// A list of origins, or two fields, are refused; so is `null`, which stands for pages without an origin of their own,
/// unless it is in the list.
#[derive(Debug, Clone)]
pub struct AllowOrigins {
    allowed: Allowed,
    missing: bool,
}

#[derive(Debug, Clone)]
enum Allowed {
    Any,
    Only(Vec<Rule>),
}

/// Text that is no origin: always a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no origin: write it as scheme://host or scheme://host:port, without a path or a slash at the end, \
     and international names in their xn-- form"
)]
pub struct OriginError(pub String);

impl AllowOrigins {
    /// Allows these origins and no others.
    ///
    /// # Panics
    ///
    /// When one of them is no origin; use [`try_only`](Self::try_only) for text from outside.
    #[track_caller]
    pub fn only<I>(origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        match Self::try_only(origins) {
            Ok(this) => this,
            Err(error) => panic!("{error}"),
        }
    }

    /// Allows these origins and no others.
    ///
    /// # Errors
    ///
    /// When one of them is no origin.
    pub fn try_only<I>(origins: I) -> Result<Self, OriginError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let parse = |text: I::Item| Rule::parse(text.as_ref()).ok_or_else(|| OriginError(text.as_ref().to_owned()));
        let origins = origins.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { allowed: Allowed::Only(origins), missing: true })
    }

    /// Allows no web page, and says so: without any of this middleware pages are refused as well, with advice in the log.
    pub fn none() -> Self {
        Self { allowed: Allowed::Only(Vec::new()), missing: true }
    }

    /// Allows every origin, `null` included: only for servers that any page may use.
    pub fn any() -> Self {
        Self { allowed: Allowed::Any, missing: true }
    }

    /// Says whether clients that send no origin are allowed.
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.missing = allow;
        self
    }

    fn allows(&self, request: &Request) -> bool {
        let mut fields = request.headers().get_all(header::ORIGIN).iter();
        let Some(first) = fields.next() else { return self.missing };
        let Allowed::Only(rules) = &self.allowed else { return true };
        let Some(text) = first.to_str().ok().filter(|_| fields.next().is_none()) else { return false };
        let parsed = Origin::parse(text);
        rules.iter().any(|rule| rule.allows(text, parsed.as_ref()))
    }
}

impl Middleware for AllowOrigins {
    fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        if self.allows(arrival.request) {
            Decision::Continue
        } else {
            Decision::Reject(Rejection::new(StatusCode::FORBIDDEN).because("its origin is not one of those allowed"))
        }
    }

    fn judges_origin(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(origins: &AllowOrigins, fields: &[&str]) -> bool {
        let mut request = Request::new("h", "/");
        for field in fields {
            let value = http::HeaderValue::from_bytes(field.as_bytes()).expect("test value");
            request = request.header(header::ORIGIN, value);
        }
        origins.allows(&request)
    }

    fn code(text: &str) -> Option<&str> {
        text.split('`').nth(1)
    }

    #[test]
    fn origins_are_judged_as_the_guide_says() {
        let guide = include_str!("../../../../docs/guide/origins.md");
        let (_, lists) = guide.split_once("<!-- origins -->").expect("the list of origins");
        let list = lists.lines().filter(|line| line.starts_with("- ")).filter_map(code);
        let origins = AllowOrigins::only(list);
        let mut rows = 0;
        for line in lists.lines().filter(|line| line.starts_with("| `") || line.starts_with("| empty")) {
            let (origin, verdict) = line.trim_matches('|').split_once('|').expect("two cells");
            let origin = code(origin).unwrap_or_default();
            assert_eq!(allowed(&origins, &[origin]), verdict.trim_start().starts_with("yes"), "{line}");
            rows += 1;
        }
        assert!(rows >= 90, "{rows} rows");
    }

    #[test]
    fn missing_and_doubled_fields() {
        let origins = AllowOrigins::only(["https://a.example"]);
        assert!(allowed(&origins, &[]));
        assert!(!allowed(&origins.clone().allow_missing(false), &[]));
        assert!(!allowed(&origins, &["https://a.example", "https://a.example"]));
        assert!(allowed(&AllowOrigins::any(), &["null"]) && allowed(&AllowOrigins::any(), &["nonsense"]));
        assert!(allowed(&AllowOrigins::none(), &[]) && !allowed(&AllowOrigins::none(), &["https://a.example"]));
        assert!(!allowed(&AllowOrigins::any().allow_missing(false), &[]));
        assert!(allowed(&AllowOrigins::only(["null"]), &["null"]));
        assert!(!allowed(&AllowOrigins::only(["null"]), &["https://a.example"]));
    }

    #[test]
    fn what_is_no_origin_is_told() {
        for bad in [
            "https://a.example/path",
            "https://a.example/",
            "a.example",
            "*",
            "https://*",
            "https://*.",
            "https://*.127.0.0.1",
            "https://*.[::1]",
            "https://a.*.example",
            "https://*a.example",
            "https://bücher.example",
            "",
        ] {
            let error = AllowOrigins::try_only([bad]).expect_err(bad);
            assert!(error.to_string().contains("is no origin: write it as"), "{error}");
        }
    }

    #[test]
    #[should_panic(expected = "\"a.example\" is no origin")]
    fn mistakes_in_programs_panic() {
        let _ = AllowOrigins::only(["a.example"]);
    }

    proptest! {
        /// Written in another way, an origin is the same; with another part, it is not.
        #[test]
        fn an_origin_is_scheme_host_and_port(
            parts in ("http|https", "[a-z][a-z0-9-]{0,9}(\\.[a-z][a-z0-9]{0,5}){0,3}", 1_u16..),
            other in ("http|https", "[a-z][a-z0-9-]{0,9}(\\.[a-z][a-z0-9]{0,5}){0,3}", 1_u16..),
            upper in any::<u32>(),
        ) {
            let write = |(scheme, host, port): &(String, String, u16)| format!("{scheme}://{host}:{port}");
            let origins = AllowOrigins::only([write(&parts)]);
            let letters = write(&parts).char_indices().map(|(at, letter)| {
                if upper >> (at % 32) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
            }).collect::<String>();
            prop_assert!(allowed(&origins, &[&letters]), "{}", letters);
            prop_assert_eq!(allowed(&origins, &[&write(&other)]), parts == other);
            let default = if parts.0 == "https" { 443 } else { 80 };
            let short = format!("{}://{}", parts.0, parts.1);
            prop_assert_eq!(allowed(&origins, &[&short]), parts.2 == default);
            let long = format!("{short}:{default}");
            prop_assert!(allowed(&AllowOrigins::only([&short]), &[&long]));
            let (scheme, host, port) = &parts;
            let below = AllowOrigins::only([format!("{scheme}://*.{host}:{port}")]);
            let names = [host.clone(), format!("x.{host}"), format!("x{host}")];
            let seen = names.map(|name| allowed(&below, &[&format!("{scheme}://{name}:{port}")]));
            prop_assert_eq!(seen, [false, true, false]);
        }

        #[test]
        fn any_bytes_are_judged(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let origins = AllowOrigins::only(["https://a.example", "https://*.b.example", "null", "http://[::1]:1"]);
            let known = |text: &str| ["https://a.example", "https://a.example:443", "null"].contains(&text)
                || text.ends_with(".b.example") || text.contains('[');
            let is_value = http::HeaderValue::from_str(&text).is_ok();
            prop_assert!(!(is_value && allowed(&origins, &[&text])) || known(&text));
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                let _ = origins.allows(&Request::new("h", "/").header(header::ORIGIN, value));
            }
        }
    }
}
