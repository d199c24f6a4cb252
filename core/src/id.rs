//! The names of things: connections, sessions, streams.

use std::fmt;

/// Names one connection of an [`Endpoint`](crate::Endpoint) for as long as the endpoint lives.
///
/// A number is never given out twice: an identifier of a connection that is gone stays unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    pub(crate) index: u32,
    pub(crate) generation: u64,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.generation)
    }
}

/// Names one WebTransport session within its connection: the stream id of its CONNECT stream.
///
/// Source: draft-ietf-webtrans-http3-16, section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) u64);

impl SessionId {
    /// The identifier as a number, always a client-initiated bidirectional stream id.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The CONNECT stream this session lives on.
    pub(crate) fn stream(self) -> StreamId {
        StreamId(self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one stream within its connection (RFC 9000, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub(crate) u64);

impl StreamId {
    /// The identifier as it appears on the wire.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Who opened the stream.
    pub fn initiator(self) -> Role {
        if self.0 & 1 == 0 { Role::Client } else { Role::Server }
    }

    /// Whether both sides send on the stream, or only the one that opened it.
    pub fn direction(self) -> Direction {
        if self.0 & 2 == 0 { Direction::Bidirectional } else { Direction::Unidirectional }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The two kinds of stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both sides send.
    Bidirectional,
    /// Only the side that opened the stream sends.
    Unidirectional,
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that connected.
    Client,
    /// The end that listened.
    Server,
}

impl Role {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_bits_of_a_stream_id_say_who_opened_it_and_how() {
        let kinds: Vec<_> = (4..8).map(|id| (StreamId(id).initiator(), StreamId(id).direction())).collect();
        let (client, server) = (Role::Client, Role::Server);
        let (both, one) = (Direction::Bidirectional, Direction::Unidirectional);
        assert_eq!(kinds, [(client, both), (server, both), (client, one), (server, one)]);
        assert_eq!((client.other(), server.other()), (server, client));
    }

    #[test]
    fn ids_are_shown_as_their_numbers() {
        let connection = ConnectionId { index: 3, generation: 9 };
        assert_eq!(format!("{connection} {} {}", SessionId(8), StreamId(15)), "9 8 15");
        assert_eq!((SessionId(8).get(), StreamId(15).get()), (8, 15));
    }
}
