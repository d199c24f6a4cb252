//! A handshake without cryptography: it carries the transport parameters and changes the levels as TLS does, and nothing is
//! secret or signed. Packets have a tag that tells the levels apart.

use std::any::Any;
use std::sync::Arc;

use bytes::BytesMut;
use quinn_proto::crypto::{
    ClientConfig, CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session,
    UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, TransportErrorCode};

/// Both configurations.
pub(crate) struct Plain;

/// What each side says in its turn: the client its parameters, the server a byte and its parameters, the client a byte.
struct PlainSession {
    side: Side,
    parameters: Vec<u8>,
    received: Vec<u8>,
    peer: Option<TransportParameters>,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The client has something to say, the server waits for it.
    Hello,
    /// The client waits for one byte, the server has it to say.
    Reply,
    /// The client waits for the parameters, the server has them to say.
    Parameters,
    /// The server waits for one byte, the client has it to say.
    Finish,
    Done,
}

impl PlainSession {
    fn begin(side: Side, parameters: &TransportParameters) -> Box<dyn Session> {
        let mut body = Vec::new();
        parameters.write(&mut body);
        let mut message = (body.len() as u16).to_be_bytes().to_vec();
        message.extend_from_slice(&body);
        Box::new(Self { side, parameters: message, received: Vec::new(), peer: None, step: Step::Hello })
    }

    /// Takes the peer's parameters out of what was received, once they are complete.
    fn take_parameters(&mut self) -> Result<bool, TransportError> {
        let Some((length, body)) = self.received.split_first_chunk() else { return Ok(false) };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some(body) = body.get(..length) else { return Ok(false) };
        let parameters = TransportParameters::read(self.side, &mut &*body).map_err(|_| TransportError {
            code: TransportErrorCode::TRANSPORT_PARAMETER_ERROR,
            frame: None,
            reason: "bad parameters".into(),
        })?;
        self.peer = Some(parameters);
        self.received.drain(..2 + length);
        Ok(true)
    }
}

impl Session for PlainSession {
    fn initial_keys(&self, _: &ConnectionId, _: Side) -> Keys {
        keys(0)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.step != Step::Done
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.received.extend_from_slice(bytes);
        match (self.side, self.step) {
            (Side::Server, Step::Hello) if self.take_parameters()? => {
                self.step = Step::Reply;
                return Ok(true);
            }
            (Side::Client, Step::Reply) if !self.received.is_empty() => {
                self.received.remove(0);
                self.step = Step::Parameters;
            }
            (Side::Client, Step::Parameters) if self.take_parameters()? => {
                self.step = Step::Finish;
                return Ok(true);
            }
            (Side::Server, Step::Finish) if !self.received.is_empty() => self.step = Step::Done,
            _ => {}
        }
        Ok(false)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        Ok(self.peer)
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        match (self.side, self.step) {
            (Side::Client, Step::Hello) => {
                out.extend_from_slice(&self.parameters);
                self.step = Step::Reply;
                None
            }
            (Side::Server, Step::Reply) => {
                out.push(1);
                self.step = Step::Parameters;
                Some(keys(1))
            }
            (Side::Server, Step::Parameters) => {
                out.extend_from_slice(&self.parameters);
                self.step = Step::Finish;
                Some(keys(2))
            }
            // The keys come with the reply, the parameters in their own level.
            (Side::Client, Step::Parameters) if !self.parameters.is_empty() => {
                self.parameters.clear();
                Some(keys(1))
            }
            (Side::Client, Step::Finish) => {
                out.push(2);
                self.step = Step::Done;
                Some(keys(2))
            }
            _ => None,
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        Some(keys(2).packet)
    }

    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        true
    }

    fn export_keying_material(&self, _: &mut [u8], _: &[u8], _: &[u8]) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

impl ClientConfig for Plain {
    fn start_session(
        self: Arc<Self>,
        _: u32,
        _: &str,
        parameters: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        Ok(PlainSession::begin(Side::Client, parameters))
    }
}

impl ServerConfig for Plain {
    fn initial_keys(&self, _: u32, _: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        Ok(keys(0))
    }

    fn retry_tag(&self, _: u32, _: &ConnectionId, _: &[u8]) -> [u8; 16] {
        [0; 16]
    }

    fn start_session(self: Arc<Self>, _: u32, parameters: &TransportParameters) -> Box<dyn Session> {
        PlainSession::begin(Side::Server, parameters)
    }
}

fn keys(level: u8) -> Keys {
    let header = || -> Box<dyn HeaderKey> { Box::new(Key { level }) };
    let packet = || -> Box<dyn PacketKey> { Box::new(Key { level }) };
    Keys {
        header: KeyPair { local: header(), remote: header() },
        packet: KeyPair { local: packet(), remote: packet() },
    }
}

struct Key {
    level: u8,
}

impl HeaderKey for Key {
    fn decrypt(&self, _: usize, _: &mut [u8]) {}

    fn encrypt(&self, _: usize, _: &mut [u8]) {}

    fn sample_size(&self) -> usize {
        TAG
    }
}

impl PacketKey for Key {
    fn encrypt(&self, _: u64, packet: &mut [u8], _: usize) {
        if let Some((_, tag)) = packet.split_last_chunk_mut::<TAG>() {
            *tag = [self.level; TAG];
        }
    }

    fn decrypt(&self, _: u64, _: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        let Some(length) = payload.len().checked_sub(TAG).filter(|_| payload.ends_with(&[self.level; TAG])) else {
            return Err(CryptoError);
        };
        payload.truncate(length);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        TAG
    }

    fn confidentiality_limit(&self) -> u64 {
        u64::MAX
    }

    fn integrity_limit(&self) -> u64 {
        INTEGRITY_LIMIT
    }
}

/// Packets with a wrong tag that a connection survives; real ones have limits of 2^36 and more, which no test reaches.
pub(crate) const INTEGRITY_LIMIT: u64 = 64;

/// Bytes of the tag after each packet, as AES-128-GCM has.
const TAG: usize = 16;
