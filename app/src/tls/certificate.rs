//! One certificate chain with its key, ready to be shown.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, pem, provider, sha256, validity};

/// A certificate chain and its private key.
pub(super) struct Certificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// Both as TLS uses them.
    pub(super) certified: Arc<CertifiedKey>,
    public_key_info: Vec<u8>,
    /// When it begins and ends to be valid, if that can be read.
    pub(super) validity: Option<(SystemTime, SystemTime)>,
}

impl Certificate {
    pub(super) fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        let leaf = chain.first().ok_or(TlsError::NoCertificate)?;
        let public_key_info = ParsedCertificate::try_from(leaf)?.subject_public_key_info().to_vec();
        let certified = Arc::new(CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider())?);
        let validity = validity::of(leaf);
        Ok(Self { chain, key, certified, public_key_info, validity })
    }

    pub(super) fn sha256(&self) -> [u8; 32] {
        self.chain.first().map_or([0; 32], |leaf| sha256(leaf))
    }

    pub(super) fn spki_sha256_base64(&self) -> String {
        BASE64_STANDARD.encode(sha256(&self.public_key_info))
    }

    pub(super) fn chain_pem(&self) -> String {
        self.chain.iter().map(|certificate| pem::encode("CERTIFICATE", certificate)).collect()
    }

    pub(super) fn key_pem(&self) -> String {
        let label = match &self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        pem::encode(label, self.key.secret_der())
    }
}
