//! A QUIC client whose packets are written by hand, for what no QUIC stack can be made to send.
//!
//! The keys come from rustls, everything above them is ours: headers, packet numbers, frames, transport parameters. It knows
//! just enough of QUIC to get through a handshake with a server core in memory, where nothing is lost or reordered, and to
//! read why that server closed the connection.

mod client;
pub mod frames;
mod packet;
mod parameters;

pub use client::{Closed, Forger, TLS_ALERT};
pub use packet::{ReservedBits, Space};
pub use parameters::Parameters;

/// Transport error codes (RFC 9000, section 20.1).
pub mod transport {
    /// INTERNAL_ERROR.
    pub const INTERNAL_ERROR: u64 = 0x01;
    /// FLOW_CONTROL_ERROR.
    pub const FLOW_CONTROL_ERROR: u64 = 0x03;
    /// STREAM_LIMIT_ERROR.
    pub const STREAM_LIMIT_ERROR: u64 = 0x04;
    /// STREAM_STATE_ERROR.
    pub const STREAM_STATE_ERROR: u64 = 0x05;
    /// FINAL_SIZE_ERROR.
    pub const FINAL_SIZE_ERROR: u64 = 0x06;
    /// FRAME_ENCODING_ERROR.
    pub const FRAME_ENCODING_ERROR: u64 = 0x07;
    /// TRANSPORT_PARAMETER_ERROR.
    pub const TRANSPORT_PARAMETER_ERROR: u64 = 0x08;
    /// CONNECTION_ID_LIMIT_ERROR.
    pub const CONNECTION_ID_LIMIT_ERROR: u64 = 0x09;
    /// PROTOCOL_VIOLATION.
    pub const PROTOCOL_VIOLATION: u64 = 0x0a;
    /// CRYPTO_BUFFER_EXCEEDED.
    pub const CRYPTO_BUFFER_EXCEEDED: u64 = 0x0d;
}
