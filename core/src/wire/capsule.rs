//! Capsules on the CONNECT stream of a session (RFC 9297, section 3; draft-ietf-webtrans-http3-16, sections 5.6
//! and 6).

use bytes::{Buf, BufMut, Bytes};

use super::varint::{self, PairDecoder};

/// Capsule types this stack knows.
pub mod kind {
    /// DATAGRAM (RFC 9297, section 3.5).
    pub const DATAGRAM: u64 = 0x00;
    /// WT_CLOSE_SESSION (draft-ietf-webtrans-http3-16, section 6).
    pub const CLOSE_SESSION: u64 = 0x2843;
    /// WT_DRAIN_SESSION (draft-ietf-webtrans-http3-16, section 4.7).
    pub const DRAIN_SESSION: u64 = 0x78ae;
    /// WT_MAX_DATA (draft-ietf-webtrans-http3-16, section 5.6.4).
    pub const MAX_DATA: u64 = 0x190b_4d3d;
    /// WT_MAX_STREAM_DATA, which HTTP/3 does not allow (draft-ietf-webtrans-http3-16, section 5.4).
    pub const MAX_STREAM_DATA: u64 = 0x190b_4d3e;
    /// WT_MAX_STREAMS for bidirectional streams (draft-ietf-webtrans-http3-16, section 5.6.2).
    pub const MAX_STREAMS_BIDI: u64 = 0x190b_4d3f;
    /// WT_MAX_STREAMS for unidirectional streams (draft-ietf-webtrans-http3-16, section 5.6.2).
    pub const MAX_STREAMS_UNI: u64 = 0x190b_4d40;
    /// WT_DATA_BLOCKED (draft-ietf-webtrans-http3-16, section 5.6.5).
    pub const DATA_BLOCKED: u64 = 0x190b_4d41;
    /// WT_STREAM_DATA_BLOCKED, which HTTP/3 does not allow (draft-ietf-webtrans-http3-16, section 5.4).
    pub const STREAM_DATA_BLOCKED: u64 = 0x190b_4d42;
    /// WT_STREAMS_BLOCKED for bidirectional streams (draft-ietf-webtrans-http3-16, section 5.6.3).
    pub const STREAMS_BLOCKED_BIDI: u64 = 0x190b_4d43;
    /// WT_STREAMS_BLOCKED for unidirectional streams (draft-ietf-webtrans-http3-16, section 5.6.3).
    pub const STREAMS_BLOCKED_UNI: u64 = 0x190b_4d44;
}

/// Longest reason, in bytes, that a close capsule may carry (draft-ietf-webtrans-http3-16, section 6).
pub const MAX_CLOSE_REASON: usize = 1024;

/// Bytes of the application error code before the reason.
const CLOSE_CODE_SIZE: u64 = 4;

/// Longest value of a flow-control capsule: one variable-length integer.
const MAX_INTEGER_SIZE: u64 = 8;

/// One capsule, as far as a session cares about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capsule {
    /// WT_CLOSE_SESSION: the peer ends the session.
    CloseSession {
        /// The application error code.
        code: u32,
        /// The application's explanation, at most [`MAX_CLOSE_REASON`] bytes when it was decoded.
        reason: String,
    },
    /// WT_DRAIN_SESSION: the peer asks to finish the session soon.
    DrainSession,
    /// WT_MAX_DATA: the total of bytes the receiver may send in the session.
    MaxData(u64),
    /// WT_MAX_STREAMS: the total of bidirectional streams the receiver may open; not checked against 2^60.
    MaxStreamsBidi(u64),
    /// WT_MAX_STREAMS: the total of unidirectional streams the receiver may open; not checked against 2^60.
    MaxStreamsUni(u64),
    /// WT_DATA_BLOCKED: the limit on bytes at which the sender is stuck.
    DataBlocked(u64),
    /// WT_STREAMS_BLOCKED: the limit on bidirectional streams at which the sender is stuck; not checked against 2^60.
    StreamsBlockedBidi(u64),
    /// WT_STREAMS_BLOCKED: the limit on unidirectional streams at which the sender is stuck; not checked against 2^60.
    StreamsBlockedUni(u64),
    /// A capsule that WebTransport over HTTP/3 forbids (draft-ietf-webtrans-http3-16, section 5.4).
    Prohibited {
        /// The capsule type.
        kind: u64,
    },
    /// A DATAGRAM capsule or one of an unknown type, whose value is thrown away (RFC 9297, section 3.2).
    Skipped {
        /// The capsule type.
        kind: u64,
        /// The length the peer declared for the value.
        length: u64,
    },
}

impl Capsule {
    /// Returns the type of the capsule; see [`kind`].
    pub const fn kind(&self) -> u64 {
        match self {
            Self::CloseSession { .. } => kind::CLOSE_SESSION,
            Self::DrainSession => kind::DRAIN_SESSION,
            Self::MaxData(_) => kind::MAX_DATA,
            Self::MaxStreamsBidi(_) => kind::MAX_STREAMS_BIDI,
            Self::MaxStreamsUni(_) => kind::MAX_STREAMS_UNI,
            Self::DataBlocked(_) => kind::DATA_BLOCKED,
            Self::StreamsBlockedBidi(_) => kind::STREAMS_BLOCKED_BIDI,
            Self::StreamsBlockedUni(_) => kind::STREAMS_BLOCKED_UNI,
            Self::Prohibited { kind } | Self::Skipped { kind, .. } => *kind,
        }
    }

    /// Whether it belongs to session flow control (draft-ietf-webtrans-http3-16, section 5.6).
    pub const fn is_flow_control(&self) -> bool {
        matches!(
            self,
            Self::MaxData(_)
                | Self::MaxStreamsBidi(_)
                | Self::MaxStreamsUni(_)
                | Self::DataBlocked(_)
                | Self::StreamsBlockedBidi(_)
                | Self::StreamsBlockedUni(_)
        )
    }

    /// Writes the capsule (RFC 9297, section 3.2).
    ///
    /// A close reason is cut by [`truncate_reason`]. [`Capsule::Prohibited`] and [`Capsule::Skipped`] are written
    /// with an empty value, as theirs is not known.
    pub fn encode(&self, out: &mut impl BufMut) {
        varint::encode(self.kind(), out);
        match self {
            Self::CloseSession { code, reason } => {
                let reason = truncate_reason(reason);
                varint::encode(CLOSE_CODE_SIZE + reason.len() as u64, out);
                out.put_u32(*code);
                out.put_slice(reason.as_bytes());
            }
            Self::MaxData(value)
            | Self::MaxStreamsBidi(value)
            | Self::MaxStreamsUni(value)
            | Self::DataBlocked(value)
            | Self::StreamsBlockedBidi(value)
            | Self::StreamsBlockedUni(value) => {
                varint::encode(varint::size(*value) as u64, out);
                varint::encode(*value, out);
            }
            Self::DrainSession | Self::Prohibited { .. } | Self::Skipped { .. } => varint::encode(0, out),
        }
    }
}

impl Capsule {
    /// Bytes that [`encode`](Self::encode) writes for a capsule that is one number; of others those of the header.
    pub(crate) fn size(&self) -> usize {
        let value = match self {
            Self::MaxData(value)
            | Self::MaxStreamsBidi(value)
            | Self::MaxStreamsUni(value)
            | Self::DataBlocked(value)
            | Self::StreamsBlockedBidi(value)
            | Self::StreamsBlockedUni(value) => varint::size(*value),
            Self::CloseSession { .. } | Self::DrainSession | Self::Prohibited { .. } | Self::Skipped { .. } => 0,
        };
        varint::size(self.kind()) + 1 + value
    }
}

/// Cuts `reason` to at most [`MAX_CLOSE_REASON`] bytes, between two characters (draft-ietf-webtrans-http3-16,
/// section 6).
pub fn truncate_reason(reason: &str) -> &str {
    if reason.len() <= MAX_CLOSE_REASON {
        return reason;
    }
    (0..=MAX_CLOSE_REASON).rev().find_map(|end| reason.get(..end)).unwrap_or_default()
}

/// Why the capsules of a session cannot be read on; the CONNECT stream is then malformed (RFC 9297, section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapsuleError {
    /// A close capsule declares a reason above [`MAX_CLOSE_REASON`] bytes.
    #[error("the close reason is declared with {length} bytes, above the limit of 1024")]
    CloseReasonTooLong {
        /// The declared length of the reason, without the error code before it.
        length: u64,
    },
    /// The reason of a close capsule is not UTF-8.
    #[error("the close reason is not UTF-8")]
    CloseReasonNotUtf8,
    /// The declared length cannot be right for the type, or does not match the integer in the value.
    #[error("capsule {kind:#x} has the wrong length {length}")]
    WrongLength {
        /// The capsule type.
        kind: u64,
        /// The declared length of the value.
        length: u64,
    },
}

/// Reads capsules from the bytes of a CONNECT stream, as they arrive (RFC 9297, section 3.2).
///
/// It holds either at most 16 bytes of an unfinished header or at most 1,028 bytes of an unfinished value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapsuleDecoder {
    header: PairDecoder,
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Header,
    Value {
        kind: u64,
        length: usize,
        held: Vec<u8>,
    },
    Discard {
        remaining: u64,
    },
    Failed(CapsuleError),
}

impl CapsuleDecoder {
    /// Takes bytes from the front of `input` and returns the next capsule.
    ///
    /// `Ok(None)` means that `input` is used up. [`Capsule::Skipped`] and [`Capsule::Prohibited`] are reported as
    /// soon as their header is there; every other capsule once it is complete.
    ///
    /// # Errors
    ///
    /// See [`CapsuleError`]; errors of length come before any byte of the value is held where the header alone shows
    /// them. After an error every call returns it again.
    pub fn push(&mut self, input: &mut Bytes) -> Result<Option<Capsule>, CapsuleError> {
        let result = self.advance(input);
        if let Err(error) = &result {
            self.state = State::Failed(*error);
        }
        result
    }

    /// Tells whether the stream could end here without cutting a capsule (RFC 9297, section 3.3).
    pub fn is_at_boundary(&self) -> bool {
        self.state == State::Header && self.header.is_empty()
    }

    fn advance(&mut self, input: &mut Bytes) -> Result<Option<Capsule>, CapsuleError> {
        loop {
            match &mut self.state {
                State::Header => {
                    let Some((kind, length)) = self.header.push(input) else { return Ok(None) };
                    if let Some(capsule) = self.begin(kind, length)? {
                        return Ok(Some(capsule));
                    }
                }
                State::Value { kind, length, held } => {
                    let count = length.saturating_sub(held.len()).min(input.len());
                    held.extend_from_slice(&input.split_to(count));
                    if held.len() < *length {
                        return Ok(None);
                    }
                    let capsule = finish(*kind, held)?;
                    self.state = State::Header;
                    return Ok(Some(capsule));
                }
                State::Discard { remaining } => {
                    let count = (input.len() as u64).min(*remaining);
                    input.advance(count as usize);
                    *remaining -= count;
                    if *remaining > 0 {
                        return Ok(None);
                    }
                    self.state = State::Header;
                }
                State::Failed(error) => return Err(*error),
            }
        }
    }

    fn begin(&mut self, kind: u64, length: u64) -> Result<Option<Capsule>, CapsuleError> {
        let wrong_length = CapsuleError::WrongLength { kind, length };
        let capsule = match kind {
            kind::CLOSE_SESSION => {
                let reason = length.checked_sub(CLOSE_CODE_SIZE).ok_or(wrong_length)?;
                if reason > MAX_CLOSE_REASON as u64 {
                    return Err(CapsuleError::CloseReasonTooLong { length: reason });
                }
                self.state = State::Value { kind, length: length as usize, held: Vec::new() };
                return Ok(None);
            }
            kind::MAX_DATA
            | kind::MAX_STREAMS_BIDI
            | kind::MAX_STREAMS_UNI
            | kind::DATA_BLOCKED
            | kind::STREAMS_BLOCKED_BIDI
            | kind::STREAMS_BLOCKED_UNI => {
                if !(1..=MAX_INTEGER_SIZE).contains(&length) {
                    return Err(wrong_length);
                }
                self.state = State::Value { kind, length: length as usize, held: Vec::new() };
                return Ok(None);
            }
            kind::DRAIN_SESSION if length > 0 => return Err(wrong_length),
            kind::DRAIN_SESSION => Capsule::DrainSession,
            kind::MAX_STREAM_DATA | kind::STREAM_DATA_BLOCKED => Capsule::Prohibited { kind },
            _ => Capsule::Skipped { kind, length },
        };
        if length > 0 {
            self.state = State::Discard { remaining: length };
        }
        Ok(Some(capsule))
    }
}

fn finish(kind: u64, value: &[u8]) -> Result<Capsule, CapsuleError> {
    let wrong_length = CapsuleError::WrongLength { kind, length: value.len() as u64 };
    if kind == kind::CLOSE_SESSION {
        let (code, reason) = value.split_first_chunk().ok_or(wrong_length)?;
        let reason = std::str::from_utf8(reason).map_err(|_| CapsuleError::CloseReasonNotUtf8)?;
        return Ok(Capsule::CloseSession { code: u32::from_be_bytes(*code), reason: reason.to_owned() });
    }
    let integer = match varint::decode(value) {
        Some((integer, used)) if used == value.len() => integer,
        _ => return Err(wrong_length),
    };
    match kind {
        kind::MAX_DATA => Ok(Capsule::MaxData(integer)),
        kind::MAX_STREAMS_BIDI => Ok(Capsule::MaxStreamsBidi(integer)),
        kind::MAX_STREAMS_UNI => Ok(Capsule::MaxStreamsUni(integer)),
        kind::DATA_BLOCKED => Ok(Capsule::DataBlocked(integer)),
        kind::STREAMS_BLOCKED_BIDI => Ok(Capsule::StreamsBlockedBidi(integer)),
        kind::STREAMS_BLOCKED_UNI => Ok(Capsule::StreamsBlockedUni(integer)),
        _ => Err(wrong_length),
    }
}

#[cfg(test)]
mod tests;
