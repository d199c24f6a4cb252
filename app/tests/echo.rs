//! Streams and datagrams between our client and our server.

#[macro_use]
mod common;

use bytes::Bytes;
use common::{Running, echo, spawn, within};
use transom::{ReadError, ReadExactError, ReadToEndError, SendDatagramError, ServerApp, Session, WriteError};

fn echo_server() -> Running {
    Running::start(ServerApp::new().route("/echo", echo))
}

async fn a_bidirectional_stream() {
    let running = echo_server();
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    within(stream.send.write_all(b"hello")).await.unwrap();
    stream.send.finish().unwrap();
    assert_eq!(within(stream.recv.read_to_end(1024)).await.unwrap(), "hello");
    within(stream.send.acknowledged()).await.unwrap();
    assert_eq!(within(stream.send.stopped()).await, None, "the peer cannot stop what it has");
    assert_eq!(stream.send.finish(), Err(WriteError::Closed));
    assert_eq!(within(stream.send.write(b"more")).await, Err(WriteError::Closed));
}

async fn an_empty_stream() {
    let running = echo_server();
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    stream.send.finish().unwrap();
    assert_eq!(within(stream.recv.read_to_end(0)).await.unwrap(), "");
    assert_eq!(within(stream.recv.read_bytes(1)).await.unwrap(), None, "the end stays the end");
    assert_eq!(within(stream.recv.read(&mut [0; 4])).await.unwrap(), None);
}

async fn a_unidirectional_stream_each_way() {
    let running = echo_server();
    let session = running.session("/echo").await;
    let mut stream = within(session.open_uni()).await.unwrap();
    within(stream.write_bytes(Bytes::from_static(b"one way"))).await.unwrap();
    within(stream.acknowledged()).await.unwrap();
    let mut answer = within(session.accept_uni()).await.unwrap().unwrap();
    assert_eq!(within(answer.read_to_end(1024)).await.unwrap(), "one way");
}

async fn a_server_opens_streams() {
    async fn greet(session: Session) -> Result<(), transom::SessionError> {
        let mut stream = session.open_bi().await?;
        stream.send.write_all(b"who?").await?;
        stream.send.finish()?;
        let name = stream.recv.read_to_end(100).await?;
        let mut greeting = session.open_uni().await?;
        greeting.write_all(b"hello, ").await?;
        greeting.write_bytes(name).await?;
        greeting.finish()?;
        session.closed().await;
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/", greet));
    let session = running.session("/").await;
    let mut question = within(session.accept_bi()).await.unwrap().unwrap();
    assert_eq!(within(question.recv.read_to_end(100)).await.unwrap(), "who?");
    within(question.send.write_all(b"me")).await.unwrap();
    question.send.finish().unwrap();
    let mut greeting = within(session.accept_uni()).await.unwrap().unwrap();
    assert_eq!(within(greeting.read_to_end(100)).await.unwrap(), "hello, me");
}

async fn datagrams() {
    let running = echo_server();
    let session = running.session("/echo").await;
    for size in [0, 1, session.max_datagram_size()] {
        let payload = Bytes::from(vec![7; size]);
        session.send_datagram(payload.clone()).unwrap();
        assert_eq!(within(session.recv_datagram()).await.unwrap(), Some(payload));
    }
    within(session.send_datagram_wait("waited")).await.unwrap();
    assert_eq!(within(session.recv_datagram()).await.unwrap().unwrap(), "waited");
    let max = session.max_datagram_size();
    assert_eq!(session.send_datagram(vec![0; 60_000]), Err(SendDatagramError::TooLarge { max }));
}

async fn reading_to_the_end_has_a_limit() {
    let running = echo_server();
    let session = running.session("/echo").await;
    for (size, limit) in [(10, 10), (11, 10), (100_000, 100_000), (100_001, 100_000)] {
        let mut stream = within(session.open_bi()).await.unwrap();
        let (mut send, mut recv) = stream.split();
        let sending = spawn(async move {
            send.write_all(&vec![1; size]).await?;
            send.finish()
        });
        let read = within(recv.read_to_end(limit)).await;
        if size <= limit {
            assert_eq!(read.unwrap().len(), size);
            within(sending).await.unwrap().unwrap();
        } else {
            assert_eq!(read.unwrap_err(), ReadToEndError::TooLong { limit });
            assert_eq!(within(recv.read_bytes(1)).await, Err(ReadError::Closed));
        }
        stream = within(session.open_bi()).await.unwrap();
        drop(stream);
    }
}

async fn exact_reads() {
    let running = echo_server();
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    within(stream.send.write_all(b"abcdefg")).await.unwrap();
    let mut three = [0; 3];
    within(stream.recv.read_exact(&mut three)).await.unwrap();
    assert_eq!(&three, b"abc");
    stream.send.finish().unwrap();
    let mut five = [0; 5];
    assert_eq!(within(stream.recv.read_exact(&mut five)).await, Err(ReadExactError::FinishedEarly(4)));
}

async fn resets_and_stops_carry_their_codes() {
    async fn give_up(session: Session) -> Result<(), transom::SessionError> {
        let mut stream = session.accept_bi().await?.unwrap();
        stream.recv.stop(4_000_000_000)?;
        stream.send.write_all(b"x").await?;
        let mut buffer = [0; 1];
        let mut go = session.accept_uni().await?.unwrap();
        go.read_exact(&mut buffer).await?;
        stream.send.reset(29)?;
        session.closed().await;
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/", give_up));
    let session = running.session("/").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    assert_eq!(within(stream.send.stopped()).await, Some(4_000_000_000));
    assert_eq!(within(stream.send.write(b"y")).await, Err(WriteError::Stopped(Some(4_000_000_000))));
    assert_eq!(within(stream.send.stopped()).await, Some(4_000_000_000), "it is remembered");
    within(stream.recv.read_exact(&mut [0; 1])).await.unwrap();
    let mut go = within(session.open_uni()).await.unwrap();
    within(go.write_all(b"g")).await.unwrap();
    assert_eq!(within(stream.recv.read_bytes(10)).await, Err(ReadError::Reset(Some(29))));
}

async fn dropping_a_stream_tells_the_peer() {
    async fn drop_all(session: Session) -> Result<(), transom::SessionError> {
        while let Some(stream) = session.accept_bi().await? {
            drop(stream);
        }
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/", drop_all));
    let session = running.session("/").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    assert_eq!(within(stream.send.stopped()).await, Some(0));
    assert_eq!(within(stream.recv.read_bytes(10)).await, Err(ReadError::Reset(Some(0))));
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn tokio_s_traits() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let running = echo_server();
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    within(AsyncWriteExt::write_all(&mut stream, b"line one\nline two\n")).await.unwrap();
    stream.flush().await.unwrap();
    stream.shutdown().await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    within(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "line one\nline two\n");
    assert!(within(AsyncWriteExt::write_all(&mut stream, b"late")).await.is_err());
}

async fn a_cancelled_read_or_accept_loses_nothing() {
    use std::future::Future;
    use std::task::{Context, Waker};
    let running = echo_server();
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    {
        let mut context = Context::from_waker(Waker::noop());
        assert!(std::pin::pin!(stream.recv.read_bytes(10)).poll(&mut context).is_pending());
        assert!(std::pin::pin!(session.accept_uni()).poll(&mut context).is_pending());
        assert!(std::pin::pin!(session.recv_datagram()).poll(&mut context).is_pending());
    }
    within(stream.send.write_all(b"kept")).await.unwrap();
    session.send_datagram("kept, too").unwrap();
    let mut uni = within(session.open_uni()).await.unwrap();
    uni.finish().unwrap();
    assert_eq!(within(stream.recv.read_bytes(10)).await.unwrap().unwrap(), "kept");
    assert_eq!(within(session.recv_datagram()).await.unwrap().unwrap(), "kept, too");
    assert!(within(session.accept_uni()).await.unwrap().is_some());
}

async fn several_pieces_at_a_time() {
    let running = echo_server();
    let session = running.session("/echo").await;
    let mut stream = within(session.open_bi()).await.unwrap();
    let sent: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
    let mut places = vec![Bytes::new(); 5];
    assert_eq!(within(stream.recv.read_chunks(&mut [])).await, Ok(Some(0)), "no room, no waiting");
    let write = async {
        stream.send.write_all(&sent).await?;
        stream.send.finish()
    };
    let (mut read, mut most) = (Vec::<u8>::new(), 0);
    let recv = async {
        while let Some(filled) = stream.recv.read_chunks(&mut places).await? {
            assert!(places.iter().take(filled).all(|piece| !piece.is_empty()) && filled > 0);
            most = most.max(filled);
            places.iter().take(filled).for_each(|piece| read.extend_from_slice(piece));
        }
        stream.recv.read_chunks(&mut places).await
    };
    let (written, end) = within(futures_util::future::join(write, recv)).await;
    assert_eq!((written, end), (Ok(()), Ok(None)), "the end stays the end");
    assert!(places.iter().all(Bytes::is_empty), "nothing of the last call is kept");
    assert!(read == sent && most > 1, "{} bytes, up to {most} pieces", read.len());
    assert_eq!(stream.recv.stats().bytes_read, sent.len() as u64);
}

async fn many_tasks_wait_on_one_session() {
    let running = echo_server();
    let session = running.session("/echo").await;
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let session = session.clone();
            spawn(async move { session.recv_datagram().await.unwrap().unwrap() })
        })
        .collect();
    for number in 0..20_u8 {
        within(session.send_datagram_wait(vec![number])).await.unwrap();
    }
    let mut seen = Vec::new();
    for task in waiting {
        seen.push(within(task).await.unwrap()[0]);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<u8>>());
}

on_each_runtime! {
    a_bidirectional_stream,
    an_empty_stream,
    a_unidirectional_stream_each_way,
    a_server_opens_streams,
    datagrams,
    reading_to_the_end_has_a_limit,
    exact_reads,
    resets_and_stops_carry_their_codes,
    dropping_a_stream_tells_the_peer,
    a_cancelled_read_or_accept_loses_nothing,
    several_pieces_at_a_time,
    ; threads:
    many_tasks_wait_on_one_session,
}
