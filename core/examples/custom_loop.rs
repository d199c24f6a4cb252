//! `custom_loop 127.0.0.1:4433 cert.pem key.pem`: echoes bidirectional streams on a std socket, without any runtime.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "an embedder owns the clock and the socket")]
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{env, error::Error, net::UdpSocket};

use bytes::{Bytes, BytesMut};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use transom_core::{Config, Connection, Endpoint, Event, Receive, Response, StreamId};

fn main() -> Result<(), Box<dyn Error>> {
    let [_, address, cert, key] = env::args().collect::<Vec<_>>().try_into().map_err(|_| "ADDRESS CERT KEY, please")?;
    let (cert, key) = (CertificateDer::from_pem_file(cert)?, PrivateKeyDer::from_pem_file(key)?);
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert], key)?;
    let (mut endpoint, socket) = (Endpoint::server(Config::default(), tls)?, UdpSocket::bind(address)?);
    println!("{}", socket.local_addr()?);
    let (mut input, mut output, mut unsent) = (vec![0; 65_536], Vec::new(), BTreeMap::new());
    loop {
        while let Some((id, event)) = endpoint.poll_event() {
            let Some(connection) = endpoint.connection(id) else { continue };
            on_event(connection, event, unsent.entry(id).or_default());
        }
        output.clear();
        if let Some(transmit) = endpoint.poll_transmit(Instant::now(), 1, &mut output) {
            let _ = socket.send_to(&output, transmit.destination); // An error is a lost packet, and no more.
            continue; // Sending can produce events.
        }
        unsent.retain(|id, _| endpoint.connection(*id).is_some());
        let wait = endpoint.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_micros(1))))?;
        if let Ok((size, remote)) = socket.recv_from(&mut input) {
            let data = BytesMut::from(&input[..size]);
            endpoint.handle_receive(Instant::now(), Receive { remote, local_ip: None, ecn: None, data });
        }
        endpoint.handle_timeout(Instant::now());
    }
}

fn on_event(connection: &mut Connection, event: Event, unsent: &mut BTreeMap<StreamId, Bytes>) {
    if let Event::SessionRequested { session } = event {
        let _ = connection.accept(session, Response::accept());
    } else if let Event::StreamOpened { session, direction } = event {
        while let Some(stream) = connection.session(session).and_then(|mut session| session.accept(direction)) {
            on_event(connection, Event::StreamReadable { stream }, unsent);
        }
    } else if let Event::StreamReadable { stream } | Event::StreamWritable { stream } = event {
        let mut rest = unsent.remove(&stream).unwrap_or_default();
        while connection.send_stream(stream).write_bytes(&mut rest).is_ok() {
            match rest.is_empty().then(|| connection.recv_stream(stream).read(65_536)) {
                Some(Ok(Some(bytes))) => rest = bytes,
                Some(Ok(None)) => return connection.send_stream(stream).finish().unwrap_or(()),
                Some(Err(_)) => return,
                None => {} // Once more: each write takes what one chunk or the peer's credit allows.
            }
        }
        unsent.retain(|stream, _| connection.send_stream(*stream).is_open());
        unsent.extend(connection.send_stream(stream).is_open().then_some((stream, rest)));
    }
}
