use std::future::Future;
use std::io;
use std::net::SocketAddr;

use wtransport::endpoint::{IncomingSession, endpoint_side};
use wtransport::error::{ConnectionError, StreamReadError};
use wtransport::{Connection, Endpoint, Identity, RecvStream, SendStream, ServerConfig, VarInt};

use super::{CLOSE_REASON, FREE_PORT, Route, route};

pub(super) fn serve(identity: Identity) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let config = ServerConfig::builder().with_bind_address(FREE_PORT.into()).with_identity(identity).build();
    let endpoint = Endpoint::server(config)?;
    let address = endpoint.local_addr()?;
    Ok((address, accept_all(endpoint)))
}

async fn accept_all(endpoint: Endpoint<endpoint_side::Server>) {
    loop {
        let incoming = endpoint.accept().await;
        tokio::spawn(async move {
            // A client that goes away is no matter for the others.
            let _ = session(incoming).await;
        });
    }
}

async fn session(incoming: IncomingSession) -> Result<(), ConnectionError> {
    let request = incoming.await?;
    match route(request.path()) {
        Route::Unknown => {
            request.not_found().await;
            Ok(())
        }
        Route::Close(code) => {
            let connection = request.accept().await?;
            connection.close(VarInt::from_u32(code), CLOSE_REASON.as_bytes());
            connection.closed().await;
            Ok(())
        }
        Route::Echo => echo(request.accept().await?).await,
    }
}

async fn echo(connection: Connection) -> Result<(), ConnectionError> {
    loop {
        tokio::select! {
            streams = connection.accept_bi() => {
                let (send, recv) = streams?;
                tokio::spawn(copy(send, recv));
            }
            stream = connection.accept_uni() => {
                let recv = stream?;
                let opening = connection.open_uni().await?;
                tokio::spawn(async move {
                    if let Ok(send) = opening.await {
                        copy(send, recv).await;
                    }
                });
            }
            datagram = connection.receive_datagram() => {
                // A datagram that does not fit is lost, as datagrams may be.
                let _ = connection.send_datagram(datagram?.payload());
            }
        }
    }
}

/// Each chunk as it comes, FIN for FIN, reset for reset with the same code, stop for stop.
async fn copy(mut send: SendStream, mut recv: RecvStream) {
    let mut buffer = vec![0; 65_536];
    loop {
        match recv.read(&mut buffer).await {
            Ok(Some(length)) => {
                if send.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
            Ok(None) => {
                let _ = send.finish().await;
                return;
            }
            Err(StreamReadError::Reset(code)) => {
                let _ = send.reset(code);
                return;
            }
            Err(StreamReadError::NotConnected | StreamReadError::QuicProto) => return,
        }
    }
}
