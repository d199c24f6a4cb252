//! Runs the program and looks at what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running `transom demo` on ports of its own.
pub(crate) struct Demo {
    child: Child,
    pub(crate) ready: Value,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(more: &[&str]) -> Self {
        let mut child = transom()
            .args(["demo", "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0", "--json"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("transom demo starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).expect("a line on standard output");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, ready }
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap_or_else(|| panic!("{field} in {}", self.ready))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text("url"))
    }

    /// `transom connect` to one of the routes, with `input` as its standard input.
    pub(crate) fn connect(&self, path: &str, more: &[&str], input: &[u8]) -> Ran {
        let mut command = self.connecting(path, more);
        run(&mut command, input)
    }

    /// The same, not yet started.
    pub(crate) fn connecting(&self, path: &str, more: &[&str]) -> Command {
        let mut command = transom();
        command.args(["connect", &self.url(path), "--cert-hash", self.text("certificate_sha256")]).args(more);
        command
    }

    /// One request to the web page; the whole answer as text.
    pub(crate) fn http(&self, request: &str) -> String {
        let port = self.text("web").rsplit(':').next().unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits until the program has ended by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        wait(&mut self.child)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn printed(&self, status: i32, stdout: &str) {
        assert_eq!((self.status, String::from_utf8_lossy(&self.stdout).as_ref()), (status, stdout), "{}", self.stderr);
    }

    /// The lines of JSON on standard error.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stderr.lines().map(|line| serde_json::from_str(line).expect("only JSON on standard error")).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("not killed by a signal"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("text on standard error"),
        }
    }
}

pub(crate) fn transom() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    command.env_remove("RUST_LOG");
    command
}

pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("transom starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The program may end without reading all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("transom ends");
    writer.join().unwrap();
    output.into()
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().expect("kill runs");
    assert!(status.success());
}

#[track_caller]
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the program did not end within {LIMIT:?}");
}

/// A new folder for the test of this name.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

const LIMIT: Duration = Duration::from_secs(20);
