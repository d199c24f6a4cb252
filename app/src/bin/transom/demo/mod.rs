//! `transom demo`: a server with a web page to try it.

mod chat;
mod diagnosis;
mod echo;
mod listen;
mod pinning;
mod routes;
mod stats;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use transom::{Server, Tls};

use crate::failure::Failure;
use crate::output;
use crate::signals::Signals;

/// Arguments of `transom demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// UDP address to serve on; repeat it for more. Port 0 takes a free one
    /// [default: 127.0.0.1:4433 and [::1]:4433]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,
    /// TCP address of the web page. Port 0 takes a free one [default: localhost:8080, that is 127.0.0.1 and [::1]]
    #[arg(long, value_name = "ADDR:PORT")]
    web: Option<SocketAddr>,
    /// Certificate chain to serve with, instead of a self-signed one for localhost, 127.0.0.1 and ::1
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of the certificate
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
    /// Origin that may connect besides the page's own, such as https://app.example; `*` for all; repeat it for more
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Print one line of JSON when ready, and log only warnings
    #[arg(long)]
    json: bool,
}

impl Args {
    /// What is logged unless `RUST_LOG` says otherwise.
    pub(crate) fn log_level(&self) -> &'static str {
        if self.json { "warn" } else { "info" }
    }
}

/// What the page and the line on standard output tell about the server.
#[derive(Debug)]
struct Facts {
    udp: Vec<SocketAddr>,
    url: String,
    certificate_sha256: String,
    spki_sha256: String,
    /// Whether browsers accept the certificate by its hash; otherwise the page does not name it.
    accepted_by_hash: bool,
    web: String,
}

impl Facts {
    fn json(&self) -> String {
        let udp: Vec<String> = self.udp.iter().map(ToString::to_string).collect();
        json!({
            "event": "listening",
            "udp": udp,
            "url": self.url,
            "certificate_sha256": self.certificate_sha256,
            "spki_sha256": self.spki_sha256,
            "web": self.web,
        })
        .to_string()
    }

    fn text(&self) -> String {
        let udp: Vec<String> = self.udp.iter().map(ToString::to_string).collect();
        format!(
            "Transom demo, version {version}\n\n  \
             Open this page      {web}\n  \
             WebTransport        {url} (UDP {udp})\n  \
             Certificate SHA-256 {hash}\n  \
             From a terminal     transom connect {url}/echo --cert-hash {hash}\n\n\
             Ctrl-C stops the server; a second one stops it at once.",
            version = env!("CARGO_PKG_VERSION"),
            web = self.web,
            url = self.url,
            udp = udp.join(", "),
            hash = self.certificate_sha256,
        )
    }

    /// What the page asks for as `/config.json`.
    fn page_config(&self) -> String {
        json!({
            "url": self.url,
            "certificate_sha256": self.accepted_by_hash.then_some(&self.certificate_sha256),
            "version": env!("CARGO_PKG_VERSION"),
        })
        .to_string()
    }
}

/// Serves until a signal comes.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    // Before anything is announced: whoever reads the announcement may send a signal at once.
    let signals = Signals::listen().map_err(|error| Failure::new(format!("listening for signals failed: {error}")))?;
    let tls = certificate(&args)?;
    let web = listen::web(args.web).await?;
    let udp = listen::udp(args.listen);
    let state = Arc::new(stats::Demo::default());
    let app = routes::app(Arc::clone(&state), &listen::page_origins(&web), &args.allow_origin)?;

    let (sha256, spki) = (tls.certificate_sha256_hex(), tls.spki_sha256_base64());
    let accepted_by_hash = pinning::accepted_by_hash(&tls.certificate_pem());
    if !accepted_by_hash {
        tracing::warn!(
            "browsers accept a certificate by its hash only with an elliptic curve key and for at most 14 days; this \
             one they must trust by its authority, under the name in the URL"
        );
    }
    let (first, more) = udp.split_first().expect("listen::udp gives at least one address");
    let serve = more.iter().fold(app.bind(*first, tls), |serve, address| serve.also_bind(*address));
    let server = serve.start().map_err(|error| listen::no_server(&error))?;
    state.serve(server.handle());

    let facts = Facts {
        udp: server.local_addrs(),
        url: listen::url(&server.local_addrs()),
        certificate_sha256: sha256,
        spki_sha256: spki,
        accepted_by_hash,
        web: listen::web_url(&web),
    };
    tokio::spawn(web::serve(web, facts.page_config()));
    output::line(&if args.json { facts.json() } else { facts.text() })?;
    until_signalled(server, signals).await
}

fn certificate(args: &Args) -> Result<Tls, Failure> {
    match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => Tls::from_pem(cert, key).map_err(|error| {
            Failure::new(format!(
                "reading the certificate {} with the key {} failed: {error}",
                cert.display(),
                key.display()
            ))
        }),
        _ => Tls::self_signed(["localhost", "127.0.0.1", "::1"])
            .map_err(|error| Failure::new(format!("making a self-signed certificate failed: {error}"))),
    }
}

/// Drains at the first signal and gives up at the second.
async fn until_signalled(server: Server, mut signals: Signals) -> Result<ExitCode, Failure> {
    let handle = server.handle();
    let mut stopped = std::pin::pin!(server.wait());
    tokio::select! {
        outcome = &mut stopped => {
            return match outcome {
                Ok(()) => Ok(ExitCode::SUCCESS),
                Err(error) => Err(Failure::new(format!("the server stopped: {error}"))),
            };
        }
        _ = signals.next() => {}
    }
    tracing::info!("draining; sessions have {} seconds to end", GRACE.as_secs());
    handle.shutdown(GRACE);
    tokio::select! {
        outcome = stopped => match outcome {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(Failure::new(format!("the server did not stop cleanly: {error}"))),
        },
        status = signals.next() => Ok(ExitCode::from(status)),
    }
}

/// How long sessions may go on after the first signal.
const GRACE: Duration = Duration::from_secs(2);

const HELP: &str = "\
Routes:
  /echo                    answers a bidirectional stream on itself, a unidirectional one with a new one, a datagram
                           with a datagram; a reset or stop is answered in kind, with the same code
  /sink                    reads and discards
  /source/{bytes}          opens one unidirectional stream with that many bytes (up to 1 TiB); byte i is i mod 251
  /streams/{kind}/{count}  opens `count` (up to 100000) streams of kind `uni` or `bidi`, each with `stream{i}` and FIN
  /close/{code}?reason=…   closes with that code and reason at once
  /fin                     ends the session without a close capsule
  /drain                   asks the client to drain, then behaves like /echo
  /headers                 the request's headers as JSON on a unidirectional stream
  /status/{code}           refuses with that status (300 to 599) and the header `x-refused: yes`
  /chat                    a chat room: each datagram (UTF-8, up to 1000 bytes) goes to everyone else
  /stats                   the server's statistics as JSON on a unidirectional stream
  /stats/live              the same every second, each time on a stream of its own

A plain HTTP/3 request for /health is answered with `ok`, any other with 404.

Requests with an `Origin` are refused with 403 unless it is the page's or allowed with --allow-origin.

SIGINT or SIGTERM drains for up to 2 seconds and exits with status 0; a second one exits at once with 130 or 143.
RUST_LOG sets what is logged to standard error.";

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            udp: vec!["127.0.0.1:4433".parse().unwrap(), "[::1]:4433".parse().unwrap()],
            url: "https://127.0.0.1:4433".into(),
            certificate_sha256: "ab".repeat(32),
            spki_sha256: "q83v".into(),
            accepted_by_hash: true,
            web: "http://localhost:8080".into(),
        }
    }

    #[test]
    fn the_announcement_is_one_line_with_every_field() {
        let line = facts().json();
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], "listening");
        assert_eq!(value["udp"], json!(["127.0.0.1:4433", "[::1]:4433"]));
        assert_eq!(value["url"], "https://127.0.0.1:4433");
        assert_eq!(value["certificate_sha256"], "ab".repeat(32));
        assert_eq!(value["spki_sha256"], "q83v");
        assert_eq!(value["web"], "http://localhost:8080");
    }

    #[test]
    fn the_page_learns_where_to_connect() {
        let value: serde_json::Value = serde_json::from_str(&facts().page_config()).unwrap();
        assert_eq!(value["url"], "https://127.0.0.1:4433");
        assert_eq!(value["certificate_sha256"], "ab".repeat(32));
        assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
        let page_config = Facts { accepted_by_hash: false, ..facts() }.page_config();
        let value: serde_json::Value = serde_json::from_str(&page_config).unwrap();
        assert!(value["certificate_sha256"].is_null());
    }

    #[test]
    fn the_text_says_what_to_open_and_how_to_stop() {
        let text = facts().text();
        assert!(text.contains("http://localhost:8080") && text.contains("Ctrl-C"), "{text}");
    }
}
