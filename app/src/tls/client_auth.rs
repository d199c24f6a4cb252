//! Asking clients for certificates.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::store::Store;
use super::verify::roots;
use super::{Tls, TlsError, provider};

/// What a server does with clients that show no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Their handshake fails.
    Required,
    /// They are let in; see [`Session::peer_certificates`](crate::Session::peer_certificates).
    Optional,
}

/// How a server judges the certificates of its clients; `None` asks for none.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientAuth(Option<Arc<dyn ClientCertVerifier>>);

impl Tls {
    /// Asks clients for a certificate that leads to one of these authorities, given as PEM text; one that does not fails
    /// the handshake.
    ///
    /// Browsers show none to WebTransport servers, so this is for clients of other kinds. Servers that run already are
    /// not changed by it.
    ///
    /// # Errors
    ///
    /// When the text has no usable certificate.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use transom::{ClientCertificates, Tls};
    ///
    /// let authorities = std::fs::read("authorities.pem")?;
    /// let tls = Tls::from_pem("cert.pem", "key.pem")?
    ///     .client_authorities_pem(&authorities, ClientCertificates::Required)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_authorities_pem(
        mut self,
        authorities: &[u8],
        certificates: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let roots = Arc::new(roots(authorities)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = match certificates {
            ClientCertificates::Required => builder,
            ClientCertificates::Optional => builder.allow_unauthenticated(),
        };
        let verifier = builder.build().map_err(|error| TlsError::Pem(error.to_string()))?;
        self.clients = ClientAuth(Some(verifier));
        Ok(self)
    }
}

impl ClientAuth {
    pub(super) fn apply(&self, store: Arc<Store>) -> rustls::ServerConfig {
        let builder = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider speaks TLS 1.3");
        let builder = match &self.0 {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        builder.with_cert_resolver(store)
    }
}
