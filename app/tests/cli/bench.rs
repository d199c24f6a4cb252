//! `transom bench`: that every scenario measures something, and what it says where one cannot.

use std::net::UdpSocket;

use serde_json::Value;

use crate::support::{Demo, Ran, run, transom};

const SHORT: [&str; 2] = ["--seconds", "0.3"];

impl Demo {
    fn bench(&self, path: &str, more: &[&str]) -> Ran {
        let trust = ["--cert-hash", self.text("certificate_sha256")];
        run(transom().args(["bench", &self.url(path)]).args(trust).args(SHORT).args(more), b"")
    }
}

fn figures(ran: &Ran) -> Vec<Value> {
    let text = String::from_utf8_lossy(&ran.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("only JSON on standard output")).collect()
}

fn positive(figures: &Value, names: &[&str]) {
    for name in names {
        assert!(figures[name].as_f64() > Some(0.0), "{name} in {figures}");
    }
}

#[test]
fn every_scenario_is_measured_against_the_demo() {
    let ran = Demo::start().bench("/echo", &["--json"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let lines = figures(&ran);
    let names: Vec<_> = lines.iter().map(|line| line["scenario"].as_str().unwrap()).collect();
    assert_eq!(names, ["streams", "datagrams-32", "datagrams-1100", "upload", "download", "handshakes"]);
    for line in &lines {
        positive(line, &["seconds", "in_flight"]);
        match line["scenario"].as_str().unwrap() {
            "upload" | "download" => positive(line, &["bytes", "megabytes_per_second"]),
            _ => positive(line, &["operations", "per_second", "p50_us", "p99_us"]),
        }
        assert_eq!(line["lost"].is_u64(), line["scenario"].as_str().unwrap().starts_with("datagrams"), "{line}");
        assert!(line["p50_us"].as_f64() <= line["p99_us"].as_f64(), "{line}");
    }
}

#[test]
fn people_get_a_table_of_what_they_asked_for() {
    let ran = Demo::start().bench("/echo", &["--only", "download,streams", "--in-flight", "3"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "no bar where nobody looks on");
    let text = String::from_utf8(ran.stdout).unwrap();
    let first_words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(first_words, [["scenario", "in"], ["download", "3"], ["streams", "3"]], "{text}");
    assert!(text.contains(" MB/s") && text.contains(" /s"), "{text}");
}

#[test]
fn what_a_server_has_not_is_named_and_the_others_are_measured() {
    let demo = Demo::start();
    // Beside this one there is neither sink nor source.
    let ran = demo.bench("/streams/bidi/0", &["--json", "--only", "upload,download,handshakes"]);
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    let lines = figures(&ran);
    for (line, route) in lines.iter().zip(["sink", "source/BYTES"]) {
        let error = line["error"].as_str().unwrap();
        assert!(error.contains("status 404") && error.contains(route), "{error}");
    }
    positive(&lines[2], &["operations"]);
    let ran = demo.bench("/sink", &["--only", "datagrams-32"]);
    assert_eq!(ran.status, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("an echo of datagrams"), "{}", ran.stderr);
    let ran = demo.bench("/sink", &["--only", "streams"]);
    assert_eq!(ran.status, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("not what was sent"), "{}", ran.stderr);
}

#[test]
fn without_a_connection_there_is_nothing_to_measure() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/echo", silent.local_addr().unwrap());
    let ran = run(transom().args(["bench", &url, "--insecure", "--timeout", "0.3", "--json"]), b"");
    assert_eq!((ran.status, ran.stdout.as_slice()), (4, b"".as_slice()), "{}", ran.stderr);
    assert!(ran.stderr.contains("Check that the server runs"), "{}", ran.stderr);
}

#[test]
fn a_bad_command_line_is_a_usage_error() {
    for line in [
        "bench",
        "bench http://127.0.0.1:1/",
        "bench https://a.example/ --only nothing",
        "bench https://a.example/ --in-flight 0",
        "bench https://a.example/ --seconds 0",
    ] {
        let ran = run(transom().args(line.split(' ')), b"");
        assert_eq!(ran.status, 2, "{line}: {}", ran.stderr);
    }
}
