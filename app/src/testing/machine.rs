//! A runtime whose sockets are on a network in memory.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use transom_core::rt::{Runtime, Simulation, Task, Timer, UdpSocket};

use super::network::Network;
use super::socket::MemorySocket;

/// One machine: somebody's time and tasks, and addresses on a network.
#[derive(Debug)]
pub(super) struct Machine {
    network: Network,
    runtime: Arc<dyn Runtime>,
    addresses: Arc<[IpAddr]>,
}

impl Machine {
    pub(super) fn new(network: Network, runtime: Arc<dyn Runtime>, addresses: Vec<IpAddr>) -> Self {
        Self { network, runtime, addresses: addresses.into() }
    }
}

impl Runtime for Machine {
    fn now(&self) -> Instant {
        self.runtime.now()
    }

    fn spawn(&self, task: Task) {
        self.runtime.spawn(task);
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        self.runtime.timer(deadline)
    }

    fn wrap(&self, _: std::net::UdpSocket) -> io::Result<Box<dyn UdpSocket>> {
        Err(io::Error::new(ErrorKind::Unsupported, "a machine on a network in memory has no sockets of the system"))
    }

    fn simulation(&self) -> Option<&dyn Simulation> {
        Some(self)
    }
}

impl Simulation for Machine {
    fn bind(&self, address: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        let (id, bound) = self.network.bind(&self.addresses, address)?;
        let (runtime, machine) = (Arc::clone(&self.runtime), Arc::clone(&self.addresses));
        Ok(Box::new(MemorySocket::new(self.network.clone(), runtime, machine, id, bound)))
    }

    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.network.resolve(name)
    }

    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        for part in seed.chunks_exact_mut(8) {
            part.copy_from_slice(&self.network.number().to_be_bytes());
        }
        seed
    }
}
