//! Header sections and what they mean: requests and responses, checked as RFC 9114, section 4, demands.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::protocols;
use crate::wire::frame::{self, kind};
use crate::wire::qpack::{self, Field};
use crate::{HttpRequest, Request, Response};

/// A request as it arrived, before anybody asked which draft it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// An extended CONNECT (RFC 9220) with its upgrade token.
    Upgrade { token: String, request: Box<Request> },
    /// CONNECT without `:protocol`: a request for a tunnel.
    Tunnel,
    /// Any other method.
    Plain(Box<HttpRequest>),
}

impl Parsed {
    /// About how many bytes it keeps.
    pub(crate) fn size(&self) -> usize {
        let Self::Upgrade { token, request } = self else { return 0 };
        let fields = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_SIZE);
        let protocols = request.protocols.iter().map(|protocol| protocol.len() + FIELD_SIZE);
        let words = token.len() + request.authority.len() + request.path_and_query.len();
        words + size_of::<Request>() + fields.sum::<usize>() + protocols.sum::<usize>()
    }
}

/// What a field of a header map takes beside its text, table and allocations included.
const FIELD_SIZE: usize = 128;

/// The message breaks a rule: H3_MESSAGE_ERROR. The text is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

#[derive(Default)]
struct Pseudo {
    method: Option<Bytes>,
    scheme: Option<Bytes>,
    authority: Option<Bytes>,
    path: Option<Bytes>,
    protocol: Option<Bytes>,
    status: Option<Bytes>,
}

impl Pseudo {
    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<Bytes>> {
        Some(match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b":protocol" => &mut self.protocol,
            b":status" => &mut self.status,
            _ => return None,
        })
    }
}

/// Checks and sorts a request's header section.
pub(crate) fn parse_request(fields: Vec<Field>) -> Result<Parsed, Malformed> {
    let (pseudo, headers) = split(fields)?;
    if pseudo.status.is_some() {
        return Err(Malformed("a response's pseudo-header in a request"));
    }
    let method = pseudo.method.as_deref().ok_or(Malformed("no :method"))?;
    let method = Method::from_bytes(method).map_err(|_| Malformed("invalid :method"))?;
    if pseudo.protocol.is_some() && method != Method::CONNECT {
        return Err(Malformed(":protocol without CONNECT"));
    }
    let authority = authority(pseudo.authority.as_deref(), &headers)?;
    let Some(token) = pseudo.protocol else {
        if method == Method::CONNECT {
            if pseudo.scheme.is_some() || pseudo.path.is_some() {
                return Err(Malformed(":scheme or :path on a plain CONNECT"));
            }
            return Ok(Parsed::Tunnel);
        }
        let (scheme, path_and_query) = scheme_and_path(pseudo.scheme.as_ref(), pseudo.path.as_ref())?;
        let plain =
            HttpRequest { method, scheme: scheme.to_owned(), headers, ..HttpRequest::get(authority, path_and_query) };
        return Ok(Parsed::Plain(Box::new(plain)));
    };
    let (scheme, path_and_query) = scheme_and_path(pseudo.scheme.as_ref(), pseudo.path.as_ref())?;
    // draft-16, section 3.2; `*` is for OPTIONS only (RFC 9110, section 7.1).
    if scheme != "https" || path_and_query == "*" {
        return Err(Malformed("a WebTransport request has the scheme https and a path"));
    }
    // RFC 9297, section 3.2: a message with the capsule protocol has no content.
    if [header::CONTENT_LENGTH, header::CONTENT_TYPE].iter().any(|name| headers.contains_key(name)) {
        return Err(Malformed("content fields on an extended CONNECT"));
    }
    let token = text(&token).ok_or(Malformed("invalid :protocol"))?.to_owned();
    let mut request = Request::new(authority, path_and_query);
    request.protocols = protocols::offered(&headers);
    request.headers = headers;
    Ok(Parsed::Upgrade { token, request: Box::new(request) })
}

/// Checks a response's header section; `None` for an interim (1xx) one.
pub(crate) fn parse_response(fields: Vec<Field>) -> Result<Option<Response>, Malformed> {
    let (pseudo, headers) = split(fields)?;
    let request_fields = [&pseudo.method, &pseudo.scheme, &pseudo.authority, &pseudo.path, &pseudo.protocol];
    if request_fields.iter().any(|field| field.is_some()) {
        return Err(Malformed("a request's pseudo-header in a response"));
    }
    let status = pseudo.status.as_deref().ok_or(Malformed("no :status"))?;
    let status = StatusCode::from_bytes(status).map_err(|_| Malformed("invalid :status"))?;
    if status.is_informational() {
        return Ok(None);
    }
    let protocol = protocols::chosen(&headers);
    Ok(Some(Response { status, headers, protocol }))
}

/// The HEADERS frame of our CONNECT. `extra` is what the dialect adds.
pub(crate) fn encode_request(request: &Request, token: &str, extra: Option<(&str, &str)>) -> Bytes {
    let protocols = protocols::serialize_offer(&request.protocols);
    let mut fields: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"CONNECT"),
        (b":scheme", b"https"),
        (b":authority", request.authority.as_bytes()),
        (b":path", request.path_and_query.as_bytes()),
        (b":protocol", token.as_bytes()),
    ];
    fields.extend(extra.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    fields.extend(protocols.as_ref().map(|value| (protocols::AVAILABLE.as_bytes(), value.as_bytes())));
    headers_frame(fields, request.headers.iter().filter(|(name, _)| !is_content(name)))
}

/// The HEADERS frame of an answer. `extra` is what the dialect adds.
pub(crate) fn encode_response(response: &Response, extra: Option<(&str, &str)>) -> Bytes {
    let protocol = response.protocol.as_deref().and_then(protocols::serialize_choice);
    let mut fields: Vec<(&[u8], &[u8])> = vec![(b":status", response.status.as_str().as_bytes())];
    fields.extend(extra.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    fields.extend(protocol.as_ref().map(|value| (protocols::CHOSEN.as_bytes(), value.as_bytes())));
    // RFC 9297, section 3.4: only an answer that switches to capsules speaks of them.
    let may_say = response.status.is_success();
    let travels = |name: &HeaderName| !is_content(name) && (may_say || name.as_str() != "capsule-protocol");
    headers_frame(fields, response.headers.iter().filter(|(name, _)| travels(name)))
}

/// The HEADERS frame of an answer to a plain request; the length is the only one that travels.
pub(super) fn encode_http_response(response: &Response, length: Option<usize>) -> Bytes {
    let length = length.map(|length| length.to_string());
    let mut fields: Vec<(&[u8], &[u8])> = vec![(b":status", response.status.as_str().as_bytes())];
    fields.extend(length.as_ref().map(|value| (&b"content-length"[..], value.as_bytes())));
    headers_frame(fields, response.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH))
}

fn headers_frame<'a>(
    mut fields: Vec<(&'a [u8], &'a [u8])>,
    headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) -> Bytes {
    let own = headers.filter(|(name, _)| !is_forbidden(name));
    fields.extend(own.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())));
    let mut block = Vec::with_capacity(128);
    qpack::encode(fields, &mut block);
    let mut out = Vec::with_capacity(block.len() + 8);
    frame::encode(kind::HEADERS, &block, &mut out);
    Bytes::from(out)
}

/// Separates pseudo-headers from fields and checks what holds for all of them.
fn split(fields: Vec<Field>) -> Result<(Pseudo, HeaderMap), Malformed> {
    let mut pseudo = Pseudo::default();
    let mut headers = HeaderMap::new();
    let mut cookies: Vec<u8> = Vec::new();
    let mut in_fields = false;
    for field in fields {
        if field.name.first() == Some(&b':') {
            if in_fields {
                return Err(Malformed("pseudo-header after a field"));
            }
            let slot = pseudo.slot(&field.name).ok_or(Malformed("unknown pseudo-header"))?;
            if slot.replace(field.value).is_some() {
                return Err(Malformed("pseudo-header twice"));
            }
            continue;
        }
        in_fields = true;
        let (name, value) = checked_field(&field)?;
        if name == header::COOKIE {
            // RFC 9114, section 4.2.1: to the application it is one field.
            if !cookies.is_empty() && !value.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value.as_bytes());
        } else {
            headers.append(name, value);
        }
    }
    if !cookies.is_empty() {
        let value = HeaderValue::from_bytes(&cookies).map_err(|_| Malformed("invalid cookie"))?;
        headers.insert(header::COOKIE, value);
    }
    Ok((pseudo, headers))
}

fn checked_field(field: &Field) -> Result<(HeaderName, HeaderValue), Malformed> {
    if field.name.iter().any(u8::is_ascii_uppercase) {
        return Err(Malformed("upper case in a field name"));
    }
    let name = HeaderName::from_bytes(&field.name).map_err(|_| Malformed("invalid field name"))?;
    if is_forbidden(&name) {
        return Err(Malformed("connection-specific field"));
    }
    if name == header::TE && field.value != "trailers" {
        return Err(Malformed("te other than trailers"));
    }
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(field.value.first()) || blank(field.value.last()) {
        return Err(Malformed("blank around a field value"));
    }
    let value = HeaderValue::from_bytes(&field.value).map_err(|_| Malformed("invalid field value"))?;
    Ok((name, value))
}

/// RFC 9114, section 4.2: fields of the HTTP/1.1 connection mean nothing here.
fn is_forbidden(name: &HeaderName) -> bool {
    matches!(name.as_str(), "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade")
}

/// RFC 9297, section 3.2: neither side of an extended CONNECT describes content.
fn is_content(name: &HeaderName) -> bool {
    matches!(name.as_str(), "content-length" | "content-type")
}

fn authority(pseudo: Option<&[u8]>, headers: &HeaderMap) -> Result<String, Malformed> {
    let mut hosts = headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let Some(authority) = pseudo.or_else(|| hosts.next()) else { return Err(Malformed("no :authority")) };
    if hosts.any(|host| host != authority) {
        return Err(Malformed(":authority and host differ"));
    }
    let authority = text(authority).ok_or(Malformed("invalid :authority"))?;
    let parsed: http::uri::Authority = authority.parse().map_err(|_| Malformed("invalid :authority"))?;
    if authority.contains('@') || parsed.host().is_empty() {
        return Err(Malformed(":authority with user information or without a host"));
    }
    // `http` takes any text for a port. RFC 3986, section 3.2.3: digits, or none.
    let port = authority.strip_prefix(parsed.host()).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
    if !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Malformed(":authority with a port that is no number"));
    }
    Ok(authority.to_owned())
}

fn scheme_and_path<'a>(scheme: Option<&'a Bytes>, path: Option<&'a Bytes>) -> Result<(&'a str, &'a str), Malformed> {
    let scheme = scheme.map(Bytes::as_ref).and_then(text).ok_or(Malformed("no :scheme"))?;
    let path = path.map(Bytes::as_ref).and_then(text).ok_or(Malformed("no :path"))?;
    if scheme.is_empty() || !path.starts_with('/') && path != "*" {
        return Err(Malformed("empty :scheme or relative :path"));
    }
    let (before, query) = path.split_once('?').unwrap_or((path, ""));
    // Browsers send a query as it was written, and `%` in it may be a mere percent sign (URL Standard, section 4.4).
    if !has_whole_escapes(before)
        || !before.bytes().chain(query.bytes()).all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Err(Malformed("character in :path that a URL cannot have"));
    }
    Ok((scheme, path))
}

/// Whether each `%` begins an escape (RFC 3986, section 2.1).
fn has_whole_escapes(path: &str) -> bool {
    let digits = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
    path.split('%').skip(1).all(|rest| digits(rest) == 2)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", "localhost:4433"),
        (":path", "/echo?x=1"),
        (":protocol", "webtransport"),
    ];

    fn fields(list: &[(&str, &str)]) -> Vec<Field> {
        let field = |(name, value): &(&str, &str)| Field {
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        list.iter().map(field).collect()
    }

    fn with(extra: &[(&str, &str)]) -> Result<Parsed, Malformed> {
        parse_request(fields(&[&GOOD[..], extra].concat()))
    }

    #[test]
    fn a_good_connect_is_understood() {
        let parsed = with(&[("origin", "https://a.example"), ("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "")]);
        let Ok(Parsed::Upgrade { token, request }) = parsed else { panic!("{parsed:?}") };
        assert_eq!((token.as_str(), request.path(), request.query()), ("webtransport", "/echo", Some("x=1")));
        assert_eq!(request.headers().get("cookie").map(HeaderValue::as_bytes), Some(&b"a=1; b=2"[..]));
    }

    #[test]
    fn every_pseudo_header_is_needed_once_and_before_the_fields() {
        for missing in &GOOD[..4] {
            let list: Vec<_> = GOOD.iter().filter(|field| *field != missing).copied().collect();
            assert!(parse_request(fields(&list)).is_err(), "without {}", missing.0);
        }
        for twice in GOOD {
            assert!(with(&[twice]).is_err(), "{} twice", twice.0);
        }
        assert!(with(&[(":status", "200")]).is_err());
        assert!(with(&[(":foo", "x")]).is_err());
        let late = [&GOOD[..4], &[("x", "y"), GOOD[4]]].concat();
        assert!(parse_request(fields(&late)).is_err());
    }

    #[test]
    fn values_are_checked() {
        for (index, bad) in [
            (0, "GET"),
            (1, "http"),
            (1, "HTTPS"),
            (2, ""),
            (2, "user@host"),
            (2, "host:port"),
            (2, "[::1]:4a"),
            (3, "/a#b?c"),
            (3, "/?a#b"),
            (3, "/%4?1"),
            (3, "/%é"),
            (3, ""),
            (3, "echo"),
            (3, "/a b"),
            (3, "/a#b"),
            (3, "/%zz"),
            (3, "*"),
            (3, "/%4"),
            (3, "/\0"),
            (2, "a b"),
        ] {
            let mut list = GOOD.to_vec();
            list[index].1 = bad;
            assert!(parse_request(fields(&list)).is_err(), "{} = {bad:?}", GOOD[index].0);
        }
        for (name, value) in [
            ("X-Upper", "a"),
            ("a b", "c"),
            ("", "c"),
            ("x", "a\r\nb"),
            ("x", "a\0"),
            ("x", " a"),
            ("x", "a\t"),
            ("connection", "close"),
            ("keep-alive", "5"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("proxy-connection", "x"),
            ("te", "gzip"),
            ("content-length", "0"),
            ("content-type", "text/plain"),
            ("host", "other"),
        ] {
            assert!(with(&[(name, value)]).is_err(), "{name}: {value:?}");
        }
        assert!(with(&[("te", "trailers"), ("host", "localhost:4433"), ("x", "")]).is_ok());
    }

    #[test]
    fn other_requests_are_told_apart() {
        let get = [(":method", "GET"), (":scheme", "https"), (":authority", "h"), (":path", "/")];
        let plain = |list: &[(&str, &str)]| match parse_request(fields(list)) {
            Ok(Parsed::Plain(request)) => Some((request.method.to_string(), request.authority)),
            _ => None,
        };
        assert_eq!(plain(&get), Some(("GET".into(), "h".into())));
        for path in ["/?q=100%", "/?%zz=%4", "/%41?%", "/?a?b"] {
            let mut list = GOOD.to_vec();
            list[3].1 = path;
            assert!(parse_request(fields(&list)).is_ok(), "{path}");
        }
        for authority in ["host:", "host:1", "[::1]", "[::1]:1"] {
            let mut list = GOOD.to_vec();
            list[2].1 = authority;
            list.extend([("host", authority); 2]);
            assert!(parse_request(fields(&list)).is_ok(), "{authority}");
        }
        assert!(with(&[("host", "localhost:4433"), ("host", "other")]).is_err());
        let host_only = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "h")];
        assert_eq!(plain(&host_only), Some(("GET".into(), "h".into())));
        assert_eq!(parse_request(fields(&[(":method", "CONNECT"), (":authority", "h:1")])), Ok(Parsed::Tunnel));
    }

    #[test]
    fn what_we_encode_we_understand() {
        let request = Request::new("h:1", "/p?q").protocol("a").protocol("b\"c");
        let mut bytes = encode_request(&request, "webtransport-h3", None);
        let mut frames = frame::FrameDecoder::default();
        assert!(matches!(frames.push(&mut bytes), Some(frame::Piece::Header { kind: kind::HEADERS, .. })));
        let Some(frame::Piece::Payload(block)) = frames.push(&mut bytes) else { panic!("a header block") };
        let limits = qpack::Limits { max_size: 4096, max_fields: 100 };
        let parsed = parse_request(qpack::decode(&block, limits).expect("our own block"));
        let Ok(Parsed::Upgrade { token, request }) = parsed else { panic!("{parsed:?}") };
        assert_eq!(token, "webtransport-h3");
        assert_eq!(request.protocols(), ["a", "b\"c"]);
    }
}
