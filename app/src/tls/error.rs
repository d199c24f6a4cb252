//! Why a certificate or key cannot be used.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a certificate or key cannot be used; always a mistake of the caller or of who made the files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("cannot access {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is in a file cannot be used.
    #[error("{path:?}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<TlsError>,
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
    /// The private key is that of another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// Certificate and key cannot be used.
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(rustls::Error),
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
    /// There is nothing to read again: the certificate did not come from files.
    #[error("the certificate did not come from files and cannot be read again; use Tls::replace")]
    NoFiles,
}

impl TlsError {
    /// Says which file the problem is in.
    pub(super) fn within(self, path: &Path) -> Self {
        match self {
            named @ (Self::File { .. } | Self::Content { .. }) => named,
            problem => Self::Content { path: path.to_owned(), problem: Box::new(problem) },
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch) => Self::KeyMismatch,
            error => Self::Unusable(error),
        }
    }
}
