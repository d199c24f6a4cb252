//! From addresses to bound sockets.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use transom_core::rt::{self, Runtime, Simulation};

use crate::error::ServeError;

/// A bound socket that no runtime watches yet.
#[derive(Debug)]
pub(crate) enum Bound {
    /// One of the system's.
    System(UdpSocket),
    /// One that there is in a simulation only.
    Simulated(Box<dyn rt::UdpSocket>),
}

impl Bound {
    /// Where it is bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::System(socket) => socket.local_addr(),
            Self::Simulated(socket) => socket.local_addr(),
        }
    }

    /// Has the runtime watch it.
    pub(crate) fn watch(self, runtime: &dyn Runtime) -> io::Result<Box<dyn rt::UdpSocket>> {
        match self {
            Self::System(socket) => runtime.wrap(socket),
            Self::Simulated(socket) => Ok(socket),
        }
    }
}

/// Binds all addresses that one name stands for, each with a socket for every worker.
///
/// With port 0 they all get the same port. Addresses this machine does not have are left out if others work: `localhost`
/// means an IPv6 address also where there is no IPv6.
pub(super) fn bind_all(
    simulation: Option<&dyn Simulation>,
    addresses: &[SocketAddr],
    workers: u8,
) -> Result<Vec<Vec<Bound>>, ServeError> {
    for _ in 1..MAX_PORT_TRIES {
        match try_bind_all(simulation, addresses, workers) {
            // The port the system chose for the first address is taken on another: another try gets another port.
            Err(ServeError::Bind { address, source })
                if source.kind() == ErrorKind::AddrInUse && address.port() != 0 && addresses[0].port() == 0 => {}
            result => return result,
        }
    }
    try_bind_all(simulation, addresses, workers)
}

fn try_bind_all(
    simulation: Option<&dyn Simulation>,
    addresses: &[SocketAddr],
    workers: u8,
) -> Result<Vec<Vec<Bound>>, ServeError> {
    let mut sockets = Vec::new();
    let mut port = None;
    let mut missing = None;
    for address in addresses {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(port.unwrap_or(0));
        }
        match bind_for(simulation, address, workers) {
            Ok(bound) => {
                port = bound.first().and_then(|socket| socket.local_addr().ok()).map(|address| address.port());
                sockets.push(bound);
            }
            Err(source) if is_missing(&source) => {
                tracing::debug!(%address, error = %source, "address left out");
                missing.get_or_insert(ServeError::Bind { address, source });
            }
            Err(source) => return Err(ServeError::Bind { address, source }),
        }
    }
    match (sockets.is_empty(), missing) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(ServeError::Resolve(io::Error::new(ErrorKind::NotFound, "no address given"))),
        (false, _) => Ok(sockets),
    }
}

/// Sockets that share one address, one for every worker.
fn bind_for(simulation: Option<&dyn Simulation>, address: SocketAddr, workers: u8) -> io::Result<Vec<Bound>> {
    if let Some(simulation) = simulation {
        return Ok(vec![Bound::Simulated(simulation.bind(address)?)]);
    }
    // The first one alone, so that an address that another program shares with nobody, or with others, is taken for us.
    let first = open(address)?;
    first.bind(&address.into())?;
    let mut sockets = vec![first];
    let address = sockets[0].local_addr()?;
    for _ in 1..workers {
        share(&sockets[0])?;
        let socket = open(address.as_socket().ok_or(ErrorKind::Unsupported)?)?;
        share(&socket)?;
        socket.bind(&address)?;
        sockets.push(socket);
    }
    Ok(sockets.into_iter().map(|socket| Bound::System(socket.into())).collect())
}

/// Lets other sockets of ours have the same address; the system then spreads clients over them.
#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
fn share(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(ErrorKind::Unsupported, "this system has no SO_REUSEPORT: one worker is all there can be"))
}

/// A socket for one address; `[::]` takes IPv4 as well.
pub(crate) fn bind(simulation: Option<&dyn Simulation>, address: SocketAddr) -> io::Result<Bound> {
    if let Some(simulation) = simulation {
        return simulation.bind(address).map(Bound::Simulated);
    }
    let socket = open(address)?;
    socket.bind(&address.into())?;
    Ok(Bound::System(socket.into()))
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // Not all systems allow it; then the socket is for IPv6 only.
        let _ = socket.set_only_v6(false);
    }
    // A burst must fit: the default is small, and the system cuts what it does not grant.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    Ok(socket)
}

/// Whether the machine has no such address or no such kind of address.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(AF_NOT_SUPPORTED)
}

/// EAFNOSUPPORT on Linux, which the standard library gives no kind.
const AF_NOT_SUPPORTED: i32 = 97;

/// Tries to find one port that is free on several addresses.
const MAX_PORT_TRIES: usize = 16;

/// Bytes of socket buffer asked for, each way.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn several_addresses_share_a_port() {
        let sockets = bind_all(None, &addresses(&["127.0.0.1:0", "127.0.0.2:0"]), 1).unwrap();
        let ports: Vec<u16> = sockets.iter().flatten().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 2);
        assert_eq!(ports[0], ports[1]);
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_the_address() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let held = bind(None, taken);
        let error = bind_all(None, &[taken], 2).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
        drop(held);
    }

    #[test]
    fn addresses_of_others_are_left_out_only_if_one_works() {
        // TEST-NET-1 (RFC 5737) is nobody's.
        assert!(bind_all(None, &addresses(&["192.0.2.1:0"]), 1).is_err());
        assert_eq!(bind_all(None, &addresses(&["192.0.2.1:0", "127.0.0.1:0"]), 1).unwrap().len(), 1);
        assert!(matches!(bind_all(None, &[], 1), Err(ServeError::Resolve(_))));
    }

    #[test]
    fn workers_have_a_socket_each_and_share_the_port_with_nobody_else() {
        let sockets = bind_all(None, &addresses(&["127.0.0.1:0"]), 3).unwrap();
        let bound: Vec<SocketAddr> = sockets.iter().flatten().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(bound, [bound[0]; 3]);
        assert!(bind_all(None, &bound[..1], 1).is_err(), "another server");
        assert!(bind_all(None, &bound[..1], 3).is_err(), "another server with workers");
    }
}
