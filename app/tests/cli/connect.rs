//! `transom connect`: what it needs and how it fails.

use std::net::UdpSocket;

use crate::support::{Demo, run, transom};

#[test]
fn the_session_is_reported_as_json() {
    let events = Demo::start().connect("/echo", &["--json"], b"x").events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["event"], "connected");
    assert!(events[0]["max_datagram_size"].as_u64() > Some(1_000), "{}", events[0]);
    assert!(events[0]["headers"].is_object() && events[0]["protocol"].is_null(), "{}", events[0]);
    let last = (&events[1]["event"], &events[1]["by"], &events[1]["code"]);
    assert_eq!(last, (&"closed".into(), &"us".into(), &0.into()));
}

#[test]
fn people_read_how_it_ended() {
    let demo = Demo::start();
    let ran = demo.connect("/close/7?reason=bye", &[], b"");
    assert_eq!(ran.stderr, "closed by peer: code 7 \"bye\"\n");
    let ran = demo.connect("/status/403", &[], b"");
    assert!(ran.stderr.starts_with("refused: status 403\n"), "{}", ran.stderr);
}

#[test]
fn another_certificate_is_not_trusted() {
    let demo = Demo::start();
    let wrong = "0".repeat(64);
    for trust in [["--cert-hash", &wrong].as_slice(), &[]] {
        let ran = run(transom().args(["connect", &demo.url("/echo")]).args(trust), b"");
        assert_eq!(ran.status, 4, "{}", ran.stderr);
        assert!(ran.stderr.contains("--cert-hash"), "{}", ran.stderr);
    }
    run(transom().args(["connect", &demo.url("/echo"), "--insecure"]), b"x").printed(0, "x");
}

#[test]
fn a_silent_server_is_given_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/echo", silent.local_addr().unwrap());
    let ran = run(transom().args(["connect", &url, "--insecure", "--timeout", "0.5"]), b"");
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("Check that the server runs"), "{}", ran.stderr);
    let ran = run(transom().args(["connect", &url, "--insecure", "--timeout", "0.5", "--json"]), b"");
    assert_eq!(ran.events()[0]["event"], "failed");
}

#[test]
fn a_bad_command_line_is_a_usage_error() {
    for line in [
        "connect",
        "connect http://127.0.0.1:1/",
        "connect https://a.example/ --cert-hash 12",
        "connect https://a.example/ --uni --datagram",
        "connect https://a.example/ --insecure --ca ca.pem",
        "connect https://a.example/ --header nothing",
    ] {
        let ran = run(transom().args(line.split(' ')), b"");
        assert_eq!(ran.status, 2, "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_line_too_long_for_a_datagram_is_named() {
    let input = ["a".repeat(70_000), "short".to_owned()].join("\n");
    let ran = Demo::start().connect("/echo", &["--datagram"], input.as_bytes());
    ran.printed(0, "short\n");
    assert!(ran.stderr.contains("70000 bytes was not sent"), "{}", ran.stderr);
}
