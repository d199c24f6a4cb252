//! Sockets and timers of a thread that waits by itself.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use transom_core::rt::Timer;
use transom_udp::{Readiness, UdpSockRef};

use crate::reactor::{AlarmId, Reactor, Watched};

/// A socket that a [`Reactor`] watches.
#[derive(Debug)]
pub(crate) struct OwnSocket {
    socket: std::net::UdpSocket,
    watched: Arc<Watched>,
    reactor: Arc<Reactor>,
}

impl OwnSocket {
    /// Takes over a bound socket.
    pub(crate) fn new(socket: std::net::UdpSocket, reactor: &Arc<Reactor>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let watched = reactor.watch(&socket)?;
        Ok(Self { socket, watched, reactor: Arc::clone(reactor) })
    }
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        self.reactor.forget(&self.watched);
    }
}

impl Readiness for OwnSocket {
    fn socket(&self) -> UdpSockRef<'_> {
        (&self.socket).into()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched.arrivals.poll(context).map(Ok)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched.room.poll(context).map(Ok)
    }

    fn try_read(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.watched.arrivals.attempt(attempt)
    }

    fn try_write(&self, attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let result = self.watched.room.attempt(attempt);
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            // Unwatched, room would never be told of.
            self.reactor.watch_for_room(&self.watched).inspect_err(|_| self.watched.room.raise())?;
        }
        result
    }
}

/// A timer of a [`Reactor`], which stays ready once it has fired until it is set again.
#[derive(Debug)]
pub(crate) struct OwnTimer {
    deadline: Instant,
    alarm: Option<AlarmId>,
    fired: bool,
    reactor: Arc<Reactor>,
}

impl OwnTimer {
    /// A timer set to `deadline`.
    pub(crate) fn new(deadline: Instant, reactor: &Arc<Reactor>) -> Self {
        Self { deadline, alarm: None, fired: false, reactor: Arc::clone(reactor) }
    }

    fn cancel(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            self.reactor.cancel_alarm(&alarm);
        }
    }
}

impl Drop for OwnTimer {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Timer for OwnTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.cancel();
        (self.deadline, self.fired) = (deadline, false);
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.fired {
            return Poll::Ready(());
        }
        match self.alarm {
            None => self.alarm = Some(self.reactor.set_alarm(self.deadline, context.waker().clone())),
            Some(alarm) if self.reactor.keep_alarm(&alarm, context.waker()) => {}
            Some(_) => {
                (self.alarm, self.fired) = (None, true);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use transom_core::rt::Runtime;
    use transom_udp::checks;

    use super::*;
    use crate::{Place, Smol};

    fn reactor(smol: &Smol) -> &Arc<Reactor> {
        let Place::Thread(tasks) = &smol.0 else { unreachable!("inside of block_on") };
        tasks.reactor()
    }

    #[test]
    fn timers_and_sockets_do_what_they_have_to() {
        Smol::block_on(async |smol: Smol| {
            checks::timer_fires_and_can_be_set_again(&smol).await;
            checks::joined_datagrams_arrive_apart(&smol).await;
            checks::the_congestion_mark_travels(&smol).await;
            checks::a_datagram_that_cannot_leave_is_lost_and_no_error(&smol).await;
            checks::a_closed_port_does_not_break_the_sender_s_socket(&smol).await;
            checks::what_comes_after_a_pause_is_heard(&smol).await;
        })
        .unwrap();
    }

    #[test]
    fn a_socket_without_room_is_waited_for() {
        Smol::block_on(async |smol: Smol| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let own = OwnSocket::new(socket, reactor(&smol)).unwrap();
            assert!(own.try_write(|| Err(ErrorKind::WouldBlock.into())).is_err());
            // It has room, which is told by an event: not asked yet, it is blocked.
            assert!(own.poll_writable(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
            std::future::poll_fn(|context| own.poll_writable(context)).await.unwrap();
        })
        .unwrap();
    }

    #[test]
    fn threads_elsewhere_end_the_wait() {
        let elsewhere = Smol::block_on(async |smol: Smol| {
            let (sender, receiver) = smol::channel::bounded(1);
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                // A timer of this thread's reactor, from another thread while it waits for nothing else.
                let mut timer = smol.timer(smol.now() + Duration::from_millis(20));
                let waker = std::task::Waker::noop();
                assert!(timer.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
                while timer.as_mut().poll(&mut Context::from_waker(waker)).is_pending() {
                    std::thread::yield_now();
                }
                smol::block_on(sender.send(7)).unwrap();
            });
            let heard = receiver.recv().await;
            thread.join().unwrap();
            heard
        });
        assert_eq!(elsewhere.unwrap(), Ok(7));
    }

    #[test]
    fn what_is_made_for_async_io_works_beside_it() {
        Smol::block_on(async |smol: Smol| {
            let (sender, receiver) = smol::channel::bounded(1);
            smol.spawn(Box::pin(async move {
                smol::Timer::after(Duration::from_millis(5)).await;
                sender.send(smol::unblock(|| 5).await).await.unwrap();
            }));
            assert_eq!(receiver.recv().await, Ok(5));
        })
        .unwrap();
    }

    #[test]
    fn a_task_that_never_waits_keeps_nobody_from_hearing() {
        Smol::block_on(async |smol: Smol| {
            smol.spawn(Box::pin(async {
                loop {
                    smol::future::yield_now().await;
                }
            }));
            checks::what_comes_after_a_pause_is_heard(&smol).await;
            checks::timer_fires_and_can_be_set_again(&smol).await;
        })
        .unwrap();
    }
}
