//! Where a URL leads.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use http::Uri;

use crate::error::ClientError;

/// What a client needs of an `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// DNS name or IP address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as the URL has them.
    pub(super) authority: String,
    pub(super) path_and_query: String,
}

impl Target {
    /// Takes a URL apart.
    pub(super) fn parse(url: &str) -> Result<Self, ClientError> {
        let invalid = |why: &str| ClientError::InvalidUrl(format!("{why}: {url:?}"));
        if url.contains('#') {
            return Err(invalid("a fragment has no meaning here"));
        }
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
        if uri.scheme_str() != Some("https") {
            return Err(invalid("WebTransport needs the scheme https"));
        }
        let authority = uri.authority().ok_or_else(|| invalid("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("user names and passwords do not belong into the URL"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(invalid("the host is missing"));
        }
        let port = match port_text(authority.as_str()) {
            None => HTTPS_PORT,
            Some(text) => match text.parse() {
                Ok(0) | Err(_) => return Err(invalid("the port is not a number from 1 to 65535")),
                Ok(port) => port,
            },
        };
        // As text, since `as_str` leaves the slash out where the URL does.
        let path_and_query = uri.path_and_query().map_or_else(|| String::from("/"), ToString::to_string);
        Ok(Self { host: host.to_owned(), port, authority: authority.as_str().to_owned(), path_and_query })
    }

    /// The address itself, when the host is an IP address.
    pub(super) fn literal(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse::<IpAddr>().ok()?, self.port))
    }

    /// Asks the system for the host's addresses; blocks.
    pub(super) fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        let addresses: Vec<SocketAddr> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        if addresses.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(alternate(addresses))
    }
}

/// The text after the host's colon; `http` hides one that is out of range.
fn port_text(authority: &str) -> Option<&str> {
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    after_host.split_once(':').map(|(_, port)| port)
}

/// Lets the two address families take turns, the system's favourite first (RFC 8305, section 4).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::new();
    loop {
        let round = [first.next(), second.next()];
        if round == [None, None] {
            return mixed;
        }
        for address in round.into_iter().flatten() {
            // Systems list an address once for each kind of socket.
            if !mixed.contains(&address) {
                mixed.push(address);
            }
        }
    }
}

const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<(String, u16, String, String), String> {
        let target = Target::parse(url).map_err(|error| error.to_string())?;
        Ok((target.host, target.port, target.authority, target.path_and_query))
    }

    fn parts(host: &str, port: u16, authority: &str, path: &str) -> (String, u16, String, String) {
        (host.into(), port, authority.into(), path.into())
    }

    fn parsed(url: &str) -> (String, u16, String, String) {
        parse(url).unwrap()
    }

    #[test]
    fn usual_urls() {
        assert_eq!(parsed("https://example.org"), parts("example.org", 443, "example.org", "/"));
        assert_eq!(
            parsed("https://example.org:4433/a/b?c=d"),
            parts("example.org", 4433, "example.org:4433", "/a/b?c=d")
        );
        assert_eq!(parsed("https://example.org?c=d"), parts("example.org", 443, "example.org", "/?c=d"));
        assert_eq!(parsed("HTTPS://127.0.0.1:1/"), parts("127.0.0.1", 1, "127.0.0.1:1", "/"));
        assert_eq!(parsed("https://[::1]:4433/x"), parts("::1", 4433, "[::1]:4433", "/x"));
        assert_eq!(parsed("https://[::1]/x"), parts("::1", 443, "[::1]", "/x"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, why) in [
            ("http://example.org", "scheme https"),
            ("example.org", "scheme https"),
            ("/path", "scheme https"),
            ("https://", "invalid"),
            ("https://:443/", "host is missing"),
            ("https://user:secret@example.org/", "user names"),
            ("https://example.org:0/", "port"),
            ("https://example.org:65536/", "port"),
            ("https://example.org/#part", "fragment"),
            ("https://exa mple.org/", "invalid"),
            ("", "empty"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn addresses_need_no_resolving() {
        let literal = |url: &str| Target::parse(url).unwrap().literal();
        assert_eq!(literal("https://127.0.0.1:99"), Some("127.0.0.1:99".parse().unwrap()));
        assert_eq!(literal("https://[::1]:99"), Some("[::1]:99".parse().unwrap()));
        assert_eq!(literal("https://localhost:99"), None);
    }

    #[test]
    fn families_take_turns() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = alternate(addresses(&["[::1]:1", "[::2]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1"]));
        assert_eq!(mixed, addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(alternate(addresses(&["1.1.1.1:1"])), addresses(&["1.1.1.1:1"]));
    }
}
