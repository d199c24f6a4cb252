//! QUIC and TLS settings: the same for everybody.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{ClientConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use crate::certificate::Certificate;

/// Whether a server gets the windows below or what its library has for defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tuning {
    Tuned,
    Defaults,
}

/// Windows large enough for loopback; the servers on quinn share the type.
pub fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT.as_millis() as u32).into()))
        .initial_mtu(MTU)
        .mtu_discovery_config(Some(mtu_discovery()));
    transport
}

fn mtu_discovery() -> MtuDiscoveryConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU);
    discovery
}

pub fn server_tls(certificate: &Certificate) -> rustls::ServerConfig {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificate.chain(), certificate.key()))
        .expect("the settings are right");
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls
}

/// A server of quinn or quinn-proto.
pub fn server(certificate: &Certificate, tuning: Tuning) -> ServerConfig {
    let crypto = QuicServerConfig::try_from(server_tls(certificate)).expect("AES-128-GCM is there");
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    if tuning == Tuning::Tuned {
        config.transport_config(Arc::new(transport()));
    }
    config
}

/// The load client: takes every certificate, and asks for AES-128-GCM first, as browsers do.
pub fn client(keep_alive: Option<Duration>) -> ClientConfig {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Everyone))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    // Every handshake is a whole one.
    tls.resumption = rustls::client::Resumption::disabled();
    let crypto = QuicClientConfig::try_from(tls).expect("AES-128-GCM is there");
    let mut config = ClientConfig::new(Arc::new(crypto));
    let mut transport = transport();
    transport.keep_alive_interval(keep_alive);
    config.transport_config(Arc::new(transport));
    config
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Takes every certificate: what it costs to check is the client's affair.
#[derive(Debug)]
struct Everyone;

impl ServerCertVerifier for Everyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Bidirectional streams that may be open on a connection. quinn-proto keeps room for each of them.
pub const STREAMS: u32 = 256;

/// Bytes a peer may send on one stream ahead of what was read.
pub const STREAM_WINDOW: u32 = 4 << 20;

/// Bytes on one connection, each way.
pub const WINDOW: u32 = 16 << 20;

/// Bytes of datagrams waiting, each way.
pub const DATAGRAM_BUFFER: usize = 1 << 20;

/// UDP payload, bytes.
pub const MTU: u16 = 1_452;

/// Silence after which a connection is given up.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
