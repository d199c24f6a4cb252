//! What we announce on a connection; the same on all of an endpoint, so it is written once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::dialect::{self, Transport};
use crate::wire::settings::Settings;
use crate::wire::{frame, stream_header, varint};
use crate::{Config, Role};

/// Our SETTINGS.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) settings: Settings,
    /// What our control stream begins with: its type and SETTINGS (RFC 9114, section 6.2.1).
    pub(crate) preface: Bytes,
}

/// Those of an endpoint's connections, whichever side it takes.
#[derive(Debug)]
pub(crate) struct Offers {
    server: Arc<Offer>,
    client: Arc<Offer>,
}

impl Offer {
    pub(crate) fn new(role: Role, transport: Transport, config: &Config) -> Arc<Self> {
        let settings = dialect::settings(role, transport, config);
        let (mut payload, mut preface) = (BytesMut::new(), BytesMut::new());
        settings.encode(&mut payload);
        varint::encode(stream_header::kind::CONTROL, &mut preface);
        frame::encode(frame::kind::SETTINGS, &payload, &mut preface);
        Arc::new(Self { settings, preface: preface.freeze() })
    }
}

impl Offers {
    pub(crate) fn new(transport: Transport, config: &Config) -> Self {
        let offer = |role| Offer::new(role, transport, config);
        Self { server: offer(Role::Server), client: offer(Role::Client) }
    }

    pub(crate) fn of(&self, role: Role) -> Arc<Offer> {
        Arc::clone(if role == Role::Server { &self.server } else { &self.client })
    }
}
