//! Reads enough of a new stream to know what it is, and nothing that belongs to the application.

use bytes::Bytes;

use crate::wire::{stream_header::kind, varint};
use crate::{Direction, StreamId};

/// What a new stream turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    Control,
    Push,
    QpackEncoder,
    QpackDecoder,
    /// A WebTransport stream; the session id is unchecked.
    WebTransport {
        session: u64,
    },
    /// A request stream (or, for a client, a misplaced bidirectional stream), with the bytes taken from it so far.
    Request {
        taken: Bytes,
    },
    /// A unidirectional stream of a type nobody here knows.
    Unknown,
}

/// The first bytes of one stream.
#[derive(Debug)]
pub(crate) struct Classifier {
    direction: Direction,
    taken: [u8; 16],
    length: usize,
}

impl Classifier {
    pub(crate) fn new(stream: StreamId) -> Self {
        Self { direction: stream.direction(), taken: [0; 16], length: 0 }
    }

    /// How many bytes to read now. What belongs to the application is never among them.
    pub(crate) fn wants(&self) -> usize {
        let taken = self.taken();
        let Some(&first) = taken.first() else { return FIRST_READ };
        match varint::decode(taken) {
            None => varint::length_from_first_byte(first) - taken.len(),
            Some((_, used)) => match taken.get(used) {
                None => 1,
                Some(&second) => (used + varint::length_from_first_byte(second)).saturating_sub(taken.len()),
            },
        }
    }

    /// Whether nothing was read yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes at most [`wants`](Self::wants) bytes; returns the class once it is known.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Class> {
        for &byte in bytes {
            if let Some(slot) = self.taken.get_mut(self.length) {
                *slot = byte;
                self.length += 1;
            }
        }
        let (value, used) = varint::decode(self.taken())?;
        let class = match (self.direction, value) {
            (Direction::Unidirectional, kind::WEBTRANSPORT_UNI)
            | (Direction::Bidirectional, kind::WEBTRANSPORT_BIDI) => {
                let (session, _) = varint::decode(self.taken().get(used..)?)?;
                Class::WebTransport { session }
            }
            (Direction::Unidirectional, kind::CONTROL) => Class::Control,
            (Direction::Unidirectional, kind::PUSH) => Class::Push,
            (Direction::Unidirectional, kind::QPACK_ENCODER) => Class::QpackEncoder,
            (Direction::Unidirectional, kind::QPACK_DECODER) => Class::QpackDecoder,
            (Direction::Unidirectional, _) => Class::Unknown,
            (Direction::Bidirectional, _) => Class::Request { taken: Bytes::copy_from_slice(self.taken()) },
        };
        Some(class)
    }

    /// What was read behind the type of a unidirectional stream of HTTP/3.
    pub(crate) fn rest(&self) -> Bytes {
        let used = varint::decode(self.taken()).map_or(0, |(_, used)| used);
        Bytes::copy_from_slice(self.taken().get(used..).unwrap_or_default())
    }

    fn taken(&self) -> &[u8] {
        self.taken.get(..self.length).unwrap_or_default()
    }
}

/// Bytes that every stream is asked for first. The header of a WebTransport stream is no shorter: its type takes two bytes
/// in the shortest form, and the session id one. What more of another stream is read by it is HTTP/3's own.
pub(crate) const FIRST_READ: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(stream: u64, bytes: &[u8]) -> (Option<Class>, usize) {
        let mut classifier = Classifier::new(StreamId(stream));
        let mut used = 0;
        while used < bytes.len() {
            let wanted = classifier.wants().min(bytes.len() - used);
            assert!(wanted > 0, "an unfinished classifier wants bytes");
            let class = classifier.push(&bytes[used..used + wanted]);
            used += wanted;
            if class.is_some() {
                return (class, used);
            }
        }
        (None, used)
    }

    #[test]
    fn reads_two_integers_and_no_byte_more() {
        assert_eq!(classify(2, &[0x40, 0x54, 0x04, 9, 9]), (Some(Class::WebTransport { session: 4 }), 3));
        assert_eq!(classify(0, &[0x40, 0x41, 0x44, 0x00, 9]), (Some(Class::WebTransport { session: 0x400 }), 4));
    }

    #[test]
    fn what_is_read_of_other_streams_is_kept() {
        assert_eq!(classify(2, &[0x00, 0x04]), (Some(Class::Control), 2));
        assert_eq!(classify(2, &[0x21, 0x04]), (Some(Class::Unknown), 2));
        assert_eq!(classify(0, &[0x01, 9, 8, 7]), (Some(Class::Request { taken: Bytes::from_static(&[1, 9, 8]) }), 3));
        let mut classifier = Classifier::new(StreamId(2));
        assert_eq!(classifier.push(&[0x00, 0x04, 0x05]), Some(Class::Control));
        assert_eq!(classifier.rest(), Bytes::from_static(&[4, 5]));
    }

    #[test]
    fn the_shortest_header_of_a_session_s_stream_is_what_is_asked_for_first() {
        for stream in [0, 2] {
            let mut header = bytes::BytesMut::new();
            match StreamId(stream).direction() {
                Direction::Bidirectional => crate::wire::stream_header::encode_bidi(0, &mut header),
                Direction::Unidirectional => crate::wire::stream_header::encode_uni(0, &mut header),
            }
            assert_eq!(header.len(), FIRST_READ);
            assert_eq!(classify(stream, &header), (Some(Class::WebTransport { session: 0 }), FIRST_READ));
        }
    }

    #[test]
    fn longer_forms_of_an_integer_mean_the_same() {
        assert_eq!(classify(2, &[0x80, 0, 0, 0x54, 0x40, 0x00]), (Some(Class::WebTransport { session: 0 }), 6));
        assert_eq!(classify(2, &[0x40, 0x00]), (Some(Class::Control), 2));
    }

    #[test]
    fn a_cut_header_stays_unknown() {
        assert_eq!(classify(2, &[0x40]).0, None);
        assert_eq!(classify(0, &[0x40, 0x41]).0, None);
        assert_eq!(classify(0, &[0x40, 0x41, 0x80, 0]).0, None);
    }
}
