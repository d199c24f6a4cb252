//! `transom connect`: netcat for WebTransport.

mod pipe;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use transom::{Client, ClientBuilder, ClientError, ConnectionError, Session, SessionEnd};

use self::report::Report;
use crate::failure::Failure;
use crate::signals::Signals;

/// Arguments of `transom connect`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Where to connect, such as https://127.0.0.1:4433/echo
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    copying: Copying,
    /// Header field of the request; repeat it for more
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Header>,
    /// Subprotocol to offer, the most wanted first; repeat it for more
    #[arg(long, value_name = "NAME")]
    protocol: Vec<String>,
    /// Time to connect, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Report the session's begin and end on standard error as one line of JSON each
    #[arg(long)]
    json: bool,
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

/// The mode, as options.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Copying {
    /// One bidirectional stream: standard input into it, what comes back to standard output [default]
    #[arg(long)]
    bidi: bool,
    /// Standard input into a unidirectional stream, incoming unidirectional streams to standard output
    #[arg(long)]
    uni: bool,
    /// Each line of standard input as a datagram, each incoming datagram as a line
    #[arg(long)]
    datagram: bool,
}

/// What is done with standard input and output.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Bidi,
    Uni,
    Datagram,
}

impl Copying {
    fn mode(&self) -> Mode {
        match (self.uni, self.datagram) {
            (true, _) => Mode::Uni,
            (_, true) => Mode::Datagram,
            _ => Mode::Bidi,
        }
    }
}

impl Args {
    fn client(&self) -> Result<ClientBuilder, Failure> {
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
        let client = self.header.iter().fold(client, |client, Header(name, value)| client.header(name, value));
        Ok(self.protocol.iter().fold(client, ClientBuilder::protocol))
    }
}

/// Connects, copies, and tells how it ended.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(format!("listening for signals failed: {error}")))?;
    let report = Report::new(args.json);
    let client = args.client()?;
    let session = tokio::select! {
        connected = client.connect(&args.url) => match connected {
            Ok(session) => session,
            Err(error) => return Ok(not_connected(report, &args.url, &error)),
        },
        status = signals.next() => return Ok(ExitCode::from(status)),
    };
    report.connected(&session);
    let copied = tokio::select! {
        // First what has arrived, then the end.
        biased;
        copied = pipe::run(args.copying.mode(), &session) => copied,
        _ = session.closed() => Ok(()),
        status = signals.next() => {
            report.ended(&leave(session).await, None);
            return Ok(ExitCode::from(status));
        }
    };
    let end = leave(session).await;
    report.ended(&end, copied.as_ref().err());
    match (copied, end) {
        (Err(failure), _) => Ok(failure.status()),
        (Ok(()), SessionEnd::ClosedByPeer { code: 0, .. } | SessionEnd::ClosedLocally { .. }) => Ok(ExitCode::SUCCESS),
        (Ok(()), _) => Ok(ExitCode::from(ABNORMAL)),
    }
}

fn not_connected(report: Report, url: &str, error: &ClientError) -> ExitCode {
    let status = match error {
        ClientError::Refused { status, headers } => {
            report.refused(*status, headers);
            return ExitCode::from(REFUSED);
        }
        // What the command line said cannot be used.
        ClientError::InvalidUrl(_) | ClientError::InvalidHeader(_) => USAGE,
        _ => NO_CONNECTION,
    };
    report.failed(&format!("connecting to {url} failed: {error}{}", advice(error)));
    ExitCode::from(status)
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

/// Closes the session, unless it is over, and its connection; says how the session ended.
async fn leave(session: Session) -> SessionEnd {
    session.clone().shutdown(0, "").await;
    session.closed().await
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

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds, such as 5 or 0.5")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(timeout) if !timeout.is_zero() && timeout <= MAX_TIMEOUT => Ok(timeout),
        _ => Err("write a number of seconds above 0 and up to 86400".to_owned()),
    }
}

const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

const USAGE: u8 = 2;
const REFUSED: u8 = 3;
const NO_CONNECTION: u8 = 4;
const ABNORMAL: u8 = 5;

const HELP: &str = "\
Modes:
  --bidi      ends with the server's end of the stream
  --uni       ends with the session; after the end of standard input as soon as one incoming stream has ended and no
              other one comes for 0.2 seconds
  --datagram  ends with the session; after the end of standard input as soon as as many datagrams came as were sent,
              or none for 1 second

How the session ended is written to standard error, with --json as {\"event\":\"connected\",…} at first and
{\"event\":\"closed\",…}, {\"event\":\"refused\",…} or {\"event\":\"failed\",…} at last.

Exit status:
  0  the session was closed with code 0, by either side
  1  standard input or output failed
  2  the command line cannot be used
  3  the server refused the session; the status is on standard error
  4  no connection, or none that can be trusted
  5  the session ended in another way: closed by the server with another code, aborted, lost; or a stream was reset or
     stopped
  130, 143  SIGINT or SIGTERM; the session is closed with code 0";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(["connect"].into_iter().chain(line.split(' '))).map(|line| line.args)
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
    fn one_mode_and_one_trust_at_most() {
        assert!(matches!(parse("https://a.example/").unwrap().copying.mode(), Mode::Bidi));
        assert!(matches!(parse("https://a.example/ --uni --insecure").unwrap().copying.mode(), Mode::Uni));
        assert!(parse("https://a.example/ --uni --datagram").is_err());
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
