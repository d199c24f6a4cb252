//! Certificates: a server's own, and what a client trusts.

mod certificate;
mod client_auth;
mod error;
mod files;
mod keep;
mod pem;
mod rotation;
mod self_signed;
mod store;
mod validity;
mod verify;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;

pub use client_auth::ClientCertificates;
pub use error::TlsError;
pub(crate) use keep::keep;
pub(crate) use store::CertificateObserver;
pub(crate) use verify::Trust;

use certificate::Certificate;
use client_auth::ClientAuth;
use store::{Source, Store};

/// A server's certificate chain and private key, which can change while servers use them.
///
/// Browsers accept a [self-signed](Self::self_signed) one when the page names its
/// [hash](Self::certificate_sha256), and a [rotating](Self::rotating) one for as long as the server runs; one
/// [from PEM files](Self::from_pem) works like that of any web server.
///
/// Clones are the same certificate: what [`reload`](Self::reload) or [`replace`](Self::replace) does shows in all
/// servers that were given one. New connections get the new certificate, and the open ones are not touched.
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
///
/// Files that a tool renews, looked at every minute:
///
/// ```no_run
/// # use std::time::Duration;
/// # fn main() -> Result<(), transom::TlsError> {
/// let tls = transom::Tls::from_pem("cert.pem", "key.pem")?.watch(Duration::from_secs(60));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    store: Arc<Store>,
    clients: ClientAuth,
    /// How often to look whether the certificate has to change.
    watch: Option<Duration>,
    log_keys: bool,
}

impl Tls {
    fn new(certificate: Certificate, source: Source) -> Self {
        let watch = matches!(source, Source::Rotation(_)).then_some(ROTATION_WATCH);
        let store = Arc::new(Store::new(certificate, source));
        let tls = Self { store, clients: ClientAuth::default(), watch, log_keys: false };
        tracing::info!(sha256 = %tls.certificate_sha256_hex(), "certificate ready");
        tls
    }

    /// SHA-256 of the certificate, as browsers want it in `serverCertificateHashes`.
    pub fn certificate_sha256(&self) -> [u8; 32] {
        self.store.current().sha256()
    }

    /// [`certificate_sha256`](Self::certificate_sha256) as 64 lower-case hexadecimal digits.
    pub fn certificate_sha256_hex(&self) -> String {
        hex(&self.certificate_sha256())
    }

    /// The hashes to publish in `serverCertificateHashes`: that of the certificate, and with a
    /// [rotating](Self::rotating) one also that of the next.
    pub fn certificate_hashes(&self) -> Vec<[u8; 32]> {
        self.store.hashes()
    }

    /// SHA-256 of the public key in base64, as Chromium wants it in `--ignore-certificate-errors-spki-list`.
    pub fn spki_sha256_base64(&self) -> String {
        self.store.current().spki_sha256_base64()
    }

    /// The certificate chain in PEM, the server's own first.
    pub fn certificate_pem(&self) -> String {
        self.store.current().chain_pem()
    }

    /// The private key in PEM: a secret, to be stored where only the server can read it.
    pub fn key_pem(&self) -> String {
        self.store.current().key_pem()
    }

    /// When the certificate begins and when it ends to be valid; `None` if that cannot be read from it.
    pub fn validity(&self) -> Option<(SystemTime, SystemTime)> {
        self.store.current().validity
    }

    /// Reads the files again that the certificate came from, or takes the next step of a rotation if it is due; whether
    /// there is another certificate now.
    ///
    /// # Errors
    ///
    /// When the new files cannot be used. The old certificate stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.store.reload(SystemTime::now())
    }

    /// Uses the certificate of another `Tls`, as it is now, from the next connection on.
    pub fn replace(&self, other: &Self) {
        self.store.replace(other.store.current());
    }

    /// Tells somebody when the certificate changes, whoever changes it.
    pub(crate) fn observe(&self, observer: Weak<dyn CertificateObserver>) {
        self.store.observe(observer);
    }

    /// Lets the servers that are given this certificate look every `interval` whether its files have changed.
    ///
    /// Files that cannot be used are reported once in the log, the old certificate stays, and they are looked at again.
    /// Zero turns the watch off. A [rotating](Self::rotating) certificate is watched every minute unless this says
    /// otherwise.
    pub fn watch(mut self, interval: Duration) -> Self {
        self.watch = (!interval.is_zero()).then_some(interval);
        self
    }

    /// Writes the secrets of all connections to the file that the environment variable `SSLKEYLOGFILE` names, if it is
    /// set, for Wireshark and the like: whoever has the file can read everything.
    pub fn log_keys(mut self) -> Self {
        self.log_keys = true;
        self
    }

    /// How often to look whether the certificate has to change.
    pub(crate) fn watch_interval(&self) -> Option<Duration> {
        self.watch
    }

    /// The certificate chain and a key, as a client shows them.
    pub(crate) fn identity(&self) -> (Vec<CertificateDer<'static>>, rustls_pki_types::PrivateKeyDer<'static>) {
        let current = self.store.current();
        (current.chain.clone(), current.key.clone_key())
    }

    /// The TLS configuration for the core, which sets the ALPN protocol itself.
    pub(crate) fn server_config(&self) -> rustls::ServerConfig {
        let mut config = self.clients.apply(Arc::clone(&self.store));
        // A client uses one for one connection, which brings the next. The 256 that a server keeps are worth most if nobody has
        // two, and each takes 3 % of a handshake.
        config.send_tls13_tickets = 1;
        if self.log_keys {
            config.key_log = Arc::new(rustls::KeyLogFile::new());
        }
        config
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("Tls").field("certificate_sha256", &self.certificate_sha256_hex()).finish_non_exhaustive()
    }
}

/// Where PEM files are.
#[derive(Debug, Clone)]
struct Files {
    certificates: PathBuf,
    key: PathBuf,
}

/// The one provider of cryptography, named everywhere so that no process-wide default is needed.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "ring")]
    let provider = rustls::crypto::ring::default_provider();
    #[cfg(not(feature = "ring"))]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Arc::new(provider)
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn sha256(data: &[u8]) -> [u8; 32] {
    #[cfg(not(feature = "ring"))]
    use aws_lc_rs as ring;
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// How often a rotating certificate is looked at; its steps are days apart.
const ROTATION_WATCH: Duration = Duration::from_secs(60);

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

    #[test]
    fn clones_change_together() {
        let (one, other) = (Tls::self_signed(["localhost"]).unwrap(), Tls::self_signed(["localhost"]).unwrap());
        let clone = one.clone();
        one.replace(&other);
        assert_eq!(clone.certificate_sha256(), other.certificate_sha256());
        assert_eq!(clone.key_pem(), other.key_pem());
    }

    /// Takes what one side has written to the other.
    fn pass<A, B>(from: &mut rustls::ConnectionCommon<A>, to: &mut rustls::ConnectionCommon<B>) {
        let mut wire = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            to.read_tls(&mut rest).unwrap();
            to.process_new_packets().unwrap();
        }
    }

    /// Handshakes of clients that say hello at the same time, and whether each is a short one.
    fn resumed(client: &Arc<rustls::ClientConfig>, server: &Arc<rustls::ServerConfig>, clients: usize) -> Vec<bool> {
        let connect = |_| rustls::ClientConnection::new(Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
        let mut clients: Vec<_> = (0..clients).map(connect).collect();
        let shake = |client: &mut rustls::ClientConnection| {
            let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
            while client.wants_write() || server.wants_write() {
                pass(client, &mut server);
                pass(&mut server, client);
            }
            assert!(!client.is_handshaking() && !server.is_handshaking());
            client.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
        };
        clients.iter_mut().map(shake).collect()
    }

    #[test]
    fn each_connection_makes_one_short_handshake_possible() {
        let tls = Tls::self_signed(["localhost"]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(tls.identity().0.remove(0)).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, server) = (Arc::new(client), Arc::new(tls.server_config()));
        assert_eq!(resumed(&client, &server, 1), [false]);
        assert_eq!(resumed(&client, &server, 1), [true]);
        assert_eq!(resumed(&client, &server, 2), [true, false]);
        assert_eq!(resumed(&client, &server, 3), [true, true, false]);
    }

    #[test]
    fn what_came_from_nowhere_cannot_be_read_again() {
        assert!(matches!(Tls::self_signed(["localhost"]).unwrap().reload(), Err(TlsError::NoFiles)));
    }
}
