//! Bytes that a peer may well send, so that scripts come past the first steps.

use super::input::Input;
use crate::wire::capsule::{self, Capsule};
use crate::wire::frame::{self, kind};
use crate::wire::settings::{Settings, id};
use crate::wire::{qpack, stream_header, varint};

/// A well-formed piece of the protocol, chosen by `choice`; details come from the input.
pub(super) fn bytes(choice: u8, input: &mut Input<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match choice % 16 {
        0 => control(&browser(), &mut out),
        1 => control(&newest(), &mut out),
        2 => headers(&request("webtransport"), &mut out),
        3 => headers(&request("webtransport-h3"), &mut out),
        4 => headers(&[(":status", "200"), ("wt-protocol", "\"a\"")], &mut out),
        5 => frame::encode(kind::DATA, &capsule(input), &mut out),
        6 => out = capsule(input),
        7 => frame::encode_header(kind::DATA, u64::from(input.byte()), &mut out),
        8 => stream_header::encode_uni(u64::from(input.byte()) * 4, &mut out),
        9 => stream_header::encode_bidi(u64::from(input.byte()) * 4, &mut out),
        10 => varint::encode(u64::from(input.byte()), &mut out),
        11 => {
            let kind = input.byte();
            frame::encode(u64::from(kind), input.short(), &mut out);
        }
        12 => frame::encode(kind::GOAWAY, &[input.byte() & 0x3f], &mut out),
        13 => setting(input, &mut out),
        14 => headers(&[(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")], &mut out),
        _ => headers(&[(":status", if input.byte() == 0 { "404" } else { "103" })], &mut out),
    }
    out
}

/// The SETTINGS of browsers: drafts 02 and 07.
fn browser() -> Settings {
    Settings {
        h3_datagram: true,
        enable_webtransport_draft02: true,
        max_sessions_draft07: 2,
        enable_connect_protocol: true,
        ..Settings::default()
    }
}

fn newest() -> Settings {
    Settings { h3_datagram: true, wt_enabled_draft15: true, enable_connect_protocol: true, ..Settings::default() }
}

/// The beginning of a control stream.
fn control(settings: &Settings, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    settings.encode(&mut payload);
    varint::encode(stream_header::kind::CONTROL, out);
    frame::encode(kind::SETTINGS, &payload, out);
}

/// A control stream with one setting.
fn setting(input: &mut Input<'_>, out: &mut Vec<u8>) {
    let ids = [id::H3_DATAGRAM, id::WT_ENABLED_DRAFT15, id::WT_INITIAL_MAX_DATA, id::MAX_FIELD_SECTION_SIZE, 0x21];
    let mut payload = Vec::new();
    varint::encode(ids[usize::from(input.byte()) % ids.len()], &mut payload);
    varint::encode(u64::from(input.byte()), &mut payload);
    varint::encode(stream_header::kind::CONTROL, out);
    frame::encode(kind::SETTINGS, &payload, out);
}

fn request(token: &'static str) -> [(&'static str, &'static str); 6] {
    [
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", "a.example"),
        (":path", "/"),
        (":protocol", token),
        ("wt-available-protocols", "\"a\", \"b\""),
    ]
}

fn headers(fields: &[(&str, &str)], out: &mut Vec<u8>) {
    let mut block = Vec::new();
    qpack::encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), &mut block);
    frame::encode(kind::HEADERS, &block, out);
}

fn capsule(input: &mut Input<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let choice = input.byte();
    let value = u64::from(input.byte());
    let capsule = match choice % 12 {
        0 => Capsule::CloseSession { code: value as u32, reason: String::from_utf8_lossy(input.short()).into() },
        1 => Capsule::DrainSession,
        2 => Capsule::MaxData(value),
        3 => Capsule::MaxStreamsBidi(value),
        4 => Capsule::MaxStreamsUni(value),
        5 => Capsule::DataBlocked(value),
        6 => Capsule::StreamsBlockedBidi(value),
        7 => Capsule::StreamsBlockedUni(value),
        8 => Capsule::Prohibited { kind: capsule::kind::MAX_STREAM_DATA },
        9 => Capsule::Skipped { kind: capsule::kind::DATAGRAM, length: 0 },
        10 => {
            varint::encode(capsule::kind::CLOSE_SESSION, &mut out);
            varint::encode(value, &mut out);
            out.extend_from_slice(input.short());
            return out;
        }
        _ => {
            varint::encode(0x21 + value, &mut out);
            varint::encode(u64::from(input.byte()), &mut out);
            return out;
        }
    };
    capsule.encode(&mut out);
    out
}
