//! The server that a command connects to: arguments and failures that all clients among the commands share.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use transom::{Client, ClientBuilder, ClientError, ConnectionError};

use crate::failure::Failure;

/// Where to connect and whom to trust.
#[derive(Debug, clap::Args)]
pub(crate) struct Remote {
    /// Where to connect, such as https://127.0.0.1:4433/echo
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    trust: Trust,
    /// Header field of the request; repeat it for more
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Header>,
    /// Time to connect, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
}

/// Whom to trust; by default the authorities that the system trusts.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Trust {
    /// SHA-256 of the server's certificate, 64 hex digits (colons allowed); nothing else about it is checked
    #[arg(long, value_name = "HEX")]
    cert_hash: Option<CertificateHash>,
    /// Trust certificates that this authority has signed, instead of those the system trusts
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// Accept any certificate: whoever answers may be anyone
    #[arg(long)]
    insecure: bool,
}

impl Remote {
    /// A client that trusts, asks and waits as the arguments say.
    pub(crate) fn client(&self) -> Result<ClientBuilder, Failure> {
        let mut client = Client::builder().timeout(self.timeout);
        if let Some(CertificateHash(hash)) = self.trust.cert_hash {
            client = client.certificate_hash(hash);
        }
        if let Some(file) = &self.trust.ca {
            let pem = std::fs::read(file).map_err(|error| {
                Failure::new(format!("reading the authority's certificate {} failed: {error}", file.display()))
                    .with_status(NO_CONNECTION)
            })?;
            client = client.certificate_authority_pem(pem);
        }
        if self.trust.insecure {
            client = client.danger_accept_any_certificate();
        }
        Ok(self.header.iter().fold(client, |client, Header(name, value)| client.header(name, value)))
    }
}

/// Why there is no session with `url`, and the exit status for it.
pub(crate) fn no_session(url: &str, error: &ClientError) -> Failure {
    let status = match error {
        ClientError::Refused { .. } => REFUSED,
        // What the command line said cannot be used.
        ClientError::InvalidUrl(_) | ClientError::InvalidHeader(_) => USAGE,
        _ => NO_CONNECTION,
    };
    Failure::new(format!("connecting to {url} failed: {error}{}", advice(error))).with_status(status)
}

/// What to do about the failures that most people meet first.
fn advice(error: &ClientError) -> &'static str {
    match error {
        ClientError::Connection(ConnectionError::Transport { code, .. }) if (0x100..0x200).contains(code) => {
            ". This is a failure of TLS: give the hash that the server prints as --cert-hash, or its authority as --ca"
        }
        ClientError::TimedOut | ClientError::Connection(ConnectionError::TimedOut) => {
            ". Check that the server runs, that host and port are right, and that UDP gets through"
        }
        _ => "",
    }
}

/// The SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CertificateHash([u8; 32]);

impl FromStr for CertificateHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a SHA-256 has 64 hex digits; the server prints the one to use";
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(WRONG);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(WRONG)?;
        }
        Ok(Self(hash))
    }
}

/// A header field of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header(HeaderName, HeaderValue);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("write name and value as 'name: value'")?;
        let name = HeaderName::from_str(name.trim()).map_err(|_| format!("{name:?} is not a header field's name"))?;
        let value =
            HeaderValue::from_str(value.trim()).map_err(|_| format!("{value:?} is not a header field's value"))?;
        Ok(Self(name, value))
    }
}

/// A positive number of seconds, for clap.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds, such as 5 or 0.5")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(timeout) if !timeout.is_zero() && timeout <= MAX_TIMEOUT => Ok(timeout),
        _ => Err("write a number of seconds above 0 and up to 86400".to_owned()),
    }
}

const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

const USAGE: u8 = 2;
/// Exit status: the server refused the session.
pub(crate) const REFUSED: u8 = 3;
const NO_CONNECTION: u8 = 4;
/// Exit status: the session ended in a way that it should not.
pub(crate) const ABNORMAL: u8 = 5;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        remote: Remote,
    }

    fn parse(line: &str) -> Result<Remote, clap::Error> {
        Line::try_parse_from(["connect"].into_iter().chain(line.split(' '))).map(|line| line.remote)
    }

    #[test]
    fn a_hash_has_64_digits_and_any_colons() {
        let plain: CertificateHash = "0aFF".repeat(16).parse().unwrap();
        assert_eq!(plain.0[..2], [0x0a, 0xff]);
        assert_eq!(vec!["0a:ff"; 16].join(":").parse(), Ok(plain));
        for bad in ["", "0a", "zz", &"é".repeat(32), &"0".repeat(65)] {
            assert!(bad.parse::<CertificateHash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_have_a_name_and_a_value() {
        let Header(name, value) = "X-Token:  a:b ".parse().unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-token", "a:b"));
        assert!("no value".parse::<Header>().is_err());
        assert!("bad name: 1".parse::<Header>().is_err());
    }

    #[test]
    fn one_trust_at_most() {
        assert!(parse("https://a.example/ --insecure").is_ok());
        assert!(parse("https://a.example/ --insecure --ca ca.pem").is_err());
    }

    #[test]
    fn timeouts_are_positive_seconds() {
        assert_eq!(parse("u --timeout 0.5").unwrap().timeout, Duration::from_millis(500));
        for bad in ["0", "-1", "NaN", "inf", "x"] {
            assert!(parse(&format!("u --timeout={bad}")).is_err(), "{bad}");
        }
    }
}
