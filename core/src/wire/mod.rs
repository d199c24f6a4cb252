//! Encoders and decoders for the bytes of HTTP/3 and WebTransport, without any connection state.
//!
//! Every decoder here takes bytes as they come from a peer: it never panics, never reserves memory by a length the
//! peer merely declared, and holds only what it documents. What a malformed input means for the connection or the
//! session is decided by the layers above.

pub mod app_error;
pub mod capsule;
pub mod datagram;
pub mod exporter;
pub mod frame;
pub mod qpack;
pub mod settings;
pub mod stream_header;
pub mod varint;
