//! A UDP socket on a network in memory.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use transom_core::rt::{Runtime, Timer, UdpSender, UdpSocket};
use transom_core::{Receive, Transmit};

use super::link::Parcel;
use super::network::Network;

/// The receiving half; the socket is there as long as it is.
pub(super) struct MemorySocket {
    sender: MemorySender,
    id: u64,
    timer: Pin<Box<dyn Timer>>,
    /// What the timer is set to.
    armed: Option<Instant>,
}

/// The sending half.
#[derive(Debug, Clone)]
struct MemorySender {
    network: Network,
    runtime: Arc<dyn Runtime>,
    machine: Arc<[IpAddr]>,
    bound: SocketAddr,
}

impl MemorySocket {
    pub(super) fn new(
        network: Network,
        runtime: Arc<dyn Runtime>,
        machine: Arc<[IpAddr]>,
        id: u64,
        bound: SocketAddr,
    ) -> Self {
        let timer = runtime.timer(runtime.now());
        Self { sender: MemorySender { network, runtime, machine, bound }, id, timer, armed: None }
    }

    /// A datagram as a socket sees it: where IPv4 comes in through a socket for IPv6, its addresses are mapped.
    fn seen(&self, parcel: Parcel) -> Receive {
        let as_here = |ip: IpAddr| match ip {
            IpAddr::V4(ip) if self.sender.bound.is_ipv6() => ip.to_ipv6_mapped().into(),
            ip => ip,
        };
        Receive {
            remote: SocketAddr::new(as_here(parcel.source.ip()), parcel.source.port()),
            local_ip: Some(as_here(parcel.destination.ip())),
            ecn: parcel.ecn,
            data: BytesMut::from(&parcel.bytes[..]),
        }
    }
}

impl UdpSocket for MemorySocket {
    fn poll_recv(&mut self, context: &mut Context<'_>, sink: &mut dyn FnMut(Receive)) -> Poll<io::Result<()>> {
        loop {
            match self.sender.network.take(self.id, self.sender.runtime.now(), context.waker()) {
                Ok(arrived) => {
                    for parcel in arrived {
                        sink(self.seen(parcel));
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(None) => return Poll::Pending,
                Err(Some(next)) => {
                    if self.armed != Some(next) {
                        self.armed = Some(next);
                        self.timer.as_mut().reset(next);
                    }
                    if self.timer.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    // It may be early.
                    self.armed = None;
                    if self.sender.runtime.now() < next {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn sender(&self) -> Box<dyn UdpSender> {
        Box::new(self.sender.clone())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.sender.bound)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.sender.network.close(self.id);
    }
}

impl fmt::Debug for MemorySocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySocket").field("bound", &self.sender.bound).finish_non_exhaustive()
    }
}

impl MemorySender {
    /// The address that what is sent to `to` comes from.
    fn source(&self, to: IpAddr, asked: Option<IpAddr>) -> Option<SocketAddr> {
        let fits = |ip: &IpAddr| !ip.is_unspecified() && ip.is_ipv4() == to.is_ipv4();
        let asked = asked.map(|ip| ip.to_canonical());
        let ip = asked.filter(fits).or(Some(self.bound.ip()).filter(fits));
        let ip = ip.or_else(|| self.machine.iter().copied().find(fits))?;
        Some(SocketAddr::new(ip, self.bound.port()))
    }
}

impl UdpSender for MemorySender {
    fn poll_send(&mut self, _: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let destination = SocketAddr::new(transmit.destination.ip().to_canonical(), transmit.destination.port());
        // Without an address of that family there is no route, and the datagram is lost.
        if let Some(source) = self.source(destination.ip(), transmit.source) {
            let now = self.runtime.now();
            for datagram in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len()).max(1)) {
                self.network.send(now, Parcel { source, destination, ecn: transmit.ecn, bytes: datagram.to_vec() });
            }
        }
        Poll::Ready(Ok(()))
    }

    fn max_segments(&self) -> usize {
        MAX_SEGMENTS
    }
}

/// Datagrams of one batch, as many as QUIC sends at a time over a path it does not know yet.
const MAX_SEGMENTS: usize = 10;
