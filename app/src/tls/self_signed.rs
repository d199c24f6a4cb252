//! Certificates that browsers accept by their hash.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use super::certificate::Certificate;
use super::store::Source;
use super::{Tls, TlsError};

impl Tls {
    /// Makes a certificate for these DNS names and IP addresses that browsers accept by its hash.
    ///
    /// It is ECDSA P-256 and valid for a little less than the 14 days browsers allow, beginning one hour ago, for
    /// clocks that are behind. After that time make another one.
    ///
    /// # Errors
    ///
    /// [`TlsError::InvalidName`] when a name is neither a DNS name nor an IP address, or there is none.
    pub fn self_signed<I>(names: I) -> Result<Self, TlsError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::self_signed_for(names, MAX_DAYS_BY_HASH)
    }

    /// Makes a certificate for these DNS names and IP addresses, valid for `days` days.
    ///
    /// With more than 14 days browsers do not accept it by its hash.
    ///
    /// # Errors
    ///
    /// Those of [`self_signed`](Self::self_signed), and [`TlsError::InvalidDays`] for 0 or more than 3650 days.
    pub fn self_signed_for<I>(names: I, days: u32) -> Result<Self, TlsError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        if days == 0 || days > MAX_DAYS {
            return Err(TlsError::InvalidDays(days));
        }
        let names = checked_names(names)?;
        Ok(Self::new(make(&names, SystemTime::now() - CLOCK_SKEW, days)?, Source::Given))
    }
}

/// Makes a certificate that begins to be valid at a time.
pub(super) fn make(names: &[String], not_before: SystemTime, days: u32) -> Result<Certificate, TlsError> {
    let common_name = names.first().ok_or_else(|| TlsError::InvalidName(String::new()))?;
    let generate = |error: rcgen::Error| TlsError::Generate(error.to_string());

    let mut params = CertificateParams::new(names).map_err(generate)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    params.not_before = not_before.into();
    params.not_after = (not_before + Duration::from_secs(u64::from(days) * 24 * 3600) - MARGIN).into();

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(generate)?;
    let certificate = params.self_signed(&key).map_err(generate)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Certificate::new(vec![certificate.der().clone()], key)
}

/// Names that clients can ask for.
pub(super) fn checked_names<I>(names: I) -> Result<Vec<String>, TlsError>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    names.into_iter().map(|name| checked(name.into())).collect()
}

/// A name that clients can ask for: rcgen takes any text.
fn checked(name: String) -> Result<String, TlsError> {
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(name),
        Err(_) => Err(TlsError::InvalidName(name)),
    }
}

/// How long browsers allow certificates to be valid that they accept by hash (W3C WebTransport, "custom certificate
/// requirements").
pub(super) const MAX_DAYS_BY_HASH: u32 = 14;

/// Longest validity that can be asked for.
const MAX_DAYS: u32 = 3650;

/// How far a client's clock may be behind.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// What a certificate is valid for less than the days asked for, so that counting the last second twice does no harm.
const MARGIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use base64::Engine;
    use x509_parser::prelude::*;

    use super::*;
    use crate::tls::sha256;

    #[test]
    fn browsers_accept_it_by_hash() {
        let tls = Tls::self_signed(["localhost", "127.0.0.1", "::1"]).unwrap();
        let der = tls.store.current().chain[0].to_vec();
        let (rest, certificate) = X509Certificate::from_der(&der).unwrap();
        assert!(rest.is_empty());

        let validity = certificate.validity();
        let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert!(seconds <= 14 * 24 * 3600, "{seconds} seconds");
        assert!(seconds > 13 * 24 * 3600, "{seconds} seconds");
        assert!(validity.is_valid());
        let unix = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().cast_signed();
        let read = tls.validity().map(|(from, until)| (unix(from), unix(until)));
        assert_eq!(read, Some((validity.not_before.timestamp(), validity.not_after.timestamp())));

        let algorithm = &certificate.public_key().algorithm;
        assert_eq!(algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1", "an elliptic curve key");
        let curve = algorithm.parameters.as_ref().unwrap().as_oid().unwrap().to_id_string();
        assert_eq!(curve, "1.2.840.10045.3.1.7", "P-256");

        assert_eq!(tls.certificate_sha256(), sha256(&der));
        assert_eq!(tls.certificate_sha256_hex().len(), 64);
        let spki = base64::prelude::BASE64_STANDARD.encode(sha256(certificate.public_key().raw));
        assert_eq!(tls.spki_sha256_base64(), spki);
    }

    #[test]
    fn names_and_addresses_are_in_it() {
        let tls = Tls::self_signed(["example.org", "127.0.0.1", "::1"]).unwrap();
        let der = tls.store.current().chain[0].to_vec();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        let names: Vec<String> = names.value.general_names.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names[0].contains("example.org"), "{names:?}");
        assert!(matches!(
            certificate.subject_alternative_name().unwrap().unwrap().value.general_names[1],
            GeneralName::IPAddress([127, 0, 0, 1])
        ));
    }

    #[test]
    fn two_are_never_the_same() {
        let (one, other) = (Tls::self_signed(["localhost"]).unwrap(), Tls::self_signed(["localhost"]).unwrap());
        assert_ne!(one.certificate_sha256(), other.certificate_sha256());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(Tls::self_signed(["not a name"]), Err(TlsError::InvalidName(_))));
        assert!(matches!(Tls::self_signed(Vec::<String>::new()), Err(TlsError::InvalidName(_))));
        assert!(matches!(Tls::self_signed_for(["localhost"], 0), Err(TlsError::InvalidDays(0))));
        assert!(matches!(Tls::self_signed_for(["localhost"], 3651), Err(TlsError::InvalidDays(3651))));
        assert!(Tls::self_signed_for(["localhost"], 90).is_ok());
    }
}
