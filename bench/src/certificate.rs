//! One kind of certificate for all servers: self-signed, P-256.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A chain of one and its key.
pub struct Certificate {
    pub pem: String,
    pub key_pem: String,
}

impl Certificate {
    pub fn new() -> Result<Self, rcgen::Error> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        Ok(Self { pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() })
    }

    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("we wrote it")]
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("we wrote it")
    }

    /// Writes both into a folder, for servers that read files.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::write(folder.join("certificate.pem"), &self.pem)?;
        std::fs::write(folder.join("key.pem"), &self.key_pem)
    }
}
