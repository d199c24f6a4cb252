//! Other people's WebTransport servers, each with a self-signed certificate on a free port of 127.0.0.1.
//!
//! Routes, as far as the implementation can: `/echo` (each stream and datagram comes back as it was; a unidirectional
//! stream as a new unidirectional stream), `/close/{code}` (closes at once with that code and the reason `bye`), anything
//! else is refused with 404.

mod h3;
mod process;
mod web_transport_quinn;
mod wtransport;

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use ::wtransport::Identity;
pub use process::PeerProcess;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// wtransport 0.7: drafts 02 and 07; closes with CONNECTION_CLOSE, without a capsule.
    Wtransport,
    /// web-transport-quinn 0.13: drafts 02 and 07; closes with a capsule.
    WebTransportQuinn,
    /// h3 0.0.8 with h3-webtransport 0.1: draft 02; knows no capsules, so that it closes with CONNECTION_CLOSE.
    H3,
}

impl Implementation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wtransport, Self::WebTransportQuinn, Self::H3];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wtransport => "wtransport",
            Self::WebTransportQuinn => "web-transport-quinn",
            Self::H3 => "h3",
        }
    }

    /// Its name and version, as pinned in the manifest.
    pub fn title(self) -> &'static str {
        match self {
            Self::Wtransport => "wtransport 0.7.2",
            Self::WebTransportQuinn => "web-transport-quinn 0.13.5",
            Self::H3 => "h3-webtransport 0.1.2 (h3 0.0.8)",
        }
    }

    /// The drafts of WebTransport over HTTP/3 whose settings it sends.
    pub fn drafts(self) -> &'static str {
        match self {
            Self::Wtransport | Self::WebTransportQuinn => "02, 07",
            Self::H3 => "02",
        }
    }
}

impl FromStr for Implementation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|implementation| implementation.name() == name);
        found.ok_or_else(|| format!("unknown server {name:?}; known are wtransport, web-transport-quinn, h3"))
    }
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct PeerServer {
    address: SocketAddr,
    certificate_sha256: [u8; 32],
    runtime: Option<tokio::runtime::Runtime>,
}

impl PeerServer {
    /// Starts a server on its own thread; works inside and outside of an async runtime.
    ///
    /// # Errors
    /// The socket or the thread could not be made.
    pub fn start(implementation: Implementation) -> io::Result<Self> {
        let identity = Identity::self_signed(["localhost", "127.0.0.1"]).map_err(io::Error::other)?;
        let certificate_sha256 = *identity.certificate_chain().as_slice()[0].hash().as_ref();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let inside = runtime.enter();
        let address = match implementation {
            Implementation::Wtransport => spawn(wtransport::serve(identity)?),
            Implementation::WebTransportQuinn => spawn(web_transport_quinn::serve(&identity)?),
            Implementation::H3 => spawn(h3::serve(&identity)?),
        };
        drop(inside);
        Ok(Self { address, certificate_sha256, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of its certificate in DER form: the value for `serverCertificateHashes`.
    pub fn certificate_sha256(&self) -> [u8; 32] {
        self.certificate_sha256
    }

    /// The same in hexadecimal digits.
    pub fn certificate_sha256_hex(&self) -> String {
        self.certificate_sha256.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The URL of a route, such as `/echo`.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a request asks for.
enum Route {
    Echo,
    Close(u32),
    Unknown,
}

fn route(path: &str) -> Route {
    match path.strip_prefix("/close/").map(str::parse) {
        Some(Ok(code)) => Route::Close(code),
        _ if path == "/echo" => Route::Echo,
        _ => Route::Unknown,
    }
}

fn spawn((address, serving): (SocketAddr, impl Future<Output = ()> + Send + 'static)) -> SocketAddr {
    tokio::spawn(serving);
    address
}

fn certificate_and_key(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = identity.certificate_chain().as_slice().iter();
    let chain = chain.map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let key = PrivatePkcs8KeyDer::from(identity.private_key().secret_der().to_vec());
    (chain, PrivateKeyDer::Pkcs8(key))
}

const FREE_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// The reason given by `/close/{code}`.
pub const CLOSE_REASON: &str = "bye";
