//! Which web pages may open sessions (draft-ietf-webtrans-http3-16, section 3.2; RFC 6454).

use std::time::Instant;

use http::{StatusCode, Uri, header};
use thiserror::Error;

use super::{Decision, Middleware, Rejection};
use crate::Request;

/// Allows requests by their `Origin`, and refuses the others with 403.
///
/// Origins are parsed and compared as scheme, host and port, never as text: `https://a.example` and
/// `https://A.example:443` are the same, `https://a.example.evil` is another. Browsers always send the field; clients
/// that send none are allowed unless [`allow_missing`](Self::allow_missing) says otherwise. `null`, a list, or two fields
/// are refused.
#[derive(Debug, Clone)]
pub struct AllowOrigins {
    allowed: Allowed,
    missing: bool,
}

#[derive(Debug, Clone)]
enum Allowed {
    Any,
    Only(Vec<Origin>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// Text that is no origin: always a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no origin: write it as scheme://host or scheme://host:port, without a path")]
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
        let parse = |text: I::Item| Origin::parse(text.as_ref()).ok_or_else(|| OriginError(text.as_ref().to_owned()));
        let origins = origins.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { allowed: Allowed::Only(origins), missing: true })
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
        let Allowed::Only(origins) = &self.allowed else { return true };
        let parsed = first.to_str().ok().and_then(Origin::parse);
        fields.next().is_none() && parsed.is_some_and(|origin| origins.contains(&origin))
    }
}

impl Middleware for AllowOrigins {
    fn decide(&self, request: &Request, _now: Instant) -> Decision {
        if self.allows(request) { Decision::Continue } else { Decision::Reject(Rejection::new(StatusCode::FORBIDDEN)) }
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (_, after_scheme) = text.split_once("://")?;
        if after_scheme.contains(['/', '?', '#', '@', ',', ' ']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        // An empty or impossible port is not the default one.
        let rest = after_scheme.get(host.len()..)?;
        let port = match rest.strip_prefix(':') {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            None if rest.is_empty() => default_port(&scheme),
            _ => return None,
        };
        Some(Self { scheme, host, port })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: &AllowOrigins, fields: &[&str]) -> bool {
        let mut request = Request::new("h", "/");
        for field in fields {
            request = request.header(header::ORIGIN, field.parse().expect("test value"));
        }
        origins.allows(&request)
    }

    #[test]
    fn origins_are_compared_as_scheme_host_and_port() {
        let origins = AllowOrigins::only(["https://a.example", "http://localhost:8080", "https://[::1]:4433"]);
        for same in [
            "https://a.example",
            "https://A.Example:443",
            "HTTPS://a.example",
            "http://localhost:8080",
            "https://[::1]:4433",
        ] {
            assert!(allowed(&origins, &[same]), "{same}");
        }
        for other in [
            "http://a.example",
            "https://a.example:8443",
            "https://a.example.evil",
            "https://evil-a.example",
            "https://sub.a.example",
            "https://a.example.",
            "https://a.example@evil",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example?x",
            "https://a.example:",
            "https://a.example:99999",
            "https://a.example:+443",
            "null",
            "",
            "a.example",
            "//a.example",
            "https://",
            "https://xn--a.example",
            "http://localhost",
            "https://a.example, https://b.example",
            "https://a.example https://b.example",
            "*",
        ] {
            assert!(!allowed(&origins, &[other]), "{other}");
        }
    }

    #[test]
    fn missing_and_doubled_fields() {
        let origins = AllowOrigins::only(["https://a.example"]);
        assert!(allowed(&origins, &[]));
        assert!(!allowed(&origins.clone().allow_missing(false), &[]));
        assert!(!allowed(&origins, &["https://a.example", "https://a.example"]));
        assert!(allowed(&AllowOrigins::any(), &["null"]));
        assert!(AllowOrigins::try_only(["https://a.example/path"]).is_err());
    }
}
