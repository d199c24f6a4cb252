use super::{qpack, wire};

/// What a server has answered on a request stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// All fields but the status.
    pub fields: Vec<(String, String)>,
    /// The content of all DATA frames so far: on a session, its capsules.
    pub body: Vec<u8>,
}

impl Response {
    /// Reads what has come on a request stream; `None` until the HEADERS frame is complete.
    ///
    /// # Errors
    /// Says in words what is wrong with the bytes.
    pub fn parse(mut bytes: &[u8]) -> Result<Option<Self>, String> {
        let mut response: Option<Self> = None;
        while let Some((kind, payload, rest)) = split_frame(bytes) {
            bytes = rest;
            match (kind, &mut response) {
                (wire::HEADERS, None) => response = Some(Self::from_fields(qpack::decode(payload)?)?),
                (wire::DATA, Some(response)) => response.body.extend_from_slice(payload),
                (wire::HEADERS, Some(_)) => return Err("a second HEADERS frame".to_owned()),
                (wire::DATA, None) => return Err("DATA before HEADERS".to_owned()),
                _ => {}
            }
        }
        Ok(response)
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The capsules in the body, as (type, payload); what is cut short at the end is left out.
    pub fn capsules(&self) -> Vec<(u64, Vec<u8>)> {
        let mut capsules = Vec::new();
        let mut bytes = self.body.as_slice();
        while let Some((kind, payload, rest)) = split_frame(bytes) {
            capsules.push((kind, payload.to_vec()));
            bytes = rest;
        }
        capsules
    }

    /// The code and the reason of the close capsule, if there is one.
    pub fn close(&self) -> Option<(u32, String)> {
        let (_, payload) = self.capsules().into_iter().find(|(kind, _)| *kind == wire::CAPSULE_CLOSE)?;
        let (code, reason) = payload.split_first_chunk::<4>()?;
        Some((u32::from_be_bytes(*code), String::from_utf8(reason.to_vec()).ok()?))
    }

    fn from_fields(fields: Vec<(String, String)>) -> Result<Self, String> {
        let (status, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == ":status");
        match status.as_slice() {
            [(_, value)] => {
                let status = value.parse().map_err(|_| format!("status {value:?}"))?;
                Ok(Self { status, fields, body: Vec::new() })
            }
            _ => Err(format!("{} :status fields", status.len())),
        }
    }
}

/// Type, payload and what follows; `None` if the first frame is not there in full.
fn split_frame(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (kind, kind_width) = wire::read_varint(bytes)?;
    let (length, length_width) = wire::read_varint(&bytes[kind_width..])?;
    let (payload, rest) = bytes[kind_width + length_width..].split_at_checked(usize::try_from(length).ok()?)?;
    Some((kind, payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_with_a_close_capsule_split_over_frames_reads() {
        let close = wire::close(7, b"bye");
        let mut bytes = wire::frame(wire::HEADERS, &qpack::block(&[(":status", "200"), ("x", "y")]));
        bytes.extend(wire::frame(0x21, b"unknown"));
        bytes.extend(wire::data(&close[..3]));
        assert_eq!(Response::parse(&bytes).unwrap().unwrap().close(), None);
        bytes.extend(wire::data(&close[3..]));
        let response = Response::parse(&bytes).unwrap().unwrap();
        assert_eq!((response.status, response.field("x")), (200, Some("y")));
        assert_eq!(response.close(), Some((7, "bye".to_owned())));
    }

    #[test]
    fn incomplete_and_broken_responses_differ() {
        let bytes = wire::frame(wire::HEADERS, &qpack::block(&[(":status", "404")]));
        assert_eq!(Response::parse(&bytes[..bytes.len() - 1]), Ok(None));
        assert!(Response::parse(&wire::data(b"early")).is_err());
        assert!(Response::parse(&wire::frame(wire::HEADERS, &qpack::block(&[("x", "y")]))).is_err());
    }
}
