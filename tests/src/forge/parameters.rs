use crate::raw::wire;

/// A client's transport parameters, in order, free to be wrong.
#[derive(Debug, Clone)]
pub struct Parameters(Vec<(u64, Vec<u8>)>);

impl Parameters {
    /// original_destination_connection_id (RFC 9000, section 18.2, as the following): for servers only.
    pub const ORIGINAL_DESTINATION_CONNECTION_ID: u64 = 0x00;
    /// stateless_reset_token: for servers only.
    pub const STATELESS_RESET_TOKEN: u64 = 0x02;
    /// max_udp_payload_size.
    pub const MAX_UDP_PAYLOAD_SIZE: u64 = 0x03;
    /// ack_delay_exponent.
    pub const ACK_DELAY_EXPONENT: u64 = 0x0a;
    /// max_ack_delay.
    pub const MAX_ACK_DELAY: u64 = 0x0b;
    /// preferred_address: for servers only.
    pub const PREFERRED_ADDRESS: u64 = 0x0d;
    /// initial_source_connection_id, which must be there.
    pub const INITIAL_SOURCE_CONNECTION_ID: u64 = 0x0f;
    /// retry_source_connection_id: for servers only.
    pub const RETRY_SOURCE_CONNECTION_ID: u64 = 0x10;

    /// What a decent client sends that calls itself `source`.
    pub(super) fn decent(source: &[u8]) -> Self {
        let numbers = [(0x04, 1 << 20), (0x05, 1 << 18), (0x06, 1 << 18), (0x07, 1 << 18), (0x08, 100), (0x09, 100)];
        let mut all: Vec<_> = numbers.map(|(id, value)| (id, wire::varint(value))).into();
        all.push((Self::INITIAL_SOURCE_CONNECTION_ID, source.to_vec()));
        all.push((0x20, wire::varint(65_535)));
        Self(all)
    }

    /// Adds a parameter whose value is one integer.
    pub fn number(self, id: u64, value: u64) -> Self {
        self.bytes(id, &wire::varint(value))
    }

    /// Adds a parameter.
    pub fn bytes(mut self, id: u64, value: &[u8]) -> Self {
        self.0.push((id, value.to_vec()));
        self
    }

    /// Leaves one out.
    pub fn without(mut self, id: u64) -> Self {
        self.0.retain(|(known, _)| *known != id);
        self
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(id, value)| wire::frame(*id, value)).collect()
    }
}
