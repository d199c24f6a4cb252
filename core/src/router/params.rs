//! What the parameters of a pattern stood for.

/// What the parameters of a pattern stood for, percent-decoded, in the pattern's order.
///
/// A value is text of the client's choosing: an encoded slash, a backslash, or a NUL in it is there after decoding. It is
/// no name of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    entries: Vec<(String, String)>,
}

impl Params {
    pub(super) fn new(entries: Vec<(String, String)>) -> Self {
        Self { entries }
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names and values in the pattern's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the pattern had no parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
