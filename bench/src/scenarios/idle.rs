use std::time::{Duration, Instant};

use super::{Failure, Meter, Outcome, Patience, Result, Target, open_sessions};
use crate::client::{Client, Histogram, What};
use crate::process;

/// Sessions that do nothing, each on a connection of its own: what they cost in memory.
pub(super) fn run(target: &Target, count: usize) -> Result<Outcome> {
    let mut client = Client::new(target.address, None)?;
    // What the first ones touch is not theirs.
    open_sessions(&mut client, "/echo", FIRST)?;
    rest(&mut client, SETTLING)?;
    let before = resident(target)?;
    let meter = Meter::start(target.pid)?;
    open_sessions(&mut client, "/echo", count)?;
    rest(&mut client, SETTLING)?;
    let outcome = meter.stop()?;
    let memory = resident(target)?.saturating_sub(before) / count as u64;
    client.close_all();
    Ok(Outcome { operations: count as u64, memory: Some(memory), ..outcome })
}

/// Many sessions on one connection, where the server allows it.
pub(super) fn on_one_connection(target: &Target, count: usize) -> Result<Outcome> {
    let mut client = Client::new(target.address, None)?;
    let connection = open_sessions(&mut client, "/echo", 1)?[0].connection;
    rest(&mut client, SETTLING)?;
    let before = resident(target)?;
    let mut latencies = Histogram::default();
    let meter = Meter::start(target.pid)?;
    let (mut open, mut asked) = (0, Vec::new());
    let mut patience = Patience::new();
    while open < count {
        while asked.len() < AT_A_TIME && open + asked.len() < count {
            let Some(id) = client.request(connection, "/echo") else { break };
            asked.push((id, Instant::now()));
        }
        client.turn(patience.deadline())?;
        while let Some((_, what)) = client.pop() {
            match what {
                What::Accepted(id) => {
                    let Some(index) = asked.iter().position(|(known, _)| *known == id) else { continue };
                    latencies.add(asked.swap_remove(index).1.elapsed());
                    open += 1;
                    patience.renew();
                }
                What::Refused(_, words) => return Err(Failure(format!("not allowed here: {words}"))),
                What::Lost(reason) => return Err(Failure(format!("not allowed here: {reason}"))),
                _ => {}
            }
        }
        patience.check("a session on the same connection")?;
    }
    let outcome = meter.stop()?;
    rest(&mut client, SETTLING)?;
    let memory = resident(target)?.saturating_sub(before) / count as u64;
    client.close_all();
    Ok(Outcome { operations: count as u64, memory: Some(memory), latencies, ..outcome })
}

/// Holds idle sessions with keep-alives and tells `say` how it goes: sessions alive and resident bytes for each.
pub fn hold(target: &Target, count: usize, keep_alive: Duration, mut say: impl FnMut(usize, u64)) -> Result<Outcome> {
    let mut client = Client::new(target.address, Some(keep_alive))?;
    open_sessions(&mut client, "/echo", FIRST)?;
    rest(&mut client, SETTLING)?;
    let before = resident(target)?;
    let begun = Instant::now();
    open_sessions(&mut client, "/echo", count)?;
    let meter = Meter::start(target.pid)?;
    let end = Instant::now() + target.time;
    let (mut lost, mut next) = (0, begun);
    while Instant::now() < end {
        client.turn(end.min(next))?;
        while let Some((_, what)) = client.pop() {
            lost += usize::from(matches!(what, What::Lost(_) | What::End(_) | What::Refused(..)));
        }
        if Instant::now() >= next {
            next += SAY_EVERY;
            say(FIRST + count - lost, resident(target)?.saturating_sub(before) / count as u64);
        }
    }
    let outcome = meter.stop()?;
    let memory = resident(target)?.saturating_sub(before) / count as u64;
    client.close_all();
    Ok(Outcome { operations: count as u64, lost: lost as u64, memory: Some(memory), ..outcome })
}

/// Lets time pass, with its acknowledgements.
fn rest(client: &mut Client, time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        client.turn(end)?;
        while let Some((_, what)) = client.pop() {
            if let What::Lost(reason) = what {
                return Err(Failure(format!("a connection was lost: {reason}")));
            }
        }
    }
    Ok(())
}

fn resident(target: &Target) -> Result<u64> {
    process::resident(target.pid).ok_or_else(|| Failure("the server is gone".into()))
}

const FIRST: usize = 8;
const AT_A_TIME: usize = 8;
const SAY_EVERY: Duration = Duration::from_secs(10);
const SETTLING: Duration = Duration::from_millis(700);
