//! Header fields as JSON, the same way wherever the command shows them.

use http::HeaderMap;
use serde_json::{Map, Value};

/// An object of name and value; a name with several values gets an array of them.
///
/// Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn headers(fields: &HeaderMap) -> Map<String, Value> {
    let mut object = Map::new();
    for name in fields.keys() {
        let mut values: Vec<Value> =
            fields.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        object.insert(name.to_string(), value);
    }
    object
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn one_value_is_a_string_and_several_are_an_array() {
        let mut fields = HeaderMap::new();
        fields.append("origin", HeaderValue::from_static("https://a.example"));
        fields.append("x-twice", HeaderValue::from_static("1"));
        fields.append("x-twice", HeaderValue::from_bytes(b"\xff").unwrap());
        let object = serde_json::Value::Object(super::headers(&fields));
        assert_eq!(object, serde_json::json!({ "origin": "https://a.example", "x-twice": ["1", "\u{fffd}"] }));
    }
}
