//! Reads just enough of a new stream to know what it is: at most two variable-length integers.

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
    webtransport: bool,
    taken: [u8; 8],
    length: usize,
}

impl Classifier {
    pub(crate) fn new(stream: StreamId) -> Self {
        Self { direction: stream.direction(), webtransport: false, taken: [0; 8], length: 0 }
    }

    /// How many bytes the current integer still needs, never more: what follows belongs to somebody else.
    pub(crate) fn wants(&self) -> usize {
        let first = self.taken.first().copied().unwrap_or(0);
        let whole = if self.length == 0 { 1 } else { varint::length_from_first_byte(first) };
        whole - self.length.min(whole)
    }

    /// Whether nothing was read yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0 && !self.webtransport
    }

    /// Takes at most [`wants`](Self::wants) bytes; returns the class once it is known.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Class> {
        for &byte in bytes {
            if let Some(slot) = self.taken.get_mut(self.length) {
                *slot = byte;
                self.length += 1;
            }
        }
        let taken = self.taken.get(..self.length)?;
        let (value, _) = varint::decode(taken)?;
        if self.webtransport {
            return Some(Class::WebTransport { session: value });
        }
        let class = match (self.direction, value) {
            (Direction::Unidirectional, kind::WEBTRANSPORT_UNI)
            | (Direction::Bidirectional, kind::WEBTRANSPORT_BIDI) => {
                self.webtransport = true;
                self.length = 0;
                return None;
            }
            (Direction::Unidirectional, kind::CONTROL) => Class::Control,
            (Direction::Unidirectional, kind::PUSH) => Class::Push,
            (Direction::Unidirectional, kind::QPACK_ENCODER) => Class::QpackEncoder,
            (Direction::Unidirectional, kind::QPACK_DECODER) => Class::QpackDecoder,
            (Direction::Unidirectional, _) => Class::Unknown,
            (Direction::Bidirectional, _) => Class::Request { taken: Bytes::copy_from_slice(taken) },
        };
        Some(class)
    }
}

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
        assert_eq!(classify(2, &[0x00, 0x04]), (Some(Class::Control), 1));
        assert_eq!(classify(2, &[0x21, 0x04]), (Some(Class::Unknown), 1));
        assert_eq!(classify(0, &[0x01, 9]), (Some(Class::Request { taken: Bytes::from_static(&[1]) }), 1));
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
