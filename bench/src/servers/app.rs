//! A `ServerApp`, written as its documentation teaches; the same for both runtimes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use smol::future::try_zip;
use transom::{BiStream, ServerApp, Session, SessionError, State, Tls};

use super::{Failure, Setup, core_loop};
use crate::payload;

/// How handlers start what runs beside them.
pub(super) trait Spawn: Clone + Send + Sync + 'static {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// The app with its routes.
pub(super) fn app<E: Spawn>(setup: &Setup, spawner: E) -> ServerApp<Shared<E>> {
    let state = Shared { spawner, chunk: payload::chunk(), names: Arc::default(), listeners: Arc::default() };
    ServerApp::with_state(state)
        .route("/echo", echo::<E>)
        .route("/sink", sink::<E>)
        .route("/source", source::<E>)
        .route("/broadcast", broadcast::<E>)
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
pub(super) struct Shared<E> {
    spawner: E,
    chunk: Bytes,
    names: Arc<AtomicU64>,
    listeners: Arc<Mutex<BTreeMap<u64, Session>>>,
}

async fn echo<E: Spawn>(session: Session, State(shared): State<Shared<E>>) -> Result<(), SessionError> {
    let streams = async {
        while let Some(stream) = session.accept_bi().await? {
            shared.spawner.spawn(echo_stream(stream));
        }
        Ok(())
    };
    let datagrams = async {
        while let Some(datagram) = session.recv_datagram().await? {
            _ = session.send_datagram(datagram);
        }
        Ok(())
    };
    try_zip(streams, datagrams).await.map(|_| ())
}

async fn echo_stream(stream: BiStream) {
    let BiStream { mut send, mut recv } = stream;
    while let Ok(Some(bytes)) = recv.read_bytes(usize::MAX).await {
        if send.write_bytes(bytes).await.is_err() {
            return;
        }
    }
    _ = send.finish();
}

async fn sink<E: Spawn>(session: Session, State(shared): State<Shared<E>>) -> Result<(), SessionError> {
    while let Some(BiStream { mut send, mut recv }) = session.accept_bi().await? {
        shared.spawner.spawn(async move {
            let mut count = 0;
            while let Ok(Some(bytes)) = recv.read_bytes(usize::MAX).await {
                count += bytes.len() as u64;
            }
            _ = send.write_all(&count.to_be_bytes()).await;
            _ = send.finish();
        });
    }
    Ok(())
}

async fn source<E: Spawn>(session: Session, State(shared): State<Shared<E>>) -> Result<(), SessionError> {
    while let Some(BiStream { mut send, mut recv }) = session.accept_bi().await? {
        let chunk = shared.chunk.clone();
        shared.spawner.spawn(async move {
            let mut size = [0; 8];
            if recv.read_exact(&mut size).await.is_err() {
                return;
            }
            let mut left = u64::from_be_bytes(size);
            while left > 0 {
                let piece = chunk.slice(..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                left -= piece.len() as u64;
                if send.write_bytes(piece).await.is_err() {
                    return;
                }
            }
            _ = send.finish();
        });
    }
    Ok(())
}

async fn broadcast<E: Spawn>(session: Session, State(shared): State<Shared<E>>) -> Result<(), SessionError> {
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
