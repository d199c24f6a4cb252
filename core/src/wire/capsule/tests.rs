use proptest::prelude::*;

use super::*;

type Outcome = (Vec<Capsule>, Option<CapsuleError>, bool);

fn decode_all(bytes: &Bytes, step: usize) -> Outcome {
    let mut decoder = CapsuleDecoder::default();
    let mut capsules = Vec::new();
    for part in bytes.chunks(step) {
        let mut input = bytes.slice_ref(part);
        loop {
            match decoder.push(&mut input) {
                Ok(Some(capsule)) => capsules.push(capsule),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.push(&mut input), Err(error));
                    return (capsules, Some(error), decoder.is_at_boundary());
                }
            }
        }
        assert!(input.is_empty());
    }
    (capsules, None, decoder.is_at_boundary())
}

fn raw(kind: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::encode(kind, &mut out);
    varint::encode(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

fn error_of(bytes: Vec<u8>) -> Option<CapsuleError> {
    decode_all(&bytes.into(), usize::MAX).1
}

fn capsules() -> impl Strategy<Value = Vec<Capsule>> {
    let limit = 0..=varint::MAX;
    let one = prop_oneof![
        (any::<u32>(), any::<String>()).prop_map(|(code, reason)| Capsule::CloseSession { code, reason }),
        Just(Capsule::DrainSession),
        limit.clone().prop_map(Capsule::MaxData),
        limit.clone().prop_map(Capsule::MaxStreamsBidi),
        limit.clone().prop_map(Capsule::MaxStreamsUni),
        limit.clone().prop_map(Capsule::DataBlocked),
        limit.clone().prop_map(Capsule::StreamsBlockedBidi),
        limit.prop_map(Capsule::StreamsBlockedUni),
        prop_oneof![Just(kind::MAX_STREAM_DATA), Just(kind::STREAM_DATA_BLOCKED)]
            .prop_map(|kind| Capsule::Prohibited { kind }),
        (0_u64..0x2000).prop_map(|kind| Capsule::Skipped { kind, length: 0 }),
    ];
    proptest::collection::vec(one, 0..8)
}

#[test]
fn a_capsule_without_a_value_ends_with_its_header() {
    for capsule in [raw(kind::DRAIN_SESSION, b""), raw(kind::DATAGRAM, b""), raw(kind::MAX_STREAM_DATA, b"")] {
        let mut decoder = CapsuleDecoder::default();
        assert!(matches!(decoder.push(&mut capsule.into()), Ok(Some(_))));
        assert!(decoder.is_at_boundary(), "the stream may end here, without another look at it");
    }
}

#[test]
fn flow_control_is_six_capsules() {
    let of_flow_control = [
        Capsule::MaxData(1),
        Capsule::MaxStreamsBidi(1),
        Capsule::MaxStreamsUni(1),
        Capsule::DataBlocked(1),
        Capsule::StreamsBlockedBidi(1),
        Capsule::StreamsBlockedUni(1),
    ];
    assert!(of_flow_control.iter().all(Capsule::is_flow_control));
    let others = [
        Capsule::CloseSession { code: 0, reason: String::new() },
        Capsule::DrainSession,
        Capsule::Prohibited { kind: kind::MAX_STREAM_DATA },
        Capsule::Skipped { kind: kind::DATAGRAM, length: 0 },
    ];
    assert!(!others.iter().any(Capsule::is_flow_control));
}

#[test]
fn close_reasons_at_the_limit() {
    for length in [0, 1, 1023, 1024] {
        let reason = "r".repeat(length);
        let bytes = raw(kind::CLOSE_SESSION, &[&[0, 0, 0, 7], reason.as_bytes()].concat());
        let expected = vec![Capsule::CloseSession { code: 7, reason }];
        assert_eq!(decode_all(&bytes.into(), 1), (expected, None, true));
    }
    for (length, declared) in [(1025, 1029), (varint::MAX - 4, varint::MAX)] {
        let mut header = Vec::new();
        varint::encode(kind::CLOSE_SESSION, &mut header);
        varint::encode(declared, &mut header);
        assert_eq!(error_of(header), Some(CapsuleError::CloseReasonTooLong { length }));
    }
    let invalid = raw(kind::CLOSE_SESSION, &[0, 0, 0, 0, 0xe2, 0x82]);
    assert_eq!(error_of(invalid), Some(CapsuleError::CloseReasonNotUtf8));
}

#[test]
fn reasons_are_cut_between_characters() {
    for (reason, length) in [("a".repeat(1025), 1024), ("€".repeat(342), 1023), ("🦀".repeat(257), 1024)] {
        assert_eq!(truncate_reason(&reason).len(), length);
        let mut out = Vec::new();
        Capsule::CloseSession { code: 1, reason: reason.clone() }.encode(&mut out);
        let expected = Capsule::CloseSession { code: 1, reason: reason[..length].to_owned() };
        assert_eq!(decode_all(&out.into(), usize::MAX), (vec![expected], None, true));
    }
    assert_eq!(truncate_reason("short"), "short");
}

#[test]
fn wrong_lengths_are_refused() {
    let limits = [kind::MAX_DATA, 0x190b_4d3f, 0x190b_4d40, 0x190b_4d41, 0x190b_4d43, 0x190b_4d44];
    let values = [&[][..], &[0x40], &[0, 0], &[0x80, 0, 0], &[0xc0; 7], &[0x3f; 8], &[0xff; 9]];
    for (kind, value) in limits.into_iter().flat_map(|kind| values.map(|value| (kind, value))) {
        let error = CapsuleError::WrongLength { kind, length: value.len() as u64 };
        assert_eq!(decode_all(&raw(kind, value).into(), 1), (vec![], Some(error), false));
    }
    let error = CapsuleError::WrongLength { kind: kind::DRAIN_SESSION, length: 1 };
    assert_eq!(error_of(raw(kind::DRAIN_SESSION, &[0])), Some(error));
    for length in 0..4 {
        let error = CapsuleError::WrongLength { kind: kind::CLOSE_SESSION, length: length as u64 };
        assert_eq!(error_of(raw(kind::CLOSE_SESSION, &vec![0; length])), Some(error));
    }
    let padded = raw(kind::MAX_DATA, &[0xc0, 0, 0, 0, 0, 0, 0, 5]);
    assert_eq!(decode_all(&padded.into(), 1), (vec![Capsule::MaxData(5)], None, true));
}

#[test]
fn unknown_and_prohibited_capsules_are_reported_at_their_header() {
    let mut bytes = raw(kind::DATAGRAM, &[1; 5000]);
    bytes.extend(raw(kind::MAX_STREAM_DATA, &[2; 100]));
    let skipped = Capsule::Skipped { kind: kind::DATAGRAM, length: 5000 };
    let expected = vec![skipped.clone(), Capsule::Prohibited { kind: kind::MAX_STREAM_DATA }];
    for step in [1, 999, usize::MAX] {
        assert_eq!(decode_all(&bytes.clone().into(), step), (expected.clone(), None, true));
    }
    assert_eq!(decode_all(&Bytes::from(bytes).slice(..3), 1), (vec![skipped], None, false));
}

proptest! {
    #[test]
    fn any_feeding_gives_the_capsules(capsules in capsules(), step in 1_usize..100) {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for capsule in &capsules {
            capsule.encode(&mut bytes);
            ends.push(bytes.len());
        }
        let bytes = Bytes::from(bytes);
        for step in [1, step, usize::MAX] {
            prop_assert_eq!(decode_all(&bytes, step), (capsules.clone(), None, true));
        }
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
            let (decoded, error, boundary) = decode_all(&bytes.slice(..cut), usize::MAX);
            prop_assert_eq!(&decoded, &capsules[..whole]);
            prop_assert_eq!((error, boundary), (None, ends.contains(&cut)));
        }
    }

    #[test]
    fn random_bytes_feed_alike(kind in 0x190b_4d3c_u64..0x190b_4d46, bytes in any::<Vec<u8>>()) {
        for bytes in [Bytes::from(raw(kind, &bytes)), Bytes::from(bytes)] {
            prop_assert_eq!(decode_all(&bytes, 1), decode_all(&bytes, usize::MAX));
        }
    }
}
