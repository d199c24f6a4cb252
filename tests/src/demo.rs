//! The server under test: `transom demo` as a child process.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

/// A running `transom demo` on free ports of 127.0.0.1. It is killed when this is dropped.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    ready: Ready,
    output: Receiver<String>,
    complaints: Receiver<String>,
}

/// What the server prints when it listens.
#[derive(Debug, Clone)]
struct Ready {
    address: SocketAddr,
    url: String,
    certificate_sha256: [u8; 32],
    web: String,
}

/// How the server ended.
#[derive(Debug)]
pub struct Stopped {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed on standard output after the first line.
    pub output: String,
    /// What it printed on standard error.
    pub complaints: String,
}

impl Demo {
    /// Starts the server and waits until it listens.
    ///
    /// # Errors
    /// There is no binary (set `TRANSOM_BIN`, or build one), or it did not say that it listens.
    pub fn start() -> io::Result<Self> {
        let binary = binary()?;
        let mut child = Command::new(&binary)
            .args(["demo", "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", binary.display())))?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        let (first_line, output) = collect_lines(stdout);
        let complaints = collect(stderr);
        let ready = first_line.recv_timeout(START).ok().and_then(|line| Ready::parse(&line));
        if let Some(ready) = ready {
            return Ok(Self { child, ready, output, complaints });
        }
        let _ = child.kill();
        let _ = child.wait();
        let words = complaints.recv().unwrap_or_default();
        Err(io::Error::other(format!("{} does not say that it listens: {words}", binary.display())))
    }

    /// The UDP address it serves on.
    pub fn address(&self) -> SocketAddr {
        self.ready.address
    }

    /// The URL of a route, such as `/echo`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.ready.url)
    }

    /// SHA-256 of its certificate in DER form.
    pub fn certificate_sha256(&self) -> [u8; 32] {
        self.ready.certificate_sha256
    }

    /// Where its page is: the origin of the page's requests.
    pub fn web(&self) -> &str {
        &self.ready.web
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// It did not end in time; it is killed then.
    pub fn stop(self) -> io::Result<Stopped> {
        self.signal(Signal::TERM)?;
        self.wait()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// It did not end in time; it is killed then.
    pub fn wait(mut self) -> io::Result<Stopped> {
        let until = Instant::now() + STOP;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                let output = self.output.recv().unwrap_or_default();
                let complaints = self.complaints.recv().unwrap_or_default();
                return Ok(Stopped { status, output, complaints });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the server did not end after the signal"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Errors say that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ready {
    fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        if line["event"] != "listening" {
            return None;
        }
        Some(Self {
            address: line["udp"][0].as_str()?.parse().ok()?,
            url: line["url"].as_str()?.trim_end_matches('/').to_owned(),
            certificate_sha256: parse_hex(line["certificate_sha256"].as_str()?)?,
            web: line["web"].as_str()?.trim_end_matches('/').to_owned(),
        })
    }
}

/// The binary: `TRANSOM_BIN`, else the newest kind that the workspace has built.
fn binary() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("TRANSOM_BIN") {
        return Ok(path.into());
    }
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let mut places = ["release", "debug"].into_iter().map(|profile| target.join(profile).join("transom"));
    places.find(|path| path.is_file()).ok_or_else(|| {
        io::Error::other("no transom binary: `cargo build --release --features cli`, or set TRANSOM_BIN")
    })
}

fn parse_hex(digits: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> =
        digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// Reads a pipe to its end on a thread, so that the child never blocks on it.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

/// The first line as soon as it is there, and the rest when the pipe ends.
fn collect_lines(pipe: impl Read + Send + 'static) -> (Receiver<String>, Receiver<String>) {
    let (send_first, first) = mpsc::channel();
    let (send_rest, rest) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        let _ = send_first.send(line);
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes);
        let _ = send_rest.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    (first, rest)
}

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);
