//! A `ServerApp`, written as its documentation teaches; the same for both runtimes.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use smol::future::try_zip;
use transom::{BiStream, ServerApp, Session, SessionError, State, Tls};

use super::{Failure, Setup, core_loop};
use crate::payload;

/// The app with its routes.
pub(super) fn app(setup: &Setup) -> ServerApp<Shared> {
    let state = Shared { chunk: payload::chunk(), names: Arc::default(), listeners: Arc::default() };
    ServerApp::with_state(state)
        .route("/echo", echo)
        .route("/sink", sink)
        .route("/source", source)
        .route("/broadcast", broadcast)
        .route("/work", work)
        .config(core_loop::config(setup.tuning))
}

/// The certificate that all servers have.
pub(super) fn tls(setup: &Setup) -> Result<Tls, Failure> {
    let folder = std::env::temp_dir().join(format!("transom-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    setup.certificate.write(&folder)?;
    let tls = Tls::from_pem(folder.join("certificate.pem"), folder.join("key.pem"))?;
    std::fs::remove_dir_all(&folder)?;
    Ok(tls)
}

#[derive(Clone)]
pub(super) struct Shared {
    chunk: Bytes,
    names: Arc<AtomicU64>,
    listeners: Arc<Mutex<BTreeMap<u64, Session>>>,
}

async fn echo(session: Session) -> Result<(), SessionError> {
    let streams = session.for_each_bi(echo_stream);
    let datagrams = async {
        while let Some(datagram) = session.recv_datagram().await? {
            _ = session.send_datagram(datagram);
        }
        Ok(())
    };
    try_zip(streams, datagrams).await.map(|_| ())
}

async fn echo_stream(BiStream { mut send, mut recv }: BiStream) -> Result<(), SessionError> {
    while let Some(bytes) = recv.read_bytes(usize::MAX).await? {
        send.write_bytes(bytes).await?;
    }
    Ok(send.finish()?)
}

async fn work(session: Session, State(shared): State<Shared>) -> Result<(), SessionError> {
    session.for_each_bi(|stream| work_stream(stream, &shared.chunk)).await
}

/// Computes for about a tenth of a millisecond, as a real handler may.
async fn work_stream(BiStream { mut send, mut recv }: BiStream, chunk: &Bytes) -> Result<(), Failure> {
    let message = recv.read_to_end(1_024).await?;
    let mut hasher = DefaultHasher::new();
    for _ in 0..WORK {
        hasher.write(chunk);
    }
    std::hint::black_box(hasher.finish());
    send.write_bytes(message).await?;
    Ok(send.finish()?)
}

async fn sink(session: Session) -> Result<(), SessionError> {
    session.for_each_bi(count_stream).await
}

async fn count_stream(BiStream { mut send, mut recv }: BiStream) -> Result<(), SessionError> {
    let (mut count, mut chunks) = (0, payload::places());
    while let Some(filled) = recv.read_chunks(&mut chunks).await? {
        count += payload::length(&chunks[..filled]);
    }
    send.write_all(&count.to_be_bytes()).await?;
    Ok(send.finish()?)
}

async fn source(session: Session, State(shared): State<Shared>) -> Result<(), SessionError> {
    session.for_each_bi(|stream| fill_stream(stream, &shared.chunk)).await
}

async fn fill_stream(BiStream { mut send, mut recv }: BiStream, chunk: &Bytes) -> Result<(), Failure> {
    let mut size = [0; 8];
    recv.read_exact(&mut size).await?;
    let mut left = u64::from_be_bytes(size);
    while left > 0 {
        let piece = chunk.slice(..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        left -= piece.len() as u64;
        send.write_bytes(piece).await?;
    }
    Ok(send.finish()?)
}

async fn broadcast(session: Session, State(shared): State<Shared>) -> Result<(), SessionError> {
    let name = shared.names.fetch_add(1, Ordering::Relaxed);
    shared.listeners.lock().expect("nobody panics").insert(name, session.clone());
    while let Ok(Some(datagram)) = session.recv_datagram().await {
        for listener in shared.listeners.lock().expect("nobody panics").values() {
            _ = listener.send_datagram(datagram.clone());
        }
    }
    shared.listeners.lock().expect("nobody panics").remove(&name);
    Ok(())
}

/// Chunks hashed for one stream of `/work`.
const WORK: usize = 8;
