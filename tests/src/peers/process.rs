use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Implementation;

/// One of the servers as a process of its own, from the `peer-server` program. It is killed when this is dropped.
#[derive(Debug)]
pub struct PeerProcess {
    child: Child,
    address: SocketAddr,
    panics: Arc<AtomicUsize>,
}

impl PeerProcess {
    /// Starts the server and waits until it listens.
    ///
    /// # Errors
    /// `peer-server` was not built, or did not say that it listens.
    pub fn start(implementation: Implementation) -> io::Result<Self> {
        let binary = binary()?;
        let mut child = Command::new(&binary)
            .arg(implementation.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", binary.display())))?;
        let panics = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            count_panics(stderr, Arc::clone(&panics));
        }
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            // Nothing more is said on it.
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = listening(&line);
        let mut process = Self { child, address: address.unwrap_or(NOWHERE), panics };
        if address.is_some() {
            return Ok(process);
        }
        process.end();
        Err(io::Error::other(format!("{} does not say that it listens", binary.display())))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Panics that it has reported so far; in an async runtime they end a task, not the process.
    pub fn panics(&self) -> usize {
        self.panics.load(Ordering::Relaxed)
    }

    fn end(&mut self) {
        // Errors say that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for PeerProcess {
    fn drop(&mut self) {
        self.end();
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line["url"].as_str()?.strip_prefix("https://")?.parse().ok()
}

fn count_panics(stderr: ChildStderr, panics: Arc<AtomicUsize>) {
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains("panicked at") {
                panics.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
}

/// Beside the program that runs, where cargo puts both.
fn binary() -> io::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folders = here.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("peer-server")).find(|path| path.is_file());
    found.ok_or_else(|| io::Error::other("no peer-server program: `cargo build -p transom-tests --bins`"))
}

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
