//! QPACK field sections without the dynamic table: written without Huffman coding, read with it.

use httlib_huffman::DecoderSpeed;

use super::static_table::STATIC_TABLE;

/// A field section with every field a literal name and a literal value.
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut bytes = PREFIX.to_vec();
    for (name, value) in fields {
        bytes.extend(literal(name.as_ref(), value.as_ref()));
    }
    bytes
}

/// One field line: literal field line with literal name.
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = prefixed(0x20, 3, name.len() as u64);
    bytes.extend_from_slice(name);
    bytes.extend(prefixed(0x00, 7, value.len() as u64));
    bytes.extend_from_slice(value);
    bytes
}

/// One field line with a plain name and a value given as Huffman-coded bytes, right or wrong.
pub fn literal_with_huffman_value(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = prefixed(0x20, 3, name.len() as u64);
    bytes.extend_from_slice(name);
    bytes.extend(prefixed(0x80, 7, value.len() as u64));
    bytes.extend_from_slice(value);
    bytes
}

/// One field line: indexed, static table.
pub fn indexed(index: u64) -> Vec<u8> {
    prefixed(0xc0, 6, index)
}

/// An integer with an N-bit prefix below the bits of `pattern` (RFC 7541, 5.1).
pub fn prefixed(pattern: u8, bits: u32, value: u64) -> Vec<u8> {
    let limit = (1u64 << bits) - 1;
    if value < limit {
        return vec![pattern | value as u8];
    }
    let mut bytes = vec![pattern | limit as u8];
    let mut rest = value - limit;
    while rest >= 0x80 {
        bytes.push(rest as u8 & 0x7f | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// Reads a field section that uses no dynamic table.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn decode(block: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut rest = block.strip_prefix(&PREFIX).ok_or("the section refers to a dynamic table")?;
    let mut fields = Vec::new();
    while let Some(&first) = rest.first() {
        let field = match first {
            0xc0.. => static_entry(read_prefixed(&mut rest, 6)?).map(|(name, value)| (name.into(), value.into()))?,
            0x50..=0x5f | 0x70..=0x7f => {
                let (name, _) = static_entry(read_prefixed(&mut rest, 4)?)?;
                (name.to_owned(), read_string(&mut rest, 7)?)
            }
            0x20..=0x3f => (read_string(&mut rest, 3)?, read_string(&mut rest, 7)?),
            _ => return Err(format!("field line {first:#x} refers to a dynamic table")),
        };
        fields.push(field);
    }
    Ok(fields)
}

fn static_entry(index: u64) -> Result<(&'static str, &'static str), String> {
    let entry = usize::try_from(index).ok().and_then(|index| STATIC_TABLE.get(index));
    entry.copied().ok_or_else(|| format!("static index {index}"))
}

/// Reads a string whose Huffman flag stands right above an N-bit length.
fn read_string(rest: &mut &[u8], bits: u32) -> Result<String, String> {
    let huffman = rest.first().ok_or("cut before a string")? & (1 << bits) != 0;
    let length = usize::try_from(read_prefixed(rest, bits)?).map_err(|error| error.to_string())?;
    let (bytes, after) = rest.split_at_checked(length).ok_or("cut inside a string")?;
    *rest = after;
    let mut plain = Vec::new();
    if huffman {
        httlib_huffman::decode(bytes, &mut plain, DecoderSpeed::FourBits).map_err(|error| format!("{error:?}"))?;
    } else {
        plain.extend_from_slice(bytes);
    }
    String::from_utf8(plain).map_err(|error| error.to_string())
}

fn read_prefixed(rest: &mut &[u8], bits: u32) -> Result<u64, String> {
    let (&first, mut after) = rest.split_first().ok_or("cut before an integer")?;
    let limit = (1u8 << bits) - 1;
    let mut value = u64::from(first & limit);
    if first & limit == limit {
        for shift in (0..56).step_by(7) {
            let (&byte, next) = after.split_first().ok_or("cut inside an integer")?;
            after = next;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = after;
    Ok(value)
}

/// Required Insert Count 0, Base 0.
const PREFIX: [u8; 2] = [0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_integers_match_the_examples_of_rfc_7541() {
        assert_eq!(prefixed(0, 5, 10), [0x0a]);
        assert_eq!(prefixed(0, 5, 1337), [0x1f, 0x9a, 0x0a]);
        assert_eq!(prefixed(0, 8 - 1, 42), [0x2a]);
    }

    #[test]
    fn literals_read_back() {
        let long = "v".repeat(300);
        let fields = [(":status", "200"), ("a", ""), ("x-long-enough-to-spill", long.as_str())];
        let expected: Vec<(String, String)> = fields.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        assert_eq!(decode(&block(&fields)), Ok(expected));
    }

    #[test]
    fn the_example_of_rfc_9204_reads() {
        // RFC 9204, B.1: literal field line with name reference to :path, static table.
        let block = [&[0x00, 0x00, 0x51, 0x0b][..], b"/index.html"].concat();
        assert_eq!(decode(&block), Ok(vec![(":path".into(), "/index.html".into())]));
    }

    #[test]
    fn static_and_huffman_forms_read() {
        // RFC 7541, C.4.1: "www.example.com" in Huffman code.
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        let mut section = PREFIX.to_vec();
        section.extend(indexed(25));
        section.extend(literal_with_huffman_value(b"x", &coded));
        let expected = vec![(":status".into(), "200".into()), ("x".into(), "www.example.com".into())];
        assert_eq!(decode(&section), Ok(expected));
    }

    #[test]
    fn dynamic_references_and_cuts_are_refused() {
        assert!(decode(&[0x02, 0x00, 0x80]).is_err());
        assert!(decode(&[0x00, 0x00, 0x80]).is_err());
        assert!(decode(&[0x00, 0x00, 0x51, 0x0b, b'/']).is_err());
        assert!(decode(&[&PREFIX[..], &indexed(99)].concat()).is_err());
    }
}
