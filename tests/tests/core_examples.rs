//! The core's examples, each started as a program and used by our client.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use transom::{Client, ReadError, Session, Tls};

/// A running example; it is killed when this is dropped.
struct Example {
    child: Child,
    lines: BufReader<ChildStdout>,
    address: String,
    certificate_sha256: [u8; 32],
    folder: PathBuf,
}

impl Example {
    /// Starts it on a free port, with the certificate it is to have; its first line says where it listens.
    fn start(name: &str) -> Self {
        let folder = folder(name);
        let certificate_sha256 = write_certificate(&folder, &rcgen::PKCS_ECDSA_P256_SHA256);
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let mut command = Command::new(program(name));
        command.arg("127.0.0.1:0").args([certificate, key]);
        Self::spawn(command, certificate_sha256, folder)
    }

    fn spawn(mut command: Command, certificate_sha256: [u8; 32], folder: PathBuf) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut example = Self { child, lines, address: String::new(), certificate_sha256, folder };
        example.address = example.line();
        assert!(example.address.starts_with("127.0.0.1:"), "{:?}", example.address);
        example
    }

    /// The next line on its standard output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it has ended");
        line.trim_end().to_owned()
    }

    async fn connect(&self) -> Session {
        let client = Client::builder().certificate_hash(self.certificate_sha256);
        client.connect(&format!("https://{}/", self.address)).await.unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What cargo has built beside this test.
fn program(name: &str) -> PathBuf {
    let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
    let program = profile.join("examples").join(name);
    assert!(program.is_file(), "there is no {}: run `cargo build -p transom-core --examples`", program.display());
    program
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("example-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Returns the hash that clients know it by.
fn write_certificate(folder: &Path, algorithm: &'static rcgen::SignatureAlgorithm) -> [u8; 32] {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    Tls::from_pem(folder.join("cert.pem"), folder.join("key.pem")).unwrap().certificate_sha256()
}

/// A stream there and back, written and read at the same time.
async fn echoes(session: &Session, size: usize) {
    let data: Bytes = (0..size).map(|index| (index % 251) as u8).collect::<Vec<_>>().into();
    let (mut send, mut recv) = session.open_bi().await.unwrap().split();
    let there = async {
        send.write_bytes(data.clone()).await.unwrap();
        send.finish().unwrap();
    };
    let (back, ()) = tokio::join!(recv.read_to_end(size + 1), there);
    assert!(back.unwrap() == data, "{size} bytes");
}

/// Datagrams may be lost; on loopback one of many is not.
async fn echoes_a_datagram(session: &Session) {
    let sending = async {
        loop {
            session.send_datagram(Bytes::from_static(b"datagram")).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        datagram = session.recv_datagram() => assert_eq!(datagram.unwrap().unwrap(), "datagram"),
        () = sending => {}
    }
}

#[tokio::test]
async fn the_custom_loop_echoes() {
    let example = Example::start("custom_loop");
    let session = example.connect().await;
    // More than all windows together: it has to wait for both sides.
    for size in [0, 5, 4 << 20] {
        echoes(&session, size).await;
    }
    session.close(0, "");
    echoes(&example.connect().await, 1_000).await;
}

#[test]
fn the_custom_loop_has_less_than_sixty_lines() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/examples/custom_loop.rs");
    let source = std::fs::read_to_string(source).unwrap();
    assert!(source.lines().count() < 60, "{} lines", source.lines().count());
    assert!(source.lines().all(|line| line.len() <= 120) && !source.contains("mod "), "all of it is in these lines");
}

#[tokio::test]
async fn the_mio_loop_serves_many_connections() {
    let example = Example::start("mio_loop");
    let mut sessions = Vec::new();
    for _ in 0..30 {
        sessions.push(example.connect().await);
    }
    let mut all = JoinSet::new();
    for session in sessions.clone() {
        all.spawn(async move {
            echoes_a_datagram(&session).await;
            echoes(&session, 300_000).await;
        });
    }
    all.join_all().await;
    echoes(&sessions[0], 8 << 20).await;
}

#[tokio::test]
async fn the_mio_loop_passes_on_resets_and_stops() {
    let example = Example::start("mio_loop");
    let session = example.connect().await;
    let (mut send, mut recv) = session.open_bi().await.unwrap().split();
    send.write_all(b"half of it").await.unwrap();
    recv.read_exact(&mut [0; 10]).await.unwrap();
    send.reset(7).unwrap();
    assert_eq!(recv.read_bytes(1).await, Err(ReadError::Reset(Some(7))));
    let (mut send, mut recv) = session.open_bi().await.unwrap().split();
    send.write_all(b"unwanted").await.unwrap();
    recv.stop(9).unwrap();
    // It learns of the stop when it has something to write.
    let writing = async { while send.write_all(&[0; 1_000]).await.is_ok() {} };
    writing.await;
    assert_eq!(send.stopped().await, Some(9));
}

#[tokio::test]
async fn the_game_sends_a_snapshot_each_tick_and_moves_who_wants_to() {
    let example = Example::start("game_tick");
    let (walking, standing) = (example.connect().await, example.connect().await);
    walking.send_datagram(Bytes::from_static(&[3, 0xfe])).unwrap();
    let mut snapshots = Vec::new();
    while snapshots.len() < 30 {
        let snapshot = Snapshot::parse(&standing.recv_datagram().await.unwrap().unwrap());
        assert_eq!(snapshot.own, 1);
        if snapshot.players.iter().any(|player| player.position != [0, 0]) {
            snapshots.push(snapshot);
        } else {
            // The order to walk may have been lost.
            walking.send_datagram(Bytes::from_static(&[3, 0xfe])).unwrap();
        }
    }
    for pair in snapshots.windows(2) {
        let ticks = i16::try_from(pair[1].tick - pair[0].tick).expect("no tick is sent twice or late");
        assert!(ticks > 0);
        let ([x, y], [walked_x, walked_y]) = (pair[0].players[0].position, pair[1].players[0].position);
        assert_eq!([walked_x, walked_y], [x + 3 * ticks, y - 2 * ticks]);
        assert_eq!((pair[1].players[1].number, pair[1].players[1].position), (1, [0, 0]));
    }
    walking.close(0, "");
    while Snapshot::parse(&standing.recv_datagram().await.unwrap().unwrap()).players.len() > 1 {}
}

#[tokio::test]
async fn a_recorded_life_is_lived_again() {
    let folder = folder("replay");
    let hash = write_certificate(&folder, &rcgen::PKCS_ED25519);
    let [recording, certificate, key] = ["recording", "cert.pem", "key.pem"].map(|name| folder.join(name));
    let mut command = Command::new(program("replay"));
    command.arg("record").arg(&recording).arg("127.0.0.1:0").args([&certificate, &key]);
    let mut example = Example::spawn(command, hash, folder);
    let session = example.connect().await;
    echoes_a_datagram(&session).await;
    echoes(&session, 100_000).await;
    session.shutdown(7, "seen enough").await;
    let mut lived = Vec::new();
    while !lived.last().is_some_and(|line: &String| line.contains("ConnectionLost")) {
        lived.push(example.line());
    }
    let play = || {
        let mut command = Command::new(program("replay"));
        let output = command.arg("play").arg(&recording).args([&certificate, &key]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().take(lived.len()).map(str::to_owned).collect::<Vec<_>>()
    };
    for seen in ["SessionRequested", "StreamReadable", "DatagramReceived", "seen enough"] {
        assert!(lived.iter().any(|line| line.contains(seen)), "{seen} in {lived:#?}");
    }
    assert_eq!(play(), lived);
    // Another seed has other keys, and understands nothing of it.
    let text = std::fs::read_to_string(&recording).unwrap();
    std::fs::write(&recording, format!("{}{}", "0".repeat(64), &text[64..])).unwrap();
    assert!(!play().iter().any(|line| line.contains("SessionRequested")));
}

/// What the game sends.
struct Snapshot {
    tick: u32,
    own: u16,
    players: Vec<Player>,
}

struct Player {
    number: u16,
    position: [i16; 2],
}

impl Snapshot {
    fn parse(mut bytes: &[u8]) -> Self {
        use bytes::Buf;
        let (tick, own) = (bytes.get_u32(), bytes.get_u16());
        let mut players = Vec::new();
        while bytes.has_remaining() {
            players.push(Player { number: bytes.get_u16(), position: [bytes.get_i16(), bytes.get_i16()] });
        }
        Self { tick, own, players }
    }
}
