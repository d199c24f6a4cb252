//! Answers everything in kind, or reads everything away.

use bytes::Bytes;
use transom::{BiStream, ReadError, RecvStream, SendStream, Session, WriteError};

/// Echoes streams and datagrams until the session is over.
pub(super) async fn echo(session: &Session) {
    tokio::join!(echo_bidi(session), echo_uni(session), echo_datagrams(session));
}

/// Reads and discards streams and datagrams until the session is over.
pub(super) async fn discard(session: &Session) {
    let datagrams = async { while let Ok(Some(_)) = session.recv_datagram().await {} };
    tokio::join!(discard_streams(session), datagrams);
}

/// Reads and discards streams until the session is over.
pub(super) async fn discard_streams(session: &Session) {
    let bidi = async {
        while let Ok(Some(stream)) = session.accept_bi().await {
            tokio::spawn(discard_bidi(stream));
        }
    };
    let uni = async {
        while let Ok(Some(stream)) = session.accept_uni().await {
            tokio::spawn(read_away(stream));
        }
    };
    tokio::join!(bidi, uni);
}

/// Reads a stream until nothing more comes.
pub(super) async fn read_away(mut stream: RecvStream) {
    while let Ok(Some(_)) = stream.read_bytes(CHUNK).await {}
}

async fn discard_bidi(stream: BiStream) {
    let BiStream { mut send, recv } = stream;
    read_away(recv).await;
    // Nothing to say; the peer may have stopped the stream or ended the session in the meantime.
    let _ = send.finish();
}

async fn echo_bidi(session: &Session) {
    while let Ok(Some(stream)) = session.accept_bi().await {
        tokio::spawn(copy(stream.recv, stream.send));
    }
}

async fn echo_uni(session: &Session) {
    while let Ok(Some(recv)) = session.accept_uni().await {
        let session = session.clone();
        tokio::spawn(async move {
            if let Ok(send) = session.open_uni().await {
                drop(session);
                copy(recv, send).await;
            }
        });
    }
}

async fn echo_datagrams(session: &Session) {
    while let Ok(Some(datagram)) = session.recv_datagram().await {
        // Datagrams may get lost, also here: the way back may take fewer bytes than the way there.
        let _ = session.send_datagram(datagram);
    }
}

/// Copies chunk by chunk; passes on the end, and answers a reset with a reset and a stop with a stop.
///
/// One chunk is under way at a time, so a peer that does not read is not read from.
async fn copy(mut recv: RecvStream, mut send: SendStream) {
    loop {
        let chunk = tokio::select! {
            biased;
            code = send.stopped() => return stop(&mut recv, code),
            chunk = recv.read_bytes(CHUNK) => chunk,
        };
        match forward(chunk, &mut send).await {
            Ok(true) => {}
            Err(WriteError::Stopped(code)) => return stop(&mut recv, code),
            // All is said, or the session is over.
            Ok(false) | Err(_) => return,
        }
    }
}

/// Writes what was read; says whether more may come.
async fn forward(chunk: Result<Option<Bytes>, ReadError>, send: &mut SendStream) -> Result<bool, WriteError> {
    match chunk {
        Ok(Some(chunk)) => send.write_bytes(chunk).await.map(|()| true),
        Ok(None) => send.finish().map(|()| false),
        Err(ReadError::Reset(code)) => send.reset(code.unwrap_or(0)).map(|()| false),
        // The session is over.
        Err(_) => Ok(false),
    }
}

fn stop(recv: &mut RecvStream, code: Option<u32>) {
    // Fails when the peer has ended the stream already.
    let _ = recv.stop(code.unwrap_or(0));
}

/// Bytes read at a time, at most.
const CHUNK: usize = 64 * 1024;
