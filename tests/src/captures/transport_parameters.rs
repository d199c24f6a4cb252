//! Seeing the client's transport parameters, which quinn keeps to itself: its cryptography is ours to wrap.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError};

use crate::raw::wire;

/// The numbers among the transport parameters that the last client sent.
pub(super) type Seen = Arc<Mutex<BTreeMap<u64, u64>>>;

/// A server's cryptography that notes what it sees.
pub(super) struct Watching {
    pub(super) inner: Arc<QuicServerConfig>,
    pub(super) seen: Seen,
}

impl ServerConfig for Watching {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.inner.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.inner.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let inner = Arc::clone(&self.inner).start_session(version, params);
        Box::new(WatchedSession { inner, seen: Arc::clone(&self.seen) })
    }
}

struct WatchedSession {
    inner: Box<dyn Session>,
    seen: Seen,
}

impl Session for WatchedSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.inner.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.inner.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.inner.read_handshake(buf)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let parameters = self.inner.transport_parameters()?;
        if let Some(parameters) = &parameters {
            let mut bytes = Vec::new();
            parameters.write(&mut bytes);
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = numbers(&bytes);
        }
        Ok(parameters)
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        self.inner.write_handshake(buf)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.inner.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(output, label, context)
    }
}

/// Those whose value is one integer; connection ids, tokens and flags are not.
fn numbers(mut bytes: &[u8]) -> BTreeMap<u64, u64> {
    let mut numbers = BTreeMap::new();
    while let Some((id, first)) = wire::read_varint(bytes) {
        let Some((length, second)) = wire::read_varint(&bytes[first..]) else { break };
        let Some((value, rest)) = bytes[first + second..].split_at_checked(length as usize) else { break };
        bytes = rest;
        let is_number = !matches!(id, 0x00 | 0x02 | 0x0d | 0x0f | 0x10);
        if let Some((value, _)) = wire::read_varint(value).filter(|(_, used)| is_number && *used == value.len()) {
            numbers.insert(id, value);
        }
    }
    numbers
}
