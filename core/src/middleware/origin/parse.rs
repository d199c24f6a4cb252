//! Origins taken apart.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Scheme, host and port (RFC 6454, section 4), the default port filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: Host,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// In lower case.
    Name(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// What an administrator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// Pages without an origin of their own.
    Null,
    /// This origin.
    Exact(Origin),
    /// Every name below this one, with this scheme and port.
    Below(Origin),
}

impl Rule {
    /// `null`, an origin, or one whose host begins with `*.`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Null);
        }
        match text.split_once("://*.") {
            None => Origin::parse(text).map(Self::Exact),
            Some((scheme, rest)) => {
                let origin = Origin::parse(&format!("{scheme}://{rest}"))?;
                matches!(origin.host, Host::Name(_)).then_some(Self::Below(origin))
            }
        }
    }

    /// Whether the value of an `Origin` field is allowed; `parsed` is what was made of it.
    pub(super) fn allows(&self, text: &str, parsed: Option<&Origin>) -> bool {
        match self {
            Self::Null => text == "null",
            Self::Exact(allowed) => parsed == Some(allowed),
            Self::Below(allowed) => parsed.is_some_and(|origin| origin.is_below(allowed)),
        }
    }
}

impl Origin {
    /// Parses what browsers write (RFC 6454, section 6.2; the URL standard for hosts). `None` for all else: an empty or
    /// impossible port is not the default one, and a list is no origin.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let mut letters = scheme.bytes();
        let valid = letters.next()?.is_ascii_alphabetic()
            && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !valid {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let (host, rest) = split_host(rest)?;
        let port = match rest.strip_prefix(':') {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            None if rest.is_empty() => default_port(&scheme),
            _ => return None,
        };
        Some(Self { scheme, host, port })
    }

    fn is_below(&self, other: &Self) -> bool {
        let (Host::Name(name), Host::Name(zone)) = (&self.host, &other.host) else { return false };
        let label = name.strip_suffix(zone.as_str()).and_then(|labels| labels.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty()) && (&self.scheme, self.port) == (&other.scheme, other.port)
    }
}

fn split_host(text: &str) -> Option<(Host, &str)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        return Some((Host::V6(address.parse().ok()?), rest));
    }
    let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    let labels = || name.strip_suffix('.').unwrap_or(name).split('.');
    if labels().next_back().is_some_and(is_number) {
        return Some((Host::V4(name.parse().ok()?), rest));
    }
    // Names beyond ASCII are sent as their xn-- form, so that none is seen here.
    let valid = |label: &str| {
        let known = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        (1..=MAX_LABEL).contains(&label.len()) && known
    };
    (name.len() <= MAX_NAME && labels().all(valid)).then(|| (Host::Name(name.to_ascii_lowercase()), rest))
}

/// Whether a name that ends with this label is an IPv4 address or nothing (URL standard, "ends in a number").
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(label) || hexadecimal.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

/// Bytes of a label and of a name with a dot at its end (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 254;
