//! Starts each program of `examples/` and drives it with clients.

#![cfg(feature = "tokio")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use common::within;
use transom::{Client, ClientBuilder, ClientError, Session, SessionEnd, StatusCode};

/// A program that runs; killed with the test.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts an example at a free address, which stands in place of `ADDRESS` among its arguments.
    fn start(name: &str, arguments: &[&str]) -> Self {
        let address = free_address();
        let arguments = arguments.iter().map(|argument| argument.replace("ADDRESS", &address.to_string()));
        Self { child: Self::spawn(name, arguments), address }
    }

    fn spawn(name: &str, arguments: impl Iterator<Item = String>) -> Child {
        let tests = std::env::current_exe().unwrap();
        let built: PathBuf = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
        assert!(
            built.exists(),
            "{name} is not built: `cargo test -p transom` builds it, with --features full all of them"
        );
        Command::new(built).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn client() -> ClientBuilder {
        // The certificate is made on the spot.
        Client::builder().danger_accept_any_certificate().timeout(Duration::from_secs(20))
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    async fn session(&self, path: &str) -> Session {
        within(Self::client().connect(&self.url(path))).await.unwrap()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// What it says until its end, and how it ends.
    async fn end(mut self) -> (String, ExitStatus) {
        let mut child = std::mem::replace(&mut self.child, Command::new("true").spawn().unwrap());
        let ended = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            if let Some(mut complaints) = child.stderr.take() {
                complaints.read_to_string(&mut said).unwrap();
            }
            (said, child.wait().unwrap())
        });
        within(ended).await.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn text(session: &Session) -> String {
    let mut stream = within(session.accept_uni()).await.unwrap().unwrap();
    String::from_utf8(within(stream.read_to_end(10_000)).await.unwrap().to_vec()).unwrap()
}

async fn datagram(session: &Session) -> String {
    String::from_utf8(within(session.recv_datagram()).await.unwrap().unwrap().to_vec()).unwrap()
}

/// Sends a message on a stream and returns the answer.
async fn exchange(session: &Session, message: &[u8]) -> Vec<u8> {
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap().split();
    // Both at once: whoever echoes more than the windows hold reads on only when it is read.
    let writing = async {
        send.write_all(message).await.unwrap();
        send.finish().unwrap();
    };
    let ((), answer) = within(async { tokio::join!(writing, recv.read_to_end(1 << 20)) }).await;
    answer.unwrap().to_vec()
}

async fn refused(program: &Program, client: ClientBuilder, path: &str) -> (StatusCode, transom::HeaderMap) {
    match within(client.connect(&program.url(path))).await {
        Err(ClientError::Refused { status, headers }) => (status, headers),
        other => panic!("{path} gives {other:?}"),
    }
}

#[tokio::test]
async fn basic() {
    let mut program = Program::start("basic", &["ADDRESS"]);
    let session = program.session("/").await;
    within(session.shutdown(0, "bye")).await;
    let lines = BufReader::new(program.child.stdout.take().unwrap()).lines();
    let said = tokio::task::spawn_blocking(move || lines.take(3).map(Result::unwrap).collect::<Vec<String>>());
    let said = within(said).await.unwrap();
    assert!(said[0].len() > 64 && said[1].ends_with("came for /"), "{said:?}");
    assert!(said[2].contains("left") && said[2].contains("bye"), "{said:?}");
}

#[tokio::test]
async fn echo() {
    let program = Program::start("echo", &["ADDRESS"]);
    let session = program.session("/").await;
    session.send_datagram("ping").unwrap();
    assert_eq!(datagram(&session).await, "ECHO: ping");
    assert_eq!(exchange(&session, b"hello").await, b"ECHO: hello");
    let large = vec![7; 500_000];
    assert_eq!(exchange(&session, &large).await[6..], large);
}

#[cfg(feature = "smol")]
#[tokio::test]
async fn on_smol() {
    let program = Program::start("on_smol", &["ADDRESS"]);
    let session = program.session("/").await;
    session.send_datagram("ping").unwrap();
    assert_eq!(datagram(&session).await, "ping");
    let large = vec![7; 500_000];
    assert!(exchange(&session, &large).await == large);
}

#[tokio::test]
async fn routing() {
    let program = Program::start("routing", &["ADDRESS"]);
    for (path, expected) in [
        ("/", "Welcome to the home page!"),
        ("/api/v1/status?verbose", r#"{"status": "ok"}"#),
        ("/rooms/17", "Room 17"),
    ] {
        let session = program.session(path).await;
        assert_eq!(text(&session).await, expected);
        assert_eq!(within(session.closed()).await, SessionEnd::ClosedByPeer { code: 0, reason: String::new() });
    }
    for path in ["/elsewhere", "/rooms/blue", "/rooms"] {
        assert_eq!(refused(&program, Program::client(), path).await.0, StatusCode::NOT_FOUND);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn lifecycle() {
    let file = std::env::temp_dir().join(format!("transom-visits-{}.db", std::process::id()));
    let _ = std::fs::remove_file(&file);
    for visit in 1..=2 {
        let program = Program::start("lifecycle", &["ADDRESS", file.to_str().unwrap()]);
        let session = program.session("/").await;
        assert_eq!(datagram(&session).await, format!("visit {visit}"), "the database outlives the server");
        program.signal("INT");
        within(session.draining()).await;
        within(session.shutdown(0, "")).await;
        let (said, status) = program.end().await;
        assert!(status.success() && said.contains("database in order"), "{status} {said}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn chat() {
    let program = Program::start("chat", &["ADDRESS"]);
    let (ada, bob, eve) =
        (program.session("/chat").await, program.session("/chat").await, program.session("/chat").await);
    // Who is accepted is not at once in the room; who hears something is.
    within(async {
        let mut heard = [false; 2];
        while heard != [true; 2] {
            ada.send_datagram("hello").unwrap();
            tokio::select! {
                _ = bob.recv_datagram() => heard[0] = true,
                _ = eve.recv_datagram() => heard[1] = true,
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    })
    .await;
    bob.send_datagram("hi, Ada").unwrap();
    assert_eq!(datagram(&ada).await, "hi, Ada", "and nothing of her own");
    within(async { while datagram(&eve).await != "hi, Ada" {} }).await;
}

#[tokio::test]
async fn uploads() {
    let program = Program::start("uploads", &["ADDRESS"]);
    let session = program.session("/upload").await;
    let upload = async |length: usize| exchange(&session, &vec![1; length]).await;
    let (one, two, three) = tokio::join!(upload(10), upload(300_000), upload(0));
    assert_eq!(String::from_utf8(one).unwrap(), "received 10 bytes");
    assert_eq!(String::from_utf8(two).unwrap(), "received 300000 bytes");
    assert_eq!(String::from_utf8(three).unwrap(), "received 0 bytes");
    let progress = datagram(&session).await;
    let (_, bytes) = progress.split_once(' ').unwrap();
    assert!((1..=300_000).contains(&bytes.parse::<usize>().unwrap()), "{progress}");
}

#[tokio::test]
async fn tokens() {
    let program = Program::start("tokens", &["ADDRESS"]);
    let (status, headers) = refused(&program, Program::client(), "/private").await;
    assert_eq!((status, headers["www-authenticate"].to_str().unwrap()), (StatusCode::UNAUTHORIZED, "Bearer"));
    let wrong = Program::client().header("authorization", "Bearer wrong");
    assert_eq!(refused(&program, wrong, "/private?token=s3cret").await.0, StatusCode::UNAUTHORIZED);
    let right = Program::client().header("authorization", "Bearer s3cret");
    let session = within(right.connect(&program.url("/private"))).await.unwrap();
    assert_eq!(datagram(&session).await, "hello, Ada");
    assert_eq!(datagram(&program.session("/private?token=s3cret").await).await, "hello, Ada");
}

#[tokio::test]
async fn game() {
    let program = Program::start("game", &["ADDRESS"]);
    let (one, two) = (program.session("/play").await, program.session("/play").await);
    for _ in 0..3 {
        one.send_datagram("1 0").unwrap();
        two.send_datagram("0 -100").unwrap();
    }
    one.send_datagram("nonsense").unwrap();
    within(async {
        loop {
            let positions = datagram(&two).await;
            let mut lines: Vec<&str> = positions.lines().map(|line| line.split_once(' ').unwrap().1).collect();
            lines.sort_unstable();
            if lines == ["0 -3", "3 0"] {
                break;
            }
        }
    })
    .await;
    one.close(0, "");
    within(async { while datagram(&two).await.lines().count() != 1 {} }).await;
}

#[cfg(all(unix, feature = "config"))]
#[tokio::test]
async fn restart() {
    let file = std::env::temp_dir().join(format!("transom-restart-{}.toml", std::process::id()));
    let write = |address: SocketAddr, more: &str| {
        let text = format!("listen = ['{address}']\ngrace = '20 s'\n{more}\n[tls]\nrotating = ['localhost']\n");
        let new = file.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    let address = free_address();
    write(address, "");
    let mut child = Program::spawn("restart", [file.to_str().unwrap().to_owned()].into_iter());
    let complaints = BufReader::new(child.stderr.take().unwrap());
    let program = Program { child, address };
    let old = program.session("/work").await;
    // Settings that cannot be read change nothing.
    write(address, "nonsense = 1");
    program.signal("HUP");
    let complaint = tokio::task::spawn_blocking(move || complaints.lines().next().unwrap().unwrap());
    let complaint = within(complaint).await.unwrap();
    assert!(complaint.contains("not restarted") && complaint.contains("nonsense"), "{complaint}");
    assert_eq!(exchange(&old, b"still here").await, b"still here");
    let moved = free_address();
    write(moved, "");
    program.signal("HUP");
    within(old.draining()).await;
    assert_eq!(exchange(&old, b"to the end").await, b"to the end");
    within(old.shutdown(0, "")).await;
    let url = format!("https://{moved}/work");
    let new = within(Program::client().connect(&url)).await.unwrap();
    assert_eq!(exchange(&new, b"anew").await, b"anew");
    drop(new);
    program.signal("INT");
    assert!(program.end().await.1.success());
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn with_axum() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = Program::start("with_axum", &[&web.to_string(), "ADDRESS"]);
    let session = program.session("/listen").await;
    let ask = async |request: &str| {
        let mut stream = tokio::net::TcpStream::connect(web).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    within(async { while !ask("GET /count HTTP/1.0\r\n\r\n").await.ends_with("\r\n1\n") {} }).await;
    let answer = within(ask("POST /announce HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello")).await;
    assert!(answer.ends_with("told 1 sessions\n"), "{answer}");
    assert_eq!(text(&session).await, "hello");
}

/// The programs of PyWebTransport's server guide and how long they are, comments, documentation and blank lines not
/// counted: ours are not longer.
#[test]
fn no_longer_than_what_they_replace() {
    for (name, most) in [("basic", 20), ("echo", 48), ("routing", 17), ("lifecycle", 31), ("chat", 40), ("uploads", 40)]
    {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.rs"));
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
        assert!(lines <= most, "{name} has {lines} lines, and the original {most}");
    }
}
