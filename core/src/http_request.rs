//! A plain HTTP/3 request, as the application sees it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, Method};

/// The head of a request that asks for no session: a health check, say. What it has for a body is never looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) remote: SocketAddr,
}

impl HttpRequest {
    /// A `GET` request for `path_and_query`, for tests of handlers; only clients make others.
    pub fn get(authority: impl Into<String>, path_and_query: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            scheme: "https".to_owned(),
            authority: authority.into(),
            path_and_query: path_and_query.into(),
            headers: HeaderMap::new(),
            remote: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        }
    }

    /// The method; never `CONNECT`.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The scheme, as the client wrote it; not always `https`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Host and port, as the client wrote them.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path without the query, still percent-encoded; `*` is possible.
    pub fn path(&self) -> &str {
        self.path_and_query.split_once('?').map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    /// What stands after the first `?`, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.split_once('?').map(|(_, query)| query)
    }

    /// The header fields; pseudo-header fields are not among them.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The client's address.
    pub fn remote_address(&self) -> SocketAddr {
        self.remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_begins_after_the_first_question_mark() {
        for (written, path, query) in [
            ("/", "/", None),
            ("/a%3Fb", "/a%3Fb", None),
            ("/a?", "/a", Some("")),
            ("/a?b?c", "/a", Some("b?c")),
            ("*", "*", None),
        ] {
            let request = HttpRequest::get("example.org:4433", written);
            assert_eq!((request.path(), request.query()), (path, query));
            assert_eq!((request.method(), request.scheme()), (&Method::GET, "https"));
            assert_eq!(request.authority(), "example.org:4433");
        }
    }
}
