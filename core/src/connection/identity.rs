//! Who the peer has shown to be.

use bytes::Bytes;

use super::Connection;

impl Connection {
    /// The peer's certificate chain in DER, its own first; empty where it showed none.
    ///
    /// A server's clients show one only if its TLS configuration asks for it, and TLS has judged it then.
    pub fn peer_certificates(&self) -> Vec<Bytes> {
        self.quic.peer_certificates()
    }
}
