//! Logs of connections in files, one for each, written by a thread of their own.
//!
//! The core writes while it processes packets, under the lock of its endpoint; files may be on a disk that sleeps.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::SystemTime;

use transom_core::qlog::{QlogConnection, QlogWriter};
use transom_core::{Endpoint, Role};

/// A directory for logs, with the thread that writes them for as long as there is somebody to log.
#[derive(Debug, Clone)]
pub(crate) struct QlogDirectory {
    directory: Arc<Path>,
    thread: Sender<Message>,
    backlog: Arc<Backlog>,
}

#[derive(Debug)]
enum Message {
    Open(u64, PathBuf),
    Record(u64, Vec<u8>),
    Close(u64),
}

/// What the thread has still to write.
#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    /// Whether it was said that records are lost.
    said: AtomicBool,
}

/// The log of one connection.
struct Log {
    number: u64,
    record: Vec<u8>,
    thread: Sender<Message>,
    backlog: Arc<Backlog>,
}

impl QlogDirectory {
    /// Makes the directory if it is missing, and starts the thread.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let (thread, messages) = mpsc::channel();
        let backlog = Arc::new(Backlog::default());
        let written = Arc::clone(&backlog);
        let body = move || write_all(&messages, &written);
        std::thread::Builder::new().name(String::from("transom-qlog")).spawn(body)?;
        Ok(Self { directory: directory.into(), thread, backlog })
    }

    /// Logs the connections of an endpoint.
    pub(crate) fn attach(&self, endpoint: &mut Endpoint) {
        let this = self.clone();
        endpoint.set_qlog(move |connection| Some(this.log(connection)));
    }

    fn log(&self, connection: &QlogConnection) -> QlogWriter {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let role = match connection.role {
            Role::Client => "client",
            Role::Server => "server",
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}-{number}-{role}.sqlog", since.as_millis(), std::process::id());
        // The thread is there as long as we are.
        let _ = self.thread.send(Message::Open(number, self.directory.join(name)));
        let (thread, backlog) = (self.thread.clone(), Arc::clone(&self.backlog));
        Box::new(Log { number, record: Vec::new(), thread, backlog })
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.record.extend_from_slice(bytes);
        // Only whole records are handed on: who is too slow loses some, and what is left is well-formed.
        if self.record.ends_with(b"\n") {
            let record = std::mem::take(&mut self.record);
            let backlog = self.backlog.bytes.fetch_add(record.len(), Ordering::Relaxed);
            if backlog > MAX_BACKLOG {
                self.backlog.bytes.fetch_sub(record.len(), Ordering::Relaxed);
                if !self.backlog.said.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "qlog files cannot be written as fast as there is something to log: records are lost"
                    );
                }
            } else {
                let _ = self.thread.send(Message::Record(self.number, record));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.thread.send(Message::Close(self.number));
    }
}

/// Writes until nobody logs any more. What is written can be read as soon as there is nothing else to do.
fn write_all(messages: &Receiver<Message>, backlog: &Backlog) {
    let mut files: BTreeMap<u64, BufWriter<File>> = BTreeMap::new();
    loop {
        let message = match messages.try_recv() {
            Err(TryRecvError::Empty) => {
                for file in files.values_mut() {
                    report(file.flush());
                }
                messages.recv().ok()
            }
            received => received.ok(),
        };
        match message {
            None => return,
            Some(Message::Open(number, path)) => match create(&path) {
                Ok(file) => _ = files.insert(number, BufWriter::new(file)),
                Err(error) => tracing::error!(path = %path.display(), %error, "a qlog file cannot be made"),
            },
            Some(Message::Record(number, record)) => {
                if let Some(file) = files.get_mut(&number) {
                    report(file.write_all(&record));
                }
                backlog.bytes.fetch_sub(record.len(), Ordering::Relaxed);
            }
            Some(Message::Close(number)) => {
                if let Some(mut file) = files.remove(&number) {
                    report(file.flush());
                }
            }
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // Paths and addresses are nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn report(written: io::Result<()>) {
    if let Err(error) = written {
        tracing::debug!(%error, "a qlog file cannot be written");
    }
}

/// Bytes that may wait for the disk.
const MAX_BACKLOG: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_records_are_handed_on_and_a_backlog_has_an_end() {
        let (thread, messages) = mpsc::channel();
        let backlog = Arc::new(Backlog::default());
        let mut log = Log { number: 3, record: Vec::new(), thread, backlog: Arc::clone(&backlog) };
        log.write_all(b"\x1e{\"a\":").unwrap();
        assert!(messages.try_recv().is_err(), "half a record");
        log.write_all(b"1}\n").unwrap();
        assert!(matches!(messages.try_recv(), Ok(Message::Record(3, record)) if record == b"\x1e{\"a\":1}\n"));
        backlog.bytes.store(MAX_BACKLOG + 1, Ordering::Relaxed);
        log.write_all(b"\x1e{}\n").unwrap();
        assert!(messages.try_recv().is_err());
        assert_eq!(backlog.bytes.load(Ordering::Relaxed), MAX_BACKLOG + 1);
        drop(log);
        assert!(matches!(messages.try_recv(), Ok(Message::Close(3))));
    }
}
