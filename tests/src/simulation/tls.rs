//! Certificates for simulations: one self-signed, one that trusts it.

use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Made once: key and certificate of the same length every time, so that packets are too (contract C8). Ed25519, whose
/// signatures have one length.
static IDENTITY: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    parameters.serial_number = Some(1.into());
    let certificate = parameters.self_signed(&key).expect("a certificate");
    (certificate.der().clone(), key.serialize_der())
});

/// A server that says it is `localhost`, and a client that believes it.
pub(crate) fn configs() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let (certificate, key) = IDENTITY.clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key.into()))
        .expect("matching key");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("our own certificate");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}
