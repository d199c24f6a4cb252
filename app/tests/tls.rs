//! Certificates: forms of keys, changes under load, rotation, clients that show their own, and what is said when
//! something is wrong.

#[macro_use]
mod common;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{echo, sleep, spawn, within};
use transom::{
    Client, ClientBuilder, ClientCertificates, ClientError, ServeError, Server, ServerApp, Session, SessionError, Tls,
    TlsError,
};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("transom-tls-{name}-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn cert(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    fn write(&self, cert: &str, key: &str) {
        std::fs::write(self.cert(), cert).unwrap();
        std::fs::write(self.key(), key).unwrap();
    }

    fn write_tls(&self, tls: &Tls) {
        self.write(&tls.certificate_pem(), &tls.key_pem());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn fresh() -> Tls {
    Tls::self_signed(["localhost", "127.0.0.1"]).unwrap()
}

fn stored_key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

fn serve(tls: &Tls) -> (Server, SocketAddr) {
    let server = ServerApp::new().route("/echo", echo).bind("127.0.0.1:0", tls.clone()).start().unwrap();
    let address = server.local_addrs()[0];
    (server, address)
}

fn trusting(hash: [u8; 32]) -> ClientBuilder {
    Client::builder().certificate_hash(hash).timeout(Duration::from_secs(10))
}

async fn connect(address: SocketAddr, hash: [u8; 32]) -> Result<Session, ClientError> {
    trusting(hash).connect(&format!("https://{address}/echo")).await
}

async fn round_trip(session: &Session) -> Result<(), SessionError> {
    let mut stream = session.open_bi().await?;
    stream.send.write_all(b"ping").await?;
    stream.send.finish()?;
    assert_eq!(stream.recv.read_to_end(16).await?, "ping");
    Ok(())
}

async fn all_forms_of_keys_work() {
    for (cert, key) in [
        ("rsa-cert.pem", "rsa-pkcs8.pem"),
        ("rsa-cert.pem", "rsa-pkcs1.pem"),
        ("ec-cert.pem", "ec-pkcs8.pem"),
        ("ec-cert.pem", "ec-sec1.pem"),
    ] {
        let tls = Tls::from_pem(stored_key(cert), stored_key(key)).unwrap();
        let (_server, address) = serve(&tls);
        let session = within(connect(address, tls.certificate_sha256())).await.unwrap_or_else(|e| panic!("{key}: {e}"));
        within(round_trip(&session)).await.unwrap();
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let folder = Folder::new("wrong");
    let missing = folder.0.join("missing.pem");
    let message = |cert: &Path, key: &Path| Tls::from_pem(cert, key).unwrap_err().to_string();
    let (ec, rsa) = (stored_key("ec-cert.pem"), stored_key("rsa-pkcs8.pem"));
    for (text, parts) in [
        (message(&ec, &missing), ["missing.pem", "No such file"]),
        (message(&missing, &rsa), ["missing.pem", "No such file"]),
        (message(&folder.0, &rsa), ["transom-tls-wrong", "directory"]),
        (message(&ec, &rsa), ["rsa-pkcs8.pem", "does not belong to the certificate"]),
        (message(&ec, &stored_key("ec-encrypted.pem")), ["ec-encrypted.pem", "encrypted keys are not supported"]),
        (message(&ec, &ec), ["ec-cert.pem", "no private key"]),
        (message(&rsa, &rsa), ["rsa-pkcs8.pem", "no certificate"]),
    ] {
        assert!(parts.iter().all(|part| text.contains(part)), "{text:?} does not say {parts:?}");
    }
    std::fs::write(folder.key(), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0!!!\n-----END PRIVATE KEY-----\n").unwrap();
    let text = message(&ec, &folder.key());
    assert!(text.contains("key.pem") && text.contains("not valid PEM"), "{text}");
    assert!(!text.contains("c2VjcmV0"), "a key must not be printed: {text}");
}

async fn a_port_in_use_is_said_with_its_address() {
    let (_server, address) = serve(&fresh());
    let error = ServerApp::new().route("/", echo).bind(address, fresh()).start().unwrap_err();
    assert!(matches!(error, ServeError::Bind { .. }));
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("in use"), "{text}");
}

/// Two hundred reloads, every fourth of broken files, while sessions talk: none is lost, and who comes next meets the
/// newest certificate that works.
async fn reloads_under_load() {
    let folder = Folder::new("load");
    let mut shown = fresh();
    folder.write_tls(&shown);
    let tls = Tls::from_pem(folder.cert(), folder.key()).unwrap();
    let (_server, address) = serve(&tls);
    let (stop, trips) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut talking = Vec::new();
    for _ in 0..8 {
        let session = within(connect(address, shown.certificate_sha256())).await.unwrap();
        let (stop, trips) = (Arc::clone(&stop), Arc::clone(&trips));
        talking.push(spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                round_trip(&session).await?;
                trips.fetch_add(1, Ordering::Relaxed);
            }
            round_trip(&session).await
        }));
    }
    let other = fresh();
    for round in 0..200 {
        let next = fresh();
        let broken = round % 4 == 3;
        match (round / 4) % 4 {
            0 if broken => folder.write(&next.certificate_pem(), &other.key_pem()),
            1 if broken => folder.write("nonsense", &next.key_pem()),
            2 if broken => folder.write(&next.certificate_pem(), ""),
            _ if broken => std::fs::remove_file(folder.key()).unwrap(),
            _ => folder.write_tls(&next),
        }
        let reloaded = tls.reload();
        assert_eq!(reloaded.is_err(), broken, "round {round}: {reloaded:?}");
        if !broken {
            shown = next;
        }
        assert_eq!(tls.certificate_sha256(), shown.certificate_sha256());
        let newcomer = within(connect(address, shown.certificate_sha256())).await;
        within(round_trip(&newcomer.unwrap_or_else(|e| panic!("round {round}: {e}")))).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for session in talking {
        within(session).await.unwrap().expect("a session was lost");
    }
    assert!(trips.load(Ordering::Relaxed) >= 200, "there was hardly any load");
}

async fn a_watched_file_is_read_when_it_changes() {
    let folder = Folder::new("watched");
    let first = fresh();
    folder.write_tls(&first);
    let tls = Tls::from_pem(folder.cert(), folder.key()).unwrap().watch(Duration::from_millis(10));
    let (server, address) = serve(&tls);
    folder.write("nonsense", "nonsense");
    sleep(Duration::from_millis(100)).await;
    drop(within(connect(address, first.certificate_sha256())).await.expect("the old one stays"));
    let second = fresh();
    folder.write_tls(&second);
    within(async {
        while tls.certificate_sha256() != second.certificate_sha256() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(within(connect(address, second.certificate_sha256())).await.unwrap());
    assert!(within(connect(address, first.certificate_sha256())).await.is_err());
    // Nobody looks any more once the server is gone.
    drop(server);
    sleep(Duration::from_millis(100)).await;
    folder.write_tls(&first);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(tls.certificate_sha256(), second.certificate_sha256());
}

async fn a_rotating_certificate_is_reached_by_its_first_hash() {
    let tls = Tls::rotating(["127.0.0.1"]).unwrap();
    let (_server, address) = serve(&tls);
    let hashes = tls.certificate_hashes();
    assert_eq!(hashes.len(), 2);
    drop(within(connect(address, hashes[0])).await.unwrap());
    assert!(within(connect(address, hashes[1])).await.is_err(), "the next one is not in use yet");
}

async fn who(session: Session) -> Result<(), SessionError> {
    let certificates = session.peer_certificates();
    let mut stream = session.open_uni().await?;
    stream.write_all(certificates.first().map_or(b"nobody".as_slice(), |leaf| leaf)).await?;
    stream.finish()?;
    session.closed().await;
    Ok(())
}

async fn clients_show_certificates() {
    let known = Tls::from_pem(stored_key("client-cert.pem"), stored_key("client-key.pem")).unwrap();
    let unknown = Tls::from_pem(stored_key("ec-cert.pem"), stored_key("ec-sec1.pem")).unwrap();
    let authority = std::fs::read(stored_key("authority.pem")).unwrap();
    for (wanted, stranger_may) in [(ClientCertificates::Required, false), (ClientCertificates::Optional, true)] {
        let tls = fresh().client_authorities_pem(&authority, wanted).unwrap();
        let server = ServerApp::new().route("/", who).bind("127.0.0.1:0", tls.clone()).start().unwrap();
        let url = format!("https://{}/", server.local_addrs()[0]);
        let client = trusting(tls.certificate_sha256());
        let answer = async |client: ClientBuilder| -> Result<Vec<u8>, SessionError> {
            // A refused certificate shows only after the client's handshake is done.
            let session = client.connect(&url).await.map_err(|_| SessionError::RequestGone)?;
            let mut stream = session.accept_uni().await?.ok_or(SessionError::RequestGone)?;
            Ok(stream.read_to_end(10_000).await?.to_vec())
        };
        let shown = within(answer(client.clone().certificate(&known))).await.unwrap();
        assert!(shown.len() > 100, "the certificate as the client has it");
        assert_eq!(within(answer(client.clone())).await.ok(), stranger_may.then(|| b"nobody".to_vec()));
        assert!(within(answer(client.clone().certificate(&unknown))).await.is_err(), "a wrong one is worse than none");
        drop(server);
    }
    let nothing = fresh().client_authorities_pem(b"nothing", ClientCertificates::Required);
    assert!(matches!(nothing, Err(TlsError::NoCertificate)));
}

on_each_runtime! {
    all_forms_of_keys_work,
    a_port_in_use_is_said_with_its_address,
    a_rotating_certificate_is_reached_by_its_first_hash,
    clients_show_certificates,
    ; threads:
    reloads_under_load,
    ; sockets:
    a_watched_file_is_read_when_it_changes,
}

/// What the next test does in a process of its own, where the variable is set.
#[cfg(feature = "tokio")]
#[test]
#[ignore = "run by keys_are_logged_where_asked"]
fn connects_with_and_without_logging() {
    common::runtimes::on_tokio(1, async {
        let log = PathBuf::from(std::env::var_os("SSLKEYLOGFILE").unwrap());
        let tls = fresh();
        let (_server, address) = serve(&tls);
        drop(within(connect(address, tls.certificate_sha256())).await.unwrap());
        assert!(!log.exists(), "nobody asked for it");
        let tls = tls.log_keys();
        let (_server, address) = serve(&tls);
        let client = trusting(tls.certificate_sha256()).log_keys();
        drop(within(client.connect(&format!("https://{address}/echo"))).await.unwrap());
        let text = std::fs::read_to_string(&log).unwrap();
        // Once by the server and once by the client.
        assert_eq!(text.matches("SERVER_TRAFFIC_SECRET_0 ").count(), 2, "{text}");
    });
}

#[cfg(feature = "tokio")]
#[test]
fn keys_are_logged_where_asked() {
    let folder = Folder::new("keys");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "connects_with_and_without_logging", "--ignored"]);
    let output = child.env("SSLKEYLOGFILE", folder.0.join("keys.log")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
