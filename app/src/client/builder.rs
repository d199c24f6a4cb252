//! How a client connects.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use transom_core::rt::Runtime;
use transom_core::{Config, Request};

use super::connection::ClientConnection;
use super::race::{Attempt, race};
use super::url::Target;
use crate::blocking::on_thread;
use crate::driver::Deadline;
use crate::error::ClientError;
use crate::qlog::QlogDirectory;
use crate::session::Session;
use crate::tls::{Tls, Trust};

/// How a client connects: whom it trusts, what it asks for, how long it waits.
///
/// A builder can be used for any number of sessions, each on a connection of its own.
///
/// # Examples
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example(hash: [u8; 32]) -> Result<(), transom::ClientError> {
/// let session = transom::Client::builder()
///     .certificate_hash(hash)
///     .header("authorization", "Bearer secret")
///     .protocol("chat.v2")
///     .timeout(Duration::from_secs(5))
///     .connect("https://localhost:4433/echo")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    trust: Trust,
    identity: Option<Tls>,
    log_keys: bool,
    headers: Vec<Result<(HeaderName, HeaderValue), String>>,
    protocols: Vec<String>,
    protocol_required: bool,
    timeout: Duration,
    config: Config,
    runtime: Option<Arc<dyn Runtime>>,
    address: Option<SocketAddr>,
    qlog: Option<Result<QlogDirectory, (PathBuf, Arc<io::Error>)>>,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        // A browser keeps its connections itself, and so does a client; a server leaves it to them.
        let mut config = Config::default();
        config.keep_alive_interval = KEEP_ALIVE_INTERVAL;
        Self {
            trust: Trust::default(),
            identity: None,
            log_keys: false,
            headers: Vec::new(),
            protocols: Vec::new(),
            protocol_required: false,
            timeout: DEFAULT_TIMEOUT,
            config,
            runtime: None,
            address: None,
            qlog: None,
        }
    }

    /// Trusts the server whose certificate has this SHA-256 hash, whatever names and dates stand in it; may be given
    /// several times.
    ///
    /// The system's certificates and authorities given before do not count any more.
    pub fn certificate_hash(mut self, sha256: [u8; 32]) -> Self {
        match &mut self.trust {
            Trust::Hashes(hashes) => hashes.push(sha256),
            trust => *trust = Trust::Hashes(vec![sha256]),
        }
        self
    }

    /// Trusts servers whose certificates lead to one of these authorities, as PEM text, and no others.
    pub fn certificate_authority_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust = Trust::Authorities(pem.into());
        self
    }

    /// Trusts every server: anybody between here and there can read and change everything.
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.trust = Trust::Anybody;
        self
    }

    /// Shows this certificate to servers that ask for one.
    pub fn certificate(mut self, tls: &Tls) -> Self {
        self.identity = Some(tls.clone());
        self
    }

    /// Writes the secrets of the connection to the file that the environment variable `SSLKEYLOGFILE` names, if it is
    /// set: whoever has the file can read everything.
    pub fn log_keys(mut self) -> Self {
        self.log_keys = true;
        self
    }

    /// Writes a qlog file for each connection into this directory, see
    /// [`ServerApp::qlog_dir`](crate::ServerApp::qlog_dir). A directory that cannot be used is an error of
    /// [`connect`](Self::connect).
    #[cfg(feature = "qlog")]
    pub fn qlog_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        let path = directory.into();
        self.qlog = Some(QlogDirectory::open(&path).map_err(|error| (path, Arc::new(error))));
        self
    }

    /// Adds a header field to the request; one that cannot be sent is an error when connecting.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Display>,
        V: TryInto<HeaderValue, Error: Display>,
    {
        let name = name.try_into().map_err(|error| error.to_string());
        let value = value.try_into().map_err(|error| error.to_string());
        self.headers.push(name.and_then(|name| Ok((name, value?))));
        self
    }

    /// Offers a subprotocol; the first one offered is the one wanted most. See [`Session::protocol`].
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocols.push(protocol.into());
        self
    }

    /// Takes no session without one of the subprotocols offered: a server that chooses none is an error when connecting.
    pub fn require_protocol(mut self) -> Self {
        self.protocol_required = true;
        self
    }

    /// Limits the time for everything from resolving the name to the server's answer; 30 seconds to begin with.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets limits and deadlines. The default differs from `Config::default()` in one thing: it keeps an idle
    /// connection alive with a packet every 10 seconds.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Runs on this runtime instead of the one that [`connect`](Self::connect) is called in.
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Connects to this address instead of those of the URL's host, which still is who the server has to be.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Connects to `https://host[:port]/path[?query]` and asks for a session.
    ///
    /// All addresses of the host are tried, each a moment after the one before, within one deadline. Redirects are not
    /// followed.
    ///
    /// # Errors
    ///
    /// [`ClientError`] says whose fault it is; [`ClientError::Refused`] has the server's status and header fields.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what has been opened.
    pub async fn connect(&self, url: &str) -> Result<Session, ClientError> {
        let target = Target::parse(url)?;
        let request = self.request(&target)?;
        let runtime = self.runtime.clone().or_else(crate::runtime::current).ok_or(ClientError::NoRuntime)?;
        let mut deadline = Deadline::after(&runtime, self.timeout);
        self.establish(target, request, &runtime, &mut deadline).await
    }

    /// Asks for another session on the connection of one that there is, instead of connecting anew: the W3C API's
    /// `allowPooling`. The connection is closed with the last session on it.
    ///
    /// Of the builder's settings, header fields, protocols and the timeout apply. The sessions share the connection's
    /// windows fairly; a server without session flow control has room for one (draft-ietf-webtrans-http3-16, section
    /// 5.1), and then this waits until the one there is has ended.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); [`ClientError::NotSupported`] with a session that a client opened to us;
    /// [`SessionEnd::NotProcessed`](crate::SessionEnd::NotProcessed) when the server is going away, and a new connection
    /// is needed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the request.
    pub async fn connect_over(&self, session: &Session, url: &str) -> Result<Session, ClientError> {
        let request = self.request(&Target::parse(url)?)?;
        let connection = session.client_connection().ok_or(ClientError::NotSupported)?;
        let mut deadline = Deadline::after(session.shared().runtime(), self.timeout);
        deadline.bound(connection.request(request)).await.unwrap_or(Err(ClientError::TimedOut))
    }

    async fn establish(
        &self,
        target: Target,
        request: Request,
        runtime: &Arc<dyn Runtime>,
        deadline: &mut Deadline,
    ) -> Result<Session, ClientError> {
        let qlog = self.qlog.clone().transpose().map_err(|(path, source)| ClientError::Qlog { path, source })?;
        let prepared = deadline.bound(self.prepare(&target, &**runtime)).await;
        let (addresses, tls) = prepared.unwrap_or(Err(ClientError::TimedOut))?;
        let attempts = addresses.into_iter().map(|address| {
            let (tls, config, runtime) = (tls.clone(), self.config.clone(), Arc::clone(runtime));
            let (server_name, qlog) = (target.host.clone(), qlog.clone());
            let attempt: Attempt<ClientConnection> = Box::pin(async move {
                let connection = ClientConnection::begin(address, &server_name, tls, &config, qlog.as_ref(), &runtime)?;
                connection.connected().await?;
                Ok(connection)
            });
            attempt
        });
        let connection = Arc::new(race(runtime, attempts.collect(), deadline).await?);
        deadline.bound(connection.request(request)).await.unwrap_or(Err(ClientError::TimedOut))
    }

    /// Resolves the name and loads the certificates; what blocks happens on a thread.
    async fn prepare(
        &self,
        target: &Target,
        runtime: &dyn Runtime,
    ) -> Result<(Vec<SocketAddr>, rustls::ClientConfig), ClientError> {
        let known = self.address.or_else(|| target.literal());
        if let (Some(address), Trust::Hashes(_) | Trust::Anybody) = (known, &self.trust) {
            return Ok((vec![address], self.trust.client_config(self.identity.as_ref(), self.log_keys)?));
        }
        let mut found = known.map(|address| vec![address]);
        if let (None, Some(simulation)) = (&found, runtime.simulation()) {
            let addresses = simulation.resolve(&target.host).map_err(ClientError::Resolve)?;
            found = Some(addresses.into_iter().map(|ip| SocketAddr::new(ip, target.port)).collect());
        }
        let (target, trust) = (target.clone(), self.trust.clone());
        let (identity, log_keys) = (self.identity.clone(), self.log_keys);
        let prepared = on_thread(runtime, move || {
            let addresses = found.map_or_else(|| target.resolve().map_err(ClientError::Resolve), Ok);
            Ok((addresses?, trust.client_config(identity.as_ref(), log_keys)?))
        });
        prepared.await.map_err(ClientError::Resolve)?
    }

    fn request(&self, target: &Target) -> Result<Request, ClientError> {
        let mut request = Request::new(&target.authority, &target.path_and_query);
        for header in &self.headers {
            let (name, value) = header.clone().map_err(ClientError::InvalidHeader)?;
            request = request.header(name, value);
        }
        for protocol in &self.protocols {
            request = request.protocol(protocol);
        }
        if self.protocol_required {
            request = request.require_protocol();
        }
        Ok(request)
    }
}

/// Time for a connection and a session unless the user sets another.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an idle client shows that it is there; a third of the default idle timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_what_was_asked_for() {
        let builder = ClientBuilder::new().header("x-a", "1").header("x-a", "2").protocol("b").protocol("c");
        let target = Target::parse("https://example.org:99/path?query").unwrap();
        let request = builder.request(&target).unwrap();
        assert_eq!(request.authority(), "example.org:99");
        assert_eq!(request.path_and_query(), "/path?query");
        assert_eq!(request.headers().get_all("x-a").iter().count(), 2);
        assert_eq!(request.protocols(), ["b", "c"]);
    }

    #[test]
    fn a_bad_header_is_reported_when_connecting() {
        let target = Target::parse("https://example.org").unwrap();
        for builder in [ClientBuilder::new().header("no spaces", "1"), ClientBuilder::new().header("x", "a\nb")] {
            assert!(matches!(builder.request(&target), Err(ClientError::InvalidHeader(_))));
        }
    }

    #[test]
    fn hashes_add_up() {
        let builder = ClientBuilder::new().danger_accept_any_certificate().certificate_hash([1; 32]);
        assert!(matches!(builder.certificate_hash([2; 32]).trust, Trust::Hashes(hashes) if hashes.len() == 2));
    }
}
