use std::future::Future;
use std::io;
use std::net::SocketAddr;

use web_transport_quinn::{
    ReadError, RecvStream, Request, SendStream, Server, ServerBuilder, ServerError, Session, SessionError,
};
use wtransport::Identity;

use super::{CLOSE_REASON, FREE_PORT, Route, certificate_and_key, route};

pub(super) fn serve(identity: &Identity) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let (chain, key) = certificate_and_key(identity);
    let server =
        ServerBuilder::new().with_addr(FREE_PORT.into()).with_certificate(chain, key).map_err(io::Error::other)?;
    let address = server.local_addr()?;
    Ok((address, accept_all(server)))
}

async fn accept_all(mut server: Server) {
    while let Some(request) = server.accept().await {
        tokio::spawn(async move {
            // A client that goes away is no matter for the others.
            let _ = answer(request).await;
        });
    }
}

async fn answer(request: Request) -> Result<(), ServerError> {
    match route(request.url.path()) {
        Route::Unknown => {
            // The answer is lost with the connection, and that with its last handle.
            let connection = request.conn().clone();
            request.reject(http::StatusCode::NOT_FOUND).await?;
            connection.closed().await;
            Ok(())
        }
        Route::Close(code) => {
            let session = request.ok().await?;
            session.close(code, CLOSE_REASON.as_bytes());
            session.closed().await;
            Ok(())
        }
        Route::Echo => {
            let session = request.ok().await?;
            let _ = echo(session).await;
            Ok(())
        }
    }
}

async fn echo(session: Session) -> Result<(), SessionError> {
    loop {
        tokio::select! {
            streams = session.accept_bi() => {
                let (send, recv) = streams?;
                tokio::spawn(copy(send, recv));
            }
            stream = session.accept_uni() => {
                let recv = stream?;
                let send = session.open_uni().await?;
                tokio::spawn(copy(send, recv));
            }
            datagram = session.read_datagram() => {
                // A datagram that does not fit is lost, as datagrams may be.
                let _ = session.send_datagram(datagram?);
            }
        }
    }
}

/// Each chunk as it comes, FIN for FIN, reset for reset with the same code.
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
                let _ = send.finish();
                return;
            }
            Err(ReadError::Reset(code)) => {
                let _ = send.reset(code);
                return;
            }
            Err(_) => return,
        }
    }
}
