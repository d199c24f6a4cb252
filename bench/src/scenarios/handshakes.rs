use std::collections::HashMap;
use std::time::Instant;

use super::{Failure, Meter, Outcome, Patience, Result, Target};
use crate::client::{Client, Histogram, What};

/// Connections with one session each, closed as soon as it is open.
pub(super) fn run(target: &Target, in_flight: usize) -> Result<Outcome> {
    let mut client = Client::new(target.address, None)?;
    let mut begun = HashMap::new();
    go(&mut client, &mut begun, in_flight, target, None)?;
    let mut latencies = Histogram::default();
    let meter = Meter::start(target.pid)?;
    let operations = go(&mut client, &mut begun, in_flight, target, Some(&mut latencies))?;
    let outcome = meter.stop()?;
    client.close_all();
    Ok(Outcome { operations, latencies, ..outcome })
}

/// Says how many were done. Without latencies it is the warm-up.
fn go(
    client: &mut Client,
    begun: &mut HashMap<usize, Instant>,
    in_flight: usize,
    target: &Target,
    mut latencies: Option<&mut Histogram>,
) -> Result<u64> {
    let end = Instant::now() + if latencies.is_some() { target.time } else { target.time / 4 };
    let mut done = 0;
    let mut patience = Patience::new();
    while Instant::now() < end {
        while begun.len() < in_flight {
            let key = client.connect("/echo")?;
            begun.insert(key, Instant::now());
        }
        client.turn(patience.deadline())?;
        while let Some((connection, what)) = client.pop() {
            match what {
                What::Accepted(_) => {
                    let Some(at) = begun.remove(&connection) else { continue };
                    if let Some(latencies) = &mut latencies {
                        latencies.add(at.elapsed());
                    }
                    done += 1;
                    patience.renew();
                    client.close(connection);
                }
                What::Lost(reason) if begun.contains_key(&connection) => {
                    return Err(Failure(format!("a connection was lost: {reason}")));
                }
                What::Refused(_, words) if begun.contains_key(&connection) => {
                    return Err(Failure(format!("a session was refused: {words}")));
                }
                _ => {}
            }
        }
        patience.check("a session")?;
    }
    Ok(done)
}
