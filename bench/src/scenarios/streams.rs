use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::StreamId;
use std::collections::HashMap;

use super::{Failure, Meter, Outcome, Patience, Result, Target, connected};
use crate::client::{Client, Histogram, Session, What};
use crate::payload;

/// Small requests on bidirectional streams, each with its end, echoed.
pub(super) fn run(target: &Target, path: &str, in_flight: usize) -> Result<Outcome> {
    let (client, session) = connected(target, path)?;
    let mut load = Load { client, session, in_flight, next: 0, open: HashMap::new(), done: 0, latencies: None };
    load.go(target.time / 4)?;
    load.latencies = Some(Histogram::default());
    let meter = Meter::start(target.pid)?;
    let before = load.done;
    load.go(target.time)?;
    let outcome = meter.stop()?;
    load.client.close_all();
    Ok(Outcome { operations: load.done - before, latencies: load.latencies.unwrap_or_default(), ..outcome })
}

struct Load {
    client: Client,
    session: Session,
    in_flight: usize,
    next: u64,
    open: HashMap<StreamId, Open>,
    done: u64,
    latencies: Option<Histogram>,
}

struct Open {
    number: u64,
    begun: Instant,
    answer: Vec<u8>,
}

impl Load {
    fn go(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut patience = Patience::new();
        while Instant::now() < end {
            self.fill();
            self.client.turn(patience.deadline())?;
            let before = self.done;
            while let Some((_, what)) = self.client.pop() {
                self.take(what)?;
            }
            if self.done > before {
                patience.renew();
            }
            patience.check("an echo")?;
        }
        Ok(())
    }

    fn fill(&mut self) {
        let begun = Instant::now();
        while self.open.len() < self.in_flight {
            let Some(stream) = self.client.open(self.session) else { return };
            let number = self.next;
            self.next += 1;
            // The windows are far larger than what is in flight.
            self.client.write(self.session.connection, stream, Bytes::from(payload::message(number, SIZE)));
            self.client.finish(self.session.connection, stream);
            self.open.insert(stream, Open { number, begun, answer: Vec::new() });
        }
    }

    fn take(&mut self, what: What) -> Result<()> {
        match what {
            What::Data(stream, bytes) => {
                if let Some(open) = self.open.get_mut(&stream) {
                    open.answer.extend_from_slice(&bytes);
                }
            }
            What::End(stream) => {
                let Some(open) = self.open.remove(&stream) else { return Ok(()) };
                if payload::number(&open.answer, SIZE) != Some(open.number) {
                    return Err(Failure(format!("a wrong echo of {} bytes", open.answer.len())));
                }
                self.done += 1;
                if let Some(latencies) = &mut self.latencies {
                    latencies.add(open.begun.elapsed());
                }
            }
            What::Refused(_, words) => return Err(Failure(format!("a stream was refused: {words}"))),
            What::Lost(reason) => return Err(Failure(format!("the connection was lost: {reason}"))),
            _ => {}
        }
        Ok(())
    }
}

/// Bytes of a request.
const SIZE: usize = 64;
