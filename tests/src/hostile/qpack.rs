//! Field sections and the QPACK streams, for a decoder without a dynamic table (2.4 of the catalogue).

use super::place::{authority, echo};
use super::script::{On, Script, script};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{Request, code, qpack, wire};
use Reaction::{Aborts, Answers, Closes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    let scripts = [references(), strings(), shapes(), sizes(), encoder_stream(), decoder_stream()];
    let mut cases: Vec<Case> = scripts.into_iter().flatten().flat_map(Script::cases).collect();
    cases.extend(second_streams());
    cases
}

const FAILED: &[Reaction] = &[Closes(code::QPACK_DECOMPRESSION_FAILED)];
const TOO_LARGE: &[Reaction] = &[Answers(431)];

/// The HEADERS frame of a good CONNECT with more field lines behind.
fn connect_and(lines: &[u8]) -> Vec<u8> {
    let block = [Request::webtransport(authority(), echo()).block().as_slice(), lines].concat();
    wire::frame(wire::HEADERS, &block)
}

/// The HEADERS frame of a good CONNECT with another section prefix.
fn connect_behind(prefix: &[u8]) -> Vec<u8> {
    let block = Request::webtransport(authority(), echo()).block();
    wire::frame(wire::HEADERS, &[prefix, &block[2..]].concat())
}

fn references() -> Vec<Script> {
    let line = |rows, name: &str, line: &[u8]| script(rows, name, On::Request, connect_and(line), FAILED);
    let prefix = |rows, name: &str, prefix: &[u8]| script(rows, name, On::Request, connect_behind(prefix), FAILED);
    vec![
        line("103 h46", "static index 99", &qpack::indexed(99)),
        line("103", "static index 2^20", &qpack::indexed(1 << 20)),
        line("103", "name reference to static index 99", &[qpack::prefixed(0x50, 4, 99), vec![1, b'x']].concat()),
        prefix("104", "Required Insert Count 1", &[2, 0]),
        prefix("104", "Required Insert Count 2^30", &[qpack::prefixed(0, 8, 1 << 30), vec![0]].concat()),
        line("105", "dynamic index", &[0x80]),
        line("105", "post-base index", &[0x10]),
        line("105", "dynamic name reference", &[0x40, 1, b'x']),
        line("105", "post-base name reference", &[0x00, 1, b'x']),
        prefix("106", "negative base", &[0, 0x80]),
    ]
}

fn strings() -> Vec<Script> {
    let line = |rows, name: &str, line: &[u8]| script(rows, name, On::Request, connect_and(line), FAILED);
    let huffman = |name: &str, value: &[u8]| {
        line("110", &format!("Huffman: {name}"), &qpack::literal_with_huffman_value(b"x", value))
    };
    let overflow = [[0xff].as_slice(), &[0xff; 10], &[0x7f]].concat();
    vec![
        line("109", "name longer than the block", &[qpack::prefixed(0x20, 3, 100), b"abc".to_vec()].concat()),
        line("109", "value longer than the block", &[b"\x21x".to_vec(), qpack::prefixed(0, 7, 5000)].concat()),
        line("109", "value of claimed length 2^40", &[b"\x21x".to_vec(), qpack::prefixed(0, 7, 1 << 40)].concat()),
        line("109", "a field line cut inside its length", &[0x21, b'x', 0x7f, 0x80]),
        huffman("EOS inside", &[0xff, 0xff, 0xff, 0xff]),
        huffman("a whole byte of padding", &[0x1f, 0xff]),
        huffman("padding with zeros", &[0x18]),
        script(
            "109",
            "an integer of more than 62 bits",
            On::Request,
            connect_and(&overflow),
            &[Closes(code::QPACK_DECOMPRESSION_FAILED), Aborts(code::QPACK_DECOMPRESSION_FAILED)],
        ),
    ]
}

fn shapes() -> Vec<Script> {
    let either = &[Aborts(code::H3_MESSAGE_ERROR), Closes(code::QPACK_DECOMPRESSION_FAILED)];
    let headers = |block: &[u8]| wire::frame(wire::HEADERS, block);
    vec![
        script("113", "a field with an empty name", On::Request, connect_and(&qpack::literal(b"", b"x")), either),
        script("113", "an empty HEADERS frame", On::Request, headers(b""), either),
        script("113", "a truncated section prefix", On::Request, headers(&[0]), either),
        script("113", "a section without a field", On::Request, headers(&[0, 0]), &[Aborts(code::H3_MESSAGE_ERROR)]),
        script(
            "110",
            "a good Huffman value",
            On::Request,
            connect_and(&qpack::literal_with_huffman_value(b"x", &[0x1f])),
            &[Answers(200)],
        ),
    ]
}

fn sizes() -> Vec<Script> {
    let many = |count: usize| connect_and(&qpack::indexed(2).repeat(count));
    // Eight times the five-bit code of "a" fill five bytes.
    let expanding = [0x18, 0xc6, 0x31, 0x8c, 0x63].repeat(3200);
    let one = |length: usize| connect_and(&qpack::literal(b"x-long", &vec![b'v'; length]));
    let fields_of = |length: usize| connect_and(&qpack::literal(b"x", &vec![b'v'; length]).repeat(100));
    let too_large = &[Answers(431), Aborts(code::H3_EXCESSIVE_LOAD)];
    let scripts = [
        script(
            "111",
            "16 KB of Huffman code, 25 KB decoded",
            On::Request,
            connect_and(&qpack::literal_with_huffman_value(b"x", &expanding)),
            TOO_LARGE,
        ),
        script("112", "100 one-byte fields", On::Request, many(100), &[Answers(200)]),
        script("112", "200 one-byte fields", On::Request, many(200), TOO_LARGE),
        script("112", "15,000 one-byte fields", On::Request, many(15_000), TOO_LARGE),
        // Each field counts 32 bytes more than its text (RFC 9114, section 4.2.2): with the pseudo-headers 16336 and 16436.
        script("84 H12", "100 fields that count 16336 bytes", On::Request, fields_of(128), &[Answers(200)]),
        script("84 H12", "100 fields that count 16436 bytes", On::Request, fields_of(129), too_large),
        script("84", "one field of 12 KB", On::Request, one(12_000), &[Answers(200)]),
        script("84", "HEADERS of 17 KB", On::Request, one(17_000), too_large),
        script("84", "HEADERS of 100 KB", On::Request, one(100_000), too_large),
    ];
    scripts.map(|script| script.counts_for(Scope::OwnLimits)).into()
}

fn encoder_stream() -> Vec<Script> {
    let error = &[Closes(code::QPACK_ENCODER_STREAM_ERROR)];
    let critical = &[Closes(code::H3_CLOSED_CRITICAL_STREAM)];
    let stream = |rows, name: &str, instruction: &[u8], expected: &[Reaction]| {
        let bytes = [&[wire::ENCODER_STREAM as u8], instruction].concat();
        script(rows, format!("encoder stream: {name}"), On::Uni, bytes, expected)
    };
    vec![
        stream("114", "Set Capacity 0", &[0x20], &[GoesOn]),
        stream("114", "Set Capacity 0, 50 times", &[0x20; 50], &[GoesOn]),
        stream("116", "Set Capacity 1", &[0x21], error),
        stream("116 h47", "Set Capacity 10^10", &qpack::prefixed(0x20, 5, 10_000_000_000), error),
        stream("116", "insert with a static name", &[0xc1, 1, b'x'], error),
        stream("116", "insert with a literal name", &[0x41, b'a', 1, b'b'], error),
        stream("K17", "an integer of more than 62 bits", &[&[0x3f][..], &[0xff; 9], &[0x7f]].concat(), error),
        stream("116", "duplicate", &[0x00], error),
        stream("118", "FIN", b"", critical).fin(),
        stream("118", "reset", b"", critical).reset(code::H3_NO_ERROR),
    ]
}

fn decoder_stream() -> Vec<Script> {
    let error = &[Closes(code::QPACK_DECODER_STREAM_ERROR)];
    let critical = &[Closes(code::H3_CLOSED_CRITICAL_STREAM)];
    let budget = &[GoesOn, Closes(code::H3_EXCESSIVE_LOAD)];
    let stream = |rows, name: &str, instruction: &[u8], expected: &[Reaction]| {
        let bytes = [&[wire::DECODER_STREAM as u8], instruction].concat();
        script(rows, format!("decoder stream: {name}"), On::Uni, bytes, expected)
    };
    vec![
        stream("119 h49", "Insert Count Increment 0", &[0x00], error),
        stream("119", "Insert Count Increment 1", &[0x01], error),
        stream("119", "Insert Count Increment 2^40", &qpack::prefixed(0, 6, 1 << 40), error),
        stream("K17", "an integer of more than 62 bits", &[&[0x7f][..], &[0xff; 9], &[0x7f]].concat(), error),
        stream("120", "Section Acknowledgment", &[0x80], error),
        stream("121", "Stream Cancellation", &[0x40], &[GoesOn]),
        stream("121", "Stream Cancellation, 20,000 times", &[0x44; 20_000], budget),
        stream("118", "FIN", b"", critical).fin(),
        stream("118", "reset", b"", critical).reset(code::H3_NO_ERROR),
    ]
}

fn second_streams() -> Vec<Case> {
    let expected = &[Closes(code::H3_STREAM_CREATION_ERROR)];
    let second = |name: &str, kind: u64| {
        Case::new("117", name, expected, move |scene: &Scene<'_>| {
            let mut attacker = scene.in_session()?;
            for _ in 0..2 {
                let stream = attacker.peer.client.open_uni()?;
                attacker.peer.client.write(stream, &wire::varint(kind))?;
            }
            attacker.reaction_of_connection()
        })
    };
    vec![
        second("a second encoder stream", wire::ENCODER_STREAM),
        second("a second decoder stream", wire::DECODER_STREAM),
    ]
}
