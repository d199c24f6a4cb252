//! The codecs of `wire` that hold no field sections.

use bytes::Bytes;

use super::input::Input;
use crate::wire::capsule::{Capsule, CapsuleDecoder, CapsuleError, MAX_CLOSE_REASON};
use crate::wire::frame::{self, FrameDecoder, Piece};
use crate::wire::settings::{Settings, SettingsError};
use crate::wire::varint::{self, PairDecoder};
use crate::wire::{app_error, datagram};

/// Variable-length integers alone and in pairs, and the codes mapped by arithmetic.
pub fn varint(data: &[u8]) {
    if let Some((value, used)) = varint::decode(data) {
        assert!(value <= varint::MAX && used <= data.len());
        assert_eq!(data.first().map(|&first| varint::length_from_first_byte(first)), Some(used));
        let mut shortest = Vec::new();
        varint::encode(value, &mut shortest);
        assert!(shortest.len() <= used && shortest.len() == varint::size(value));
        assert_eq!(varint::decode(&shortest), Some((value, shortest.len())));
        assert_eq!(data.get(..used - 1).map(varint::decode), Some(None), "a prefix is no integer");
    }
    let mut input = Input::new(data);
    let code = input.number();
    if let Some(application) = app_error::from_http3(code) {
        assert_eq!(app_error::to_http3(application), code);
    }
    assert_eq!(app_error::from_http3(app_error::to_http3(code as u32)), Some(code as u32));

    let cut = usize::from(data.first().copied().unwrap_or_default() % 17).min(data.len());
    let pairs = |step: usize| {
        let mut decoder = PairDecoder::default();
        let mut found = Vec::new();
        for part in data.chunks(step) {
            let mut bytes = Bytes::copy_from_slice(part);
            while let Some(pair) = decoder.push(&mut bytes) {
                found.push(pair);
            }
            assert!(bytes.is_empty(), "all of the input is used up");
        }
        (found, decoder)
    };
    let whole = pairs(data.len().max(1));
    assert_eq!(whole, pairs(1), "one byte at a time");
    assert_eq!(whole, pairs(cut.max(1)));
}

/// HTTP/3 frames: whole and cut, and written again.
pub fn frames(data: &[u8]) {
    let mut input = Input::new(data);
    let step = usize::from(input.byte()).max(1);
    let bytes = Bytes::copy_from_slice(input.rest());
    let (frames, decoder) = read_frames(&bytes, bytes.len().max(1));
    for other in [1, step] {
        let cut = read_frames(&bytes, other);
        assert_eq!((&frames, &decoder), (&cut.0, &cut.1), "in steps of {other}");
    }
    let mut again = Vec::new();
    let mut at_boundary = true;
    for (index, frame) in frames.iter().enumerate() {
        let length = frame.payload.len() as u64;
        assert!(if frame.ended { length == frame.length } else { length <= frame.length && index + 1 == frames.len() });
        at_boundary = length == frame.length;
        frame::encode_header(frame.kind, frame.length, &mut again);
        again.extend_from_slice(&frame.payload);
    }
    assert!(again.len() <= bytes.len(), "our headers are the shortest");
    let (read, decoder) = read_frames(&again.into(), 5);
    assert_eq!((read, decoder.is_at_boundary()), (frames, at_boundary));
}

#[derive(Debug, PartialEq)]
struct Frame {
    kind: u64,
    length: u64,
    payload: Vec<u8>,
    ended: bool,
}

fn read_frames(bytes: &Bytes, step: usize) -> (Vec<Frame>, FrameDecoder) {
    let mut decoder = FrameDecoder::default();
    let mut frames: Vec<Frame> = Vec::new();
    for part in bytes.chunks(step) {
        let mut input = bytes.slice_ref(part);
        while let Some(piece) = decoder.push(&mut input) {
            match (frames.last_mut(), piece) {
                (last, Piece::Header { kind, length }) => {
                    assert!(last.is_none_or(|last| last.ended), "one frame at a time");
                    frames.push(Frame { kind, length, payload: Vec::new(), ended: false });
                }
                (Some(last), Piece::Payload(part)) => {
                    assert!(!last.ended && !part.is_empty());
                    last.payload.extend_from_slice(&part);
                }
                (Some(last), Piece::End { kind }) => {
                    assert!(last.kind == kind && !last.ended);
                    last.ended = true;
                }
                (None, piece) => panic!("{piece:?} before a header"),
            }
        }
        assert!(input.is_empty(), "all of the input is used up");
    }
    (frames, decoder)
}

/// The payload of SETTINGS: written again, doubled and cut.
pub fn settings(data: &[u8]) {
    let Ok(settings) = Settings::decode(data) else { return };
    let mut again = Vec::new();
    settings.encode(&mut again);
    assert!(again.len() <= data.len(), "defaults are left out and integers are the shortest");
    assert_eq!(Settings::decode(&again), Ok(settings));
    assert_eq!(Settings::decode(&[data, &[0x40]].concat()), Err(SettingsError::Truncated));
    if let Some((id, _)) = varint::decode(data) {
        assert_eq!(Settings::decode(&data.repeat(2)), Err(SettingsError::Duplicate(id)));
    }
    for reserved in [0, 2, 3, 4, 5] {
        let worse = [data, &[reserved, 0]].concat();
        assert_eq!(Settings::decode(&worse), Err(SettingsError::Http2(reserved.into())));
    }
}

/// Capsules: whole and cut, and those with a meaning written again.
pub fn capsules(data: &[u8]) {
    let mut input = Input::new(data);
    let step = usize::from(input.byte()).max(1);
    let bytes = Bytes::copy_from_slice(input.rest());
    let (found, error, decoder) = read_capsules(&bytes, bytes.len().max(1));
    for other in [1, step] {
        let cut = read_capsules(&bytes, other);
        assert_eq!((&found, &error, &decoder), (&cut.0, &cut.1, &cut.2), "in steps of {other}");
    }
    assert!(error.is_none() || !decoder.is_at_boundary());
    for capsule in found {
        if let Capsule::CloseSession { reason, .. } = &capsule {
            assert!(reason.len() <= MAX_CLOSE_REASON);
        }
        if matches!(capsule, Capsule::Skipped { .. }) {
            continue;
        }
        let mut again = Vec::new();
        capsule.encode(&mut again);
        let (found, error, decoder) = read_capsules(&again.into(), 9);
        assert!(error.is_none() && decoder.is_at_boundary());
        assert_eq!(found, [capsule]);
    }
}

fn read_capsules(bytes: &Bytes, step: usize) -> (Vec<Capsule>, Option<CapsuleError>, CapsuleDecoder) {
    let mut decoder = CapsuleDecoder::default();
    let mut found = Vec::new();
    for part in bytes.chunks(step) {
        let mut input = bytes.slice_ref(part);
        loop {
            match decoder.push(&mut input) {
                Ok(Some(capsule)) => found.push(capsule),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.push(&mut Bytes::from_static(&[0, 0])), Err(error), "an error stays");
                    return (found, Some(error), decoder);
                }
            }
        }
        assert!(input.is_empty(), "all of the input is used up");
    }
    (found, None, decoder)
}

/// The prefix of a datagram, read and written again.
pub fn datagram(data: &[u8]) {
    let Ok((session, payload)) = datagram::decode(Bytes::copy_from_slice(data)) else { return };
    assert!(session % 4 == 0 && session <= varint::MAX && data.ends_with(&payload));
    let again = datagram::encode(session, &payload);
    assert_eq!(again.len(), datagram::prefix_size(session) + payload.len());
    assert!(again.len() <= data.len());
    assert_eq!(datagram::decode(again), Ok((session, payload)));
}
