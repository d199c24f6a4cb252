//! Certificates for worlds that replay.

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SerialNumber};

use crate::tls::Tls;

/// A certificate for tests, to be trusted by its [hash](Tls::certificate_sha256).
///
/// Unlike that of [`Tls::self_signed`], whose signatures come in several lengths, it makes handshakes with packets of the
/// same lengths every time. Browsers do not take it.
pub fn tls() -> Tls {
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("random numbers");
    let mut params = CertificateParams::new([String::from("localhost")]).expect("a good name");
    params.serial_number = Some(SerialNumber::from(1));
    let certificate = params.self_signed(&key).expect("a key that can sign");
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    Tls::from_pem_bytes(certificate.as_bytes(), key.as_bytes()).expect("a certificate and its key")
}
