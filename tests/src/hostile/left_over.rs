use std::time::{Duration, Instant};

use super::Target;
use crate::raw::{DRAFT_02, Failure, Peer};

/// Waits until the server's own statistics count nobody but the one who asks, as they must within 30 seconds.
///
/// # Errors
/// Says what is left, or why the statistics could not be read.
pub(super) fn wait_until_alone(target: &Target) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    loop {
        let (connections, sessions) = count(target).map_err(|failure| failure.to_string())?;
        if connections == 1 && sessions <= 1 {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(format!("{connections} connections and {sessions} sessions are left"));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The connections and sessions that `/stats` counts, with the one that asks.
fn count(target: &Target) -> Result<(u64, u64), Failure> {
    let mut peer = Peer::greet(target.address, DRAFT_02)?;
    let session = peer.open_session("/stats")?;
    let header = crate::raw::wire::uni_header(session);
    let statistics = peer.until("the statistics", |seen| {
        let mut streams = seen.opened_by_server().filter(|(_, stream)| stream.fin);
        streams.find_map(|(_, stream)| Some(stream.data.strip_prefix(header.as_slice())?.to_vec()))
    })?;
    let statistics: serde_json::Value =
        serde_json::from_slice(&statistics).map_err(|error| Failure::unexpected(format!("/stats: {error}")))?;
    let number = |name: &str| {
        statistics[name].as_u64().ok_or_else(|| Failure::unexpected(format!("/stats has no number {name}")))
    };
    Ok((number("connections_open")?, number("sessions_open")?))
}

const LIMIT: Duration = Duration::from_secs(30);
