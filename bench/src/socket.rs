//! A UDP socket in batches: recvmmsg with GRO in, GSO out.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

/// A socket with the buffers that the system fills.
pub struct BatchSocket {
    socket: UdpSocket,
    state: UdpSocketState,
    buffer: Vec<u8>,
    meta: [RecvMeta; BATCH_SIZE],
}

/// Binds with the buffers that every server here gets.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl BatchSocket {
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = bind(address)?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state, buffer: vec![0; BATCH_SIZE * MESSAGE], meta: [RecvMeta::default(); BATCH_SIZE] })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// How many packets one call may send.
    pub fn max_segments(&self) -> usize {
        self.state.max_gso_segments().min(MAX_SEGMENTS)
    }

    /// Waits for something to read, at most until `deadline`; says whether there is.
    pub fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        let wait = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        self.poll(PollFlags::IN, wait)
    }

    /// One system call's worth of messages, each with where it came from.
    pub fn receive(&mut self, mut sink: impl FnMut(&[u8], &RecvMeta)) -> io::Result<()> {
        let count = {
            let mut buffers = self.buffer.chunks_exact_mut(MESSAGE);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
            match self.state.recv((&self.socket).into(), &mut slices, &mut self.meta) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                // An ICMP message about one peer.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => 0,
                Err(error) => return Err(error),
            }
        };
        for (message, meta) in self.buffer.chunks_exact(MESSAGE).zip(&self.meta[..count]) {
            sink(&message[..meta.len], meta);
        }
        Ok(())
    }

    /// Sends, waiting for room where there is none.
    pub fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        loop {
            match self.state.try_send((&self.socket).into(), transmit) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.poll(PollFlags::OUT, Some(Duration::from_millis(10)))?;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
                result => return result,
            }
        }
    }

    fn poll(&self, flags: PollFlags, wait: Option<Duration>) -> io::Result<bool> {
        let timeout = wait.map(|wait| Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        });
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), flags)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Bytes of datagrams that the kernel joins into one message at most.
const MESSAGE: usize = 65_536;

/// Packets of 1,452 bytes that fit one UDP message.
const MAX_SEGMENTS: usize = 44;

/// Bytes of socket buffer, each way.
const BUFFER: usize = 4 << 20;
