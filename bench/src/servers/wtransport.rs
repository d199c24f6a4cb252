//! wtransport, with the settings that all share; streams through the quinn streams that it hands out.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use wtransport::endpoint::IncomingSession;
use wtransport::error::ConnectionError;
use wtransport::{Connection, Endpoint, ServerConfig};

use super::{Failure, Route, Setup, announce, route};
use crate::payload;
use crate::quic;
use crate::socket;

pub(super) async fn serve(setup: &Setup) -> Result<(), Failure> {
    let config = ServerConfig::builder()
        .with_bind_socket(socket::bind(setup.listen)?)
        .build_with_quic_config(quic::server(&setup.certificate, setup.tuning));
    let endpoint = Endpoint::server(config)?;
    announce(endpoint.local_addr()?);
    let listeners = Listeners::default();
    let chunk = payload::chunk();
    loop {
        let incoming = endpoint.accept().await;
        let (listeners, chunk) = (Arc::clone(&listeners), chunk.clone());
        // A client that goes away is no matter for the others.
        tokio::spawn(async move { _ = session(incoming, listeners, chunk).await });
    }
}

type Listeners = Arc<Mutex<Vec<Arc<Connection>>>>;

async fn session(incoming: IncomingSession, listeners: Listeners, chunk: Bytes) -> Result<(), ConnectionError> {
    let request = incoming.await?;
    let Some(route) = route(request.path().as_bytes()) else {
        request.not_found().await;
        return Ok(());
    };
    let session = Arc::new(request.accept().await?);
    if route == Route::Broadcast {
        listeners.lock().expect("nobody panics").push(Arc::clone(&session));
    }
    let streams = async {
        loop {
            match session.accept_bi().await {
                Ok((mut send, mut recv)) => {
                    let chunk = chunk.clone();
                    tokio::spawn(async move {
                        stream(route, send.quic_stream_mut(), recv.quic_stream_mut(), chunk).await;
                    });
                }
                Err(error) => break Err::<(), _>(error),
            }
        }
    };
    let datagrams = async {
        loop {
            let datagram = match session.receive_datagram().await {
                Ok(datagram) => datagram.payload(),
                Err(error) => break Err::<(), _>(error),
            };
            match route {
                Route::Echo => _ = session.send_datagram(datagram),
                Route::Broadcast => {
                    for listener in listeners.lock().expect("nobody panics").iter() {
                        _ = listener.send_datagram(&datagram);
                    }
                }
                _ => {}
            }
        }
    };
    let ended = tokio::try_join!(streams, datagrams);
    listeners.lock().expect("nobody panics").retain(|listener| !Arc::ptr_eq(listener, &session));
    ended.map(|_| ())
}

async fn stream(route: Route, send: &mut quinn::SendStream, recv: &mut quinn::RecvStream, chunk: Bytes) {
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
