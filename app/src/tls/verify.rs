//! Which servers a client trusts.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Tls, TlsError, pem, provider, sha256};

/// What a client goes by.
#[derive(Debug, Clone, Default)]
pub(crate) enum Trust {
    /// The root certificates of the system.
    #[default]
    System,
    /// Only these authorities, as PEM text.
    Authorities(Vec<u8>),
    /// Only servers' certificates with these SHA-256 hashes, whatever stands in them.
    Hashes(Vec<[u8; 32]>),
    /// Everybody.
    Anybody,
}

impl Trust {
    /// The TLS configuration of a client that shows `identity` when it is asked; reads the system's certificates, which takes a while.
    pub(crate) fn client_config(&self, identity: Option<&Tls>, log_keys: bool) -> Result<ClientConfig, TlsError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match self {
            Self::System => builder.with_root_certificates(system_roots()?),
            Self::Authorities(text) => builder.with_root_certificates(roots(text)?),
            Self::Hashes(hashes) => {
                let verifier = ByLeaf { accepted: Accepted::Hashes(hashes.clone()), provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            Self::Anybody => {
                let verifier = ByLeaf { accepted: Accepted::Anything, provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = match identity.map(Tls::identity) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        if log_keys {
            config.key_log = Arc::new(rustls::KeyLogFile::new());
        }
        Ok(config)
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems have odd certificates in their stores; those that cannot be parsed just trust nobody.
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoRoots(reasons.join("; ")));
    }
    Ok(roots)
}

pub(super) fn roots(text: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates_from(text)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Judges by the server's own certificate alone; the server still has to prove that it has the key.
#[derive(Debug)]
struct ByLeaf {
    accepted: Accepted,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Accepted {
    Hashes(Vec<[u8; 32]>),
    Anything,
}

impl ServerCertVerifier for ByLeaf {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let accepted = match &self.accepted {
            Accepted::Anything => true,
            Accepted::Hashes(hashes) => hashes.contains(&sha256(end_entity)),
        };
        if accepted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(accepted: Accepted, tls: &Tls) -> bool {
        let verifier = ByLeaf { accepted, provider: provider() };
        let name = ServerName::try_from("elsewhere.example").unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        verifier.verify_server_cert(&tls.store.current().chain[0], &[], &name, &[], now).is_ok()
    }

    #[test]
    fn only_a_pinned_certificate_passes() {
        let (known, unknown) = (Tls::self_signed(["a.example"]).unwrap(), Tls::self_signed(["a.example"]).unwrap());
        let hashes = vec![[0; 32], known.certificate_sha256()];
        assert!(judge(Accepted::Hashes(hashes.clone()), &known));
        assert!(!judge(Accepted::Hashes(hashes), &unknown));
        assert!(!judge(Accepted::Hashes(Vec::new()), &known));
        assert!(judge(Accepted::Anything, &unknown));
    }

    #[test]
    fn every_kind_of_trust_makes_a_configuration() {
        let authority = Tls::self_signed(["ca.example"]).unwrap().certificate_pem().into_bytes();
        for trust in [Trust::Authorities(authority), Trust::Hashes(vec![[1; 32]]), Trust::Anybody] {
            trust.client_config(None, false).unwrap();
        }
        assert!(matches!(
            Trust::Authorities(b"nothing".to_vec()).client_config(None, false),
            Err(TlsError::NoCertificate)
        ));
    }
}
