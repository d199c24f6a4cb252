//! The peer's control stream: SETTINGS first and once, then GOAWAY and whatever may be skipped (RFC 9114, section 6.2.1).

use bytes::Bytes;

use super::Violation;
use crate::wire::frame::{self, FrameDecoder, Piece, kind};
use crate::wire::settings::{Settings, SettingsError};
use crate::wire::varint;
use crate::{ErrorCode, Role};

/// What the control stream said.
#[derive(Debug, PartialEq)]
pub(crate) enum ControlEvent {
    Settings(Settings),
    GoAway {
        id: u64,
    },
    /// A frame without meaning here was skipped.
    Skipped,
}

/// The machine that reads one control stream.
#[derive(Debug)]
pub(crate) struct Control {
    role: Role,
    max_settings_size: u64,
    frames: FrameDecoder,
    frame: Option<u64>,
    payload: Vec<u8>,
    settings_seen: bool,
    last_goaway: Option<u64>,
    max_push_id: Option<u64>,
}

impl Control {
    /// `role` is ours: it decides which frames the peer may send.
    pub(crate) fn new(role: Role, max_settings_size: usize) -> Self {
        Self {
            role,
            max_settings_size: max_settings_size as u64,
            frames: FrameDecoder::default(),
            frame: None,
            payload: Vec::new(),
            settings_seen: false,
            last_goaway: None,
            max_push_id: None,
        }
    }

    pub(crate) fn push(&mut self, mut bytes: Bytes, events: &mut Vec<ControlEvent>) -> Result<(), Violation> {
        while let Some(piece) = self.frames.push(&mut bytes) {
            match piece {
                Piece::Header { kind, length } => {
                    self.check(kind, length)?;
                    self.frame = matches!(kind, kind::SETTINGS | kind::GOAWAY | kind::MAX_PUSH_ID).then_some(kind);
                    self.payload.clear();
                }
                Piece::Payload(part) if self.frame.is_some() => self.payload.extend_from_slice(&part),
                Piece::Payload(_) => {}
                Piece::End { .. } => events.push(self.end()?),
            }
        }
        Ok(())
    }

    /// Decides on a frame by its header alone, so that nothing is stored that will not be used.
    fn check(&mut self, kind: u64, length: u64) -> Result<(), Violation> {
        let unexpected = |reason| Err(Violation::new(ErrorCode::H3_FRAME_UNEXPECTED, reason));
        match kind {
            // draft-16, section 4.3: the signal value stands nowhere but at the start of a stream.
            kind::WEBTRANSPORT_STREAM => {
                Err(Violation::new(ErrorCode::H3_FRAME_ERROR, "WEBTRANSPORT_STREAM on the control stream"))
            }
            kind::SETTINGS if self.settings_seen => unexpected("second SETTINGS frame"),
            kind::SETTINGS if length > self.max_settings_size => {
                Err(Violation::new(ErrorCode::H3_EXCESSIVE_LOAD, "SETTINGS frame too large"))
            }
            kind::SETTINGS => Ok(()),
            _ if !self.settings_seen => {
                Err(Violation::new(ErrorCode::H3_MISSING_SETTINGS, "the control stream does not begin with SETTINGS"))
            }
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE => unexpected("request frame on the control stream"),
            _ if frame::is_http2_only(kind) => unexpected("HTTP/2 frame type"),
            kind::MAX_PUSH_ID if self.role == Role::Client => unexpected("MAX_PUSH_ID from a server"),
            // We promise nothing, and as a client allow nothing to be promised.
            kind::CANCEL_PUSH => Err(Violation::new(ErrorCode::H3_ID_ERROR, "CANCEL_PUSH for a push never promised")),
            kind::GOAWAY | kind::MAX_PUSH_ID if length > 8 => {
                Err(Violation::new(ErrorCode::H3_FRAME_ERROR, "frame longer than its field"))
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> Result<ControlEvent, Violation> {
        match self.frame.take() {
            Some(kind::SETTINGS) => {
                self.settings_seen = true;
                let settings = Settings::decode(&self.payload).map_err(settings_violation)?;
                self.payload = Vec::new();
                Ok(ControlEvent::Settings(settings))
            }
            Some(kind::GOAWAY) => self.goaway(),
            Some(kind::MAX_PUSH_ID) => {
                let id = self.only_integer()?;
                if self.max_push_id.is_some_and(|last| id < last) {
                    return Err(Violation::new(ErrorCode::H3_ID_ERROR, "MAX_PUSH_ID went down"));
                }
                self.max_push_id = Some(id);
                Ok(ControlEvent::Skipped)
            }
            _ => Ok(ControlEvent::Skipped),
        }
    }

    fn goaway(&mut self) -> Result<ControlEvent, Violation> {
        let id = self.only_integer()?;
        if self.last_goaway.is_some_and(|last| id > last) {
            return Err(Violation::new(ErrorCode::H3_ID_ERROR, "the id in GOAWAY grew"));
        }
        // A server names a request stream, a client a push, RFC 9114, section 7.2.6.
        if self.role == Role::Client && id % 4 != 0 {
            return Err(Violation::new(ErrorCode::H3_ID_ERROR, "GOAWAY does not name a request stream"));
        }
        self.last_goaway = Some(id);
        Ok(ControlEvent::GoAway { id })
    }

    fn only_integer(&self) -> Result<u64, Violation> {
        match varint::decode(&self.payload) {
            Some((value, used)) if used == self.payload.len() => Ok(value),
            _ => Err(Violation::new(ErrorCode::H3_FRAME_ERROR, "frame payload is not exactly one integer")),
        }
    }
}

fn settings_violation(error: SettingsError) -> Violation {
    match error {
        SettingsError::Truncated => Violation::new(ErrorCode::H3_FRAME_ERROR, "SETTINGS cut inside a value"),
        SettingsError::Duplicate(_) => Violation::new(ErrorCode::H3_SETTINGS_ERROR, "a setting stands twice"),
        SettingsError::Http2(_) => Violation::new(ErrorCode::H3_SETTINGS_ERROR, "HTTP/2 setting"),
        SettingsError::InvalidValue { .. } => {
            Violation::new(ErrorCode::H3_SETTINGS_ERROR, "invalid value of a setting")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(role: Role, bytes: &[u8]) -> Result<Vec<ControlEvent>, ErrorCode> {
        let whole = feed_in(role, bytes, bytes.len().max(1));
        assert_eq!(whole, feed_in(role, bytes, 1), "one byte at a time gives the same");
        whole
    }

    fn feed_in(role: Role, bytes: &[u8], step: usize) -> Result<Vec<ControlEvent>, ErrorCode> {
        let mut control = Control::new(role, 64);
        let mut events = Vec::new();
        for part in bytes.chunks(step) {
            control.push(Bytes::copy_from_slice(part), &mut events).map_err(|violation| violation.code)?;
        }
        Ok(events)
    }

    #[test]
    fn settings_come_first_and_once() {
        let events = feed(Role::Server, &[4, 2, 0x33, 1]).expect("plain SETTINGS");
        assert!(matches!(&events[..], [ControlEvent::Settings(settings)] if settings.h3_datagram));
        assert_eq!(feed(Role::Server, &[7, 1, 0]), Err(ErrorCode::H3_MISSING_SETTINGS));
        assert_eq!(feed(Role::Server, &[0x21, 0, 4, 0]), Err(ErrorCode::H3_MISSING_SETTINGS));
        assert_eq!(feed(Role::Server, &[4, 0, 4, 0]), Err(ErrorCode::H3_FRAME_UNEXPECTED));
        assert_eq!(feed(Role::Server, &[4, 0x40, 65]), Err(ErrorCode::H3_EXCESSIVE_LOAD), "decided on the length");
        assert_eq!(feed(Role::Server, &[4, 1, 0x33]), Err(ErrorCode::H3_FRAME_ERROR));
        assert_eq!(feed(Role::Server, &[4, 2, 0x08, 2]), Err(ErrorCode::H3_SETTINGS_ERROR));
    }

    #[test]
    fn frames_that_do_not_belong_close_the_connection() {
        for (frame, code) in [
            (&[0u8, 0][..], ErrorCode::H3_FRAME_UNEXPECTED),
            (&[1, 0], ErrorCode::H3_FRAME_UNEXPECTED),
            (&[5, 0], ErrorCode::H3_FRAME_UNEXPECTED),
            (&[2, 0], ErrorCode::H3_FRAME_UNEXPECTED),
            (&[3, 1, 0], ErrorCode::H3_ID_ERROR),
            (&[0x40, 0x41, 0], ErrorCode::H3_FRAME_ERROR),
            (&[7, 9], ErrorCode::H3_FRAME_ERROR),
            (&[7, 0], ErrorCode::H3_FRAME_ERROR),
            (&[7, 2, 0, 0], ErrorCode::H3_FRAME_ERROR),
            (&[7, 1, 4, 7, 1, 8], ErrorCode::H3_ID_ERROR),
            (&[13, 1, 4, 13, 1, 3], ErrorCode::H3_ID_ERROR),
        ] {
            let bytes = [&[4, 0][..], frame].concat();
            assert_eq!(feed(Role::Server, &bytes), Err(code), "{frame:?}");
        }
        assert_eq!(feed(Role::Client, &[4, 0, 13, 1, 0]), Err(ErrorCode::H3_FRAME_UNEXPECTED));
        assert_eq!(feed(Role::Client, &[4, 0, 7, 1, 3]), Err(ErrorCode::H3_ID_ERROR));
    }

    #[test]
    fn unknown_frames_and_shrinking_goaways_are_fine() {
        let events = feed(Role::Server, &[4, 0, 0x21, 3, 1, 2, 3, 7, 1, 8, 7, 1, 4, 13, 1, 0]).expect("all legal");
        assert_eq!(events.len(), 5);
        let ids: Vec<u64> =
            events.iter().filter_map(|e| if let ControlEvent::GoAway { id } = e { Some(*id) } else { None }).collect();
        assert_eq!(ids, [8, 4]);
    }
}
