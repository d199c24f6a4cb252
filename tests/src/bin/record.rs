//! Records what a client sends: `record NAME CLIENT VERSION DATE`. The clients named `wtransport` and `web-transport-quinn`
//! are at hand and start by themselves.
//!
//! Prints one line of JSON when it listens, takes one connection, and writes `tests/captures/NAME.json`.

use std::process::ExitCode;

use transom_tests::captures::{Capture, Recorder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, client, version, date] = arguments[..] else {
        return Err("usage: record NAME CLIENT VERSION DATE".into());
    };
    let recorder = Recorder::bind("127.0.0.1:4433".parse()?)?;
    let line = serde_json::json!({
        "event": "listening",
        "url": format!("https://{}", recorder.address()?),
        "certificate_sha256": recorder.certificate_sha256(),
    });
    println!("{line}");
    let capture = match name {
        "wtransport" => tokio::join!(recorder.record(), clients::wtransport(&recorder)).0?,
        "web-transport-quinn" => tokio::join!(recorder.record(), clients::web_transport_quinn(&recorder)).0?,
        _ => recorder.record().await?,
    };
    let capture = Capture { client: client.to_owned(), version: version.to_owned(), date: date.to_owned(), ..capture };
    let path = Capture::folder().join(name).with_extension("json");
    capture.save(&path)?;
    eprintln!("{} steps in {}", capture.steps.len(), path.display());
    Ok(())
}

/// The clients that need no process of their own: each opens a session, sends a bidirectional stream, a unidirectional one
/// and a datagram, and closes.
mod clients {
    use transom_tests::captures::Recorder;

    const URL: &str = "https://127.0.0.1:4433/capture?client=rust";

    pub(crate) async fn wtransport(_: &Recorder) {
        use wtransport::{ClientConfig, Endpoint};
        let config = ClientConfig::builder().with_bind_default().with_no_cert_validation().build();
        let endpoint = Endpoint::client(config).expect("a socket");
        let connection = endpoint.connect(URL).await.expect("a session");
        let (mut send, mut recv) = connection.open_bi().await.expect("credit").await.expect("a stream");
        send.write_all(b"over and back").await.expect("a write");
        send.finish().await.expect("an end");
        let mut echo = [0; 13];
        recv.read_exact(&mut echo).await.expect("the echo");
        let mut send = connection.open_uni().await.expect("credit").await.expect("a stream");
        send.write_all(b"one way").await.expect("a write");
        send.finish().await.expect("an end");
        connection.send_datagram(b"datagram").expect("room");
        connection.receive_datagram().await.expect("the echo");
        connection.close(wtransport::VarInt::from_u32(7), b"done");
        endpoint.wait_idle().await;
    }

    pub(crate) async fn web_transport_quinn(_: &Recorder) {
        use web_transport_quinn::ClientBuilder;
        use web_transport_quinn::proto::ConnectRequest;
        let client = ClientBuilder::new().dangerous().with_no_certificate_verification().expect("a client");
        let url: url::Url = URL.parse().expect("a URL");
        let request = ConnectRequest::new(url).with_protocol("chat").with_protocol("moq-00");
        let session = client.connect(request).await.expect("a session");
        let (mut send, mut recv) = session.open_bi().await.expect("credit");
        send.write_all(b"over and back").await.expect("a write");
        send.finish().expect("an end");
        assert_eq!(recv.read_to_end(100).await.expect("the echo"), b"over and back");
        let mut send = session.open_uni().await.expect("credit");
        send.write_all(b"one way").await.expect("a write");
        send.finish().expect("an end");
        session.send_datagram(b"datagram"[..].into()).expect("room");
        session.read_datagram().await.expect("the echo");
        session.close(7, b"done");
        session.closed().await;
    }
}
