//! `transom demo`: the announcement, the web page, the end.

use std::net::UdpSocket;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Demo, run, signal, transom, wait};

#[test]
fn it_announces_real_ports_and_hashes() {
    let demo = Demo::start();
    assert_eq!(demo.text("event"), "listening");
    let udp = demo.ready["udp"][0].as_str().unwrap();
    assert!(udp.starts_with("127.0.0.1:") && !udp.ends_with(":0"), "{udp}");
    assert_eq!(demo.text("url"), format!("https://{udp}"));
    assert_eq!(demo.text("certificate_sha256").len(), 64);
    assert_eq!(demo.text("spki_sha256").len(), 44);
    let web = demo.text("web");
    assert!(web.starts_with("http://localhost:") && !web.ends_with(":0"), "{web}");
}

#[test]
fn it_serves_on_several_addresses() {
    let demo = Demo::with(&["--listen", "127.0.0.1:0"]);
    let udp = demo.ready["udp"].as_array().unwrap();
    assert_eq!(udp.len(), 2);
    for address in udp {
        let url = format!("https://{}/echo", address.as_str().unwrap());
        let hash = demo.text("certificate_sha256");
        run(transom().args(["connect", &url, "--cert-hash", hash]), b"here").printed(0, "here");
    }
}

#[test]
fn the_page_and_its_configuration_are_served() {
    let demo = Demo::start();
    let page = demo.http("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    let answer = demo.http("GET /config.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("cache-control: no-store"), "{head}");
    let config: Value = serde_json::from_str(body).unwrap();
    assert_eq!(config["url"], demo.ready["url"]);
    assert_eq!(config["certificate_sha256"], demo.ready["certificate_sha256"]);
    assert_eq!(config["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_web_server_answers_get_and_head_only() {
    let demo = Demo::start();
    let head = demo.http("HEAD /demo.js HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("text/javascript"), "{head}");
    let post = demo.http("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    let missing = demo.http("GET /../Cargo.toml HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
}

#[test]
fn a_web_client_that_stalls_is_let_go() {
    let demo = Demo::start();
    let start = Instant::now();
    demo.http("GET / HTTP/1.1\r\nhost:");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn signals_end_it_with_success() {
    for name in ["TERM", "INT"] {
        let demo = Demo::start();
        demo.connect("/echo", &[], b"x").printed(0, "x");
        demo.signal(name);
        assert_eq!(demo.wait().code(), Some(0), "{name}");
    }
}

#[test]
fn an_idle_session_does_not_keep_it() {
    let demo = Demo::start();
    let mut client = demo
        .connecting("/echo", &["--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_connected(&mut client);
    let start = Instant::now();
    demo.signal("TERM");
    assert_eq!(demo.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(wait(&mut client).code().is_some());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let demo = Demo::start();
    let mut client = demo
        .connecting("/echo", &["--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_connected(&mut client);
    demo.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    demo.signal("INT");
    assert_eq!(demo.wait().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    signal(&client, "INT");
    assert_eq!(wait(&mut client).code(), Some(130));
}

#[test]
fn a_taken_port_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = run(transom().args(["demo", "--web", "127.0.0.1:0", "--listen", &address]), b"");
    ran.printed(1, "");
    assert!(ran.stderr.contains(&address) && ran.stderr.contains("--listen"), "{}", ran.stderr);
}

#[test]
fn nonsense_is_a_usage_error() {
    for line in ["demo --listen here", "demo --cert cert.pem", "demo --allow-origin nowhere", "serve"] {
        let ran = run(transom().args(line.split(' ')), b"");
        assert_eq!(ran.status, 2, "{line}: {}", ran.stderr);
    }
}

/// Waits for the first line of JSON.
fn wait_for_connected(client: &mut std::process::Child) {
    use std::io::BufRead;
    let mut line = String::new();
    std::io::BufReader::new(client.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("connected"), "{line}");
}
