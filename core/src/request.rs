//! The request for a session and the answer to it, as the application sees them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A request for a WebTransport session: the extended CONNECT with its header fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) authority: String,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) protocols: Vec<String>,
    pub(crate) protocol_required: bool,
    pub(crate) remote: SocketAddr,
    pub(crate) dialect: Dialect,
}

/// A family of drafts that agree on what travels on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Drafts 02 to 06: what Chromium and Firefox speak.
    Draft02,
    /// Drafts 07 to 12, without session flow control: what Safari speaks with this server.
    Draft07,
    /// Drafts 13 and 14. Not offered as long as QUIC has no RESET_STREAM_AT.
    Draft13,
    /// Drafts 15 and 16: the upgrade token `webtransport-h3`.
    Draft15,
}

impl Request {
    /// A request for `path_and_query` at `authority` (host and port), without further header fields.
    ///
    /// An empty path becomes `/`. Nothing is checked here: a server refuses what it does not understand.
    pub fn new(authority: impl Into<String>, path_and_query: impl Into<String>) -> Self {
        let mut path_and_query = path_and_query.into();
        if !path_and_query.starts_with('/') {
            path_and_query.insert(0, '/');
        }
        Self {
            authority: authority.into(),
            path_and_query,
            headers: HeaderMap::new(),
            protocols: Vec::new(),
            protocol_required: false,
            remote: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
            dialect: Dialect::Draft15,
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Offers a subprotocol; the first offered is the one wanted most.
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocols.push(protocol.into());
        self
    }

    /// Takes no session without a subprotocol: when the server chooses none, the session ends with WT_ALPN_ERROR before
    /// it is established (draft-ietf-webtrans-http3-16, section 3.3).
    pub fn require_protocol(mut self) -> Self {
        self.protocol_required = true;
        self
    }

    /// Says where the request comes from, for those who try out what looks at it; nothing is sent of it.
    pub fn with_remote_address(mut self, address: SocketAddr) -> Self {
        self.remote = address;
        self
    }

    /// Host and port, as the client wrote them in `:authority`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path without the query, as the client wrote it: still percent-encoded. The router decodes it, so that `/%61dmin` is
    /// another way to write `/admin`.
    pub fn path(&self) -> &str {
        self.path_and_query.split_once('?').map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    /// What stands after the first `?`, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.split_once('?').map(|(_, query)| query)
    }

    /// Path and query, as the client wrote them.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The header fields; pseudo-header fields are not among them.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The `Origin` field, which browsers always send and other clients need not.
    pub fn origin(&self) -> Option<&HeaderValue> {
        self.headers.get(http::header::ORIGIN)
    }

    /// The subprotocols the client offers, most wanted first (draft-ietf-webtrans-http3-16, section 3.3).
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// The client's address; unspecified on a request that has not been sent or received.
    pub fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    /// Which drafts the session speaks; on a client's own request, before it is sent, the newest.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
}

/// The answer to a [`Request`]: a status, header fields, and the subprotocol chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) protocol: Option<String>,
}

impl Response {
    /// Accepts the session: status 200.
    pub fn accept() -> Self {
        Self::new(StatusCode::OK)
    }

    /// Answers with a status; one of 2xx accepts when it is given to
    /// [`Connection::accept`](crate::Connection::accept), all others refuse.
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), protocol: None }
    }

    /// Adds a header field.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Chooses a subprotocol; ignored unless the client offered it, since the draft allows no other (section 3.3).
    pub fn with_protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields; pseudo-header fields are not among them.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The subprotocol chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_stands_before_the_first_question_mark() {
        for (written, path, query) in [
            ("/a?b?c", "/a", Some("b?c")),
            ("/a", "/a", None),
            ("/a?", "/a", Some("")),
            ("", "/", None),
            ("a", "/a", None),
            ("?x", "/", Some("x")),
        ] {
            let request = Request::new("h", written);
            assert_eq!((request.path(), request.query()), (path, query), "{written:?}");
        }
        let request = Request::new("h:1", "a?b").protocol("first").protocol("second");
        assert_eq!((request.authority(), request.path_and_query()), ("h:1", "/a?b"));
        assert_eq!(request.protocols(), ["first", "second"]);
        assert!(request.remote_address().ip().is_unspecified() && request.dialect() == Dialect::Draft15);
        let address = SocketAddr::from(([192, 0, 2, 1], 7));
        assert_eq!(request.with_remote_address(address).remote_address(), address);
    }

    #[test]
    fn fields_are_added_and_none_replaced() {
        let name = HeaderName::from_static("x");
        let values = ["a", "b"].map(HeaderValue::from_static);
        let request =
            Request::new("h", "/").header(name.clone(), values[0].clone()).header(name.clone(), values[1].clone());
        assert_eq!(request.headers().get_all(&name).iter().collect::<Vec<_>>(), [&values[0], &values[1]]);
        let response =
            Response::accept().header(name.clone(), values[0].clone()).header(name.clone(), values[1].clone());
        assert_eq!(response.headers().get_all(&name).iter().collect::<Vec<_>>(), [&values[0], &values[1]]);
        assert_eq!((response.status(), response.protocol()), (StatusCode::OK, None));
        assert_eq!(response.with_protocol("chat").protocol(), Some("chat"));
    }
}
