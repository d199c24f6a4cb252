//! The core in an event loop of one's own: a blocking std socket, no runtime. Echoes bidirectional streams on port 4433.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "an embedder owns the clock and the socket")]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use transom_core::{Config, Direction, Endpoint, Event, Receive, Response};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cert = rcgen::generate_simple_self_signed(["localhost".into()])?;
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(cert.signing_key.serialize_der().into());
    let tls = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.cert.der().clone()], key)?;
    let mut endpoint = Endpoint::server(Config::default(), tls)?;
    let socket = UdpSocket::bind("127.0.0.1:4433")?;
    let (mut input, mut output) = (vec![0; 65_536], Vec::new());
    loop {
        // Everything that is to be sent, then everything that happened, until both are done.
        loop {
            while let Some((id, event)) = endpoint.poll_event() {
                if let Some(connection) = endpoint.connection(id) {
                    on_event(connection, event);
                }
            }
            output.clear();
            let Some(transmit) = endpoint.poll_transmit(Instant::now(), 1, &mut output) else { break };
            socket.send_to(&output, transmit.destination)?;
        }
        // Then sleep until a datagram or the deadline comes.
        let wait = endpoint.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_micros(1))))?;
        if let Ok((size, remote)) = socket.recv_from(&mut input) {
            let data = BytesMut::from(&input[..size]);
            endpoint.handle_receive(Instant::now(), Receive { remote, local_ip: None, ecn: None, data });
        }
        endpoint.handle_timeout(Instant::now());
    }
}

fn on_event(connection: &mut transom_core::Connection, event: Event) {
    match event {
        Event::SessionRequested { session } => _ = connection.accept(session, Response::accept()),
        Event::StreamOpened { session, direction: Direction::Bidirectional } => {
            while let Some(stream) = connection.session(session).and_then(|mut s| s.accept(Direction::Bidirectional)) {
                on_event(connection, Event::StreamReadable { stream });
            }
        }
        // Short messages only: what `write` does not take is lost here, see docs/embedding.md.
        Event::StreamReadable { stream } => {
            while let Ok(Some(bytes)) = connection.recv_stream(stream).read(65_536) {
                let _ = connection.send_stream(stream).write(&bytes);
            }
        }
        _ => {}
    }
}
