//! One request stream: HEADERS, then the DATA frames of an accepted CONNECT (RFC 9114, sections 4.1 and 4.4).

use bytes::Bytes;

use super::Violation;
use crate::limits::{IGNORED_BEFORE_AN_ANSWER, IGNORED_ON_A_STREAM};
use crate::wire::frame::{self, FrameDecoder, Piece, kind};
use crate::wire::qpack::{self, DecodeError, Field};
use crate::{Config, ErrorCode, Role};

/// What the stream carried.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// A whole header section.
    Headers(Vec<Field>),
    /// A header section over the limits; its bytes are not kept.
    TooLarge,
    /// Bytes of a DATA frame.
    Data(Bytes),
    /// A frame without meaning here was skipped, or an empty DATA frame came.
    Glitch,
}

/// How far the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the first complete HEADERS frame.
    Headers,
    /// Headers are here, nobody has answered: nothing more is read (draft-16, section 3.2), it waits in QUIC's windows.
    Waiting,
    /// An accepted CONNECT: only DATA and unknown frames.
    Open,
    /// Answered and done with: what still comes is checked for order and thrown away.
    Discarding,
    /// After the trailers of a message being discarded.
    Trailers,
}

/// The machine that reads one request stream.
#[derive(Debug)]
pub(crate) struct RequestStream {
    pub(crate) phase: Phase,
    role: Role,
    max_size: usize,
    max_fields: usize,
    frames: FrameDecoder,
    /// Kind of the frame being read and how much of it is missing.
    frame: Option<(u64, u64)>,
    /// The header block being collected.
    block: Vec<u8>,
    /// Bytes of unknown frames and of discarded bodies.
    ignored: u64,
    /// The frame being read is the head, and it is too large to look at.
    oversized: bool,
    /// The application will answer; what follows the head is thrown away meanwhile.
    pub(super) unanswered: bool,
}

/// Bytes asked for at once where any number may be read.
const BULK: usize = 16 * 1024;

impl RequestStream {
    /// `role` is ours: a server reads requests, a client answers.
    pub(crate) fn new(role: Role, config: &Config) -> Self {
        Self {
            phase: Phase::Headers,
            role,
            max_size: config.max_field_section_size,
            max_fields: config.max_fields,
            frames: FrameDecoder::default(),
            frame: None,
            block: Vec::new(),
            ignored: 0,
            oversized: false,
            unanswered: false,
        }
    }

    /// How many bytes may be read now; exact before the answer, so that nothing has to be put aside.
    pub(crate) fn wants(&self) -> usize {
        match (self.phase, self.frame) {
            (Phase::Waiting, _) => 0,
            (Phase::Discarding | Phase::Trailers, _) if self.unanswered && self.ignored > IGNORED_BEFORE_AN_ANSWER => 0,
            (Phase::Headers, Some((_, missing))) => usize::try_from(missing).unwrap_or(BULK).clamp(1, BULK),
            (Phase::Headers, None) => 1,
            (Phase::Open | Phase::Discarding | Phase::Trailers, _) => BULK,
        }
    }

    /// Whether header section or frame has begun that is not complete.
    pub(crate) fn is_cut(&self) -> bool {
        self.phase == Phase::Headers && !self.frames.is_at_boundary()
    }

    /// Bytes of an unfinished header section that are being kept.
    pub(crate) fn kept(&self) -> usize {
        self.block.len()
    }

    pub(crate) fn push(&mut self, mut bytes: Bytes, parts: &mut Vec<Part>) -> Result<(), Violation> {
        while let Some(piece) = self.frames.push(&mut bytes) {
            match piece {
                Piece::Header { kind, length } => self.header(kind, length, parts)?,
                Piece::Payload(part) => self.payload(part, parts)?,
                Piece::End { kind } => self.end(kind, parts)?,
            }
        }
        Ok(())
    }

    /// The peer finished the stream; an error if that cut something.
    pub(crate) fn finish(&self) -> Result<(), Violation> {
        if self.frames.is_at_boundary() {
            Ok(())
        } else {
            Err(Violation::new(ErrorCode::H3_FRAME_ERROR, "the stream ended inside a frame"))
        }
    }

    fn header(&mut self, kind: u64, length: u64, parts: &mut Vec<Part>) -> Result<(), Violation> {
        self.check(kind)?;
        self.frame = Some((kind, length));
        match kind {
            kind::HEADERS if self.phase == Phase::Headers && length > self.max_size as u64 => {
                parts.push(Part::TooLarge);
                self.phase = Phase::Discarding;
                self.oversized = true;
            }
            kind::DATA if length == 0 => parts.push(Part::Glitch),
            kind::DATA | kind::HEADERS => {}
            _ => parts.push(Part::Glitch),
        }
        Ok(())
    }

    fn check(&self, kind: u64) -> Result<(), Violation> {
        let unexpected = |reason| Err(Violation::new(ErrorCode::H3_FRAME_UNEXPECTED, reason));
        match kind {
            // draft-16, section 4.3: the signal value stands nowhere but at the start of a stream.
            kind::WEBTRANSPORT_STREAM => {
                Err(Violation::new(ErrorCode::H3_FRAME_ERROR, "WEBTRANSPORT_STREAM inside a request stream"))
            }
            kind::DATA if self.phase == Phase::Headers => unexpected("DATA before HEADERS"),
            kind::DATA | kind::HEADERS if self.phase == Phase::Trailers => unexpected("frame after the trailers"),
            kind::HEADERS if self.phase == Phase::Open => unexpected("HEADERS on an accepted CONNECT"),
            kind::SETTINGS | kind::GOAWAY | kind::MAX_PUSH_ID | kind::CANCEL_PUSH => {
                unexpected("control frame on a request stream")
            }
            kind::PUSH_PROMISE if self.role == Role::Server => unexpected("PUSH_PROMISE from a client"),
            // We never allow a push.
            kind::PUSH_PROMISE => Err(Violation::new(ErrorCode::H3_ID_ERROR, "a push that was not allowed")),
            _ if frame::is_http2_only(kind) => unexpected("HTTP/2 frame type"),
            _ => Ok(()),
        }
    }

    fn payload(&mut self, part: Bytes, parts: &mut Vec<Part>) -> Result<(), Violation> {
        let Some((kind, missing)) = &mut self.frame else { return Ok(()) };
        *missing = missing.saturating_sub(part.len() as u64);
        match (*kind, self.phase) {
            (kind::HEADERS, Phase::Headers) => self.block.extend_from_slice(&part),
            (kind::DATA, Phase::Open) => parts.push(Part::Data(part)),
            _ => {
                self.ignored = self.ignored.saturating_add(part.len() as u64);
                if self.ignored > IGNORED_ON_A_STREAM {
                    return Err(Violation::new(ErrorCode::H3_EXCESSIVE_LOAD, "too many bytes without meaning"));
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, kind: u64, parts: &mut Vec<Part>) -> Result<(), Violation> {
        self.frame = None;
        if kind != kind::HEADERS {
            return Ok(());
        }
        match self.phase {
            Phase::Headers => {
                let block = std::mem::take(&mut self.block);
                let limits = qpack::Limits { max_size: self.max_size, max_fields: self.max_fields };
                match qpack::decode(&block, limits) {
                    Ok(fields) => {
                        self.phase = Phase::Waiting;
                        parts.push(Part::Headers(fields));
                    }
                    Err(DecodeError::TooLarge) => {
                        self.phase = Phase::Discarding;
                        parts.push(Part::TooLarge);
                    }
                    Err(DecodeError::Decompression(reason)) => {
                        return Err(Violation::new(ErrorCode::QPACK_DECOMPRESSION_FAILED, reason));
                    }
                }
            }
            // What ends here is the head of a message being discarded, or its trailers.
            Phase::Discarding if std::mem::take(&mut self.oversized) => {}
            Phase::Discarding => self.phase = Phase::Trailers,
            Phase::Waiting | Phase::Open | Phase::Trailers => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [u8; 5] = [1, 3, 0, 0, 0xd1]; // HEADERS, ":method: GET"

    fn feed(phase_after_headers: Phase, bytes: &[u8]) -> Result<Vec<Part>, ErrorCode> {
        let mut stream = RequestStream::new(Role::Server, &Config::default());
        let mut parts = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            if stream.phase == Phase::Waiting {
                stream.phase = phase_after_headers;
            }
            let (now, later) = rest.split_at(stream.wants().min(rest.len()));
            assert!(!now.is_empty(), "the machine wants something");
            stream.push(Bytes::copy_from_slice(now), &mut parts).map_err(|violation| violation.code)?;
            rest = later;
        }
        stream.finish().map_err(|violation| violation.code)?;
        Ok(parts)
    }

    fn after_head(bytes: &[u8]) -> Vec<u8> {
        [&HEAD[..], bytes].concat()
    }

    #[test]
    fn an_accepted_connect_carries_data_only() {
        let parts = feed(Phase::Open, &after_head(&[0, 2, 7, 8, 0x21, 1, 9, 0, 1, 6])).expect("legal frames");
        let data: Vec<u8> = parts
            .iter()
            .filter_map(|part| if let Part::Data(bytes) = part { Some(bytes.to_vec()) } else { None })
            .flatten()
            .collect();
        assert_eq!(data, [7, 8, 6]);
        assert_eq!(feed(Phase::Open, &after_head(&HEAD)), Err(ErrorCode::H3_FRAME_UNEXPECTED));
    }

    #[test]
    fn wrong_order_closes_the_connection() {
        assert_eq!(feed(Phase::Open, &[0, 0]), Err(ErrorCode::H3_FRAME_UNEXPECTED));
        let trailers_then_data = [&HEAD[..], &HEAD, &[0, 0]].concat();
        assert_eq!(feed(Phase::Discarding, &trailers_then_data), Err(ErrorCode::H3_FRAME_UNEXPECTED));
        for control in [3, 4, 7, 13, 5, 2, 6, 8, 9] {
            assert_eq!(feed(Phase::Open, &after_head(&[control, 0])), Err(ErrorCode::H3_FRAME_UNEXPECTED), "{control}");
            assert_eq!(feed(Phase::Open, &[control, 0]), Err(ErrorCode::H3_FRAME_UNEXPECTED), "{control} first");
        }
        assert_eq!(feed(Phase::Open, &[0x21, 0, 0x40, 0x41, 0]), Err(ErrorCode::H3_FRAME_ERROR));
    }

    #[test]
    fn nobody_may_push_to_us() {
        let codes = [(Role::Server, ErrorCode::H3_FRAME_UNEXPECTED), (Role::Client, ErrorCode::H3_ID_ERROR)];
        for (role, code) in codes {
            let mut stream = RequestStream::new(role, &Config::default());
            let result = stream.push(Bytes::from_static(&[5, 0]), &mut Vec::new());
            assert_eq!(result.map_err(|violation| violation.code), Err(code));
        }
    }

    #[test]
    fn what_means_nothing_is_read_up_to_a_limit() {
        let unknown_frame = |length: u64| {
            let mut bytes = HEAD.to_vec();
            frame::encode(0x21, &vec![0; length as usize], &mut bytes);
            bytes
        };
        let parts = feed(Phase::Open, &unknown_frame(IGNORED_ON_A_STREAM)).expect("exactly the limit");
        assert!(!parts.iter().any(|part| matches!(part, Part::Data(_))));
        let result = feed(Phase::Open, &unknown_frame(IGNORED_ON_A_STREAM + 1));
        assert_eq!(result, Err(ErrorCode::H3_EXCESSIVE_LOAD));
    }

    #[test]
    fn an_end_inside_a_frame_is_an_error() {
        assert_eq!(feed(Phase::Open, &HEAD[..4]), Err(ErrorCode::H3_FRAME_ERROR));
        assert_eq!(feed(Phase::Open, &after_head(&[0, 2, 7])), Err(ErrorCode::H3_FRAME_ERROR));
        assert_eq!(feed(Phase::Open, &[1]), Err(ErrorCode::H3_FRAME_ERROR));
    }

    #[test]
    fn an_oversized_section_is_refused_on_its_length() {
        let mut stream = RequestStream::new(Role::Server, &Config::default());
        let mut parts = Vec::new();
        stream.push(Bytes::from_static(&[1, 0x80, 0, 0x40, 0x01]), &mut parts).expect("a length is no violation");
        assert_eq!(parts, [Part::TooLarge]);
        assert_eq!(stream.kept(), 0);
    }

    #[test]
    fn nothing_is_read_while_the_answer_is_open() {
        let mut stream = RequestStream::new(Role::Server, &Config::default());
        let mut parts = Vec::new();
        for byte in HEAD {
            assert!(stream.wants() >= 1);
            stream.push(Bytes::copy_from_slice(&[byte]), &mut parts).expect("legal");
        }
        assert_eq!((stream.phase, stream.wants(), parts.len()), (Phase::Waiting, 0, 1));
    }
}
