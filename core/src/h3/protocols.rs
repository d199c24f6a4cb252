//! Subprotocol negotiation: two header fields in the syntax of RFC 9651 (draft-ietf-webtrans-http3-16, section 3.3).

use http::HeaderMap;
use sfv::{BareItem, FieldType, Item, List, ListEntry, Parser};

use crate::limits::OFFERED_PROTOCOLS;

/// The client's offer.
pub(crate) const AVAILABLE: &str = "wt-available-protocols";
/// The server's choice.
pub(crate) const CHOSEN: &str = "wt-protocol";

/// What the client offers; nothing when the field is missing, malformed, or holds anything but strings.
pub(crate) fn offered(headers: &HeaderMap) -> Vec<String> {
    let lines: Vec<&[u8]> = headers.get_all(AVAILABLE).iter().map(http::HeaderValue::as_bytes).collect();
    // Lines of one list field join with commas, RFC 9651, section 4.2.
    let Ok(list) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return Vec::new() };
    if list.len() > OFFERED_PROTOCOLS {
        return Vec::new();
    }
    let strings: Option<Vec<String>> = list.into_iter().map(string_entry).collect();
    strings.unwrap_or_default()
}

/// What the server chose; nothing when the field is missing or not a string.
pub(crate) fn chosen(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(CHOSEN).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let item = Parser::new(line.as_bytes()).parse::<Item>().ok()?;
    string(item)
}

/// The offer as a header value; strings that RFC 9651 cannot carry (not printable ASCII) are left out.
pub(crate) fn serialize_offer(protocols: &[String]) -> Option<String> {
    let entries = protocols.iter().filter_map(|protocol| item(protocol).map(ListEntry::Item));
    let list: List = entries.collect();
    list.serialize()
}

/// The choice as a header value.
pub(crate) fn serialize_choice(protocol: &str) -> Option<String> {
    Some(item(protocol)?.serialize())
}

fn item(text: &str) -> Option<Item> {
    let string = sfv::String::from_string(text.to_owned()).ok()?;
    Some(Item::new(string))
}

fn string_entry(entry: ListEntry) -> Option<String> {
    match entry {
        ListEntry::Item(item) => string(item),
        ListEntry::InnerList(_) => None,
    }
}

/// Parameters are ignored, as the draft asks.
fn string(item: Item) -> Option<String> {
    match item.bare_item {
        BareItem::String(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AVAILABLE, line.parse().expect("test value"));
        }
        offered(&headers)
    }

    #[test]
    fn strings_are_taken_in_order_and_parameters_ignored() {
        assert_eq!(offer(&["\"a\";q=1, \"b\"", "\"c\\\"d\""]), ["a", "b", "c\"d"]);
    }

    #[test]
    fn anything_but_strings_voids_the_whole_field() {
        for bad in ["a, \"b\"", "\"a\", 1", "(\"a\" \"b\")", "\"a\",", "\"a", ":YQ==:", "?1"] {
            assert!(offer(&[bad]).is_empty(), "{bad}");
        }
        let many = vec!["\"x\""; OFFERED_PROTOCOLS + 1].join(", ");
        assert!(offer(&[&many]).is_empty());
    }

    #[test]
    fn a_choice_is_one_string() {
        let mut headers = HeaderMap::new();
        headers.append(CHOSEN, "\"chat\";x".parse().expect("test value"));
        assert_eq!(chosen(&headers).as_deref(), Some("chat"));
        headers.append(CHOSEN, "\"chat\"".parse().expect("test value"));
        assert_eq!(chosen(&headers), None);
    }
}
