//! The routes of `transom demo`, with `transom connect` as the client.

use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Demo, wait};

#[test]
fn echo_answers_in_kind() {
    let demo = Demo::start();
    demo.connect("/echo", &[], b"over there").printed(0, "over there");
    demo.connect("/echo", &["--uni"], b"and back").printed(0, "and back");
    demo.connect("/echo", &["--datagram"], b"one\ntwo\n").printed(0, "one\ntwo\n");
    demo.connect("/echo", &[], b"").printed(0, "");
}

#[test]
fn echo_carries_more_than_every_window() {
    let demo = Demo::start();
    let much: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 253) as u8).collect();
    for mode in ["--bidi", "--uni"] {
        let ran = demo.connect("/echo", &[mode], &much);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert!(ran.stdout == much, "{mode}: {} bytes came back", ran.stdout.len());
    }
}

#[test]
fn sink_says_nothing() {
    let demo = Demo::start();
    demo.connect("/sink", &[], &vec![7; 3_000_000]).printed(0, "");
}

#[test]
fn source_sends_what_was_asked_for() {
    let demo = Demo::start();
    for bytes in [0_usize, 1, 65_511, 3_000_000] {
        let ran = demo.connect(&format!("/source/{bytes}"), &["--uni"], b"");
        assert_eq!((ran.status, ran.stdout.len()), (0, bytes), "{}", ran.stderr);
        assert!(ran.stdout.iter().enumerate().all(|(i, byte)| usize::from(*byte) == i % 251));
    }
    for path in ["/source/x", "/source/-1", "/source/1099511627777", "/source/", "/source"] {
        assert_eq!(demo.connect(path, &[], b"").status, 3, "{path}");
    }
}

#[test]
fn streams_come_in_number() {
    let demo = Demo::start();
    // More than the credit the client gives at once.
    let ran = demo.connect("/streams/uni/150", &["--uni"], b"");
    let expected = (0..150).map(|i| format!("stream{i}")).collect::<Vec<_>>().concat();
    let (mut got, mut wanted) = (ran.stdout.clone(), expected.into_bytes());
    // In whatever order they came.
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!((ran.status, got), (0, wanted), "{}", ran.stderr);
    for path in ["/streams/both/1", "/streams/uni/100001", "/streams/uni/x", "/streams/uni"] {
        assert_eq!(demo.connect(path, &[], b"").status, 3, "{path}");
    }
}

#[test]
fn close_closes_with_code_and_reason() {
    let demo = Demo::start();
    let ran = demo.connect("/close/7?reason=good%20bye%2C+then", &["--json"], b"");
    assert_eq!(ran.status, 5, "{}", ran.stderr);
    let last = ran.events().pop().unwrap();
    assert_eq!((&last["event"], &last["by"]), (&"closed".into(), &"peer".into()));
    assert_eq!((&last["code"], &last["reason"]), (&7.into(), &"good bye,+then".into()));
    assert_eq!(demo.connect("/close/4294967295", &["--json"], b"").events().pop().unwrap()["code"], 4_294_967_295_u32);
    assert_eq!(demo.connect("/close/0", &[], b"").status, 0);
    assert_eq!(demo.connect("/close/4294967296", &[], b"").status, 3);
}

#[test]
fn fin_is_a_close_with_code_0() {
    let ran = Demo::start().connect("/fin", &["--json"], b"");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let last = ran.events().pop().unwrap();
    assert_eq!((&last["by"], &last["code"], &last["reason"]), (&"peer".into(), &0.into(), &"".into()));
}

#[test]
fn drain_keeps_echoing() {
    Demo::start().connect("/drain", &[], b"still here").printed(0, "still here");
}

#[test]
fn headers_are_told() {
    let demo = Demo::start();
    let ran = demo.connect("/headers?a=b", &["--uni", "--header", "X-Twice: 1", "--header", "x-twice: 2"], b"");
    let headers: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(headers[":path"], "/headers?a=b");
    assert_eq!(format!("https://{}", headers[":authority"].as_str().unwrap()), demo.text("url"));
    assert_eq!(headers["x-twice"], serde_json::json!(["1", "2"]));
}

#[test]
fn status_refuses() {
    let demo = Demo::start();
    let ran = demo.connect("/status/429", &["--json"], b"");
    assert_eq!(ran.status, 3);
    let last = ran.events().pop().unwrap();
    assert_eq!((&last["event"], &last["status"]), (&"refused".into(), &429.into()));
    assert_eq!(last["headers"]["x-refused"], "yes");
    for path in ["/status/200", "/status/600", "/status/x", "/", "/nothing", "/echo/"] {
        let last = demo.connect(path, &["--json"], b"").events().pop().unwrap();
        assert_eq!(last["status"], 404, "{path}");
    }
}

#[test]
fn chat_goes_to_everyone_else() {
    let demo = Demo::start();
    let enter =
        || demo.connecting("/chat", &["--datagram"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut one, mut other) = (enter(), enter());
    let mut others_output = other.stdout.take().unwrap();
    let mut heard = Vec::new();
    // A datagram that comes before the other one has joined is lost, so it is said until it is heard.
    let speaking = std::thread::spawn(move || {
        let mut input = one.stdin.take().unwrap();
        while input.write_all("Grüße\n".as_bytes()).is_ok() && one.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    });
    let mut buffer = [0; 64];
    while !heard.ends_with("Grüße\n".as_bytes()) {
        let count = others_output.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the chat ended");
        heard.extend_from_slice(&buffer[..count]);
    }
    let stats: Value = serde_json::from_slice(&demo.connect("/stats", &["--uni"], b"").stdout).unwrap();
    assert_eq!(stats["chat_members"], 2);
    demo.signal("TERM");
    assert_eq!(demo.wait().code(), Some(0));
    wait(&mut other);
    speaking.join().unwrap();
}

#[test]
fn stats_count() {
    let demo = Demo::start();
    demo.connect("/echo", &[], b"x").printed(0, "x");
    let stats: Value = serde_json::from_slice(&demo.connect("/stats", &["--uni"], b"").stdout).unwrap();
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(stats["sessions_accepted"], 2, "{stats}");
    assert!(stats["uptime_seconds"].is_u64() && stats["udp_bytes_sent"].as_u64() > Some(0), "{stats}");
    let diagnostics = &stats["diagnostics"];
    assert_eq!(
        (&diagnostics["state"], &diagnostics["issues"]),
        (&"serving".into(), &Value::Array(Vec::new())),
        "{stats}"
    );
    assert_eq!(diagnostics["sessions"]["by_path"]["listed"][0]["path"], "/stats", "{stats}");
    let certificate = &diagnostics["certificate"];
    assert!(certificate["valid_until"].as_u64() > diagnostics["taken_at"].as_u64(), "{stats}");
}

#[test]
fn pages_from_elsewhere_are_refused() {
    let origin =
        |demo: &Demo, origin: &str| demo.connect("/echo", &["--header", &format!("origin: {origin}")], b"").status;
    let demo = Demo::with(&["--allow-origin", "https://app.example"]);
    assert_eq!(origin(&demo, demo.text("web")), 0);
    assert_eq!(origin(&demo, "https://app.example"), 0);
    assert_eq!(origin(&demo, "https://evil.example"), 3);
    assert_eq!(origin(&Demo::with(&["--allow-origin", "*"]), "https://evil.example"), 0);
}
