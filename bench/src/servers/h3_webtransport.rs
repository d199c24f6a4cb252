//! h3-webtransport on h3-quinn, on an endpoint of our settings.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use h3::ext::Protocol;
use h3::quic::{BidiStream as _, RecvStream, SendStream, SendStreamUnframed};
use h3_datagram::datagram_handler::DatagramSender;
use h3_webtransport::server::{AcceptedBi, WebTransportSession};
use http::Method;

use super::web_transport_quinn::quinn_endpoint;
use super::{Failure, Route, Setup, announce, route};
use crate::payload;

type Connection = h3::server::Connection<h3_quinn::Connection, Bytes>;
type Session = WebTransportSession<h3_quinn::Connection, Bytes>;
type Sender = DatagramSender<h3_quinn::datagram::SendDatagramHandler, Bytes>;
type Listeners = Arc<Mutex<Vec<(usize, Sender)>>>;

pub(super) async fn serve(setup: &Setup) -> Result<(), Failure> {
    let endpoint = quinn_endpoint(setup)?;
    announce(endpoint.local_addr()?);
    let listeners = Listeners::default();
    let chunk = payload::chunk();
    while let Some(incoming) = endpoint.accept().await {
        let (listeners, chunk) = (Arc::clone(&listeners), chunk.clone());
        tokio::spawn(async move {
            if let Ok(quic) = incoming.await {
                let name = quic.stable_id();
                // A client that goes away is no matter for the others.
                _ = connection(quic, &listeners, chunk).await;
                listeners.lock().expect("nobody panics").retain(|(listener, _)| *listener != name);
            }
        });
    }
    Ok(())
}

async fn connection(quic: quinn::Connection, listeners: &Listeners, chunk: Bytes) -> Result<(), Failure> {
    let name = quic.stable_id();
    let mut connection: Connection = h3::server::builder()
        .enable_webtransport(true)
        .enable_extended_connect(true)
        .enable_datagram(true)
        .max_webtransport_sessions(1)
        .build(h3_quinn::Connection::new(quic))
        .await?;
    let Some(resolver) = connection.accept().await? else { return Ok(()) };
    let (request, stream) = resolver.resolve_request().await?;
    let asks =
        request.method() == Method::CONNECT && request.extensions().get::<Protocol>() == Some(&Protocol::WEB_TRANSPORT);
    let Some(route) = route(request.uri().path().as_bytes()).filter(|_| asks) else { return Ok(()) };
    let session = WebTransportSession::accept(request, stream, connection).await?;
    if route == Route::Broadcast {
        listeners.lock().expect("nobody panics").push((name, session.datagram_sender()));
    }
    tokio::try_join!(streams(&session, route, chunk), datagrams(&session, route, listeners))?;
    Ok(())
}

async fn streams(session: &Session, route: Route, chunk: Bytes) -> Result<(), Failure> {
    while let Some(accepted) = session.accept_bi().await? {
        if let AcceptedBi::BidiStream(_, stream) = accepted {
            let (send, recv) = stream.split();
            tokio::spawn(one_stream(route, send, recv, chunk.clone()));
        }
    }
    Ok(())
}

async fn datagrams(session: &Session, route: Route, listeners: &Listeners) -> Result<(), Failure> {
    let mut reader = session.datagram_reader();
    let mut sender = session.datagram_sender();
    loop {
        let mut payload = reader.read_datagram().await?.into_payload();
        let payload = payload.copy_to_bytes(payload.remaining());
        match route {
            Route::Echo => _ = sender.send_datagram(payload),
            Route::Broadcast => {
                for (_, listener) in listeners.lock().expect("nobody panics").iter_mut() {
                    _ = listener.send_datagram(payload.clone());
                }
            }
            _ => {}
        }
    }
}

async fn one_stream<S, R>(route: Route, mut send: S, mut recv: R, chunk: Bytes)
where
    S: SendStream<Bytes> + SendStreamUnframed<Bytes>,
    R: RecvStream<Buf = Bytes>,
{
    match route {
        Route::Echo | Route::Broadcast => {
            while let Some(bytes) = read(&mut recv).await {
                if !write(&mut send, bytes).await {
                    return;
                }
            }
        }
        Route::Sink => {
            let mut count = 0;
            while let Some(bytes) = read(&mut recv).await {
                count += bytes.len() as u64;
            }
            write(&mut send, Bytes::copy_from_slice(&count.to_be_bytes())).await;
        }
        Route::Source => {
            let mut head = Vec::new();
            while head.len() < 8 {
                let Some(bytes) = read(&mut recv).await else { return };
                head.extend_from_slice(&bytes);
            }
            let mut left = head.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            while left > 0 {
                let piece = chunk.slice(..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                left -= piece.len() as u64;
                if !write(&mut send, piece).await {
                    return;
                }
            }
        }
    }
    _ = poll_fn(|context| send.poll_finish(context)).await;
}

async fn read(recv: &mut impl RecvStream<Buf = Bytes>) -> Option<Bytes> {
    poll_fn(|context| recv.poll_data(context)).await.ok().flatten()
}

async fn write(send: &mut impl SendStreamUnframed<Bytes>, mut bytes: Bytes) -> bool {
    while bytes.has_remaining() {
        if poll_fn(|context| send.poll_send(context, &mut bytes)).await.is_err() {
            return false;
        }
    }
    true
}
