//! Many connections on one thread and one mio socket: batches in (recvmmsg, GRO), batches out (GSO), and packets that the
//! system has no room for wait instead of being lost. Echoes streams and datagrams.
//!
//! `mio_loop 127.0.0.1:4433 cert.pem key.pem`; `transom cert` makes the files.
#![expect(clippy::disallowed_methods, reason = "an embedder owns the clock")]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "shared/echo.rs"]
mod echo;

use std::error::Error;
use std::io::{self, ErrorKind, IoSliceMut};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use echo::Echo;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSocketState};
use transom_core::{Config, Ecn, Endpoint, Receive, Transmit};

fn main() -> Result<(), Box<dyn Error>> {
    let [address, certificate, key] = arguments::arguments("mio_loop ADDRESS CERTIFICATE KEY")?;
    let tls = arguments::tls(rustls::crypto::ring::default_provider(), &certificate, &key)?;
    let socket = UdpSocket::bind(address.parse()?)?;
    println!("{}", socket.local_addr()?);
    Loop::new(socket, Endpoint::server(Config::default(), tls)?)?.run()
}

struct Loop {
    poll: Poll,
    socket: UdpSocket,
    state: UdpSocketState,
    endpoint: Endpoint,
    echo: Echo,
    /// `BATCH_SIZE` messages side by side, each of which may be several datagrams.
    input: Vec<u8>,
    /// mio tells of arrivals once: there may be more until a read has found nothing.
    readable: bool,
    output: Vec<u8>,
    /// What is in `output` and has not left: the system had no room.
    waiting: Option<Transmit>,
}

impl Loop {
    fn new(mut socket: UdpSocket, endpoint: Endpoint) -> io::Result<Self> {
        let (poll, state) = (Poll::new()?, UdpSocketState::new((&socket).into())?);
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let input = vec![0; BATCH_SIZE * MESSAGE];
        let (echo, output) = (Echo::default(), Vec::new());
        Ok(Self { poll, socket, state, endpoint, echo, input, readable: false, output, waiting: None })
    }

    fn run(mut self) -> Result<(), Box<dyn Error>> {
        let mut events = Events::with_capacity(1);
        loop {
            self.flush()?;
            let patience = self.patience();
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => result?,
            }
            self.readable |= events.iter().any(mio::event::Event::is_readable);
            if self.readable {
                self.receive()?;
            }
            self.endpoint.handle_timeout(Instant::now());
        }
    }

    /// How long to sleep. While the socket is full the endpoint has more to send and is due all the time, so that only
    /// room is waited for, and not for long, since timers wait as well.
    fn patience(&mut self) -> Option<Duration> {
        if self.readable {
            return Some(Duration::ZERO);
        }
        if self.waiting.is_some() {
            return Some(FULL);
        }
        self.endpoint.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// A few batches; what comes after them waits until the answers have left.
    fn receive(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for _ in 0..BATCHES {
            let mut meta = [RecvMeta::default(); BATCH_SIZE];
            let mut buffers = self.input.chunks_exact_mut(MESSAGE);
            let mut slices: [_; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
            let count = match self.state.recv((&self.socket).into(), &mut slices, &mut meta) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(());
                }
                // What became of a packet that we sent to somebody who has gone.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            for (message, meta) in self.input.chunks_exact(MESSAGE).zip(&meta[..count]) {
                let ecn = meta.ecn.and_then(|ecn| Ecn::from_bits(ecn as u8));
                // The system has joined datagrams of one sender and one size; only the last may be shorter.
                for datagram in message[..meta.len].chunks(meta.stride.max(1)) {
                    let data = BytesMut::from(datagram);
                    self.endpoint.handle_receive(now, Receive { remote: meta.addr, local_ip: meta.dst_ip, ecn, data });
                }
            }
        }
        Ok(())
    }

    /// Everything that happened, and everything there is to send, until there is neither or no room.
    fn flush(&mut self) -> io::Result<()> {
        loop {
            while let Some((id, event)) = self.endpoint.poll_event() {
                self.echo.on_event(&mut self.endpoint, id, &event);
            }
            let held = self.waiting.take();
            let was_full = held.is_some();
            let Some(transmit) = held.or_else(|| self.next_transmit()) else { return Ok(()) };
            match self.send(&transmit) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.waiting = Some(transmit);
                    return if was_full { Ok(()) } else { self.watch(Interest::READABLE | Interest::WRITABLE) };
                }
                // A peer that has gone, a packet that is too large for the way: lost, as packets may be.
                _ if was_full => self.watch(Interest::READABLE)?,
                _ => {}
            }
        }
    }

    fn next_transmit(&mut self) -> Option<Transmit> {
        self.output.clear();
        self.endpoint.poll_transmit(Instant::now(), self.state.max_gso_segments(), &mut self.output)
    }

    fn send(&self, transmit: &Transmit) -> io::Result<()> {
        let message = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn.bits())),
            contents: &self.output[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.source,
        };
        self.state.try_send((&self.socket).into(), &message)
    }

    /// Room is watched for only while there is none: otherwise each packet that leaves would wake the loop.
    fn watch(&mut self, interest: Interest) -> io::Result<()> {
        self.poll.registry().reregister(&mut self.socket, SOCKET, interest)
    }
}

const SOCKET: Token = Token(0);

/// Bytes of datagrams that the system joins into one message at most.
const MESSAGE: usize = 65_536;

/// Batches taken in before answers are sent.
const BATCHES: usize = 4;

/// The longest wait for room in the socket.
const FULL: Duration = Duration::from_millis(5);
