//! Certificates in files that change.

use std::path::Path;
use std::time::SystemTime;

use super::certificate::Certificate;
use super::store::Source;
use super::{Files, Tls, TlsError, pem};

impl Tls {
    /// Reads a certificate chain and its private key from PEM files.
    ///
    /// The server's own certificate comes first in the file, then those that lead to a root. The key is PKCS#8, PKCS#1
    /// or SEC1, not encrypted; it may be in the same file. [`reload`](Self::reload) reads the files again, and
    /// [`watch`](Self::watch) does so when they change.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or the two do not make a usable pair; the error says which.
    pub fn from_pem(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let files = Files { certificates: certificates.as_ref().to_owned(), key: key.as_ref().to_owned() };
        let stamps = stamps(&files);
        Ok(Self::new(read(&files)?, Source::Files(files, stamps)))
    }
}

/// What shows that a file is another one: times alone are too coarse on some file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    size: u64,
    /// Renaming over a file makes it another file.
    inode: u64,
}

/// Those of the certificates' file and the key's.
pub(super) type Stamps = [Stamp; 2];

/// How the files look now; `None` while one cannot be looked at.
pub(super) fn stamps(files: &Files) -> Option<Stamps> {
    Some([stamp(&files.certificates)?, stamp(&files.key)?])
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp { modified: metadata.modified().ok()?, size: metadata.len(), inode })
}

pub(super) fn read(files: &Files) -> Result<Certificate, TlsError> {
    let chain = text(&files.certificates)?;
    let chain = pem::certificates_from(&chain).map_err(|error| error.within(&files.certificates))?;
    let key = pem::key_from(&text(&files.key)?).map_err(|error| error.within(&files.key))?;
    Certificate::new(chain, key).map_err(|error| match error {
        error @ TlsError::KeyMismatch => error.within(&files.key),
        error => error.within(&files.certificates),
    })
}

pub(super) fn text(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}
