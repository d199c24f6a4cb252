//! What goes in and out of an [`Endpoint`](crate::Endpoint): UDP datagrams with what the kernel says about them.

use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;

/// One UDP datagram that arrived.
#[derive(Debug, Clone)]
pub struct Receive {
    /// Who sent it.
    pub remote: SocketAddr,
    /// The local address it was sent to, where the system tells; answers leave from there.
    pub local_ip: Option<IpAddr>,
    /// The Explicit Congestion Notification bits of the IP header.
    pub ecn: Option<Ecn>,
    /// The payload of exactly one datagram; split what the kernel joined (GRO) before handing it in.
    pub data: BytesMut,
}

/// One or more UDP datagrams to send; the bytes are in the buffer given to
/// [`poll_transmit`](crate::Endpoint::poll_transmit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub destination: SocketAddr,
    /// The local address to send from, where it matters.
    pub source: Option<IpAddr>,
    /// The Explicit Congestion Notification bits to set.
    pub ecn: Option<Ecn>,
    /// Number of bytes in the buffer.
    pub size: usize,
    /// When present, the buffer holds several datagrams of this size (the last may be shorter), for one GSO send.
    pub segment_size: Option<usize>,
}

/// Explicit Congestion Notification codepoint (RFC 3168, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecn {
    /// ECT(0).
    Ect0,
    /// ECT(1).
    Ect1,
    /// Congestion experienced.
    Ce,
}

impl Ecn {
    /// The codepoint of the two low bits of the IP header's field; `None` for "not ECN-capable".
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            0b10 => Some(Self::Ect0),
            0b01 => Some(Self::Ect1),
            0b11 => Some(Self::Ce),
            _ => None,
        }
    }

    /// The two bits as they stand in the IP header.
    pub fn bits(self) -> u8 {
        match self {
            Self::Ect0 => 0b10,
            Self::Ect1 => 0b01,
            Self::Ce => 0b11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codepoints_go_both_ways_and_other_bits_do_not_matter() {
        for bits in 0..=u8::MAX {
            let ecn = Ecn::from_bits(bits);
            assert_eq!(ecn.map_or(0, Ecn::bits), bits & 3, "{bits:#b}");
        }
        assert_eq!(Ecn::from_bits(0b10), Some(Ecn::Ect0));
    }
}
