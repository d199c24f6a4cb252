//! What real clients sent, as data: recorded once by [`Recorder`], replayed against our server by [`Replay`].

mod recorder;
mod replay;
mod transport_parameters;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::raw::{qpack, wire};
pub use recorder::{Recorder, SERVER_SETTINGS};
pub use replay::{Heard, Pace, Replay};

/// Everything one client sent on one connection, at the level of HTTP/3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// Whose client.
    pub client: String,
    /// Which version of it.
    pub version: String,
    /// The day of the recording.
    pub date: String,
    /// The numbers among its transport parameters, by id, defaults left out.
    pub transport_parameters: BTreeMap<u64, u64>,
    /// What it did, in the order in which it arrived.
    pub steps: Vec<Step>,
}

/// One thing a client did, or the one thing that the server did and the client had to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bytes arrived on a stream, perhaps with its end.
    Bytes {
        /// The QUIC stream.
        stream: u64,
        /// What came.
        bytes: Vec<u8>,
        /// Whether the stream ended with them.
        fin: bool,
    },
    /// The client reset a stream.
    Reset {
        /// The QUIC stream.
        stream: u64,
        /// The code.
        code: u64,
    },
    /// A DATAGRAM frame arrived.
    Datagram {
        /// Its payload.
        bytes: Vec<u8>,
    },
    /// The server accepted the session; what follows may be an answer to that.
    Accepted {
        /// The CONNECT stream.
        stream: u64,
    },
}

/// Transport parameter max_datagram_frame_size (RFC 9221, section 3).
pub const MAX_DATAGRAM_FRAME_SIZE: u64 = 0x20;
/// Transport parameter initial_max_streams_bidi (RFC 9000, section 18.2).
pub const INITIAL_MAX_STREAMS_BIDI: u64 = 0x08;
/// Transport parameter initial_max_streams_uni (RFC 9000, section 18.2).
pub const INITIAL_MAX_STREAMS_UNI: u64 = 0x09;

impl Capture {
    /// The folder of the recordings.
    pub fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
    }

    /// Reads the recording of this name.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub fn load(name: &str) -> io::Result<Self> {
        let text = fs::read_to_string(Self::folder().join(name).with_extension("json"))?;
        Self::from_json(&serde_json::from_str(&text)?)
            .ok_or_else(|| io::Error::other(format!("{name} is no recording")))
    }

    /// Writes the recording.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        fs::write(path, format!("{:#}\n", self.to_json()))
    }

    /// All bytes of one stream, as they would have come in one piece.
    pub fn stream(&self, id: u64) -> Vec<u8> {
        let of_stream = self.steps.iter().filter_map(|step| match step {
            Step::Bytes { stream, bytes, .. } if *stream == id => Some(bytes.as_slice()),
            _ => None,
        });
        of_stream.collect::<Vec<_>>().concat()
    }

    /// The ids of all streams with bytes on them, in the order of their first ones.
    pub fn streams(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        for step in &self.steps {
            if let Step::Bytes { stream, .. } = step
                && !ids.contains(stream)
            {
                ids.push(*stream);
            }
        }
        ids
    }

    /// The CONNECT stream.
    pub fn session(&self) -> Option<u64> {
        self.steps.iter().find_map(|step| match step {
            Step::Accepted { stream } => Some(*stream),
            _ => None,
        })
    }

    /// The field lines of the request, read by other code than ours.
    ///
    /// # Errors
    /// Says in words what is wrong with the recording.
    pub fn request(&self) -> Result<Vec<(String, String)>, String> {
        let stream = self.stream(self.session().ok_or("no session was asked for")?);
        request_fields(&stream)?.ok_or_else(|| "the request is cut short".to_owned())
    }

    /// The bodies of the WebTransport streams, by id: what comes after type and session id.
    pub fn bodies(&self) -> BTreeMap<u64, Vec<u8>> {
        let mut bodies = BTreeMap::new();
        for id in self.streams() {
            let bytes = self.stream(id);
            let wanted = if id & 2 == 0 { wire::WT_BIDI } else { wire::WT_UNI };
            let Some((kind, first)) = wire::read_varint(&bytes).filter(|(kind, _)| *kind == wanted) else { continue };
            if let Some((_, second)) = wire::read_varint(&bytes[first..]) {
                debug_assert_eq!(kind, wanted);
                bodies.insert(id, bytes[first + second..].to_vec());
            }
        }
        bodies
    }

    /// The payloads of the datagrams, without the session id.
    pub fn datagrams(&self) -> Vec<Vec<u8>> {
        let payloads = self.steps.iter().filter_map(|step| match step {
            Step::Datagram { bytes } => wire::read_varint(bytes).map(|(_, used)| bytes[used..].to_vec()),
            _ => None,
        });
        payloads.collect()
    }

    fn to_json(&self) -> Value {
        let parameters = self.transport_parameters.iter().map(|(id, value)| (format!("{id:#x}"), json!(value)));
        json!({
            "client": self.client,
            "version": self.version,
            "date": self.date,
            "transport_parameters": parameters.collect::<serde_json::Map<_, _>>(),
            "steps": self.steps.iter().map(Step::to_json).collect::<Vec<_>>(),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let parameters = value.get("transport_parameters")?.as_object()?.iter();
        let parameters = parameters
            .map(|(id, value)| Some((u64::from_str_radix(id.strip_prefix("0x")?, 16).ok()?, value.as_u64()?)));
        Some(Self {
            client: text("client")?,
            version: text("version")?,
            date: text("date")?,
            transport_parameters: parameters.collect::<Option<_>>()?,
            steps: value.get("steps")?.as_array()?.iter().map(Step::from_json).collect::<Option<_>>()?,
        })
    }
}

impl Step {
    fn to_json(&self) -> Value {
        match self {
            Self::Bytes { stream, bytes, fin: true } => json!({ "stream": stream, "bytes": hex(bytes), "fin": true }),
            Self::Bytes { stream, bytes, fin: false } => json!({ "stream": stream, "bytes": hex(bytes) }),
            Self::Reset { stream, code } => json!({ "stream": stream, "reset": code }),
            Self::Datagram { bytes } => json!({ "datagram": hex(bytes) }),
            Self::Accepted { stream } => json!({ "accepted": stream }),
        }
    }

    fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let bytes = |name: &str| value.get(name).and_then(Value::as_str).and_then(unhex);
        if let Some(bytes) = bytes("datagram") {
            return Some(Self::Datagram { bytes });
        }
        if let Some(stream) = number("accepted") {
            return Some(Self::Accepted { stream });
        }
        let stream = number("stream")?;
        if let Some(code) = number("reset") {
            return Some(Self::Reset { stream, code });
        }
        let fin = value.get("fin").and_then(Value::as_bool).unwrap_or(false);
        Some(Self::Bytes { stream, bytes: bytes("bytes")?, fin })
    }
}

/// The fields of the first HEADERS frame, `None` while it is not there in full.
fn request_fields(mut stream: &[u8]) -> Result<Option<Vec<(String, String)>>, String> {
    loop {
        let Some((kind, first)) = wire::read_varint(stream) else { return Ok(None) };
        let Some((length, second)) = wire::read_varint(&stream[first..]) else { return Ok(None) };
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let Some((payload, rest)) = stream[first + second..].split_at_checked(length) else { return Ok(None) };
        if kind == wire::HEADERS {
            return qpack::decode(payload).map(Some);
        }
        stream = rest;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_reads_back_as_it_was_written() {
        let capture = Capture {
            client: "somebody's".into(),
            version: "1.2".into(),
            date: "2026-11-21".into(),
            transport_parameters: BTreeMap::from([(MAX_DATAGRAM_FRAME_SIZE, 65_536)]),
            steps: vec![
                Step::Bytes { stream: 2, bytes: vec![0, 4, 0], fin: false },
                Step::Accepted { stream: 0 },
                Step::Datagram { bytes: vec![0, 0xff] },
                Step::Reset { stream: 4, code: 0x10c },
                Step::Bytes { stream: 0, bytes: Vec::new(), fin: true },
            ],
        };
        assert_eq!(Capture::from_json(&capture.to_json()), Some(capture));
    }
}
