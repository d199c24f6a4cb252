//! Settings from a file and the environment.

mod error;
mod fields;
mod nearest;
mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

use transom_core::Config;
use transom_core::middleware::AllowOrigins;

pub use error::SettingsError;

use crate::server::{Serve, ServerApp};
use crate::tls::{ClientCertificates, Tls, TlsError};
use fields::FIELDS;
use value::Value;

/// What a server's operator decides: addresses, certificates, limits.
///
/// It is read from a TOML file and from environment variables, which go before the file: `limits.max_connections` is
/// `TRANSOM_LIMITS_MAX_CONNECTIONS`. What is not known is refused, with the name that was probably meant. All settings
/// stand in `docs/configuration.md`.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), transom::SettingsError> {
/// let settings = transom::Settings::from_toml(
///     r#"
///     listen = ["[::]:4433"]
///
///     [tls]
///     certificate = "/etc/transom/cert.pem"
///     key = "/etc/transom/key.pem"
///
///     [limits]
///     max_connections = 1000
///     stream_window = "1 MiB"
///     idle_timeout = "60 s"
///     "#,
/// )?;
/// assert_eq!(settings.limits.max_connections, 1000);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// Threads to serve with, see [`Serve::workers`]; `None` leaves that to the program, 0 is one for each core.
    pub workers: Option<u8>,
    /// TCP addresses for probes and scrapers, see [`Serve::operations_on`].
    pub operations: Vec<String>,
    /// What sessions get to wind down when the server stops; for
    /// [`Serve::with_graceful_shutdown`](crate::Serve::with_graceful_shutdown).
    pub grace: Duration,
    /// Subprotocols that the server speaks, for [`ServerApp::protocols`]; none leaves those of the program.
    pub protocols: Vec<String>,
    /// Origins of pages that may connect, or `*` alone for all; none leaves that to the program, and where it says nothing
    /// pages are refused.
    pub origins: Vec<String>,
    /// Directory for a qlog file of each connection, see [`ServerApp::qlog_dir`]; the program needs the feature `qlog`.
    pub qlog_dir: Option<PathBuf>,
    /// The server's certificate.
    pub tls: TlsSettings,
    /// Limits and deadlines.
    pub limits: Config,
}

/// Where a server's certificate comes from: either files, or names to make certificates for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsSettings {
    /// PEM file of the certificate chain.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// How often to look whether the files have changed; zero never.
    pub watch: Duration,
    /// DNS names and IP addresses to make certificates for, see [`Tls::rotating`].
    pub rotating: Vec<String>,
    /// Where those are kept, see [`Tls::rotating_in`].
    pub directory: Option<PathBuf>,
    /// PEM file of the authorities of clients' certificates.
    pub client_authorities: Option<PathBuf>,
    /// What happens to clients without one.
    pub client_certificates: ClientCertificates,
    /// Whether to write secrets to `SSLKEYLOGFILE`.
    pub log_keys: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![String::from("[::]:4433")],
            workers: None,
            operations: Vec::new(),
            grace: Duration::from_secs(30),
            protocols: Vec::new(),
            origins: Vec::new(),
            qlog_dir: None,
            tls: TlsSettings::default(),
            limits: Config::default(),
        }
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            watch: Duration::from_secs(60),
            rotating: Vec::new(),
            directory: None,
            client_authorities: None,
            client_certificates: ClientCertificates::Required,
            log_keys: false,
        }
    }
}

impl Settings {
    /// Reads a file, and then the environment of the process.
    ///
    /// # Errors
    ///
    /// What is wrong, with the file or variable and the setting.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SettingsError> {
        let path = path.as_ref();
        let unreadable = |source| SettingsError::File { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut settings = Self::default();
        settings.read_toml(&path.display().to_string(), &text)?;
        settings.read_environment(environment())?;
        Ok(settings)
    }

    /// Reads only the environment of the process.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_environment() -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        settings.read_environment(environment())?;
        Ok(settings)
    }

    /// Takes settings from the text of a file alone.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        settings.read_toml("the configuration", text)?;
        Ok(settings)
    }

    /// The certificate.
    ///
    /// # Errors
    ///
    /// When none is set or its files cannot be used.
    pub fn tls(&self) -> Result<Tls, SettingsError> {
        let missing = |field: &str| SettingsError::Missing { field: field.to_owned() };
        let unusable = |field: &str| {
            let field = field.to_owned();
            move |source: TlsError| SettingsError::Tls { field, source }
        };
        let settings = &self.tls;
        let mut tls = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => {
                Tls::from_pem(certificate, key).map_err(unusable("tls.certificate"))?.watch(settings.watch)
            }
            (Some(_), None) => return Err(missing("tls.key")),
            (None, Some(_)) => return Err(missing("tls.certificate")),
            (None, None) if settings.rotating.is_empty() => return Err(missing("tls.certificate")),
            (None, None) => match &settings.directory {
                Some(directory) => Tls::rotating_in(directory, settings.rotating.clone()),
                None => Tls::rotating(settings.rotating.clone()),
            }
            .map_err(unusable("tls.rotating"))?,
        };
        if let Some(path) = &settings.client_authorities {
            let field = "tls.client_authorities";
            let read = std::fs::read(path).map_err(|source| TlsError::File { path: path.clone(), source });
            let authorities = read.map_err(unusable(field))?;
            tls = tls.client_authorities_pem(&authorities, settings.client_certificates).map_err(unusable(field))?;
        }
        Ok(if settings.log_keys { tls.log_keys() } else { tls })
    }

    fn read_toml(&mut self, file: &str, text: &str) -> Result<(), SettingsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| SettingsError::Syntax {
            file: file.to_owned(),
            problem: error.to_string(),
        })?;
        self.read_table(file, "", &table)?;
        self.check(file)
    }

    fn read_table(&mut self, file: &str, prefix: &str, table: &toml::Table) -> Result<(), SettingsError> {
        for (name, value) in table {
            let name = format!("{prefix}{name}");
            let is_section = FIELDS.iter().any(|field| field.name.starts_with(&format!("{name}.")));
            match value {
                toml::Value::Table(section) if is_section => {
                    self.read_table(file, &format!("{name}."), section)?;
                }
                value => self.set(file, &name, &name, Value::of_toml(value))?,
            }
        }
        Ok(())
    }

    fn read_environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), SettingsError> {
        for (variable, text) in variables {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            if NOT_OURS.contains(&variable.as_str()) {
                continue;
            }
            let rest = rest.to_lowercase();
            let known = FIELDS.iter().find(|field| field.name.replace('.', "_") == rest);
            let name = known.map_or(rest.as_str(), |field| field.name);
            self.set("the environment", &variable, name, Some(Value::Text(text)))?;
        }
        self.check("the environment")
    }

    fn set(&mut self, place: &str, shown: &str, name: &str, value: Option<Value>) -> Result<(), SettingsError> {
        let Some(field) = FIELDS.iter().find(|field| field.name == name) else {
            return Err(SettingsError::unknown(place, shown, name));
        };
        let result = match value {
            Some(value) => (field.set)(self, &value),
            None => Err(String::from("this form of value has no meaning here")),
        };
        result.map_err(|problem| SettingsError::invalid(place, shown, problem))
    }

    /// What no setting can see alone.
    fn check(&self, place: &str) -> Result<(), SettingsError> {
        let limits = &self.limits;
        let invalid = |field: &str, problem: &str| Err(SettingsError::invalid(place, field, problem.to_owned()));
        let mtu = 1_200..=65_527;
        if !mtu.contains(&limits.initial_mtu) {
            return invalid("limits.initial_mtu", "is from 1200 to 65527");
        }
        if limits.max_mtu != 0 && !mtu.contains(&limits.max_mtu) {
            return invalid("limits.max_mtu", "is from 1200 to 65527, or 0 for no path discovery");
        }
        if limits.max_uni_streams < 3 {
            return invalid("limits.max_uni_streams", "is at least 3, which HTTP/3 itself needs");
        }
        if limits.max_bidi_streams == 0 {
            return invalid("limits.max_bidi_streams", "is at least 1: a session needs one itself");
        }
        if limits.keep_alive_interval >= limits.idle_timeout && !limits.idle_timeout.is_zero() {
            return invalid("limits.keep_alive_interval", "is longer than idle_timeout and so keeps nothing alive");
        }
        if self.listen.is_empty() {
            return invalid("listen", "names no address");
        }
        if self.tls.certificate.is_some() && !self.tls.rotating.is_empty() {
            return invalid("tls.rotating", "excludes tls.certificate: a certificate comes from files or is made");
        }
        Ok(())
    }
}

impl<S: Clone + Send + Sync + 'static> ServerApp<S> {
    /// Listens where the settings say, with their certificate, limits, subprotocols, origins, workers and probes.
    ///
    /// Limits that [`config`](Self::config) set before are replaced; origins are judged after other middleware.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be used, or an origin is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(app: transom::ServerApp) -> Result<(), Box<dyn std::error::Error>> {
    /// let settings = transom::Settings::load("transom.toml")?;
    /// app.bind_settings(&settings)?.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_settings(self, settings: &Settings) -> Result<Serve<S>, SettingsError> {
        let tls = settings.tls()?;
        let mut app = self.config(settings.limits.clone());
        if !settings.protocols.is_empty() {
            app = app.protocols(settings.protocols.clone());
        }
        if !settings.origins.is_empty() {
            let origins = match settings.origins.as_slice() {
                [all] if all == "*" => Ok(AllowOrigins::any()),
                some => AllowOrigins::try_only(some),
            };
            app = app.middleware(origins.map_err(|error| SettingsError::Invalid {
                place: String::from("the configuration"),
                field: String::from("origins"),
                problem: error.to_string(),
            })?);
        }
        if settings.qlog_dir.is_some() {
            app.qlog.clone_from(&settings.qlog_dir);
        }
        let mut addresses = settings.listen.iter();
        let Some(first) = addresses.next() else {
            return Err(SettingsError::Missing { field: String::from("listen") });
        };
        let serve = app.bind(first.as_str(), tls);
        let serve = addresses.fold(serve, |serve, address| serve.also_bind(address.as_str()));
        let serve = settings.operations.iter().fold(serve, |serve, address| serve.operations_on(address.as_str()));
        Ok(match settings.workers {
            Some(count) => serve.workers(count),
            None => serve,
        })
    }
}

/// The process's variables; those that are not text cannot be ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// What all our variables begin with.
const PREFIX: &str = "TRANSOM_";

/// Variables with that prefix that are no settings: where a program's file is, and the seed of our own simulations.
const NOT_OURS: [&str; 2] = ["TRANSOM_CONFIG", "TRANSOM_SEED"];

#[cfg(test)]
mod tests;
