//! Records a server's life and lives it again. What the core does follows from its seed and its inputs (contract C8), so
//! both are written down, one line for each turn of the loop: the time in microseconds and, if one arrived, the datagram.
//! Played back, the same events happen at the same times, under a debugger as often as you like.
//!
//! `replay record FILE 127.0.0.1:4433 cert.pem key.pem` serves and echoes, `replay play FILE cert.pem key.pem` repeats it.
//! Both print events and what is sent. The key has to be one of Ed25519, as other signatures have a random part.
//!
//! TLS draws from the seed as well: otherwise nobody could decrypt again what was sent to keys of the moment. So whoever has
//! the file can read everything that was said. It is for the laboratory.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "an embedder owns the clock and the socket")]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "shared/echo.rs"]
mod echo;
#[path = "shared/seeded.rs"]
mod seeded;

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use echo::Echo;
use transom_core::{Config, Endpoint, Receive};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("record") => record(),
        _ => play(),
    }
}

fn record() -> Result<(), Box<dyn Error>> {
    let [_, file, address, certificate, key] = arguments::arguments("replay record FILE ADDRESS CERTIFICATE KEY")?;
    let mut seed = [0; 32];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut seed).map_err(|_| "no random numbers")?;
    let mut server = Server::new(seed, &certificate, &key)?;
    let mut file = File::create(file)?;
    writeln!(file, "{}", hex(&seed))?;
    let socket = UdpSocket::bind(address)?;
    println!("{}", socket.local_addr()?);
    let mut input = vec![0; 65_536];
    loop {
        let wait = server.endpoint.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_micros(1))))?;
        let received = socket.recv_from(&mut input).ok();
        let turn = Turn {
            micros: u64::try_from(server.began.elapsed().as_micros())?,
            datagram: received.map(|(size, remote)| (remote, input[..size].to_vec())),
        };
        // Before it happens: what it leads to may be the end of us.
        writeln!(file, "{}", turn.line())?;
        server.live(turn, |bytes, destination| {
            // What the system does not take is lost, as packets may be.
            let _ = socket.send_to(bytes, destination);
        });
    }
}

fn play() -> Result<(), Box<dyn Error>> {
    let [_, file, certificate, key] = arguments::arguments("replay play FILE CERTIFICATE KEY")?;
    let text = fs::read_to_string(file)?;
    // Who stopped the recording may have cut its last line.
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let seed = lines.next().and_then(unhex).and_then(|seed| seed.try_into().ok()).ok_or("there is no seed")?;
    let mut server = Server::new(seed, &certificate, &key)?;
    for line in lines {
        let turn = Turn::parse(line).ok_or_else(|| format!("not a turn: {line}"))?;
        server.live(turn, |_, _| {});
    }
    Ok(())
}

/// What comes in at one time.
struct Turn {
    micros: u64,
    datagram: Option<(SocketAddr, Vec<u8>)>,
}

impl Turn {
    fn line(&self) -> String {
        match &self.datagram {
            None => self.micros.to_string(),
            Some((remote, bytes)) => format!("{} {remote} {}", self.micros, hex(bytes)),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let micros = words.next()?.parse().ok()?;
        let datagram = match (words.next(), words.next()) {
            (Some(remote), Some(bytes)) => Some((remote.parse().ok()?, unhex(bytes)?)),
            _ => None,
        };
        Some(Self { micros, datagram })
    }
}

/// A server for which it makes no difference whether it lives for the first time.
struct Server {
    endpoint: Endpoint,
    echo: Echo,
    began: Instant,
    output: Vec<u8>,
}

impl Server {
    fn new(seed: [u8; 32], certificate: &str, key: &str) -> Result<Self, Box<dyn Error>> {
        let mut config = Config::default();
        config.random_seed = Some(seed);
        let endpoint = Endpoint::server(config, arguments::tls(seeded::provider(seed), certificate, key)?)?;
        Ok(Self { endpoint, echo: Echo::default(), began: Instant::now(), output: Vec::new() })
    }

    /// One turn of the loop. The only time in it is the turn's own.
    fn live(&mut self, turn: Turn, mut send: impl FnMut(&[u8], SocketAddr)) {
        let Turn { micros, datagram } = turn;
        let now = self.began + Duration::from_micros(micros);
        if let Some((remote, bytes)) = datagram {
            let data = BytesMut::from(&bytes[..]);
            self.endpoint.handle_receive(now, Receive { remote, local_ip: None, ecn: None, data });
        }
        self.endpoint.handle_timeout(now);
        loop {
            while let Some((id, event)) = self.endpoint.poll_event() {
                println!("{micros} connection {id}: {event:?}");
                self.echo.on_event(&mut self.endpoint, id, &event);
            }
            self.output.clear();
            let Some(transmit) = self.endpoint.poll_transmit(now, 1, &mut self.output) else { return };
            println!("{micros} sent {} bytes to {}", transmit.size, transmit.destination);
            send(&self.output, transmit.destination);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
