//! The static table of QPACK (RFC 9204, Appendix A).

#![expect(clippy::indexing_slicing, reason = "a table of fixed size sorted at compile time")]

/// Number of entries in the static table (RFC 9204, Appendix A).
pub const LENGTH: usize = 99;

/// Names and values by index (RFC 9204, Appendix A).
#[rustfmt::skip]
pub const ENTRIES: [(&str, &str); LENGTH] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

/// Indices of [`ENTRIES`] in order of name, and of index where names are equal.
const BY_NAME: [u8; LENGTH] = order_by_name();

/// What the static table has for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// An entry with this name and value, by index.
    Field(u8),
    /// An entry with this name but no entry with this value, by its lowest index.
    Name(u8),
}

/// Returns name and value at `index`, or `None` past the end of the table (RFC 9204, section 3.1).
pub fn get(index: u64) -> Option<(&'static str, &'static str)> {
    ENTRIES.get(usize::try_from(index).ok()?).copied()
}

/// Looks a field up, in about seven comparisons of names; `None` if not even the name is there.
pub fn find(name: &[u8], value: &[u8]) -> Option<Match> {
    let start = BY_NAME.partition_point(|&index| entry(index).0.as_bytes() < name);
    let mut first = None;
    for &index in BY_NAME.get(start..)? {
        let (entry_name, entry_value) = entry(index);
        if entry_name.as_bytes() != name {
            break;
        }
        if entry_value.as_bytes() == value {
            return Some(Match::Field(index));
        }
        first = first.or(Some(Match::Name(index)));
    }
    first
}

fn entry(index: u8) -> (&'static str, &'static str) {
    ENTRIES.get(usize::from(index)).copied().unwrap_or_default()
}

const fn order_by_name() -> [u8; LENGTH] {
    let mut order = [0; LENGTH];
    let mut index = 0;
    while index < LENGTH {
        // Insertion keeps equal names in the order of their indices.
        let mut place = index;
        while place > 0 && is_less(ENTRIES[index].0, ENTRIES[order[place - 1] as usize].0) {
            order[place] = order[place - 1];
            place -= 1;
        }
        order[place] = index as u8;
        index += 1;
    }
    order
}

const fn is_less(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut index = 0;
    while index < left.len() && index < right.len() {
        if left[index] != right[index] {
            return left[index] < right[index];
        }
        index += 1;
    }
    left.len() < right.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_finds_itself() {
        for (index, (name, value)) in (0_u8..).zip(ENTRIES) {
            assert_eq!(get(index.into()), Some((name, value)));
            assert_eq!(find(name.as_bytes(), value.as_bytes()), Some(Match::Field(index)));
            let lowest = ENTRIES.iter().position(|entry| entry.0 == name).map(|index| Match::Name(index as u8));
            assert_eq!(find(name.as_bytes(), b"no such value"), lowest);
        }
        assert_eq!((get(99), get(u64::MAX)), (None, None));
    }

    #[test]
    fn other_names_find_nothing() {
        for name in ["", ":", ":statu", ":status0", "x-frame-options0", "zzz", "sec-webtransport-http3-draft"] {
            assert_eq!(find(name.as_bytes(), b""), None);
        }
        assert_eq!(find(&[0xff; 40], b""), None);
    }

    #[test]
    fn entries_at_known_indices() {
        // RFC 9204, appendix A.
        assert_eq!(get(0), Some((":authority", "")));
        assert_eq!(get(15), Some((":method", "CONNECT")));
        assert_eq!(get(25), Some((":status", "200")));
        assert_eq!(get(63), Some((":status", "100")));
        assert_eq!(get(98), Some(("x-frame-options", "sameorigin")));
    }
}
