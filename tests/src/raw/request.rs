use super::{qpack, wire};

/// The field lines of a request, in order, free to be wrong.
#[derive(Debug, Clone)]
pub struct Request {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Request {
    /// A well-formed WebTransport CONNECT with the token that browsers use.
    pub fn webtransport(authority: &str, path: &str) -> Self {
        Self { fields: Vec::new() }
            .and(":method", "CONNECT")
            .and(":scheme", "https")
            .and(":authority", authority)
            .and(":path", path)
            .and(":protocol", "webtransport")
    }

    /// A well-formed plain request.
    pub fn plain(method: &str, authority: &str, path: &str) -> Self {
        Self { fields: Vec::new() }
            .and(":method", method)
            .and(":scheme", "https")
            .and(":authority", authority)
            .and(":path", path)
    }

    /// Adds a field at the end.
    pub fn and(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Puts a field in front of all others.
    pub fn first(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.insert(0, (name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Removes every field of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name.as_bytes());
        self
    }

    /// Gives every field of this name another value.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for (_, old) in self.fields.iter_mut().filter(|(known, _)| known == name.as_bytes()) {
            *old = value.as_ref().to_vec();
        }
        self
    }

    /// The encoded field section.
    pub fn block(&self) -> Vec<u8> {
        qpack::block(&self.fields)
    }

    /// The HEADERS frame.
    pub fn frame(&self) -> Vec<u8> {
        wire::frame(wire::HEADERS, &self.block())
    }
}
