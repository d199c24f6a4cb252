//! Our configuration in quinn's words.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use quinn_proto as quinn;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::crypto::{CryptoError, HmacKey};
#[cfg(not(feature = "ring"))]
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
#[cfg(feature = "ring")]
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::tls13::OkmBlock;

use super::connection_ids::WorkerIds;
use crate::connection::congestion::ClosableCubic;
use crate::limits::{DATAGRAM_RECEIVE_BUFFER, DATAGRAM_SEND_BUFFER, INCOMING_BUFFER, INCOMING_BUFFER_TOTAL};
use crate::{Config, ConfigError, ConnectError, Worker};

/// The one ALPN protocol of HTTP/3 (RFC 9114, section 3.1).
const ALPN: &[u8] = b"h3";

pub(super) fn endpoint(config: &Config) -> Arc<quinn::EndpointConfig> {
    let mut endpoint = quinn::EndpointConfig::default();
    endpoint.rng_seed(config.random_seed);
    if let Some(seed) = config.random_seed {
        endpoint.reset_key(Arc::new(SeededTokens(seed)));
    }
    if let Some(worker) = config.worker.or_else(|| config.random_seed.map(lone_worker)) {
        endpoint.cid_generator(move || Box::new(WorkerIds::new(worker)));
    }
    Arc::new(endpoint)
}

/// quinn's own connection ids come from the system's random numbers, and a recorded packet names one.
fn lone_worker(seed: [u8; 32]) -> Worker {
    // A seed may be a small number, and a worker's key must look random.
    let mut key = [0; 16];
    SeededTokens(seed).sign(b"connection ids", &mut key);
    Worker::new(0, key)
}

/// Stateless reset tokens that follow from a seed. A server's transport parameters have one, and so TLS's keys depend on it.
struct SeededTokens([u8; 32]);

impl HmacKey for SeededTokens {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() else { return };
        let tag = suite.hkdf_provider.hmac_sign(&OkmBlock::new(&self.0), data);
        for (byte, signed) in signature_out.iter_mut().zip(tag.as_ref()) {
            *byte = *signed;
        }
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let mut expected = [0; 32];
        self.sign(data, &mut expected);
        // Nobody who measures time gets here: quinn only signs with this key.
        if expected == signature { Ok(()) } else { Err(CryptoError) }
    }
}

/// TLS as QUIC uses it.
pub(super) fn crypto(mut tls: rustls::ServerConfig) -> Result<Arc<QuicServerConfig>, ConfigError> {
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.max_early_data_size = 0;
    let tls = Arc::new(tls);
    let unusable = |error: String| ConfigError(format!("the TLS configuration cannot be used for QUIC: {error}"));
    // quinn would panic on the first client of a configuration without TLS 1.3.
    rustls::quic::ServerConnection::new(Arc::clone(&tls), rustls::quic::Version::V1, Vec::new())
        .map_err(|error| unusable(error.to_string()))?;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(crypto))
}

pub(super) fn server(config: &Config, tls: rustls::ServerConfig) -> Result<Arc<quinn::ServerConfig>, ConfigError> {
    server_limits(config, quinn::ServerConfig::with_crypto(crypto(tls)?))
}

/// The rest of a server's configuration, whatever its cryptography.
pub(super) fn server_limits(
    config: &Config,
    mut server: quinn::ServerConfig,
) -> Result<Arc<quinn::ServerConfig>, ConfigError> {
    server
        .transport_config(Arc::new(transport(config)?))
        .max_incoming(config.max_handshakes)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    Ok(Arc::new(server))
}

pub(super) fn client(config: &Config, mut tls: rustls::ClientConfig) -> Result<quinn::ClientConfig, ConnectError> {
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = false;
    let tls = Arc::new(tls);
    // As for servers: quinn would panic.
    let name = rustls::pki_types::ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    rustls::quic::ClientConnection::new(Arc::clone(&tls), rustls::quic::Version::V1, name, Vec::new())
        .map_err(|error| ConnectError::Tls(error.to_string()))?;
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| ConnectError::Tls(error.to_string()))?;
    client_limits(config, quinn::ClientConfig::new(Arc::new(crypto)))
}

/// The rest of a client's configuration, whatever its cryptography.
pub(super) fn client_limits(
    config: &Config,
    mut client: quinn::ClientConfig,
) -> Result<quinn::ClientConfig, ConnectError> {
    let transport = transport(config).map_err(|error| ConnectError::Tls(error.to_string()))?;
    client.transport_config(Arc::new(transport));
    Ok(client)
}

pub(super) fn transport(config: &Config) -> Result<quinn::TransportConfig, ConfigError> {
    if config.initial_mtu < 1_200 {
        return Err(ConfigError("initial_mtu is below the 1200 bytes that QUIC needs; leave it at 1200".into()));
    }
    let mut transport = quinn::TransportConfig::default();
    let idle = quinn::IdleTimeout::try_from(config.idle_timeout)
        .map_err(|_| ConfigError("idle_timeout is longer than QUIC can say; use zero for never".into()))?;
    let discovery = (config.max_mtu > 0).then(|| {
        let mut discovery = quinn::MtuDiscoveryConfig::default();
        discovery.upper_bound(config.max_mtu.max(config.initial_mtu));
        discovery
    });
    transport
        .max_concurrent_bidi_streams(config.max_bidi_streams.into())
        .max_concurrent_uni_streams(config.max_uni_streams.into())
        .stream_receive_window(config.stream_window.into())
        .receive_window(config.connection_window_before_session.into())
        .send_window(config.send_window.into())
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .max_idle_timeout((config.idle_timeout > Duration::ZERO).then_some(idle))
        .keep_alive_interval((config.keep_alive_interval > Duration::ZERO).then_some(config.keep_alive_interval))
        .initial_mtu(config.initial_mtu)
        .mtu_discovery_config(discovery)
        .congestion_controller_factory(Arc::new(ClosableCubic::default()))
        // The spin bit shows observers the round-trip time and serves nobody here.
        .allow_spin(false);
    Ok(transport)
}
