//! Much data, many streams, slow readers.

#[macro_use]
mod common;

use std::future::Future;
use std::task::{Context, Waker};

use common::{Running, echo, spawn, within};
use transom::{Config, ServerApp, Session, SessionError};

async fn a_hundred_streams_at_a_time() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let tasks: Vec<_> = (0..100_usize)
        .map(|number| {
            let session = session.clone();
            spawn(async move {
                let message = vec![u8::try_from(number).unwrap(); 1000 + number];
                let mut stream = session.open_bi().await.unwrap();
                stream.send.write_all(&message).await.unwrap();
                stream.send.finish().unwrap();
                assert_eq!(stream.recv.read_to_end(10_000).await.unwrap(), message);
            })
        })
        .collect();
    for task in tasks {
        within(task).await.unwrap();
    }
}

async fn more_streams_than_the_peer_allows_at_a_time() {
    let mut config = Config::default();
    config.max_bidi_streams = 4;
    config.max_uni_streams = 8;
    let running = Running::start(ServerApp::new().config(config).route("/echo", echo));
    let session = running.session("/echo").await;
    let tasks: Vec<_> = (0..200_u32)
        .map(|number| {
            let session = session.clone();
            spawn(async move {
                if number % 2 == 0 {
                    let mut stream = session.open_uni().await.unwrap();
                    stream.write_all(&number.to_be_bytes()).await.unwrap();
                    stream.acknowledged().await.unwrap();
                } else {
                    let mut stream = session.open_bi().await.unwrap();
                    stream.send.write_all(&number.to_be_bytes()).await.unwrap();
                    stream.send.finish().unwrap();
                    assert_eq!(stream.recv.read_to_end(4).await.unwrap(), number.to_be_bytes()[..]);
                }
            })
        })
        .collect();
    for task in tasks {
        within(task).await.unwrap();
    }
}

async fn four_mebibytes_there_and_back() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let session = running.session("/echo").await;
    let data: Vec<u8> = (0..4 * 1024 * 1024_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap().split();
    let expected = data.clone();
    let sending = spawn(async move {
        send.write_all(&data).await.unwrap();
        send.finish().unwrap();
    });
    assert!(within(recv.read_to_end(expected.len())).await.unwrap() == expected, "the data was altered");
    within(sending).await.unwrap();
}

async fn who_does_not_read_blocks_only_that_stream() {
    async fn read_no_uni(session: Session) -> Result<(), SessionError> {
        while let Some(mut stream) = session.accept_bi().await? {
            let message = stream.recv.read_to_end(1000).await?;
            stream.send.write_all(&message).await?;
            stream.send.finish()?;
        }
        Ok(())
    }
    let running = Running::start(ServerApp::new().route("/", read_no_uni));
    let session = running.session("/").await;
    let mut stuck = within(session.open_uni()).await.unwrap();
    let endless = vec![0; 16 * 1024 * 1024];
    let mut writing = Box::pin(stuck.write_all(&endless));
    let mut context = Context::from_waker(Waker::noop());
    for round in 0..50_u8 {
        assert!(writing.as_mut().poll(&mut context).is_pending(), "16 MiB cannot fit any buffer");
        let mut stream = within(session.open_bi()).await.unwrap();
        within(stream.send.write_all(&[round])).await.unwrap();
        stream.send.finish().unwrap();
        assert_eq!(within(stream.recv.read_to_end(10)).await.unwrap(), [round][..]);
    }
    let other = running.session("/").await;
    let mut stream = within(other.open_bi()).await.unwrap();
    stream.send.finish().unwrap();
    within(stream.recv.read_to_end(10)).await.unwrap();
}

async fn datagrams_that_nobody_reads_do_not_block_the_sender() {
    async fn wait(session: Session) {
        session.closed().await;
    }
    let running = Running::start(ServerApp::new().route("/", wait));
    let session = running.session("/").await;
    for _ in 0..5_000 {
        session.send_datagram(vec![1; 1000]).unwrap();
    }
    for _ in 0..500 {
        within(session.send_datagram_wait(vec![1; 1000])).await.unwrap();
    }
    assert!(session.end().is_none());
}

async fn many_clients() {
    let running = Running::start(ServerApp::new().route("/echo", echo));
    let client = running.client();
    let url = running.url("/echo");
    let tasks: Vec<_> = (0..50_u8)
        .map(|number| {
            let (client, url) = (client.clone(), url.clone());
            spawn(async move {
                let session = client.connect(&url).await.unwrap();
                let mut stream = session.open_bi().await.unwrap();
                stream.send.write_all(&[number]).await.unwrap();
                stream.send.finish().unwrap();
                assert_eq!(stream.recv.read_to_end(10).await.unwrap(), [number][..]);
            })
        })
        .collect();
    for task in tasks {
        within(task).await.unwrap();
    }
}

on_each_runtime! {
    who_does_not_read_blocks_only_that_stream,
    datagrams_that_nobody_reads_do_not_block_the_sender,
    ; threads:
    a_hundred_streams_at_a_time,
    more_streams_than_the_peer_allows_at_a_time,
    four_mebibytes_there_and_back,
    many_clients,
}
