//! The answers of [`Operations`] over plain HTTP/1.1, for probes and scrapers that speak no HTTP/3.
//!
//! A thread with blocking sockets, the same in every runtime: it goes on answering when the executor is stuck, and one
//! scraper after the other is all that it has to serve.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::http_fallback::HttpResponse;
use super::operations::Operations;

/// A listener for those who operate a server; stops when it is dropped.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Desk {
    pub(super) fn open(listener: TcpListener, operations: Arc<Operations>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&closed);
        thread::Builder::new().name(String::from("transom-operations")).spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Acquire) {
                    return;
                }
                match stream {
                    // Whoever hangs up or talks nonsense harms only themselves.
                    Ok(stream) => drop(serve(stream, &operations)),
                    // Out of file handles, for example: not to be tried again at once.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        })?;
        Ok(Self { address, closed })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        // The thread waits for somebody to come.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let local: std::net::IpAddr =
                if address.is_ipv4() { [127, 0, 0, 1].into() } else { [0_u16, 0, 0, 0, 0, 0, 0, 1].into() };
            address.set_ip(local);
        }
        let _ = TcpStream::connect_timeout(&address, PATIENCE);
    }
}

/// Answers one request and closes.
fn serve(mut stream: TcpStream, operations: &Operations) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > MAX_HEAD {
            return respond(&mut stream, &StatusCode::BAD_REQUEST.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&part[..count]);
    }
    let answer = answer(&head, operations);
    respond(&mut stream, &answer)
}

fn answer(head: &[u8], operations: &Operations) -> HttpResponse {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let method = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    match (method, target, version) {
        (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0")) => {
            let path = target.split('?').next().unwrap_or_default();
            operations.answer(&method, path).unwrap_or_else(|| StatusCode::NOT_FOUND.into())
        }
        _ => StatusCode::BAD_REQUEST.into(),
    }
}

fn respond(stream: &mut TcpStream, answer: &HttpResponse) -> io::Result<()> {
    let status = answer.response.status();
    let mut head = Vec::new();
    write!(head, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", answer.body.len())?;
    for (name, value) in answer.response.headers() {
        write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default())?;
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head)?;
    stream.write_all(&answer.body)
}

/// How long one client may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of a request.
const MAX_HEAD: usize = 8 * 1024;
