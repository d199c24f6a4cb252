//! What h3 0.0.8 lacks to be a WebTransport client, added below it.
//!
//! h3-webtransport has only a server part, and h3's client cannot announce WebTransport: it always says
//! ENABLE_WEBTRANSPORT = 0, drops incoming WebTransport streams, and closes the connection on a bidirectional stream of
//! the server. This adapter sits between h3 and h3-quinn: it exchanges the SETTINGS on the way out, sets incoming
//! WebTransport streams aside, and hides bidirectional ones. All bytes are still encoded and decoded by h3.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use h3::error::Code;
use h3::proto::frame::{SettingId, Settings};
use h3::quic::{self, ConnectionErrorIncoming, RecvStream as _, StreamErrorIncoming, StreamId};
use h3::stream::{UniStreamHeader, WriteBuf};
use tokio::sync::mpsc::UnboundedSender;

/// A QUIC connection for `h3::client`, whose WebTransport streams go to a channel.
pub(crate) struct Adapter {
    inner: h3_quinn::Connection,
    unknown: VecDeque<Incoming>,
    webtransport: UnboundedSender<Incoming>,
}

/// An outgoing unidirectional stream; the control stream gets other SETTINGS.
pub(crate) struct Outgoing(h3_quinn::SendStream<Bytes>);

/// An incoming unidirectional stream of which some bytes have been looked at.
pub(crate) struct Incoming {
    head: BytesMut,
    inner: h3_quinn::RecvStream,
}

/// Opens streams for requests.
pub(crate) struct Opener(h3_quinn::OpenStreams);

impl Adapter {
    pub(crate) fn new(connection: quinn::Connection, webtransport: UnboundedSender<Incoming>) -> Self {
        Self { inner: h3_quinn::Connection::new(connection), unknown: VecDeque::new(), webtransport }
    }
}

impl Incoming {
    /// The session id and the body of a WebTransport stream.
    pub(crate) async fn read_to_end(mut self) -> (u64, Vec<u8>) {
        let mut bytes = Vec::new();
        while let Some(chunk) = std::future::poll_fn(|cx| self.poll_data(cx)).await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        assert_eq!(bytes[..2], WEBTRANSPORT, "only WebTransport streams are set aside");
        assert!(bytes[2] < 0x40, "the session id of a first request takes one byte");
        (u64::from(bytes[2]), bytes.split_off(3))
    }

    /// Whether it is a WebTransport stream, as soon as its first two bytes are there.
    fn poll_is_webtransport(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.head.len() < 2 {
            match ready!(self.inner.poll_data(cx)) {
                Ok(Some(chunk)) => self.head.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return Poll::Ready(false),
            }
        }
        Poll::Ready(self.head[..2] == WEBTRANSPORT)
    }
}

impl quic::RecvStream for Incoming {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        if self.head.is_empty() {
            return self.inner.poll_data(cx);
        }
        Poll::Ready(Ok(Some(self.head.split().freeze())))
    }

    fn stop_sending(&mut self, code: u64) {
        self.inner.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

impl quic::SendStream<Bytes> for Outgoing {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.0.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        let data: WriteBuf<Bytes> = data.into();
        // The control stream starts with its type, 0, and SETTINGS, 4; no other stream does.
        if data.chunk().starts_with(&[0, 4]) {
            return self.0.send_data(WriteBuf::from(UniStreamHeader::Control(settings())));
        }
        self.0.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.0.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.0.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.0.send_id()
    }
}

impl quic::Connection<Bytes> for Adapter {
    type RecvStream = Incoming;
    type OpenStreams = Opener;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, ConnectionErrorIncoming>> {
        while let Poll::Ready(stream) = quic::Connection::<Bytes>::poll_accept_recv(&mut self.inner, cx)? {
            self.unknown.push_back(Incoming { head: BytesMut::new(), inner: stream });
        }
        for _ in 0..self.unknown.len() {
            let Some(mut stream) = self.unknown.pop_front() else { break };
            match stream.poll_is_webtransport(cx) {
                Poll::Ready(false) => return Poll::Ready(Ok(stream)),
                // Nobody waits for it when the test is over.
                Poll::Ready(true) => drop(self.webtransport.send(stream)),
                Poll::Pending => self.unknown.push_back(stream),
            }
        }
        Poll::Pending
    }

    fn poll_accept_bidi(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        // They are accepted through quinn.
        Poll::Pending
    }

    fn opener(&self) -> Opener {
        Opener(quic::Connection::<Bytes>::opener(&self.inner))
    }
}

impl quic::OpenStreams<Bytes> for Adapter {
    type BidiStream = h3_quinn::BidiStream<Bytes>;
    type SendStream = Outgoing;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.inner.poll_open_bidi(cx)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, StreamErrorIncoming>> {
        self.inner.poll_open_send(cx).map_ok(Outgoing)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<Bytes>::close(&mut self.inner, code, reason);
    }
}

impl quic::OpenStreams<Bytes> for Opener {
    type BidiStream = h3_quinn::BidiStream<Bytes>;
    type SendStream = Outgoing;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.0.poll_open_bidi(cx)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, StreamErrorIncoming>> {
        self.0.poll_open_send(cx).map_ok(Outgoing)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<Bytes>::close(&mut self.0, code, reason);
    }
}

/// What a draft-02 client announces.
fn settings() -> Settings {
    let mut settings = Settings::default();
    for (id, value) in [
        (SettingId::ENABLE_CONNECT_PROTOCOL, 1),
        (SettingId::H3_DATAGRAM, 1),
        (SettingId::ENABLE_WEBTRANSPORT, 1),
        (SettingId::grease(), 0),
    ] {
        settings.insert(id, value).unwrap();
    }
    settings
}

/// Stream type 0x54 as a varint.
const WEBTRANSPORT: [u8; 2] = [0x40, 0x54];
