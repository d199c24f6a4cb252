//! What timers and sockets of a runtime have to do: called by the tests of each runtime, inside of it.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use transom_core::rt::{Runtime, Timer, UdpSender, UdpSocket};
use transom_core::{Ecn, Receive, Transmit};

/// A timer fires, and can be set again before and after.
pub async fn timer_fires_and_can_be_set_again(runtime: &dyn Runtime) {
    let later = runtime.now() + Duration::from_secs(3600);
    for timer in [runtime.timer(later), runtime.driver_timer(later)] {
        fires_and_can_be_set_again(runtime, timer).await;
    }
}

async fn fires_and_can_be_set_again(runtime: &dyn Runtime, mut timer: Pin<Box<dyn Timer>>) {
    let start = runtime.now();
    timer.as_mut().reset(start);
    poll_fn(|context| timer.as_mut().poll(context)).await;
    poll_fn(|context| timer.as_mut().poll(context)).await;
    let later = runtime.now() + Duration::from_millis(5);
    timer.as_mut().reset(later);
    while runtime.now() < later {
        poll_fn(|context| timer.as_mut().poll(context)).await;
    }
    let missed = poll_fn(|context| timer.as_mut().poll(context));
    missed.await;
}

/// What a GSO message joined arrives as datagrams, from who sent it, with the address it was sent to.
pub async fn joined_datagrams_arrive_apart(runtime: &dyn Runtime) {
    let (sending, mut receiving) = (bound(runtime), bound(runtime));
    let mut sender = sending.sender();
    let segments = sender.max_segments().min(4);
    let mut bytes = Vec::new();
    for index in 0..segments {
        bytes.extend_from_slice(&[u8::try_from(index).unwrap_or(u8::MAX); 1200]);
    }
    bytes.truncate(bytes.len() - 100);
    let segment_size = (segments > 1).then_some(1200);
    send(&mut *sender, transmit(&*receiving, bytes.len(), segment_size), &bytes).await;

    let received = receive(&mut *receiving, segments).await;
    let joined: Vec<u8> = received.iter().flat_map(|datagram| datagram.data.to_vec()).collect();
    assert_eq!(joined, bytes);
    assert_eq!(received.last().map(|datagram| datagram.data.len()), Some(1100));
    for datagram in &received {
        assert_eq!(Some(datagram.remote), sending.local_addr().ok());
        assert_eq!(datagram.local_ip, Some(Ipv4Addr::LOCALHOST.into()));
    }
}

/// The ECN bits of the IP header travel both ways through the socket.
pub async fn the_congestion_mark_travels(runtime: &dyn Runtime) {
    let (sending, mut receiving) = (bound(runtime), bound(runtime));
    let mut sender = sending.sender();
    send(&mut *sender, transmit(&*receiving, 5, None), b"hello").await;
    assert_eq!(receive(&mut *receiving, 1).await[0].ecn, Some(Ecn::Ect0));
}

/// A datagram that the system does not take is lost, and the next one arrives.
pub async fn a_datagram_that_cannot_leave_is_lost_and_no_error(runtime: &dyn Runtime) {
    let (sending, mut receiving) = (bound(runtime), bound(runtime));
    let mut sender = sending.sender();
    let oversized = vec![0; 100_000];
    send(&mut *sender, transmit(&*receiving, oversized.len(), None), &oversized).await;
    send(&mut *sender, transmit(&*receiving, 3, None), b"yes").await;
    assert_eq!(&receive(&mut *receiving, 1).await[0].data[..], b"yes");
}

/// The "port unreachable" of one peer ends nothing.
pub async fn a_closed_port_does_not_break_the_sender_s_socket(runtime: &dyn Runtime) {
    let mut receiving = bound(runtime);
    let gone = bound(runtime);
    let to_nobody = transmit(&*gone, 4, None);
    drop(gone);
    let mut sender = receiving.sender();
    send(&mut *sender, to_nobody, b"lost").await;
    let to_itself = transmit(&*receiving, 4, None);
    send(&mut *sender, to_itself, b"here").await;
    assert_eq!(&receive(&mut *receiving, 1).await[0].data[..], b"here");
}

/// More than a batch, then nothing, then something again: no event is missed, and nobody is woken for nothing.
pub async fn what_comes_after_a_pause_is_heard(runtime: &dyn Runtime) {
    let (sending, mut receiving) = (bound(runtime), bound(runtime));
    let mut sender = sending.sender();
    for round in 0..3 {
        for number in 0..100_u8 {
            send(&mut *sender, transmit(&*receiving, 1, None), &[number]).await;
        }
        let received = receive(&mut *receiving, 100).await;
        let numbers: Vec<u8> = received.iter().filter_map(|datagram| datagram.data.first().copied()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<u8>>(), "round {round}");
        let bell = Arc::new(Bell::default());
        let (waker, mut count) = (Waker::from(Arc::clone(&bell)), 0);
        let polled = receiving.poll_recv(&mut Context::from_waker(&waker), &mut |_| count += 1);
        assert!(polled.is_pending() && count == 0, "round {round}");
        assert!(!bell.0.load(Ordering::SeqCst), "round {round}: it asks again and again");
    }
}

/// Whether somebody was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn bound(runtime: &dyn Runtime) -> Box<dyn UdpSocket> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    socket.and_then(|socket| runtime.wrap(socket)).expect("a socket on loopback")
}

async fn send(sender: &mut dyn UdpSender, transmit: Transmit, bytes: &[u8]) {
    poll_fn(|context| sender.poll_send(context, &transmit, bytes)).await.expect("sent or lost");
}

async fn receive(socket: &mut dyn UdpSocket, count: usize) -> Vec<Receive> {
    let mut received = Vec::new();
    while received.len() < count {
        let arrived = poll_fn(|context| socket.poll_recv(context, &mut |datagram| received.push(datagram)));
        arrived.await.expect("a working socket");
    }
    received
}

fn transmit(to: &dyn UdpSocket, size: usize, segment_size: Option<usize>) -> Transmit {
    let destination = to.local_addr().expect("a bound socket");
    Transmit { destination, source: None, ecn: Some(Ecn::Ect0), size, segment_size }
}
