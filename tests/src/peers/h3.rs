use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use h3::ext::Protocol;
use h3::quic::BidiStream as _;
use h3::server::RequestStream;
use h3_webtransport::server::{AcceptedBi, WebTransportSession};
use http::{Method, Response, StatusCode};
use quinn::crypto::rustls::QuicServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wtransport::Identity;

use super::{CLOSE_REASON, FREE_PORT, Route, certificate_and_key, route};

type Connection = h3::server::Connection<h3_quinn::Connection, Bytes>;
type Ended = Box<dyn std::error::Error + Send + Sync>;
type Answer = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

pub(super) fn serve(identity: &Identity) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let (chain, key) = certificate_and_key(identity);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let endpoint = quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), FREE_PORT.into())?;
    let address = endpoint.local_addr()?;
    Ok((address, accept_all(endpoint)))
}

async fn accept_all(endpoint: quinn::Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            if let Ok(quic) = incoming.await {
                // A client that goes away is no matter for the others.
                let _ = connection(quic).await;
            }
        });
    }
}

async fn connection(quic: quinn::Connection) -> Result<(), Ended> {
    let mut connection: Connection = h3::server::builder()
        .enable_webtransport(true)
        .enable_extended_connect(true)
        .enable_datagram(true)
        .max_webtransport_sessions(1)
        .build(h3_quinn::Connection::new(quic.clone()))
        .await?;
    // A request that comes slowly or is wrong is no matter for the next one.
    let (done, mut requests) = tokio::sync::mpsc::channel(16);
    loop {
        let (request, mut stream) = tokio::select! {
            accepted = connection.accept() => {
                let Some(resolver) = accepted? else { return Ok(()) };
                let done = done.clone();
                tokio::spawn(async move {
                    if let Ok(request) = resolver.resolve_request().await {
                        let _ = done.send(request).await;
                    }
                });
                continue;
            }
            Some(request) = requests.recv() => request,
        };
        let webtransport = request.method() == Method::CONNECT
            && request.extensions().get::<Protocol>() == Some(&Protocol::WEB_TRANSPORT);
        match route(request.uri().path()) {
            Route::Echo if webtransport => {
                let session = WebTransportSession::accept(request, stream, connection).await?;
                return echo(&session).await;
            }
            Route::Close(code) if webtransport => {
                // h3-webtransport has no capsules: the whole connection is closed instead.
                let _session = WebTransportSession::accept(request, stream, connection).await?;
                quic.close(code.into(), CLOSE_REASON.as_bytes());
                return Ok(());
            }
            _ => _ = refuse(&mut stream).await,
        }
    }
}

async fn refuse(stream: &mut Answer) -> Result<(), Ended> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::NOT_FOUND;
    stream.send_response(response).await?;
    stream.finish().await?;
    Ok(())
}

async fn echo(session: &WebTransportSession<h3_quinn::Connection, Bytes>) -> Result<(), Ended> {
    let id = session.session_id();
    let mut datagrams = session.datagram_reader();
    let mut answers = session.datagram_sender();
    loop {
        tokio::select! {
            accepted = session.accept_bi() => match accepted? {
                Some(AcceptedBi::BidiStream(_, stream)) => {
                    let (send, recv) = stream.split();
                    tokio::spawn(copy(send, recv));
                }
                Some(AcceptedBi::Request(_, mut stream)) => _ = refuse(&mut stream).await,
                None => return Ok(()),
            },
            accepted = session.accept_uni() => match accepted? {
                Some((_, recv)) => {
                    let send = session.open_uni(id).await?;
                    tokio::spawn(copy(send, recv));
                }
                None => return Ok(()),
            },
            datagram = datagrams.read_datagram() => {
                let mut payload = datagram?.into_payload();
                let payload = payload.copy_to_bytes(payload.remaining());
                // A datagram that does not fit is lost, as datagrams may be.
                let _ = answers.send_datagram(payload);
            }
        }
    }
}

/// Each chunk as it comes, FIN for FIN. A reset shows as an error without its code here, and is not passed on.
async fn copy(mut send: impl AsyncWrite + Unpin, mut recv: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = recv.read(&mut buffer).await {
        if length == 0 {
            let _ = send.shutdown().await;
            return;
        }
        if send.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
