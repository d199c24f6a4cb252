//! From messages of the kernel to datagrams of the core and back, and what errors mean.

use std::io::{self, ErrorKind};

use bytes::BytesMut;
use quinn_udp::{EcnCodepoint, RecvMeta};
use transom_core::{Ecn, Receive, Transmit};

use crate::slabs::Slabs;

/// Cuts a message into its datagrams and gives each to `sink`; those that the kernel joined share memory, if there is any.
pub(crate) fn split(message: &[u8], meta: &RecvMeta, slabs: &mut Slabs, sink: &mut dyn FnMut(Receive)) {
    let mut give = |data| {
        sink(Receive { remote: meta.addr, local_ip: meta.dst_ip, ecn: meta.ecn.map(from_codepoint), data });
    };
    let size = meta.stride.max(1);
    let shared = if message.len() > size { slabs.copy(message) } else { None };
    match shared {
        Some(mut shared) => {
            while !shared.is_empty() {
                give(shared.split_to(size.min(shared.len())));
            }
        }
        None => message.chunks(size).for_each(|datagram| give(BytesMut::from(datagram))),
    }
}

/// The message that sends `bytes` as `transmit` describes.
pub(crate) fn join<'a>(transmit: &Transmit, bytes: &'a [u8]) -> quinn_udp::Transmit<'a> {
    quinn_udp::Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn.map(to_codepoint),
        contents: bytes,
        segment_size: transmit.segment_size,
        src_ip: transmit.source,
    }
}

/// Whether an error of receiving is the echo of something sent to one peer (an ICMP message) or a lost datagram.
pub(crate) fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionAborted
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
    ) || quinn_udp::is_msg_size_err(error)
}

fn to_codepoint(ecn: Ecn) -> EcnCodepoint {
    match ecn {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

fn from_codepoint(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(stride: usize) -> RecvMeta {
        let mut meta = RecvMeta::default();
        (meta.stride, meta.ecn) = (stride, Some(EcnCodepoint::Ce));
        meta
    }

    #[test]
    fn an_empty_datagram_is_none() {
        let mut count = 0;
        split(&[], &meta(0), &mut Slabs::default(), &mut |_| count += 1);
        assert_eq!(count, 0);
    }

    #[test]
    fn a_message_is_split_at_its_stride_and_the_last_may_be_shorter() {
        let mut datagrams = Vec::new();
        split(b"aaabbbc", &meta(3), &mut Slabs::default(), &mut |datagram| {
            datagrams.push((datagram.data.to_vec(), datagram.ecn));
        });
        let marked = |bytes: &[u8]| (bytes.to_vec(), Some(Ecn::Ce));
        assert_eq!(datagrams, [marked(b"aaa"), marked(b"bbb"), marked(b"c")]);
    }

    /// One datagram of each message is kept, among them a peer that means harm.
    #[test]
    fn where_much_is_kept_each_datagram_keeps_itself_only() {
        let (message, mut slabs, mut kept) = (vec![7; 60_000], Slabs::default(), Vec::new());
        for _ in 0..100 {
            let mut of_this = Vec::new();
            split(&message, &meta(1_200), &mut slabs, &mut |datagram| of_this.push(datagram.data));
            assert_eq!((of_this.len(), of_this.concat().len()), (50, 60_000));
            kept.push(of_this.swap_remove(25));
        }
        // Who is alone in memory can grow into what is left of it.
        let in_more_than_their_own =
            kept.iter_mut().map(|datagram| datagram.try_reclaim(10_000)).filter(|can| *can).count();
        assert_eq!(in_more_than_their_own, 0);
    }

    #[test]
    fn codepoints_are_the_same_in_both_languages() {
        for ecn in [Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            assert_eq!(from_codepoint(to_codepoint(ecn)), ecn);
            assert_eq!(to_codepoint(ecn) as u8, ecn.bits());
        }
    }

    #[test]
    fn the_echo_of_one_peer_breaks_no_socket() {
        assert!(concerns_one_peer(&ErrorKind::ConnectionRefused.into()));
        assert!(!concerns_one_peer(&ErrorKind::WouldBlock.into()));
        assert!(!concerns_one_peer(&ErrorKind::BrokenPipe.into()));
    }
}
