//! Codecs over all of their short inputs and over every cut of what real clients sent, against code that is not ours.

use bytes::Bytes;
use httlib_huffman::DecoderSpeed;
use transom_core::wire::capsule::CapsuleDecoder;
use transom_core::wire::frame::{FrameDecoder, Piece};
use transom_core::wire::qpack::{self, huffman};
use transom_core::wire::settings::{Settings, SettingsError};
use transom_tests::captures::Capture;
use transom_tests::raw::wire;

const RECORDINGS: [&str; 8] =
    ["aioquic", "chromium", "deno", "firefox", "pywebtransport", "safari", "web-transport-quinn", "wtransport"];

/// What an independent decoder reads, if it is what an independent encoder would have written: decoders differ in what
/// padding they let pass, but a string has only one correct form.
fn independent(input: &[u8]) -> Option<Vec<u8>> {
    let (mut text, mut again) = (Vec::new(), Vec::new());
    httlib_huffman::decode(input, &mut text, DecoderSpeed::OneBit).ok()?;
    httlib_huffman::encode(&text, &mut again).ok()?;
    (again == input).then_some(text)
}

fn ours(input: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    huffman::decode(input, usize::MAX, &mut text).is_ok().then_some(text)
}

#[test]
fn all_huffman_strings_of_one_and_two_bytes() {
    let mut valid = 0;
    for byte in 0..=u8::MAX {
        assert_eq!(ours(&[byte]), independent(&[byte]), "{byte:02x}");
    }
    for pair in 0..=u16::MAX {
        let input = pair.to_be_bytes();
        let text = ours(&input);
        assert_eq!(text, independent(&input), "{input:02x?}");
        valid += usize::from(text.is_some());
    }
    assert!(valid > 1_000, "only {valid} valid strings: the comparison compares nothing");
}

#[test]
fn all_huffman_tails_of_two_bytes_behind_a_longer_string() {
    let mut head = Vec::new();
    httlib_huffman::encode(b"webtransport", &mut head).unwrap();
    for pair in 0..=u16::MAX {
        let input = [head.as_slice(), &pair.to_be_bytes()].concat();
        assert_eq!(ours(&input), independent(&input), "{input:02x?}");
    }
}

#[test]
fn every_string_of_one_and_two_bytes_is_coded_as_others_do() {
    let one = (0..=u8::MAX).map(|byte| vec![byte]);
    let two = (0..=u16::MAX).map(|pair| pair.to_be_bytes().to_vec());
    for text in one.chain(two) {
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        huffman::encode(&text, &mut mine);
        httlib_huffman::encode(&text, &mut theirs).unwrap();
        assert_eq!(mine, theirs, "{text:02x?}");
    }
}

/// The whole frames on the streams of all recordings, as (type, bytes of the frame, length of its header).
fn frames() -> Vec<(u64, Bytes, usize)> {
    let mut found = Vec::new();
    for name in RECORDINGS {
        let capture = Capture::load(name).unwrap();
        for id in capture.streams() {
            let bytes = capture.stream(id);
            let is_control = id & 2 == 2 && bytes.first() == Some(&0);
            if !is_control && Some(id) != capture.session() {
                continue;
            }
            let mut rest = if is_control { &bytes[1..] } else { &bytes[..] };
            while let Some((kind, first)) = wire::read_varint(rest) {
                let (length, second) = wire::read_varint(&rest[first..]).unwrap();
                let (frame, after) = rest.split_at(first + second + length as usize);
                found.push((kind, Bytes::copy_from_slice(frame), first + second));
                rest = after;
            }
        }
    }
    found
}

#[test]
fn every_cut_of_a_frame_waits_for_more() {
    let frames = frames();
    assert!(frames.len() > 2 * RECORDINGS.len(), "{} frames", frames.len());
    for (kind, frame, header) in frames {
        for cut in 0..=frame.len() {
            let mut decoder = FrameDecoder::default();
            let mut input = frame.slice(..cut);
            let mut pieces = Vec::new();
            pieces.extend(std::iter::from_fn(|| decoder.push(&mut input)));
            assert_eq!(pieces.contains(&Piece::End { kind }), cut == frame.len(), "{kind:#x} cut at {cut}");
            assert_eq!(pieces.is_empty(), cut < header, "{kind:#x} cut at {cut}");
            assert_eq!(decoder.is_at_boundary(), cut == 0 || cut == frame.len(), "{kind:#x} cut at {cut}");
        }
    }
}

#[test]
fn every_cut_of_settings_is_truncated_or_ends_between_two() {
    let all = frames();
    for (_, frame, header) in all.iter().filter(|(kind, ..)| *kind == wire::SETTINGS) {
        let payload = &frame[*header..];
        let mut ends = vec![0];
        while let Some((_, id)) = wire::read_varint(&payload[*ends.last().unwrap()..]) {
            let (_, value) = wire::read_varint(&payload[ends.last().unwrap() + id..]).unwrap();
            ends.push(ends.last().unwrap() + id + value);
        }
        for cut in 0..=payload.len() {
            match Settings::decode(&payload[..cut]) {
                Ok(_) => assert!(ends.contains(&cut), "{payload:02x?} cut at {cut}"),
                Err(error) => assert_eq!((error, ends.contains(&cut)), (SettingsError::Truncated, false)),
            }
        }
    }
}

#[test]
fn every_cut_of_a_header_section_reads_as_fewer_fields_or_not_at_all() {
    let limits = qpack::Limits { max_size: 16_384, max_fields: 128 };
    let all = frames();
    for (_, frame, header) in all.iter().filter(|(kind, ..)| *kind == wire::HEADERS) {
        let block = &frame[*header..];
        let whole = qpack::decode(block, limits).unwrap();
        let mut complete = 0;
        for cut in 0..block.len() {
            if let Ok(fields) = qpack::decode(&block[..cut], limits) {
                assert!(fields.len() < whole.len() && whole.starts_with(&fields), "cut at {cut}");
                complete += 1;
            }
        }
        assert_eq!(complete, whole.len(), "one cut in front of each field");
    }
}

#[test]
fn every_cut_of_a_capsule_waits_for_more() {
    let all = frames();
    let mut capsules = 0;
    for (_, frame, header) in all.iter().filter(|(kind, ..)| *kind == wire::DATA) {
        let payload = frame.slice(*header..);
        for cut in 0..=payload.len() {
            let mut decoder = CapsuleDecoder::default();
            let mut input = payload.slice(..cut);
            let mut count = 0;
            while decoder.push(&mut input).unwrap().is_some() {
                count += 1;
            }
            let (_, kind) = wire::read_varint(&payload).unwrap();
            let known = payload.starts_with(&wire::varint(wire::CAPSULE_CLOSE));
            let expected = if known { cut == payload.len() } else { cut > kind };
            assert_eq!(count == 1, expected, "{payload:02x?} cut at {cut}");
            assert_eq!(decoder.is_at_boundary(), cut == 0 || cut == payload.len());
            capsules += count;
        }
    }
    assert!(capsules >= 6, "{capsules} capsules");
}
