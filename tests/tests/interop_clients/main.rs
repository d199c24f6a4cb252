//! Other people's clients against `transom demo`: nothing of what they say was written here.

mod h3_adapter;
mod with_h3;
mod with_web_transport_quinn;
mod with_wtransport;

use std::future::Future;
use std::time::Duration;

use transom_tests::demo::Demo;

fn demo() -> Demo {
    Demo::start().unwrap()
}

/// A test that waits for nothing fails instead of hanging.
async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it takes far too long")
}

/// Bytes that do not repeat at any power of two.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// What `/streams/{kind}/{count}` sends, in order.
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("stream{number}")).collect()
}

/// How often a datagram is sent before it counts as lost.
const DATAGRAM_TRIES: usize = 20;

/// How long to wait for one.
const DATAGRAM_WAIT: Duration = Duration::from_millis(500);

const MEBIBYTE: usize = 1 << 20;
