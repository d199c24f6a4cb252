//! What the examples are told: where to listen, and the files of a certificate and its key.

use std::error::Error;
use std::path::Path;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// As many arguments as there have to be.
pub(crate) fn arguments<const COUNT: usize>(usage: &str) -> Result<[String; COUNT], Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    given.try_into().map_err(|_| format!("usage: {usage}").into())
}

/// TLS with these files; `transom cert` makes some that browsers take.
pub(crate) fn tls(provider: CryptoProvider, certificate: &str, key: &str) -> Result<ServerConfig, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(Path::new(certificate))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let builder =
        ServerConfig::builder_with_provider(provider.into()).with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
}
