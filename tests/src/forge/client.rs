use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, KeyChange, Keys, Secrets, Version};
use rustls::{ClientConfig, HandshakeKind, Side, Tls13CipherSuite};
use transom_core::{Config, Event, Response};

use super::frames::{self, Read};
use super::packet::{self, Fields, Opened};
use super::{Parameters, ReservedBits, Space};
use crate::raw::accept_any_certificate;
use crate::simulation::Lone;

/// How the server closed the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Whether the code is one of HTTP/3, not of QUIC.
    pub application: bool,
    /// The code.
    pub code: u64,
    /// The reason.
    pub reason: String,
}

/// Added to a TLS alert it makes a QUIC error code (RFC 9001, section 4.8).
pub const TLS_ALERT: u64 = 0x100;

/// A client that sends the packets it is given to a server core in memory.
pub struct Forger {
    /// The server.
    pub server: Lone,
    config: Arc<ClientConfig>,
    tls: ClientConnection,
    fields: Fields,
    spaces: BTreeMap<Space, SpaceState>,
    next_keys: Option<Secrets>,
    closed: Option<Closed>,
    confirmed: bool,
    challenges: Vec<Vec<u8>>,
    sent_bytes: usize,
    received_bytes: usize,
}

#[derive(Default)]
struct SpaceState {
    keys: Option<Keys>,
    next_number: u64,
    received: BTreeSet<u64>,
    crypto_sent: u64,
    crypto_read: u64,
    /// CRYPTO data that came ahead of its turn.
    crypto_ahead: BTreeMap<u64, Vec<u8>>,
    /// TLS bytes to be sent in this space.
    crypto_out: Vec<u8>,
}

impl Forger {
    /// What a decent client announces, to be changed.
    pub fn parameters() -> Parameters {
        Parameters::decent(&OWN_ID)
    }

    /// Sends a ClientHello and takes in the server's answer: with a decent one there are keys for Handshake packets now.
    pub fn hello(parameters: &Parameters, alpn: &[u8]) -> Self {
        Self::hello_with_extension(PARAMETERS_EXTENSION, parameters, alpn)
    }

    /// The same with the transport parameters in a TLS extension of this type.
    pub fn hello_with_extension(extension: u16, parameters: &Parameters, alpn: &[u8]) -> Self {
        let mut forger = Self::silent(parameters, alpn);
        let hello = &mut forger.space(Space::Initial).crypto_out;
        let (encoded, right) = (parameters.encode(), PARAMETERS_EXTENSION.to_be_bytes());
        let length = (encoded.len() as u16).to_be_bytes();
        let wanted = [&right[..], &length, &encoded].concat();
        let at = hello.windows(wanted.len()).position(|bytes| bytes == wanted).expect("the extension");
        hello[at..at + 2].copy_from_slice(&extension.to_be_bytes());
        forger.send_tls(Space::Initial);
        forger
    }

    /// The same with a token in all Initial packets.
    pub fn hello_with_token(token: &[u8]) -> Self {
        let mut forger = Self::silent(&Self::parameters(), b"h3");
        forger.fields.token = token.to_vec();
        forger.send_tls(Space::Initial);
        forger
    }

    /// The same with every byte of the ClientHello in a frame of its own, the last one first.
    pub fn hello_in_pieces() -> Self {
        let mut forger = Self::silent(&Self::parameters(), b"h3");
        let hello = std::mem::take(&mut forger.space(Space::Initial).crypto_out);
        forger.space(Space::Initial).crypto_sent = hello.len() as u64;
        let pieces = hello.iter().enumerate().rev();
        let frames: Vec<_> = pieces.map(|(offset, byte)| frames::crypto(offset as u64, &[*byte])).collect();
        for some in frames.chunks(200) {
            let mut payload = some.concat();
            payload.resize(payload.len().max(1_200), 0);
            forger.send(Space::Initial, &payload);
        }
        forger
    }

    /// A client that knows what to say and has not said it.
    fn silent(parameters: &Parameters, alpn: &[u8]) -> Self {
        let mut config = accept_any_certificate(&[alpn.to_vec()]).expect("TLS 1.3");
        config.enable_early_data = true;
        Self::silent_with(Arc::new(config), Lone::new(Config::default()), Version::V1, parameters)
    }

    fn silent_with(config: Arc<ClientConfig>, mut server: Lone, version: Version, parameters: &Parameters) -> Self {
        // A server that has seen this id before takes the packet for one of that connection.
        let mut id = FIRST_SERVER_ID;
        id[7] = server.endpoint.stats().connections_accepted as u8;
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::clone(&config), version, name, parameters.encode())
            .expect("a configuration for QUIC");
        let mut forger = Self {
            server,
            config,
            tls,
            fields: Fields { destination: id.to_vec(), source: OWN_ID.to_vec(), token: Vec::new(), key_phase: false },
            spaces: BTreeMap::new(),
            next_keys: None,
            closed: None,
            confirmed: false,
            challenges: Vec::new(),
            sent_bytes: 0,
            received_bytes: 0,
        };
        let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(Tls13CipherSuite::quic_suite).expect("a suite for QUIC");
        // Initial packets are those of v1 in any case.
        forger.space(Space::Initial).keys = Some(suite.keys(&id, Side::Client, Version::V1));
        forger.advance_tls(Space::Initial);
        forger
    }

    /// A connection whose handshake is done and confirmed.
    ///
    /// # Panics
    /// The server did not go along.
    pub fn connected() -> Self {
        let mut forger = Self::hello(&Self::parameters(), b"h3");
        forger.finish();
        assert!(forger.is_confirmed(), "no handshake: {:?}", forger.closed);
        forger
    }

    /// Whether the server has confirmed the handshake, and not closed the connection.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed && self.closed.is_none()
    }

    /// A ClientHello whose transport parameters are in the extension that the drafts of QUIC had for them.
    pub fn hello_of_a_draft() -> Self {
        let config = accept_any_certificate(&[b"h3".to_vec()]).expect("TLS 1.3");
        let server = Lone::new(Config::default());
        let mut forger = Self::silent_with(Arc::new(config), server, Version::V1Draft, &Self::parameters());
        forger.send_tls(Space::Initial);
        forger
    }

    /// Another connection to the same server, with the tickets of the last one.
    pub fn again(self) -> Self {
        let mut forger = Self::silent_with(self.config, self.server, Version::V1, &Self::parameters());
        forger.send_tls(Space::Initial);
        forger
    }

    /// Whether TLS has come as far as the keys of Handshake packets.
    pub fn has_handshake_keys(&self) -> bool {
        self.spaces.get(&Space::Handshake).is_some_and(|state| state.keys.is_some())
    }

    /// Whether the server has let us resume an earlier connection.
    pub fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether there were keys for data before the handshake.
    pub fn has_early_keys(&self) -> bool {
        self.tls.zero_rtt_keys().is_some()
    }

    /// Sends what TLS has to say in the handshake's last flight.
    pub fn finish(&mut self) {
        self.send_tls(Space::Handshake);
    }

    /// Sends a packet with these frames and takes in what comes back.
    pub fn send(&mut self, space: Space, frames: &[u8]) {
        self.send_with(space, frames, ReservedBits::Zero);
    }

    /// The same with a choice for the reserved bits of its header.
    pub fn send_with(&mut self, space: Space, frames: &[u8], reserved: ReservedBits) {
        let fields = self.fields.clone();
        let state = self.space(space);
        let number = state.next_number;
        state.next_number += 1;
        let keys = state.keys.as_ref().expect("keys for this kind of packet");
        let packet = packet::seal(space, &fields, number, frames, reserved, keys);
        self.deliver(&packet);
    }

    /// Sends bytes as if TLS had said them, behind what it has really said.
    pub fn send_crypto(&mut self, space: Space, bytes: &[u8]) {
        let state = self.space(space);
        let offset = state.crypto_sent;
        state.crypto_sent += bytes.len() as u64;
        self.send(space, &frames::crypto(offset, bytes));
    }

    /// Sends a whole datagram as it is.
    pub fn deliver(&mut self, datagram: &[u8]) {
        self.sent_bytes += datagram.len();
        self.server.deliver(datagram);
        self.receive();
    }

    /// The application of the server: accepts what sessions were asked for.
    ///
    /// # Panics
    /// A session that was just asked for is gone.
    pub fn accept_sessions(&mut self) {
        for event in self.server.take_events() {
            if let Event::SessionRequested { session } = event {
                let accepted = self.server.connection().accept(session, Response::new(http::StatusCode::OK));
                accepted.expect("a session that was asked for");
            }
        }
    }

    /// Lets time pass for the server and takes in what it sends meanwhile.
    pub fn wait(&mut self, time: Duration) {
        self.server.wait(time);
        self.receive();
    }

    /// Bytes of all datagrams to the server, and of all from it.
    pub fn bytes(&self) -> (usize, usize) {
        (self.sent_bytes, self.received_bytes)
    }

    /// What the server has asked to have back, to see whether we are where we seem to be.
    pub fn challenges(&self) -> &[Vec<u8>] {
        &self.challenges
    }

    /// The numbers of the server's 1-RTT packets so far.
    pub fn received(&mut self) -> &BTreeSet<u64> {
        &self.space(Space::Data).received
    }

    /// The highest number of a 1-RTT packet of the server so far.
    pub fn largest_received(&mut self) -> u64 {
        self.received().last().copied().unwrap_or(0)
    }

    /// How the server closed the connection, if it did.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Whether the server still answers.
    pub fn is_alive(&mut self) -> bool {
        let before = self.largest_received();
        // Two ack-eliciting packets are acknowledged at once (RFC 9000, section 13.2.2), unless what was not acknowledged
        // keeps the server from sending.
        for _ in 0..2 {
            let frames = [acknowledge(self.received()), frames::ping()].concat();
            self.send(Space::Data, &frames);
        }
        self.closed.is_none() && self.largest_received() > before
    }

    fn space(&mut self, space: Space) -> &mut SpaceState {
        self.spaces.entry(space).or_default()
    }

    fn receive(&mut self) {
        for datagram in self.server.take() {
            self.received_bytes += datagram.len();
            self.take_in(datagram);
        }
    }

    fn take_in(&mut self, mut datagram: Vec<u8>) {
        while !datagram.is_empty() {
            let mut again = datagram.clone();
            let opened = self.open(&mut datagram).or_else(|_| {
                datagram = Vec::new();
                self.update_keys();
                self.open(&mut again)
            });
            if let Some(opened) = opened.expect("a packet in good order, under these keys or the next") {
                self.take_in_packet(opened);
            }
        }
    }

    fn open(&self, datagram: &mut Vec<u8>) -> Result<Option<Opened>, String> {
        let largest = |space| self.spaces.get(&space).and_then(|state| state.received.last().copied()).unwrap_or(0);
        let keys = |space| self.spaces.get(&space).and_then(|state| state.keys.as_ref());
        packet::open(datagram, OWN_ID.len(), largest, keys)
    }

    /// Goes over to the next keys of 1-RTT packets, as the server has done (RFC 9001, section 6).
    fn update_keys(&mut self) {
        let Some(next) = self.next_keys.as_mut().map(Secrets::next_packet_keys) else { return };
        if let Some(keys) = &mut self.space(Space::Data).keys {
            (keys.local.packet, keys.remote.packet) = (next.local, next.remote);
        }
        self.fields.key_phase = !self.fields.key_phase;
    }

    fn take_in_packet(&mut self, Opened { space, number, source, payload }: Opened) {
        if let Some(source) = source {
            self.fields.destination = source;
        }
        let state = self.space(space);
        state.received.insert(number);
        for frame in frames::read(&payload).expect("frames in good order") {
            match frame {
                Read::Crypto { offset, data } => self.take_in_crypto(space, offset, data),
                Read::PathChallenge { challenge } => self.challenges.push(challenge),
                Read::HandshakeDone => self.confirmed = true,
                Read::Close { application, code, reason } => {
                    self.closed.get_or_insert(Closed { application, code, reason });
                }
            }
        }
    }

    fn take_in_crypto(&mut self, space: Space, offset: u64, data: Vec<u8>) {
        self.space(space).crypto_ahead.insert(offset, data);
        loop {
            let state = self.space(space);
            let expected = state.crypto_read;
            let Some(data) = state.crypto_ahead.remove(&expected) else { return };
            state.crypto_read += data.len() as u64;
            // Our TLS may dislike the answer to something wrong; what counts is how the server closes.
            if self.tls.read_hs(&data).is_ok() {
                self.advance_tls(space);
            }
        }
    }

    /// Takes what TLS wants to send and the keys it has come to. What it says before it changes keys goes out under the old
    /// ones.
    fn advance_tls(&mut self, mut space: Space) {
        loop {
            let mut bytes = Vec::new();
            let change = self.tls.write_hs(&mut bytes);
            self.space(space).crypto_out.extend(bytes);
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    space = Space::Handshake;
                    self.space(space).keys = Some(keys);
                }
                Some(KeyChange::OneRtt { keys, next }) => {
                    self.next_keys = Some(next);
                    space = Space::Data;
                    self.space(space).keys = Some(keys);
                }
                None => return,
            }
        }
    }

    fn send_tls(&mut self, space: Space) {
        let state = self.space(space);
        let bytes = std::mem::take(&mut state.crypto_out);
        let offset = state.crypto_sent;
        state.crypto_sent += bytes.len() as u64;
        let mut payload = acknowledge(&state.received);
        payload.extend(frames::crypto(offset, &bytes));
        if space == Space::Initial {
            // A client's first datagram has at least 1,200 bytes (RFC 9000, section 14.1).
            payload.resize(payload.len().max(1_200), 0);
        }
        self.send(space, &payload);
    }
}

/// ACK of these packets, nothing if there are none.
fn acknowledge(numbers: &BTreeSet<u64>) -> Vec<u8> {
    if numbers.is_empty() { Vec::new() } else { frames::ack_exactly(numbers) }
}

/// Type of the TLS extension with the transport parameters (RFC 9001, section 8.2).
const PARAMETERS_EXTENSION: u16 = 0x39;

/// What this client calls itself.
const OWN_ID: [u8; 8] = [0xc1; 8];

/// What it calls the server in its first packet.
const FIRST_SERVER_ID: [u8; 8] = [0x5e; 8];
