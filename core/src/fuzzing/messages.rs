//! What header sections mean, and the judgement over them.

use std::net::Ipv6Addr;
use std::sync::LazyLock;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode_str;

use super::input::Input;
use crate::h3::{message, protocols};
use crate::middleware::{AllowOrigins, Arrival, Decision, Middleware};
use crate::router::Router;
use crate::wire::qpack::{self, Field, Limits};
use crate::wire::varint::PairDecoder;
use crate::{Request, Response};

/// The two structured fields of subprotocol negotiation, a header line for each line of the input.
pub fn protocols(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(protocols::AVAILABLE), value.clone());
            headers.append(HeaderName::from_static(protocols::CHOSEN), value);
        }
    }
    let offered = protocols::offered(&headers);
    assert!(offered.iter().all(|protocol| protocol.bytes().all(|byte| (0x20..0x7f).contains(&byte))));
    let again = protocols::serialize_offer(&offered);
    assert_eq!(again.is_none(), offered.is_empty());
    if let Some(Ok(value)) = again.as_deref().map(HeaderValue::from_str) {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(protocols::AVAILABLE), value)]);
        assert_eq!(protocols::offered(&headers), offered);
    }
    if let Some(chosen) = protocols::chosen(&headers) {
        let again = protocols::serialize_choice(&chosen).as_deref().map(HeaderValue::from_str);
        let Some(Ok(value)) = again else { panic!("{chosen:?} cannot be said again") };
        let headers = HeaderMap::from_iter([(HeaderName::from_static(protocols::CHOSEN), value)]);
        assert_eq!(protocols::chosen(&headers), Some(chosen));
    }

    // Any text at all, as an application may offer it: what the syntax cannot carry is left out, the rest stays.
    let texts: Vec<String> =
        data.split(|&byte| byte == b'\n').map(|line| String::from_utf8_lossy(line).into()).collect();
    let texts: Vec<String> = texts.into_iter().take(64).collect();
    let carried: Vec<&String> =
        texts.iter().filter(|text| text.bytes().all(|byte| (0x20..0x7f).contains(&byte))).collect();
    let offer = protocols::serialize_offer(&texts).unwrap_or_default();
    let Ok(value) = HeaderValue::from_str(&offer) else { panic!("{offer:?} is no header value") };
    let headers = HeaderMap::from_iter([(HeaderName::from_static(protocols::AVAILABLE), value)]);
    assert_eq!(protocols::offered(&headers).iter().collect::<Vec<_>>(), carried);
}

/// Names and values that an input can name by a byte.
const FIELDS: [(&[u8], &[u8]); 22] = [
    (b":method", b"CONNECT"),
    (b":scheme", b"https"),
    (b":authority", b"a.example:4433"),
    (b":path", b"/echo?x=1"),
    (b":protocol", b"webtransport"),
    (b":protocol", b"webtransport-h3"),
    (b":method", b"GET"),
    (b":status", b"200"),
    (b"origin", b"https://a.example"),
    (b"origin", b"http://localhost:8080"),
    (b"origin", b"https://[::1]:4433"),
    (b"cookie", b"a=1"),
    (b"host", b"a.example:4433"),
    (b"te", b"trailers"),
    (b"connection", b"close"),
    (b"content-length", b"0"),
    (b"content-type", b"text/plain"),
    (b"wt-available-protocols", b"\"a\", \"b\";q=1"),
    (b"wt-protocol", b"\"a\""),
    (b"sec-webtransport-http3-draft02", b"1"),
    (b":status", b"103"),
    (b"x", b""),
];

/// A request or a response: checked, written by us, and checked again; its origin judged by another comparison.
pub fn request(data: &[u8]) {
    let fields = fields(&mut Input::new(data));
    if let Ok(message::Parsed::Upgrade { token, request }) = message::parse_request(fields.clone()) {
        assert!(!request.authority().is_empty() && !request.authority().contains('@'));
        assert!(request.path().starts_with('/') && !request.path_and_query().contains(['#', ' ']));
        assert!(request.path_and_query().is_ascii() && !request.headers().contains_key(header::CONTENT_LENGTH));
        judged(&request);
        // As we write it, the offer stands once and in one field.
        let mut ours = request.as_ref().clone();
        ours.headers.remove(protocols::AVAILABLE);
        let block = section(message::encode_request(&ours, &token, None));
        let Ok(message::Parsed::Upgrade { token: again, request: mut theirs }) = message::parse_request(block) else {
            panic!("{ours:?} is not understood again")
        };
        theirs.headers.remove(protocols::AVAILABLE);
        assert_eq!((again, *theirs), (token, ours));
    }
    if let Ok(Some(response)) = message::parse_response(fields) {
        let mut ours = Response { protocol: None, ..response };
        for content in [header::CONTENT_LENGTH, header::CONTENT_TYPE] {
            ours.headers.remove(content);
        }
        let again = message::parse_response(section(message::encode_response(&ours, None)));
        let theirs = again.map(|response| response.map(|response| Response { protocol: None, ..response }));
        assert_eq!(theirs, Ok(Some(ours)));
    }
}

fn fields(input: &mut Input<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    while !input.is_empty() && fields.len() < 128 {
        let choice = input.byte();
        let known = FIELDS.get(usize::from(choice & 0x3f)).copied().unwrap_or_default();
        let (name, value) = match choice >> 6 {
            0 => known,
            1 => (known.0, input.short()),
            _ => (input.short(), input.short()),
        };
        fields.push(Field { name: Bytes::copy_from_slice(name), value: Bytes::copy_from_slice(value) });
    }
    fields
}

/// The fields of a HEADERS frame of ours.
fn section(mut frame: Bytes) -> Vec<Field> {
    let header = PairDecoder::default().push(&mut frame);
    assert_eq!(header, Some((1, frame.len() as u64)), "one HEADERS frame");
    let limits = Limits { max_size: usize::MAX, max_fields: usize::MAX };
    qpack::decode(&frame, limits).unwrap_or_else(|error| panic!("our own section: {error}"))
}

/// Origins allowed, and their ports.
const ALLOWED: [(&str, &str); 3] =
    [("https://a.example", "443"), ("http://localhost", "8080"), ("https://[::1]", "4433")];

fn judged(request: &Request) {
    #[expect(clippy::disallowed_methods, reason = "the judgement asked here does not look at the time")]
    let now = Instant::now();
    let decision = AllowOrigins::only(ALLOWED.map(|(origin, port)| format!("{origin}:{port}")))
        .allow_missing(false)
        .decide(&Arrival::new(request, None, now));
    let values: Vec<&HeaderValue> = request.headers().get_all(header::ORIGIN).iter().collect();
    let same = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        let default = if text.starts_with("https://") { "443" } else { "80" };
        // A port may be padded with zeros, and the default one need not be said.
        let said = text
            .rsplit_once(':')
            .filter(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
        let (origin, port) = said.unwrap_or((&text, default));
        // An IPv6 address can be written in many ways.
        let address =
            origin.strip_prefix("https://[").and_then(|rest| rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok());
        let origin = address.map_or_else(|| origin.to_owned(), |address| format!("https://[{address}]"));
        ALLOWED.contains(&(&origin, port.trim_start_matches('0')))
    };
    let allowed = matches!(values.as_slice(), [value] if same(value));
    assert_eq!(decision == Decision::Continue, allowed, "{values:?}");
}

/// A router with nothing but expressions; making one takes long.
static EXPRESSIONS: LazyLock<Router<usize>> = LazyLock::new(|| {
    let mut router = Router::new();
    for (index, expression) in [r"/files/.*", r"/(?P<year>\d{4})/(?P<name>[\w.-]+)|/old"].into_iter().enumerate() {
        assert_eq!(router.insert_expression(expression, MAX_PATTERNS + index), Ok(()));
    }
    router
});

/// Patterns that one input can register.
const MAX_PATTERNS: usize = 24;

/// Patterns and a path, one in each line: the tree against a search by hand.
pub fn router(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines: Vec<&str> = text.split('\n').take(MAX_PATTERNS).collect();
    let path = lines.pop().unwrap_or_default();
    let mut router = EXPRESSIONS.clone();
    lines.retain(|pattern| router.insert(pattern, 0).is_ok());
    let mut router = EXPRESSIONS.clone();
    for (index, pattern) in lines.iter().enumerate() {
        assert_eq!(router.insert(pattern, index), Ok(()), "what was not taken leaves nothing behind");
    }
    let by_hand = lines.iter().enumerate().filter_map(|(index, pattern)| Some((matches(pattern, path)?, index))).min();
    let found = router.find(path);
    let Some((kinds, index)) = by_hand else {
        assert!(found.is_none_or(|found| *found.value >= MAX_PATTERNS
            && decoded(path).is_some_and(|all| all.iter().all(|one| !one.contains('/')))));
        return;
    };
    let Some(found) = found else { panic!("{path:?} matches pattern {index} of {lines:?}") };
    assert_eq!((*found.value, found.pattern), (index, lines[index]));
    assert_eq!(found.params.len(), kinds.iter().filter(|kind| **kind > EXACT).count());
    for (name, value) in found.params.iter() {
        let stands =
            |pattern: &&str| [format!("{{{name}}}"), format!("{{*{name}}}")].iter().any(|one| pattern.contains(one));
        assert!(lines.iter().any(stands) && !value.is_empty());
    }
}

/// The segments of a path, decoded; `None` when it may match nothing.
fn decoded(path: &str) -> Option<Vec<String>> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let one = |segment: &&str| {
        let hex = |after: &str| after.get(..2).is_some_and(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let whole = segment.split('%').skip(1).all(hex);
        let segment = percent_decode_str(segment).decode_utf8().ok().filter(|_| whole)?;
        (segment != "." && segment != "..").then(|| segment.into_owned())
    };
    segments.iter().map(one).collect::<Option<Vec<String>>>().filter(|segments| segments.len() <= 64)
}

/// For each segment which sort of thing stands for it; `None` when the path does not match.
fn matches(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let segments = decoded(path)?;
    let parts: Vec<&str> = pattern.strip_prefix('/')?.split('/').collect();
    let mut kinds = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let segment = segments.get(at)?;
        if part.starts_with("{*") {
            kinds.push(REST);
            return (segments.len() > at + 1 || !segment.is_empty()).then_some(kinds);
        }
        let is_parameter = part.starts_with('{');
        if if is_parameter { segment.is_empty() } else { segment != part } {
            return None;
        }
        kinds.push(if is_parameter { PARAMETER } else { EXACT });
    }
    (parts.len() == segments.len()).then_some(kinds)
}

/// What stands for a segment, the best first.
const EXACT: u8 = 0;
const PARAMETER: u8 = 1;
const REST: u8 = 2;
