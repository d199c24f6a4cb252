//! Certificates and keys as PEM text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::Certificate;
use super::store::Source;
use super::{Tls, TlsError};

impl Tls {
    /// Takes a certificate chain and its private key as PEM text, as [`from_pem`](Self::from_pem) does from files.
    ///
    /// # Errors
    ///
    /// When the two do not make a usable pair.
    pub fn from_pem_bytes(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let certificate = Certificate::new(certificates_from(certificates)?, key_from(key)?)?;
        Ok(Self::new(certificate, Source::Given))
    }
}

/// The first private key of a PEM text.
pub(super) fn key_from(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        // What is wrong, but nothing of the text: it is a secret.
        _ => TlsError::Pem(String::from("the private key is not valid PEM")),
    })
}

/// All certificates of a PEM text; at least one.
pub(super) fn certificates_from(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| TlsError::Pem(error.to_string()))?;
    if chain.is_empty() { Err(TlsError::NoCertificate) } else { Ok(chain) }
}

/// PEM text of some DER, in lines of 64 characters (RFC 7468, section 2).
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = BASE64_STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + "-----END " + label + "-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let made = Tls::self_signed(["localhost"]).unwrap();
        let read = Tls::from_pem_bytes(made.certificate_pem().as_bytes(), made.key_pem().as_bytes()).unwrap();
        assert_eq!(read.certificate_sha256(), made.certificate_sha256());
        assert_eq!(read.spki_sha256_base64(), made.spki_sha256_base64());
        assert_eq!(read.key_pem(), made.key_pem());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Tls::from_pem("/nonexistent/cert.pem", "/nonexistent/key.pem").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/cert.pem"), "{error}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let made = Tls::self_signed(["localhost"]).unwrap();
        let (certificate, key) = (made.certificate_pem(), made.key_pem());
        let without_certificate = Tls::from_pem_bytes(key.as_bytes(), key.as_bytes());
        assert!(matches!(without_certificate, Err(TlsError::NoCertificate)));
        let without_key = Tls::from_pem_bytes(certificate.as_bytes(), certificate.as_bytes());
        assert!(matches!(without_key, Err(TlsError::NoKey)));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (Tls::self_signed(["localhost"]).unwrap(), Tls::self_signed(["localhost"]).unwrap());
        let mixed = Tls::from_pem_bytes(one.certificate_pem().as_bytes(), other.key_pem().as_bytes());
        assert!(matches!(mixed, Err(TlsError::KeyMismatch)));
    }

    #[test]
    fn no_line_is_longer_than_64_characters() {
        for length in [0, 1, 47, 48, 49, 1000] {
            let text = encode("X", &vec![7; length]);
            assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        }
    }
}
