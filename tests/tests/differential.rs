//! Our codecs against other people's on the same input: what one writes the other must read, and both must read the same.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use h3::proto::coding::Encode as _;
use h3::proto::frame::{Frame, SettingId as H3Id};
use proptest::prelude::*;
use transom_core::wire::capsule::{Capsule, CapsuleDecoder};
use transom_core::wire::frame::{self, FrameDecoder, Piece};
use transom_core::wire::qpack::{self, Limits};
use transom_core::wire::settings::{MAX_STREAMS, Settings};
use transom_core::wire::{app_error, datagram, stream_header, varint};
use transom_tests::raw::{code, wire};
use web_transport_quinn::proto as wtq;
use wtransport::proto as wt;
use wtransport::proto::bytes::{BytesReader as _, BytesWriter as _};
use wtransport::proto::settings::SettingId;

type Fields = Vec<(String, String)>;

fn ours_decoded(block: &[u8]) -> Fields {
    let fields = qpack::decode(block, Limits { max_size: 1 << 20, max_fields: 1 << 10 }).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    fields.iter().map(|field| (text(&field.name), text(&field.value))).collect()
}

fn ours_encoded(fields: &[(String, String)]) -> Vec<u8> {
    let mut block = Vec::new();
    qpack::encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), &mut block);
    block
}

/// Field names as they may be, some of them in the static table.
fn name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &["origin", "cookie", "accept", "user-agent", "wt-protocol", "x-frame-options", "vary"];
    prop_oneof![prop::sample::select(KNOWN).prop_map(str::to_owned), "[a-z][a-z0-9-]{0,40}"]
}

/// A field section without a name twice: two of the peers keep sections in a map.
fn fields() -> impl Strategy<Value = Fields> {
    let value = prop_oneof![Just("*/*".to_owned()), Just(String::new()), "[ -~]{0,200}"];
    prop::collection::btree_map(name(), value, 0..8).prop_map(|fields| fields.into_iter().collect())
}

fn integer() -> impl Strategy<Value = u64> {
    (0..=varint::MAX, 0_u32..62).prop_map(|(value, shift)| value >> shift)
}

fn settings() -> impl Strategy<Value = Settings> {
    let numbers = (integer(), prop::option::of(integer()), integer(), 0_u64..1 << 32, 0..=MAX_STREAMS);
    (numbers, any::<[bool; 5]>()).prop_map(|((capacity, section, blocked, sessions, streams), flags)| Settings {
        qpack_max_table_capacity: capacity,
        max_field_section_size: section,
        qpack_blocked_streams: blocked,
        enable_connect_protocol: flags[0],
        h3_datagram: flags[1],
        h3_datagram_draft04: flags[2],
        enable_webtransport_draft02: flags[3],
        max_sessions_draft07: sessions,
        max_sessions_draft13: sessions,
        wt_enabled_draft15: flags[4],
        initial_max_data: capacity,
        initial_max_streams_uni: streams,
        initial_max_streams_bidi: streams,
    })
}

/// Our settings by identifier, as far as peers know them; what stands at its default is not sent.
fn known_to_peers(settings: &Settings) -> HashMap<u64, u64> {
    let all = [
        (0x01, settings.qpack_max_table_capacity),
        (0x07, settings.qpack_blocked_streams),
        (0x08, settings.enable_connect_protocol.into()),
        (0x33, settings.h3_datagram.into()),
        (0x2b60_3742, settings.enable_webtransport_draft02.into()),
    ];
    let section = settings.max_field_section_size.map(|size| (0x06, size));
    all.into_iter().filter(|(_, value)| *value > 0).chain(section).collect()
}

fn payload(settings: &Settings) -> Vec<u8> {
    let mut payload = Vec::new();
    settings.encode(&mut payload);
    payload
}

#[test]
fn error_codes_are_mapped_as_others_do() {
    // A step that is prime to the length of a run; all codes have a test of their own.
    for number in (0..=u32::MAX).step_by(4_001) {
        let http3 = app_error::to_http3(number);
        assert_eq!((http3, http3), (wtq::error_to_http3(number), code::from_application(number)));
        assert_eq!(wtq::error_from_http3(http3), Some(number));
    }
    for http3 in [0, 0x100, app_error::FIRST - 1, app_error::LAST + 1, varint::MAX] {
        assert_eq!((app_error::from_http3(http3), wtq::error_from_http3(http3)), (None, None));
    }
}

#[test]
fn sections_are_read_and_written_as_ls_qpack_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/qpack.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(vectors.len() > 200);
    for vector in vectors {
        let fields: Fields = serde_json::from_value(vector["fields"].clone()).unwrap();
        let digits = vector["block"].as_str().unwrap().as_bytes().chunks(2);
        let block: Vec<u8> =
            digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        assert_eq!(ours_decoded(&block), fields);
        // Both choose the shorter of plain and Huffman, and the static table wherever it helps: no byte differs.
        assert_eq!(ours_encoded(&fields), block, "{fields:?}");
    }
}

proptest! {
    #[test]
    fn integers_are_the_same_for_all(value in integer(), wide in any::<bool>()) {
        let bytes = if wide { wire::varint_of_width(value, 8) } else { wire::varint(value) };
        let expected = Some((value, bytes.len()));
        prop_assert_eq!(varint::decode(&bytes), expected);
        let mut input = bytes.as_slice();
        prop_assert_eq!(h3::proto::varint::VarInt::decode(&mut input).unwrap().into_inner(), value);
        prop_assert!(input.is_empty());
        let mut input = bytes.as_slice();
        prop_assert_eq!(wtq::VarInt::decode(&mut input).unwrap().into_inner(), value);
        prop_assert!(input.is_empty());
        let mut reader = wt::bytes::BufferReader::new(&bytes);
        prop_assert_eq!(reader.get_varint().map(wt::varint::VarInt::into_inner), Some(value));
        prop_assert_eq!(reader.offset(), bytes.len());
        let (mut mine, mut theirs, mut others) = (Vec::new(), Vec::new(), Vec::new());
        varint::encode(value, &mut mine);
        h3::proto::varint::VarInt::from_u64(value).unwrap().encode(&mut theirs);
        others.put_varint(wt::varint::VarInt::try_from(value).unwrap()).unwrap();
        prop_assert_eq!((&mine, &mine), (&theirs, &others));
    }

    #[test]
    fn our_settings_read_everywhere(settings in settings()) {
        let payload = payload(&settings);
        let bytes = [wire::varint(wire::CONTROL_STREAM), wire::frame(wire::SETTINGS, &payload)].concat();
        let known = known_to_peers(&settings);

        let theirs = wtq::Settings::decode(&mut bytes.as_slice()).unwrap();
        for id in [0x01, 0x06, 0x07, 0x08, 0x33, 0x2b60_3742] {
            let id_theirs = wtq::Setting(wtq::VarInt::from_u32(id));
            let value = theirs.get(&id_theirs).map(|value| value.into_inner());
            prop_assert_eq!(value, known.get(&id.into()).copied(), "{:#x}", id);
        }

        let frame = wt::frame::Frame::new_settings(payload.as_slice().into());
        let theirs = wt::settings::Settings::with_frame(&frame).unwrap();
        let pairs = [
            (0x01, SettingId::QPackMaxTableCapacity),
            (0x06, SettingId::MaxFieldSectionSize),
            (0x07, SettingId::QPackBlockedStreams),
            (0x08, SettingId::EnableConnectProtocol),
            (0x33, SettingId::H3Datagram),
            (0x2b60_3742, SettingId::EnableWebTransport),
        ];
        for (id, id_theirs) in pairs {
            prop_assert_eq!(theirs.get(id_theirs).map(wt::varint::VarInt::into_inner), known.get(&id).copied());
        }
        let sessions = theirs.get(SettingId::WebTransportMaxSessions).map(wt::varint::VarInt::into_inner);
        prop_assert_eq!(sessions.unwrap_or_default(), settings.max_sessions_draft07);

        match Frame::decode(&mut &bytes[1..]) {
            Ok(Frame::Settings(theirs)) => {
                let pairs = [
                    (0x01, H3Id::QPACK_MAX_TABLE_CAPACITY),
                    (0x06, H3Id::MAX_HEADER_LIST_SIZE),
                    (0x07, H3Id::QPACK_MAX_BLOCKED_STREAMS),
                    (0x08, H3Id::ENABLE_CONNECT_PROTOCOL),
                    (0x33, H3Id::H3_DATAGRAM),
                    (0x2b60_3742, H3Id::ENABLE_WEBTRANSPORT),
                ];
                for (id, id_theirs) in pairs {
                    prop_assert_eq!(theirs.get(id_theirs), known.get(&id).copied(), "{:#x}", id);
                }
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn field_sections_read_both_ways(fields in fields()) {
        let block = ours_encoded(&fields);
        let map: HashMap<String, String> = fields.iter().cloned().collect();
        prop_assert_eq!(wt::qpack::Decoder::decode(&block).unwrap(), map);
        prop_assert_eq!(transom_tests::raw::qpack::decode(&block).unwrap(), fields.clone());
        let theirs = wt::qpack::Encoder::encode(fields.iter().map(|(name, value)| (name, value)));
        prop_assert_eq!(ours_decoded(&theirs), fields.clone());
        prop_assert_eq!(ours_decoded(&transom_tests::raw::qpack::block(&fields)), fields);
    }

    #[test]
    fn requests_and_answers_of_web_transport_proto_read(
        path in "/[a-z0-9/]{0,30}",
        protocols in prop::collection::vec("[ -~]{1,20}", 0..5),
        status in 200_u16..=299,
    ) {
        let url = format!("https://example.org:4433{path}").parse::<url::Url>().unwrap();
        let path = url.path().to_owned();
        let request = wtq::ConnectRequest::new(url).with_protocols(protocols.clone());
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes).unwrap();
        let fields: HashMap<String, String> = ours_decoded(&payload_of(bytes.freeze(), wire::HEADERS)).into_iter().collect();
        prop_assert_eq!(fields.get(":path"), Some(&path));
        prop_assert_eq!(fields.get(":authority").map(String::as_str), Some("example.org:4433"));
        prop_assert_eq!(fields.contains_key("wt-available-protocols"), !protocols.is_empty());
        // And back, coded by us.
        let mut sorted: Fields = fields.into_iter().collect();
        sorted.sort();
        let again = wtq::ConnectRequest::decode(&mut wire::frame(wire::HEADERS, &ours_encoded(&sorted)).as_slice()).unwrap();
        prop_assert_eq!((again.url.path(), again.protocols), (path.as_str(), protocols));

        let mut bytes = BytesMut::new();
        wtq::ConnectResponse::new(status.try_into().unwrap()).with_protocol("chat").encode(&mut bytes).unwrap();
        let mut fields = ours_decoded(&payload_of(bytes.freeze(), wire::HEADERS));
        fields.sort();
        let expected = [
            (":status", status.to_string()),
            ("sec-webtransport-http3-draft", "draft02".to_owned()),
            ("wt-protocol", "\"chat\"".to_owned()),
        ];
        prop_assert_eq!(&fields, &expected.map(|(name, value)| (name.to_owned(), value)));
        let again = wire::frame(wire::HEADERS, &ours_encoded(&fields));
        let again = wtq::ConnectResponse::decode(&mut again.as_slice()).unwrap();
        prop_assert_eq!((again.status.as_u16(), again.protocol.as_deref()), (status, Some("chat")));
    }

    #[test]
    fn close_capsules_read_both_ways(number in any::<u32>(), reason in "\\PC{0,200}") {
        let mut bytes = Vec::new();
        Capsule::CloseSession { code: number, reason: reason.clone() }.encode(&mut bytes);
        let theirs = wtq::Capsule::CloseWebTransportSession { code: number, reason: reason.clone() };
        prop_assert_eq!(wtq::Capsule::decode(&mut bytes.as_slice()).unwrap(), theirs.clone());
        let mut again = Vec::new();
        theirs.encode(&mut again);
        prop_assert_eq!(&bytes, &again);
        let ours = CapsuleDecoder::default().push(&mut again.into()).unwrap();
        prop_assert_eq!(ours, Some(Capsule::CloseSession { code: number, reason }));
    }

    #[test]
    fn other_capsules_are_unknown_to_both_or_end_alike(kind in 0_u64..0x2800, length in 0_usize..100) {
        let bytes = wire::frame(kind, &vec![0; length]);
        let theirs = wtq::Capsule::decode(&mut bytes.as_slice()).unwrap();
        let close = matches!(theirs, wtq::Capsule::CloseWebTransportSession { .. });
        let ours = CapsuleDecoder::default().push(&mut bytes.into()).unwrap();
        prop_assert_eq!((ours, close), (Some(Capsule::Skipped { kind, length: length as u64 }), false));
    }

    #[test]
    fn frames_of_ours_read_in_h3(id in integer(), block in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = Vec::new();
        frame::encode(frame::kind::HEADERS, &block, &mut bytes);
        frame::encode(frame::kind::GOAWAY, &wire::varint(id), &mut bytes);
        frame::encode(frame::kind::MAX_PUSH_ID, &wire::varint(id), &mut bytes);
        frame::encode(frame::kind::DATA, &block, &mut bytes);
        let mut input = bytes.as_slice();
        prop_assert!(matches!(Frame::decode(&mut input), Ok(Frame::Headers(read)) if read == block));
        prop_assert!(matches!(Frame::decode(&mut input), Ok(Frame::Goaway(read)) if read.into_inner() == id));
        prop_assert!(matches!(Frame::decode(&mut input), Ok(Frame::MaxPushId(_))));
        prop_assert!(matches!(Frame::decode(&mut input), Ok(Frame::Data(length)) if length.0 == block.len()));
        prop_assert_eq!(input, block);
    }

    #[test]
    fn frames_of_others_read_here(id in integer(), block in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = Vec::new();
        Frame::<Bytes>::Goaway(h3::proto::varint::VarInt::from_u64(id).unwrap()).encode(&mut bytes);
        prop_assert_eq!(payload_of(bytes.into(), wire::GOAWAY).to_vec(), wire::varint(id));
        let mut bytes = Vec::new();
        wt::frame::Frame::new_headers(block.as_slice().into()).write(&mut bytes).unwrap();
        prop_assert_eq!(payload_of(bytes.into(), wire::HEADERS).to_vec(), block);
    }

    #[test]
    fn datagrams_and_stream_headers_read_in_wtransport(session in integer(), body in any::<Vec<u8>>()) {
        let session = session & !3;
        let bytes = datagram::encode(session, &body);
        let theirs = wt::datagram::Datagram::read(&bytes).unwrap();
        prop_assert_eq!((theirs.qstream_id().into_u64(), theirs.payload()), (session / 4, body.as_slice()));
        prop_assert_eq!(&bytes[..], &wire::datagram(session, &body)[..]);

        let mut header = Vec::new();
        stream_header::encode_uni(session, &mut header);
        let mut reader = wt::bytes::BufferReader::new(&header);
        let theirs = wt::stream_header::StreamHeader::read(&mut reader).unwrap().unwrap();
        prop_assert_eq!(theirs.session_id().map(wt::ids::SessionId::into_u64), Some(session));
        let mut header = Vec::new();
        stream_header::encode_bidi(session, &mut header);
        let mut reader = wt::bytes::BufferReader::new(&header);
        let theirs = wt::frame::Frame::read(&mut reader).unwrap().unwrap();
        prop_assert_eq!(theirs.session_id().map(wt::ids::SessionId::into_u64), Some(session));
    }

    /// Whatever bytes come: all who can read a datagram read the same.
    #[test]
    fn random_datagrams_mean_the_same(bytes in any::<Vec<u8>>()) {
        let ours = datagram::decode(bytes.clone().into()).ok();
        let theirs = wt::datagram::Datagram::read(&bytes).ok();
        let theirs = theirs.map(|read| (read.qstream_id().into_u64() * 4, Bytes::copy_from_slice(read.payload())));
        prop_assert_eq!(ours, theirs);
    }

    /// Whatever settings come: those that all accept mean the same, and ours is the strictest.
    #[test]
    fn random_settings_mean_the_same(
        pairs in prop::collection::vec((prop_oneof![0_u64..0x40, Just(0x2b60_3742), Just(0xc671_706a)], 0_u64..3), 0..6),
    ) {
        let payload: Vec<u8> = pairs.iter().flat_map(|(id, value)| wire::varints(&[*id, *value])).collect();
        let frame = wt::frame::Frame::new_settings(payload.as_slice().into());
        let theirs = wt::settings::Settings::with_frame(&frame);
        if let Ok(ours) = Settings::decode(&payload) {
            let theirs = theirs.expect("what we accept is acceptable");
            let value = |id| theirs.get(id).map_or(0, wt::varint::VarInt::into_inner);
            prop_assert_eq!(u64::from(ours.h3_datagram), value(SettingId::H3Datagram));
            prop_assert_eq!(u64::from(ours.enable_connect_protocol), value(SettingId::EnableConnectProtocol));
            prop_assert_eq!(ours.max_sessions_draft07, value(SettingId::WebTransportMaxSessions));
            prop_assert_eq!(ours.qpack_max_table_capacity, value(SettingId::QPackMaxTableCapacity));
        }
    }
}

/// The payload of the one frame in these bytes, as we read it.
fn payload_of(mut bytes: Bytes, wanted: u64) -> Bytes {
    let mut decoder = FrameDecoder::default();
    let mut payload = BytesMut::new();
    while let Some(piece) = decoder.push(&mut bytes) {
        match piece {
            Piece::Header { kind, .. } | Piece::End { kind } => assert_eq!(kind, wanted),
            Piece::Payload(part) => payload.extend_from_slice(&part),
        }
    }
    assert!(decoder.is_at_boundary());
    payload.freeze()
}
