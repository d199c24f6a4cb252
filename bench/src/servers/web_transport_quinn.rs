//! web-transport-quinn, on an endpoint of our settings.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use web_transport_quinn::{RecvStream, Request, SendStream, Server, Session, SessionError};

use super::{Failure, Route, Setup, announce, route};
use crate::payload;
use crate::quic;
use crate::socket;

pub(super) async fn serve(setup: &Setup) -> Result<(), Failure> {
    let endpoint = quinn_endpoint(setup)?;
    announce(endpoint.local_addr()?);
    let mut server = Server::new(endpoint);
    let listeners = Listeners::default();
    let chunk = payload::chunk();
    while let Some(request) = server.accept().await {
        let (listeners, chunk) = (Arc::clone(&listeners), chunk.clone());
        // A client that goes away is no matter for the others.
        tokio::spawn(async move { _ = answer(request, listeners, chunk).await });
    }
    Ok(())
}

/// An endpoint of quinn with the settings that all share.
pub(super) fn quinn_endpoint(setup: &Setup) -> std::io::Result<quinn::Endpoint> {
    quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        Some(quic::server(&setup.certificate, setup.tuning)),
        socket::bind(setup.listen)?,
        Arc::new(quinn::TokioRuntime),
    )
}

type Listeners = Arc<Mutex<Vec<Session>>>;

async fn answer(request: Request, listeners: Listeners, chunk: Bytes) -> Result<(), Failure> {
    let Some(route) = route(request.url.path().as_bytes()) else {
        request.reject(http::StatusCode::NOT_FOUND).await?;
        return Ok(());
    };
    let session = request.ok().await?;
    if route == Route::Broadcast {
        listeners.lock().expect("nobody panics").push(session.clone());
    }
    let streams = async {
        loop {
            let (send, recv) = session.accept_bi().await?;
            tokio::spawn(stream(route, send, recv, chunk.clone()));
        }
        #[expect(unreachable_code, reason = "says what the block fails with")]
        Ok::<(), SessionError>(())
    };
    let datagrams = async {
        loop {
            let datagram = session.read_datagram().await?;
            match route {
                Route::Echo => _ = session.send_datagram(datagram),
                Route::Broadcast => {
                    for listener in listeners.lock().expect("nobody panics").iter() {
                        _ = listener.send_datagram(datagram.clone());
                    }
                }
                _ => {}
            }
        }
        #[expect(unreachable_code, reason = "says what the block fails with")]
        Ok::<(), SessionError>(())
    };
    let ended = tokio::try_join!(streams, datagrams);
    listeners.lock().expect("nobody panics").retain(|listener| listener.stable_id() != session.stable_id());
    ended?;
    Ok(())
}

async fn stream(route: Route, mut send: SendStream, mut recv: RecvStream, chunk: Bytes) {
    match route {
        Route::Echo | Route::Broadcast => {
            while let Ok(Some(read)) = recv.read_chunk(usize::MAX, true).await {
                if send.write_chunk(read.bytes).await.is_err() {
                    return;
                }
            }
        }
        Route::Sink => {
            let (mut count, mut chunks) = (0, payload::places());
            while let Ok(Some(filled)) = recv.read_chunks(&mut chunks).await {
                count += payload::length(&chunks[..filled]);
            }
            _ = send.write_all(&count.to_be_bytes()).await;
        }
        Route::Source => {
            let mut size = [0; 8];
            if recv.read_exact(&mut size).await.is_err() {
                return;
            }
            let mut left = u64::from_be_bytes(size);
            while left > 0 {
                let piece = chunk.slice(..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                left -= piece.len() as u64;
                if send.write_chunk(piece).await.is_err() {
                    return;
                }
            }
        }
    }
    _ = send.finish();
}
