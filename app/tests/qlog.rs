//! Logs of connections: a file for each, well-formed, with what happened.

#![cfg(feature = "qlog")]

#[macro_use]
mod common;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Running, echo, sleep, within};
use serde_json::Value;
use transom::{Client, ClientError, ServeError, ServerApp, Tls};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("transom-qlog-{}-{number}", std::process::id())))
    }

    /// The records of each file whose name ends so, once there are as many files and each says what became of its session.
    async fn logs(&self, ends: &str, files: usize) -> Vec<Vec<Value>> {
        let last = ["webtransport:session_ended", "webtransport:session_refused"];
        let started = Instant::now();
        loop {
            let logs: Vec<Vec<Value>> = self.read(ends);
            let complete = |log: &Vec<Value>| log.iter().any(|record| last.iter().any(|last| record["name"] == *last));
            if logs.len() == files && logs.iter().all(complete) {
                return logs;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{} of {files} files: {logs:?}", logs.len());
            // A thread of the system writes them, whatever the runtime's clock says.
            std::thread::sleep(Duration::from_millis(2));
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn read(&self, ends: &str) -> Vec<Vec<Value>> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let ours = paths.iter().filter(|path| path.to_str().unwrap().ends_with(ends));
        ours.map(|path| records(&std::fs::read_to_string(path).unwrap())).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The records of a JSON text sequence (RFC 7464).
fn records(text: &str) -> Vec<Value> {
    let mut records = text.split('\u{1e}');
    assert_eq!(records.next(), Some(""), "a record begins with its mark");
    let parse = |record: &str| serde_json::from_str(record).unwrap_or_else(|error| panic!("{error}: {record:?}"));
    // The last one may be on its way to the disk.
    records.filter(|record| record.ends_with('\n')).map(parse).collect()
}

fn named<'a>(log: &'a [Value], name: &str) -> Vec<&'a Value> {
    log.iter().filter(|record| record["name"] == name).collect()
}

async fn each_connection_has_its_file() {
    let folder = Folder::new();
    let app = ServerApp::new().route("/echo", echo).qlog_dir(&folder.0);
    let running = Running::start(app);
    let client = running.client().qlog_dir(&folder.0);
    for number in 0..2 {
        let session = within(client.connect(&running.url("/echo?secret"))).await.unwrap();
        let mut stream = within(session.open_bi()).await.unwrap();
        within(stream.send.write_all(b"ping")).await.unwrap();
        stream.send.finish().unwrap();
        assert_eq!(within(stream.recv.read_to_end(10)).await.unwrap(), "ping");
        session.close(40 + number, "enough \"said\"\n");
        within(session.shutdown(0, "")).await;
    }
    within(running.client().qlog_dir(&folder.0).connect(&running.url("/nowhere"))).await.unwrap_err();
    let servers = folder.logs("-server.sqlog", 3).await;
    let clients = folder.logs("-client.sqlog", 3).await;
    for log in servers.iter().chain(&clients) {
        assert!(log[0]["qlog_version"].is_string() && log[0]["trace"].is_object(), "{}", log[0]);
        let sent =
            log.iter().filter(|record| record["name"].as_str().is_some_and(|name| name.ends_with("packet_sent")));
        assert!(sent.count() > 2, "{log:?}");
        let times: Vec<f64> = log[1..].iter().map(|record| record["time"].as_f64().unwrap()).collect();
        assert!(times.iter().all(|time| (0.0..60_000.0).contains(time)), "{times:?}");
    }
    for (index, log) in servers[..2].iter().enumerate() {
        let requested = named(log, "webtransport:session_requested");
        assert_eq!((requested.len(), requested[0]["data"]["path"].as_str()), (1, Some("/echo")), "{requested:?}");
        assert_eq!(named(log, "webtransport:session_established").len(), 1);
        assert_eq!(named(log, "webtransport:stream_opened").len(), 1);
        let ended = &named(log, "webtransport:session_ended")[0]["data"];
        assert_eq!((ended["code"].as_u64(), ended["owner"].as_str()), (Some(40 + index as u64), Some("remote")));
        assert_eq!(ended["reason"], "enough \"said\"\n");
    }
    for (index, log) in clients[..2].iter().enumerate() {
        let ended = &named(log, "webtransport:session_ended")[0]["data"];
        assert_eq!((ended["code"].as_u64(), ended["owner"].as_str()), (Some(40 + index as u64), Some("local")));
    }
    for log in [&servers[2], &clients[2]] {
        assert_eq!(named(log, "webtransport:session_refused")[0]["data"]["status"], 404);
    }
}

async fn a_directory_that_cannot_be_used_is_said() {
    let file = Folder::new();
    std::fs::write(&file.0, "a file").unwrap();
    let tls = Tls::self_signed(["localhost"]).unwrap();
    let error = ServerApp::new().qlog_dir(&file.0).bind("127.0.0.1:0", tls).start().unwrap_err();
    assert!(matches!(&error, ServeError::Qlog { path, .. } if *path == file.0), "{error}");
    let client = Client::builder().danger_accept_any_certificate().qlog_dir(&file.0);
    let error = within(client.connect("https://127.0.0.1:1/")).await.unwrap_err();
    assert!(matches!(&error, ClientError::Qlog { path, .. } if *path == file.0), "{error}");
    std::fs::remove_file(&file.0).unwrap();
}

#[cfg(feature = "config")]
#[tokio::test]
async fn settings_name_the_directory() {
    let folder = Folder::new();
    let text =
        format!("listen = ['127.0.0.1:0']\nqlog_dir = '{}'\n[tls]\nrotating = ['localhost']", folder.0.display());
    let settings = transom::Settings::from_toml(&text).unwrap();
    let server = ServerApp::new().route("/echo", echo).bind_settings(&settings).unwrap().start().unwrap();
    let client = Client::builder().danger_accept_any_certificate();
    let session = within(client.connect(&format!("https://{}/echo", server.local_addrs()[0]))).await.unwrap();
    session.close(0, "");
    folder.logs("-server.sqlog", 1).await;
}

on_each_runtime! {
    each_connection_has_its_file,
    a_directory_that_cannot_be_used_is_said,
}
