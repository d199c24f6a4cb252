//! QPACK: field sections, Huffman codes, and the two streams of instructions.

use super::input::Input;
use crate::wire::qpack::{self, DecodeError, DecoderStream, EncoderStream, Field, Limits, huffman, prefix};

const WIDE: Limits = Limits { max_size: usize::MAX, max_fields: usize::MAX };

/// Field sections: limits kept exactly, and what was decoded written again; Huffman codes have one form only.
pub fn field_section(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = Limits { max_size: usize::from(input.byte()) * 64, max_fields: usize::from(input.byte() % 32) };
    let block = input.rest();
    code(block, limits.max_size);
    let wide = qpack::decode(block, WIDE);
    let narrow = qpack::decode(block, limits);
    let Ok(fields) = wide else {
        assert!(narrow.is_err() && wide != Err(DecodeError::TooLarge));
        return;
    };
    let size = fields.iter().map(Field::size).sum::<usize>();
    let fits = size <= limits.max_size && fields.len() <= limits.max_fields;
    assert_eq!(narrow, if fits { Ok(fields.clone()) } else { Err(DecodeError::TooLarge) });
    let exact = Limits { max_size: size, max_fields: fields.len() };
    assert_eq!(qpack::decode(block, exact).as_ref(), Ok(&fields));
    if !fields.is_empty() {
        let smaller = [Limits { max_size: size - 1, ..exact }, Limits { max_fields: fields.len() - 1, ..exact }];
        for limits in smaller {
            assert_eq!(qpack::decode(block, limits), Err(DecodeError::TooLarge));
        }
    }
    let mut again = Vec::new();
    qpack::encode(fields.iter().map(|field| (field.name.as_ref(), field.value.as_ref())), &mut again);
    assert_eq!(qpack::decode(&again, WIDE), Ok(fields));
}

/// The bytes as a Huffman code, and as a text to be coded.
fn code(bytes: &[u8], limit: usize) {
    let mut text = Vec::new();
    let result = huffman::decode(bytes, limit, &mut text);
    assert!(text.len() <= limit);
    if result.is_ok() {
        let mut again = Vec::new();
        huffman::encode(&text, &mut again);
        assert_eq!(again, bytes, "a text has one code");
    }
    let mut coded = Vec::new();
    huffman::encode(bytes, &mut coded);
    assert_eq!(coded.len(), huffman::encoded_size(bytes));
    let mut decoded = Vec::new();
    assert_eq!(huffman::decode(&coded, bytes.len(), &mut decoded), Ok(()));
    assert_eq!(decoded, bytes);
}

/// The encoder and decoder streams: whole, one byte at a time, and judged by a loop over the integers.
pub fn instructions(data: &[u8]) {
    let (mut whole, mut single) = (EncoderStream::default(), EncoderStream::default());
    let result = whole.push(data);
    assert_eq!(result, data.iter().try_for_each(|&byte| single.push(&[byte])));
    assert_eq!(whole, single);
    assert_eq!(result.is_ok(), data.iter().all(|&byte| byte == 0x20), "nothing but a capacity of zero");

    let (mut whole, mut single) = (DecoderStream::default(), DecoderStream::default());
    let result = whole.push(data);
    let parts: Result<u32, _> = data.iter().map(|&byte| single.push(&[byte])).sum();
    assert_eq!((result, &whole), (parts, &single));
    assert_eq!(whole.push(&[]).is_err(), result.is_err(), "an error stays");
    assert_eq!(result.ok(), cancellations(data));

    let mut input = Input::new(data);
    let prefix_bits = u32::from(input.byte() % 8) + 1;
    let bytes = input.rest();
    if let Ok((value, used)) = prefix::decode(bytes, prefix_bits) {
        assert!(value <= prefix::MAX && used <= bytes.len());
        let mut again = Vec::new();
        prefix::encode(value, prefix_bits, 0, &mut again);
        assert!(again.len() <= used);
        assert_eq!(prefix::decode(&again, prefix_bits), Ok((value, again.len())));
    }
}

/// How many whole Stream Cancellations there are; `None` when anything else is among them.
fn cancellations(mut bytes: &[u8]) -> Option<u32> {
    let mut count = 0;
    while let Some(first) = bytes.first() {
        if first & 0xc0 != 0x40 {
            return None;
        }
        match prefix::decode(bytes, 6) {
            Ok((_, used)) => bytes = bytes.get(used..)?,
            Err(prefix::PrefixError::Truncated) => return Some(count),
            Err(prefix::PrefixError::TooLarge) => return None,
        }
        count += 1;
    }
    Some(count)
}
