//! Certificates: a server's own, and what a client trusts.

mod pem;
mod self_signed;
mod verify;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

pub(crate) use verify::Trust;

/// A server's certificate chain and private key.
///
/// Browsers accept a [self-signed](Self::self_signed) one when the page names its
/// [hash](Self::certificate_sha256); one [from PEM files](Self::from_pem) works like that of any web server.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), transom::TlsError> {
/// let tls = transom::Tls::self_signed(["localhost", "127.0.0.1", "::1"])?;
/// println!("serverCertificateHashes value: {}", tls.certificate_sha256_hex());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    config: Arc<rustls::ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    public_key_info: Vec<u8>,
}

/// Why a certificate or key cannot be used; always a mistake of the caller or of who made the files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The PEM text is damaged.
    #[error("damaged PEM: {0}")]
    Pem(String),
    /// There is no certificate in the PEM text.
    #[error("no certificate in the PEM text")]
    NoCertificate,
    /// There is no private key in the PEM text.
    #[error("no private key in the PEM text; encrypted keys are not supported")]
    NoKey,
    /// Certificate and key cannot be used, or do not belong together.
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// A name cannot stand in a certificate.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    InvalidName(String),
    /// A certificate cannot be made for this number of days.
    #[error("a certificate is valid for 1 to 3650 days, not {0}")]
    InvalidDays(u32),
    /// Making the certificate failed.
    #[error("cannot make a certificate: {0}")]
    Generate(String),
    /// The system has no trusted root certificates.
    #[error("no trusted root certificates found on this system: {0}")]
    NoRoots(String),
}

impl Tls {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        let leaf = chain.first().ok_or(TlsError::NoCertificate)?;
        let public_key_info = ParsedCertificate::try_from(leaf)?.subject_public_key_info().to_vec();
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key.clone_key())?;
        let tls = Self { config: Arc::new(config), chain, key: Arc::new(key), public_key_info };
        tracing::info!(sha256 = %tls.certificate_sha256_hex(), "certificate ready");
        Ok(tls)
    }

    /// SHA-256 of the certificate, as browsers want it in `serverCertificateHashes`.
    pub fn certificate_sha256(&self) -> [u8; 32] {
        sha256(&self.chain[0])
    }

    /// [`certificate_sha256`](Self::certificate_sha256) as 64 lower-case hexadecimal digits.
    pub fn certificate_sha256_hex(&self) -> String {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
        self.certificate_sha256().into_iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// SHA-256 of the public key in base64, as Chromium wants it in `--ignore-certificate-errors-spki-list`.
    pub fn spki_sha256_base64(&self) -> String {
        BASE64_STANDARD.encode(sha256(&self.public_key_info))
    }

    /// The certificate chain in PEM, the server's own first.
    pub fn certificate_pem(&self) -> String {
        self.chain.iter().map(|certificate| pem::encode("CERTIFICATE", certificate)).collect()
    }

    /// The private key in PEM: a secret, to be stored where only the server can read it.
    pub fn key_pem(&self) -> String {
        let label = match &*self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        pem::encode(label, self.key.secret_der())
    }

    /// The TLS configuration for the core, which sets the ALPN protocol itself.
    pub(crate) fn server_config(&self) -> rustls::ServerConfig {
        (*self.config).clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("Tls").field("certificate_sha256", &self.certificate_sha256_hex()).finish_non_exhaustive()
    }
}

/// The one provider of cryptography, named everywhere so that no process-wide default is needed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_out_of_debug_output() {
        let tls = Tls::self_signed(["localhost"]).unwrap();
        let debug = format!("{tls:?}");
        assert!(debug.contains(&tls.certificate_sha256_hex()));
        assert!(!debug.to_lowercase().contains("key"), "{debug}");
    }

    #[test]
    fn a_known_hash() {
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn the_hexadecimal_form_is_that_of_the_bytes() {
        let tls = Tls::self_signed(["localhost"]).unwrap();
        let hex = tls.certificate_sha256_hex();
        for (index, byte) in tls.certificate_sha256().into_iter().enumerate() {
            assert_eq!(u8::from_str_radix(&hex[2 * index..2 * index + 2], 16), Ok(byte));
        }
    }
}
