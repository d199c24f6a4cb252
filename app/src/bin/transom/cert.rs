//! `transom cert`: a self-signed certificate for development.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use transom::Tls;

use crate::failure::Failure;
use crate::output;

/// Arguments of `transom cert`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Host names and IP addresses the certificate is for
    #[arg(long, value_name = "NAME", required = true, num_args = 1..)]
    san: Vec<String>,
    /// How long it is valid; browsers accept at most 14 days for a certificate they know by its hash
    #[arg(long, value_name = "N", default_value_t = 13, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Folder for cert.pem and key.pem; it is made if it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Overwrite cert.pem and key.pem
    #[arg(long)]
    force: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Makes the certificate and writes it with its key.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let tls = Tls::self_signed_for(args.san.iter().map(String::as_str), args.days)
        .map_err(|error| Failure::new(format!("making a certificate for {} failed: {error}", args.san.join(", "))))?;
    if args.days > BROWSER_DAYS {
        output::note(&format!(
            "transom: warning: browsers refuse a certificate known by its hash that is valid for more than \
             {BROWSER_DAYS} days; this one is for {} days",
            args.days
        ));
    }
    let (cert, key) = write_pair(&args.out, tls.certificate_pem().as_bytes(), tls.key_pem().as_bytes(), args.force)?;
    let facts = Facts {
        cert,
        key,
        sha256: tls.certificate_sha256_hex(),
        spki_sha256: tls.spki_sha256_base64(),
        days: args.days,
    };
    output::line(&if args.json { facts.json() } else { facts.text() })?;
    Ok(ExitCode::SUCCESS)
}

/// What is told about a certificate.
#[derive(Debug)]
struct Facts {
    cert: PathBuf,
    key: PathBuf,
    sha256: String,
    spki_sha256: String,
    days: u32,
}

impl Facts {
    fn json(&self) -> String {
        json!({
            "event": "certificate",
            "cert": self.cert.to_string_lossy(),
            "key": self.key.to_string_lossy(),
            "certificate_sha256": self.sha256,
            "spki_sha256": self.spki_sha256,
            "days": self.days,
        })
        .to_string()
    }

    fn text(&self) -> String {
        format!(
            "Certificate  {cert} (valid for {days} days)\n\
             Private key  {key}\n\
             SHA-256      {sha256}\n\
             SPKI SHA-256 {spki}\n\n\
             In a browser:\n\n  \
             new WebTransport(url, {{\n    \
             serverCertificateHashes: [{{\n      \
             algorithm: \"sha-256\",\n      \
             value: Uint8Array.from(\"{sha256}\".match(/../g), (pair) => parseInt(pair, 16)),\n    \
             }}],\n  \
             }});",
            cert = self.cert.display(),
            key = self.key.display(),
            days = self.days,
            sha256 = self.sha256,
            spki = self.spki_sha256,
        )
    }
}

/// Writes cert.pem and key.pem into `folder`; neither, if one of them is there and may not be overwritten.
fn write_pair(folder: &Path, cert: &[u8], key: &[u8], force: bool) -> Result<(PathBuf, PathBuf), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("making the folder {} failed: {error}", folder.display())))?;
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    for file in [&cert_file, &key_file] {
        if !force && file.exists() {
            return Err(already_there(file));
        }
    }
    write_file(&key_file, key, force, true)?;
    write_file(&cert_file, cert, force, false)?;
    Ok((cert_file, key_file))
}

fn write_file(file: &Path, content: &[u8], force: bool, private: bool) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => already_there(file),
        _ => Failure::new(format!("writing {} failed: {error}", file.display())),
    };
    if force {
        // A new file, because an old one keeps its permissions.
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    create(file, private).and_then(|mut created| created.write_all(content)).map_err(failed)
}

fn create(file: &Path, private: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    options.open(file)
}

fn already_there(file: &Path) -> Failure {
    Failure::new(format!(
        "{} is there already. Choose another folder with --out, or overwrite it with --force",
        file.display()
    ))
}

/// The longest that browsers accept with `serverCertificateHashes` (W3C WebTransport, "custom certificate requirements").
const BROWSER_DAYS: u32 = 14;

const HELP: &str = "\
The certificate is for development. Browsers accept it where it is named in `serverCertificateHashes`, and `transom \
connect` with --cert-hash. Serve with it by `transom demo --cert cert.pem --key key.pem`.";

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            cert: "out/cert.pem".into(),
            key: "out/key.pem".into(),
            sha256: "ab".repeat(32),
            spki_sha256: "q83v".into(),
            days: 13,
        }
    }

    #[test]
    fn the_json_is_one_line() {
        let line = facts().json();
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["certificate_sha256"], "ab".repeat(32));
        assert_eq!(value["key"], "out/key.pem");
    }

    #[test]
    fn the_text_has_a_snippet_for_browsers() {
        assert!(facts().text().contains(&format!("Uint8Array.from(\"{}\".match", "ab".repeat(32))));
    }
}
