use std::time::Duration;

use bytes::Bytes;
use quinn_proto::StreamId;
use std::collections::HashMap;

use super::{Failure, Meter, Outcome, Patience, Result, Target, connected};
use crate::client::{Client, Session, What};
use crate::payload;

/// Streams of bytes to the server, which says how many came.
pub(super) fn upload(target: &Target, streams: usize) -> Result<Outcome> {
    let (mut client, session) = connected(target, "/sink")?;
    one_upload(&mut client, session, streams, WARM_UP)?;
    let bytes = amount(target.time);
    let meter = Meter::start(target.pid)?;
    one_upload(&mut client, session, streams, bytes)?;
    let outcome = meter.stop()?;
    client.close_all();
    Ok(Outcome { bytes, ..outcome })
}

/// Streams of bytes from the server, which are compared.
pub(super) fn download(target: &Target, streams: usize) -> Result<Outcome> {
    let (mut client, session) = connected(target, "/source")?;
    one_download(&mut client, session, streams, WARM_UP)?;
    let bytes = amount(target.time);
    let meter = Meter::start(target.pid)?;
    one_download(&mut client, session, streams, bytes)?;
    let outcome = meter.stop()?;
    client.close_all();
    Ok(Outcome { bytes, ..outcome })
}

struct Up {
    left: u64,
    answer: Vec<u8>,
}

fn one_upload(client: &mut Client, session: Session, count: usize, bytes: u64) -> Result<()> {
    let chunk = payload::chunk();
    let sizes = split(bytes, count);
    let mut open = HashMap::new();
    for &size in &sizes {
        let stream = client.open(session).ok_or_else(|| Failure("no stream may be opened".into()))?;
        open.insert(stream, (size, Up { left: size, answer: Vec::new() }));
    }
    // All headers go first: once the window is full there is no room for one.
    for (stream, (_, up)) in &mut open {
        up.go_on(client, session, *stream, &chunk);
    }
    let mut patience = Patience::new();
    while !open.is_empty() {
        client.turn(patience.deadline())?;
        while let Some((_, what)) = client.pop() {
            patience.renew();
            match what {
                What::Writable(stream) => {
                    if let Some((_, up)) = open.get_mut(&stream) {
                        up.go_on(client, session, stream, &chunk);
                    }
                }
                What::Data(stream, bytes) => {
                    if let Some((_, up)) = open.get_mut(&stream) {
                        up.answer.extend_from_slice(&bytes);
                    }
                }
                What::End(stream) => {
                    let Some((size, up)) = open.remove(&stream) else { continue };
                    if up.answer != size.to_be_bytes() {
                        return Err(Failure(format!("{size} bytes were answered with {:02x?}", up.answer)));
                    }
                }
                What::Stopped(_) => return Err(Failure("the server stopped an upload".into())),
                other => bad(other)?,
            }
        }
        patience.check("an upload")?;
    }
    Ok(())
}

impl Up {
    fn go_on(&mut self, client: &mut Client, session: Session, stream: StreamId, chunk: &Bytes) {
        while self.left > 0 {
            let piece = chunk.slice(..chunk.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)));
            let written = client.write(session.connection, stream, piece);
            if written == 0 {
                return;
            }
            self.left -= written as u64;
        }
        client.finish(session.connection, stream);
    }
}

fn one_download(client: &mut Client, session: Session, count: usize, bytes: u64) -> Result<()> {
    let chunk = payload::chunk();
    let mut open = HashMap::new();
    for size in split(bytes, count) {
        let stream = client.open(session).ok_or_else(|| Failure("no stream may be opened".into()))?;
        client.write(session.connection, stream, Bytes::copy_from_slice(&size.to_be_bytes()));
        client.finish(session.connection, stream);
        open.insert(stream, (size, 0));
    }
    let mut patience = Patience::new();
    while !open.is_empty() {
        client.turn(patience.deadline())?;
        while let Some((_, what)) = client.pop() {
            patience.renew();
            match what {
                What::Data(stream, bytes) => {
                    let Some((_, got)) = open.get_mut(&stream) else { continue };
                    if !payload::is_right(&chunk, *got, &bytes) {
                        return Err(Failure(format!("wrong bytes after {got}")));
                    }
                    *got += bytes.len() as u64;
                }
                What::End(stream) => {
                    let Some((size, got)) = open.remove(&stream) else { continue };
                    if size != got {
                        return Err(Failure(format!("{got} bytes came of {size}")));
                    }
                }
                other => bad(other)?,
            }
        }
        patience.check("a download")?;
    }
    Ok(())
}

fn bad(what: What) -> Result<()> {
    match what {
        What::Refused(_, words) => Err(Failure(format!("a stream was refused: {words}"))),
        What::Lost(reason) => Err(Failure(format!("the connection was lost: {reason}"))),
        _ => Ok(()),
    }
}

fn split(bytes: u64, count: usize) -> Vec<u64> {
    let count = count as u64;
    (0..count).map(|index| bytes / count + u64::from(index < bytes % count)).collect()
}

/// Bytes that take about as long.
fn amount(time: Duration) -> u64 {
    (time.as_secs_f64() * 6e8) as u64
}

/// Bytes sent before, so that congestion control has found its way.
const WARM_UP: u64 = 64 << 20;
