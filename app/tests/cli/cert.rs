//! `transom cert`: the files, and that they can be used.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate, parse_x509_pem};

use crate::support::{Demo, folder, run, transom};

#[test]
fn it_makes_what_browsers_accept() {
    let out = folder("made");
    let ran = run(transom().args(["cert", "--json", "--san", "localhost", "127.0.0.1", "--out"]).arg(&out), b"");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let (_, pem) = parse_x509_pem(&std::fs::read(out.join("cert.pem")).unwrap()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    let validity = certificate.validity();
    assert!(validity.not_after.timestamp() - validity.not_before.timestamp() <= 13 * 24 * 3600);
    assert_eq!(told["certificate_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(std::fs::metadata(out.join("key.pem")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn it_overwrites_only_when_told() {
    let out = folder("again");
    let made = |more: &[&str]| run(transom().args(["cert", "--san", "localhost", "--out"]).arg(&out).args(more), b"");
    assert_eq!(made(&[]).status, 0);
    let first = std::fs::read(out.join("key.pem")).unwrap();
    let ran = made(&[]);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("--force"), "{}", ran.stderr);
    assert_eq!(std::fs::read(out.join("key.pem")).unwrap(), first);
    let ran = made(&["--force", "--days", "30"]);
    assert_eq!(ran.status, 0);
    assert!(ran.stderr.contains("14 days"), "{}", ran.stderr);
    assert_ne!(std::fs::read(out.join("key.pem")).unwrap(), first);
}

#[test]
fn nonsense_is_named() {
    let ran = run(transom().args(["cert", "--san", "not a name", "--out"]).arg(folder("nonsense")), b"");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("not a name"), "{}", ran.stderr);
    assert_eq!(run(transom().args(["cert", "--san", "localhost", "--days", "0"]), b"").status, 2);
    assert_eq!(run(transom().arg("cert"), b"").status, 2);
}

#[test]
fn the_demo_serves_with_it_and_connect_trusts_it() {
    let out = folder("used");
    let ran = run(transom().args(["cert", "--san", "127.0.0.1", "--out"]).arg(&out), b"");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("serverCertificateHashes"));
    let (cert, key) = (out.join("cert.pem"), out.join("key.pem"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let demo = Demo::with(&["--cert", cert, "--key", key]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains(demo.text("certificate_sha256")));
    demo.connect("/echo", &[], b"by its hash").printed(0, "by its hash");
    run(transom().args(["connect", &demo.url("/echo"), "--ca", cert]), b"by its authority")
        .printed(0, "by its authority");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let ran = run(transom().args(["demo", "--cert", "no-such.pem", "--key", "no-such.pem"]), b"");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("no-such.pem"), "{}", ran.stderr);
}
