//! What quinn says and hears, in our words and in its own.

use std::time::Duration;

use quinn_proto::{self as quinn, Dir, VarInt};

use super::{QuicEvent, Write};
use crate::{ConnectionError, Direction, Ecn, ErrorCode, StreamId, Transmit};

/// Translates what quinn wants sent.
pub(crate) fn transmit(transmit: quinn::Transmit) -> Transmit {
    Transmit {
        destination: transmit.destination,
        source: transmit.src_ip,
        ecn: transmit.ecn.and_then(|ecn| Ecn::from_bits(ecn as u8)),
        size: transmit.size,
        segment_size: transmit.segment_size,
    }
}

/// Translates the congestion bits of a datagram that arrived.
pub(crate) fn ecn(ecn: Option<Ecn>) -> Option<quinn::EcnCodepoint> {
    ecn.and_then(|ecn| quinn::EcnCodepoint::from_bits(ecn.bits()))
}

/// The end of a QUIC connection as an error of ours.
pub(crate) fn connection_error(error: quinn::ConnectionError) -> ConnectionError {
    match error {
        quinn::ConnectionError::ApplicationClosed(close) => ConnectionError::ClosedByPeer {
            code: ErrorCode(close.error_code.into_inner()),
            reason: peer_text(&close.reason),
        },
        quinn::ConnectionError::ConnectionClosed(close) => {
            ConnectionError::Transport { code: u64::from(close.error_code), reason: peer_text(&close.reason) }
        }
        quinn::ConnectionError::TransportError(error) => {
            ConnectionError::Transport { code: u64::from(error.code), reason: error.reason }
        }
        quinn::ConnectionError::Reset => ConnectionError::Reset,
        quinn::ConnectionError::TimedOut => ConnectionError::TimedOut,
        quinn::ConnectionError::LocallyClosed => {
            ConnectionError::ClosedLocally { code: ErrorCode::H3_NO_ERROR, reason: String::new() }
        }
        // VERSION_NEGOTIATION_ERROR does not travel; 0x11 is its number in RFC 9368.
        quinn::ConnectionError::VersionMismatch => {
            ConnectionError::Transport { code: 0x11, reason: "the peer speaks no QUIC version of ours".into() }
        }
        quinn::ConnectionError::CidsExhausted => {
            ConnectionError::Transport { code: 0x1, reason: "no connection ids left".into() }
        }
    }
}

/// What a window lets through; `None` for a round trip that took no time.
pub(super) fn bits_per_second(window: u64, rtt: Duration) -> Option<u64> {
    let bits = u128::from(window) * 8 * Duration::from_secs(1).as_nanos();
    u64::try_from(bits.checked_div(rtt.as_nanos())?).ok()
}

/// Text of the peer's choosing, made harmless in length and form before it reaches a log.
pub(super) fn peer_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(256).collect()
}

pub(super) fn written(result: Result<usize, quinn::WriteError>) -> Write {
    match result {
        Ok(taken) => Write::Taken(taken),
        Err(quinn::WriteError::Blocked) => Write::Blocked,
        Err(quinn::WriteError::Stopped(code)) => Write::Stopped(ErrorCode(code.into_inner())),
        Err(quinn::WriteError::ClosedStream) => Write::Closed,
    }
}

pub(super) fn stream_event(event: quinn::StreamEvent) -> QuicEvent {
    match event {
        quinn::StreamEvent::Opened { dir } => QuicEvent::Opened(direction(dir)),
        quinn::StreamEvent::Readable { id } => QuicEvent::Readable(stream_id(id)),
        quinn::StreamEvent::Writable { id } => QuicEvent::Writable(stream_id(id)),
        quinn::StreamEvent::Finished { id } => QuicEvent::Finished(stream_id(id)),
        quinn::StreamEvent::Stopped { id, error_code } => {
            QuicEvent::Stopped(stream_id(id), ErrorCode(error_code.into_inner()))
        }
        quinn::StreamEvent::Available { dir } => QuicEvent::Available(direction(dir)),
    }
}

pub(super) fn direction(dir: Dir) -> Direction {
    match dir {
        Dir::Bi => Direction::Bidirectional,
        Dir::Uni => Direction::Unidirectional,
    }
}

pub(super) fn dir(direction: Direction) -> Dir {
    match direction {
        Direction::Bidirectional => Dir::Bi,
        Direction::Unidirectional => Dir::Uni,
    }
}

pub(super) fn stream_id(id: quinn::StreamId) -> StreamId {
    StreamId(id.into())
}

/// Stream ids come from quinn, or from a peer's varint: both fit 62 bits.
pub(super) fn quinn_id(id: StreamId) -> quinn::StreamId {
    quinn::StreamId::from(varint(id.0))
}

pub(super) fn varint(value: u64) -> VarInt {
    VarInt::from_u64(value).unwrap_or(VarInt::MAX)
}
