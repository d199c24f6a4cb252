//! A plain loop over quinn-proto: one thread, one socket, no tasks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::{
    ClientConfig, ConnectError, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event,
    ServerConfig,
};
use quinn_udp::Transmit;

use crate::socket::BatchSocket;

/// What runs on the connections.
pub trait App {
    /// What it keeps for each connection.
    type State: Default;

    /// QUIC says something about a connection.
    fn event(&mut self, key: usize, connection: &mut Connection, state: &mut Self::State, event: Event);

    /// All that arrived was told; packets are built next.
    fn before_sending(&mut self, connections: &mut Connections<Self::State>);
}

/// A loop with its socket and its connections.
pub struct Bare<A: App> {
    pub app: A,
    pub connections: Connections<A::State>,
    socket: BatchSocket,
    endpoint: Endpoint,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    outgoing: Vec<u8>,
    max_segments: usize,
    touched: Vec<usize>,
}

/// All connections; the key is the index of quinn-proto's handle.
pub struct Connections<S> {
    slots: Vec<Option<Slot<S>>>,
    dirty: Vec<usize>,
}

struct Slot<S> {
    quic: Connection,
    state: S,
    /// The earliest entry in the heap of timers; later deadlines wait for it to come up.
    armed: Option<Instant>,
    dirty: bool,
}

impl<S> Connections<S> {
    /// A connection about to be used: it is looked at before the next wait.
    pub fn get(&mut self, key: usize) -> Option<(&mut Connection, &mut S)> {
        let slot = self.slots.get_mut(key)?.as_mut()?;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key);
        }
        Some((&mut slot.quic, &mut slot.state))
    }

    /// The keys of all connections.
    pub fn keys(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().enumerate().filter_map(|(key, slot)| slot.is_some().then_some(key))
    }

    fn insert(&mut self, handle: ConnectionHandle, quic: Connection, state: S) {
        if self.slots.len() <= handle.0 {
            self.slots.resize_with(handle.0 + 1, || None);
        }
        self.slots[handle.0] = Some(Slot { quic, state, armed: None, dirty: false });
        self.get(handle.0);
    }
}

impl<A: App> Bare<A> {
    pub fn new(address: SocketAddr, server: Option<ServerConfig>, app: A) -> io::Result<Self> {
        let socket = BatchSocket::bind(address)?;
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server.map(Arc::new), true, None);
        Ok(Self {
            app,
            connections: Connections { slots: Vec::new(), dirty: Vec::new() },
            max_segments: socket.max_segments(),
            socket,
            endpoint,
            timers: BinaryHeap::new(),
            outgoing: Vec::with_capacity(65_536),
            touched: Vec::new(),
        })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub fn connect(&mut self, config: ClientConfig, remote: SocketAddr) -> Result<usize, ConnectError>
    where
        A::State: Default,
    {
        let (handle, quic) = self.endpoint.connect(Instant::now(), config, remote, "localhost")?;
        self.connections.insert(handle, quic, A::State::default());
        Ok(handle.0)
    }

    /// Serves forever.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            self.turn(None)?;
        }
    }

    /// Sends what there is to send, waits (until `deadline` at most), takes in one batch and tells the app.
    pub fn turn(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.flush()?;
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let until = match (timer, deadline) {
            (Some(timer), Some(deadline)) => Some(timer.min(deadline)),
            (timer, deadline) => timer.or(deadline),
        };
        let readable = self.socket.wait(until)?;
        let now = Instant::now();
        if readable {
            self.receive(now)?;
        }
        self.fire(now);
        self.tell();
        Ok(())
    }

    fn receive(&mut self, now: Instant) -> io::Result<()> {
        let Self { socket, endpoint, connections, outgoing, .. } = self;
        let mut responses: Vec<(quinn_proto::Transmit, Vec<u8>)> = Vec::new();
        socket.receive(|message, meta| {
            let mut message = BytesMut::from(message);
            while !message.is_empty() {
                let datagram = message.split_to(meta.stride.min(message.len()));
                let ecn = meta.ecn.and_then(|ecn| quinn_proto::EcnCodepoint::from_bits(ecn as u8));
                outgoing.clear();
                match endpoint.handle(now, meta.addr, meta.dst_ip, ecn, datagram, outgoing) {
                    Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                        if let Some((quic, _)) = connections.get(handle.0) {
                            quic.handle_event(event);
                        }
                    }
                    Some(DatagramEvent::NewConnection(incoming)) => {
                        match endpoint.accept(incoming, now, outgoing, None) {
                            Ok((handle, quic)) => connections.insert(handle, quic, A::State::default()),
                            Err(error) => {
                                responses.extend(error.response.map(|transmit| (transmit, outgoing.clone())));
                            }
                        }
                    }
                    Some(DatagramEvent::Response(transmit)) => responses.push((transmit, outgoing.clone())),
                    None => {}
                }
            }
        })?;
        for (transmit, bytes) in responses {
            send(socket, &transmit, &bytes)?;
        }
        Ok(())
    }

    fn fire(&mut self, now: Instant) {
        while let Some(&Reverse((at, key))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            let Some(slot) = self.connections.slots.get_mut(key).and_then(Option::as_mut) else { continue };
            if slot.armed != Some(at) {
                continue;
            }
            slot.armed = None;
            match slot.quic.poll_timeout() {
                Some(deadline) if deadline > now => {
                    slot.armed = Some(deadline);
                    self.timers.push(Reverse((deadline, key)));
                }
                Some(_) => {
                    slot.quic.handle_timeout(now);
                    self.connections.get(key);
                }
                None => {}
            }
        }
    }

    /// Tells the app what happened on the connections that were touched.
    fn tell(&mut self) {
        let Self { app, connections, touched, .. } = self;
        touched.clone_from(&connections.dirty);
        for &key in touched.iter() {
            let Some(slot) = connections.slots[key].as_mut() else { continue };
            while let Some(event) = slot.quic.poll() {
                app.event(key, &mut slot.quic, &mut slot.state, event);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.app.before_sending(&mut self.connections);
        if self.connections.dirty.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let mut touched = std::mem::take(&mut self.connections.dirty);
        for key in touched.drain(..) {
            self.flush_one(key, now)?;
        }
        // Nothing is marked while packets are built; the memory is kept.
        self.connections.dirty = touched;
        Ok(())
    }

    fn flush_one(&mut self, key: usize, now: Instant) -> io::Result<()> {
        let Self { connections, endpoint, socket, outgoing, timers, .. } = self;
        let Some(slot) = connections.slots[key].as_mut() else { return Ok(()) };
        slot.dirty = false;
        let mut again = true;
        while again {
            again = false;
            loop {
                outgoing.clear();
                let Some(transmit) = slot.quic.poll_transmit(now, self.max_segments, outgoing) else { break };
                send(socket, &transmit, outgoing)?;
            }
            while let Some(event) = slot.quic.poll_endpoint_events() {
                if event.is_drained() {
                    endpoint.handle_event(ConnectionHandle(key), event);
                    connections.slots[key] = None;
                    return Ok(());
                }
                // New connection ids are to be told to the peer.
                if let Some(event) = endpoint.handle_event(ConnectionHandle(key), event) {
                    slot.quic.handle_event(event);
                    again = true;
                }
            }
        }
        if let Some(deadline) = slot.quic.poll_timeout()
            && slot.armed.is_none_or(|armed| deadline < armed)
        {
            slot.armed = Some(deadline);
            timers.push(Reverse((deadline, key)));
        }
        Ok(())
    }
}

fn send(socket: &BatchSocket, transmit: &quinn_proto::Transmit, bytes: &[u8]) -> io::Result<()> {
    socket.send(&Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
        contents: &bytes[..transmit.size],
        segment_size: transmit.segment_size,
        src_ip: transmit.src_ip,
    })
}
